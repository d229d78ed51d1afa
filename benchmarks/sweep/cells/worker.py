"""The inside of a cell's process: reads its order from standard input, and reports its stages on standard output.

It ends with whoever started it: its standard input is a pipe that stays open as long as that process lives, however it
ends. The process leads a group of its own, so that the processes it has started end with it.
"""

import os
import signal
import sys
import threading
import traceback

from rich.console import Console

from edgeport.benchmarks.sweep.cells.cell import read_order
from edgeport.runtime.errors import EdgeportError
from edgeport.runtime.host.replies import replies

INTERRUPTED = 130


def main() -> int:
    """Make one cell; return 0 also for one that cannot be made, of which the last line says why."""
    # A shell that starts a sweep in the background has its children ignore this signal.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Whatever a library prints goes to the log, and must not get between the lines.
    tell = replies()
    try:
        order = read_order(sys.stdin.readline())
        threading.Thread(target=_end_with_parent, daemon=True).start()
        # TensorFlow, which takes seconds.
        from edgeport.benchmarks.sweep.cells.work import make_cell

        console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False, force_terminal=False, width=120)
        if not make_cell(order, console=console, on_stage=lambda what: tell({"stage": what})):
            return INTERRUPTED
    except KeyboardInterrupt:
        return INTERRUPTED
    except EdgeportError as error:
        print(error, flush=True)
        tell({"failed": str(error)})
    except Exception as error:
        traceback.print_exc()
        tell({"failed": f"{type(error).__name__}: {' '.join(str(error).split())}"})
    else:
        tell({"done": True})
    return 0


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
