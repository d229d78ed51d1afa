"""Whether an exception comes from where it seems to: a signal handler may raise in the middle of any call.

Engines and decoders raise whatever they like, so those who call them have to catch everything. What a handler raised
(a timeout, a request to end) must pass through all the same, since somebody further out waits for it.
"""


def raised_within(error: BaseException, *packages: str) -> bool:
    """Whether an exception was raised by code of these packages, or of edgeport, and by no signal handler.

    A handler runs on top of what it interrupts, so its own frame is among the last ones of the traceback.

    Args:
        error: The exception, where it is caught.
        packages: The import names of packages whose code, all of it, may have raised it.
    """
    known = {"edgeport", *packages}
    traceback = error.__traceback__
    while traceback is not None:
        module = str(traceback.tb_frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] not in known:
            return False
        traceback = traceback.tb_next
    return True
