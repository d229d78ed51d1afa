"""Whatever is read or written as text names its encoding: that of the locale loses work on a machine without UTF-8."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("runtime", "train", "export", "benchmarks", "docs", "tests/robustness", "tests/pi")
# The place of the encoding among the arguments of what opens a file for text; of a path, and as a function.
OF_A_PATH = {"read_text": 0, "write_text": 1, "open": 2}
FUNCTIONS = {"open": 3, "fdopen": 3, "TextIOWrapper": 1, "NamedTemporaryFile": 2, "TemporaryFile": 2}
# Other things are opened as well: folders of the system by number, archives, pictures.
OTHERS = ("os.open", "tarfile.open", "Image.open", "archive.open", "origin.open", "self._origin.open")


def nameless(source: str) -> Iterator[str]:
    """Yield the calls that leave the encoding of text to the locale."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        bare, words = name.rpartition(".")[2], {word.arg: word.value for word in node.keywords}
        method = isinstance(node.func, ast.Attribute) and bare in OF_A_PATH and not name.startswith("io.")
        place = OF_A_PATH[bare] if method else FUNCTIONS.get(bare)
        if words.keys() & {"text", "universal_newlines"} and "encoding" not in words:
            yield ast.unparse(node)
        if place is None or name in OTHERS or "encoding" in words or len(node.args) > place:
            continue
        mode = words.get("mode", node.args[place - 2] if len(node.args) > place - 2 >= 0 else None)
        of_bytes = isinstance(mode, ast.Constant) and "b" in str(mode.value)
        # What makes temporary files has bytes in mind unless it is asked for text.
        if not of_bytes and not ("Temporary" in bare and mode is None):
            yield ast.unparse(node)


@pytest.mark.parametrize("room", ROOMS)
def test_text_in_files_and_from_programs_names_its_encoding(room: str) -> None:
    found = {
        f"{path.relative_to(ROOT)}: {call}"
        for path in (ROOT / room).rglob("*.py")
        for call in nameless(path.read_text("utf-8"))
    }
    assert not found


@pytest.mark.parametrize(
    "source",
    [
        "path.read_text()", "Path(x).write_text(text)", "path.open()", "path.open('w')", "open(path)",
        "open(path, 'a')",
        "os.fdopen(1, 'w')", "io.TextIOWrapper(raw)", "subprocess.run(command, text=True)", "TemporaryFile('w')",
    ],
)  # fmt: skip
def test_what_names_none_is_found(source: str) -> None:
    assert list(nameless(source)) == [source]


@pytest.mark.parametrize(
    "source",
    [
        "path.read_text('utf-8')", "path.write_text(text, encoding='utf-8')", "path.open('rb')",
        "open(path, mode='wb')",
        "subprocess.run(command, encoding='utf-8')", "TemporaryFile()", "os.open(path, os.O_RDONLY)",
    ],
)  # fmt: skip
def test_what_names_one_is_not(source: str) -> None:
    assert not list(nameless(source))
