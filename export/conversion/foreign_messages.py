"""What another library's error says, as one line for the user: whole sentences, without colours, paths and stacks."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgeport.runtime.engines.quiet import quiet_stderr
from edgeport.runtime.errors import EdgeportError, ExportError

_LONGEST = 400
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
# Where in its own code a library was: Python's and C++'s stacks, MLIR's locations, TensorFlow's nodes of a function.
_NOISE = (
    re.compile(r"^\s*File \"[^\"]*\", line \d+.*(?:\n {4,}.*)*", re.MULTILINE),
    re.compile(r"^Traceback \(most recent call last\):\s*$", re.MULTILINE),
    re.compile(r"^(?:Could not translate MLIR to FlatBuffer\.)?\S+\.py:\d+:\d+: ", re.MULTILINE),
    re.compile(r"<unknown>:0: "),
    re.compile(r"\btflite/\S+\.(?:cc|h):\d+:? ?"),
    re.compile(r"(?:\s*@\s*)?\bloc\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\):?\s*"),
    re.compile(r"\s*\[\[\{\{.*?\}\}\]\]"),
    re.compile(r"\{\{.*?\}\}\s*"),
    re.compile(r"\s*\[Op:[^\]]*\](?: name:\s*\S*)?"),
    re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", re.MULTILINE),
    re.compile(r"\(?/\S*?(?:site-packages|dist-packages|onnxruntime_src)/[^\s:,()]*(?::\d+)?\)?:?"),
    re.compile(r" at 0x[0-9a-f]+"),
)
# What TFLite's engine says of an operator that it has no kernel for in these types or shapes.
_UNPREPARED = re.compile(r" \((?P<why>[^\n]*?)\s*Node number \d+ \((?P<operator>\w+)\) failed to [^\n]*")
# What follows repeats the call, and not the cause.
_ARGUMENTS = re.compile(
    r"\n\s*(?:Arguments received by |Call arguments received by |Original stack trace|Stack trace).*", re.DOTALL
)
# Keras says the cause last, after whole configurations.
_CAUSE = re.compile(r".*Exception encountered(?: when calling \S+\(\)\.?)?:?\s*(?=\S)", re.DOTALL)
_SENTENCE = re.compile(r"(?<=[.!?;])\s+(?=\S)")


@contextmanager
def foreign_errors() -> Iterator[None]:
    """Keep converters quiet, and raise what they raise as ExportError."""
    try:
        with quiet_stderr():
            yield
    except EdgeportError:
        raise
    except Exception as error:  # the converters raise whatever they meet
        raise ExportError(cleaned(error)) from error


def cleaned(error: BaseException | str, *, file: Path | str | None = None) -> str:
    """Return what a foreign error says, in one line of whole sentences without a full stop at the end.

    Args:
        error: The error, or its text.
        file: The file that was worked on: what calls for this names it anyway, so its path is left out.
    """
    text = _ARGUMENTS.sub("", _COLOURS.sub("", str(error)))
    text = _CAUSE.sub("", text, count=1) or text
    for noise in _NOISE:
        text = noise.sub("", text)
    text = _UNPREPARED.sub(lambda found: f": operator {found['operator']} stops it ({found['why']})", text)
    if file is not None:
        text = _without_path(text, str(file))
    text = _whole_sentences(" ".join(text.split()))
    if not isinstance(error, BaseException):
        return text
    # The message of a KeyError is the key alone.
    return f"{type(error).__name__}: {text}" if isinstance(error, LookupError) or not text else text


def _without_path(text: str, path: str) -> str:
    for name in (re.escape(path), rf"(?:/[^\s/:'\"]+)*/{re.escape(Path(path).name)}"):
        text = re.sub(rf"^\s*['\"]?{name}['\"]?\s*:\s*", "", text)
    text = re.sub(rf"^\s*{re.escape(Path(path).name)}\s*:\s*", "", text)
    for name in (re.escape(path), rf"(?:/[^\s/:'\"]+)*/{re.escape(Path(path).name)}"):
        text = re.sub(rf"['\"]?{name}['\"]?(?!\w|\.\w)", "the file", text)
    return text


def _whole_sentences(text: str) -> str:
    """Return as many sentences as fit, one at the least; a very long one ends at a word, and says so."""
    sentences = _SENTENCE.split(text)
    kept = sentences[0]
    for sentence in sentences[1:]:
        if len(kept) + 1 + len(sentence) > _LONGEST:
            break
        kept = f"{kept} {sentence}"
    if len(kept) > 2 * _LONGEST:
        return f"{kept[: 2 * _LONGEST].rpartition(' ')[0]} ..."
    return kept.rstrip(" .;:")
