"""`edgeport serve` as others use it: its page in Chromium, which asks no other host, and tritonclient."""

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium import Browser, opened_browser
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from serving_for_tests import Running

from edgeport.runtime import load
from edgeport.runtime.artefact.contract import Output
from edgeport.runtime.prediction.showing.boxes import Boxes, show_boxes
from edgeport.runtime.prediction.showing.maps import show_map
from edgeport.runtime.prediction.showing.rows import show_values
from edgeport.runtime.prediction.showing.shown import Choices
from edgeport.train import Split, load_dataset
from edgeport.train.datasets.digits.strokes import drawn

DIGITS = 100
READY = "!document.getElementById('work').hidden"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with opened_browser() as opened:
        yield opened


def until(browser: Browser, condition: str) -> None:
    """Wait until a JavaScript expression is true."""
    script = f"new Promise((done, no) => {{ let left = 1000; const look = () => ({condition}) ? done(true) : "
    assert browser.run(f"{script}left-- ? setTimeout(look, 10) : no('never: ' + {json.dumps(condition)}); look() }})")


def text(browser: Browser, name: str) -> Any:
    return browser.run(f"document.getElementById('{name}').textContent")


def choose(browser: Browser, source: str) -> None:
    browser.run(f"document.querySelector('input[value={source}]').click()")


def draw(browser: Browser, way: np.ndarray) -> None:
    """Replay the way of a pen, (n, 3) of row, column and whether it is on the paper, as pointer events."""
    points = [[float(column), float(row), bool(pen)] for row, column, pen in way]
    browser.run(f"""(() => {{
        const pad = document.getElementById('pad'), box = pad.getBoundingClientRect();
        const send = (type, x, y) => pad.dispatchEvent(new PointerEvent(type, {{
            clientX: box.left + x * box.width, clientY: box.top + y * box.height, pointerId: 1, pointerType: 'pen',
            isPrimary: true, button: type === 'pointermove' ? -1 : 0, buttons: 1, bubbles: true, cancelable: true }}));
        pad.setPointerCapture = () => undefined;
        document.getElementById('clear').click();
        let last = null;
        for (const [x, y, on] of {json.dumps(points)}) {{
            if (!on && last) send('pointerup', ...last);
            send(on ? 'pointermove' : 'pointerdown', x, y);
            last = [x, y];
        }}
        send('pointerup', ...last);
    }})()""")


def settled(browser: Browser) -> tuple[str, str]:
    """Wait for the answers to all that was asked, and return those of the two artefacts."""
    until(browser, "document.querySelector('[aria-busy=false]')")
    return text(browser, "left-best"), text(browser, "right-best")


@pytest.fixture(scope="module")
def digits() -> Split:
    data = load_dataset("mnist-5k")
    # So many that float32 and int8 disagree about some.
    parts = (data.test, data.train)
    return Split(*(np.concatenate([getattr(each, name) for each in parts]) for name in ("samples", "classes")))


@pytest.fixture(scope="module")
def server(published: Path, digits: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("page")
    np.savez(folder / "digits.npz", x=digits.samples, y=digits.classes)
    files = (next(published.glob(f"*.{each}.tflite")) for each in ("float32", "int8"))
    opened = Running(*files, "--data", folder / "digits.npz", log=folder / "log")
    yield opened
    assert opened.end() == 0


@pytest.fixture
def page(browser: Browser, server: Running) -> Iterator[Browser]:
    browser.open(f"http://127.0.0.1:{server.port}/", width=1000)
    until(browser, READY)
    yield browser
    assert not browser.complaints()
    assert all(url.startswith((f"http://127.0.0.1:{server.port}/", "data:")) for url in browser.requests())


def test_drawn_digits_are_read_in_floats_and_integers(page: Browser, digits: Any) -> None:
    ways = drawn(digits.samples[:DIGITS, ..., 0])
    right = np.zeros(2, int)
    for way, true in zip(ways, digits.classes, strict=False):
        draw(page, way)
        right += [best == str(true) for best in settled(page)]
    assert (right >= 95).all(), right


def test_what_the_page_shows_is_what_the_runtime_answers(page: Browser, digits: Any, published: Path) -> None:
    choose(page, "sample")
    settled(page)
    assert text(page, "truth") == f"In truth: {digits.classes[0]}"
    names = [
        path.name for path in sorted(published.glob("*.tflite")) if ".int8." in path.name or ".float32." in path.name
    ]
    shown = page.run("[...document.querySelectorAll('#all td:nth-child(2)')].map((cell) => cell.textContent)")
    for name, line in zip(names, shown, strict=True):
        ((best,),) = load(published / name).classify(digits.samples[:1], top=1)
        assert line.startswith(f"{best.label} · {100 * best.probability:.0f}")
    seen = page.run("[...document.getElementById('seen').getContext('2d').getImageData(0, 0, 28, 28).data]")
    assert np.array_equal(np.reshape(seen, (28, 28, 4))[..., :1], digits.samples[0])


def test_what_changed_walks_through_the_flips(page: Browser, digits: Any, published: Path) -> None:
    one, other = (
        load(next(published.glob(f"*.{each}.tflite"))).predict(digits.samples).argmax(axis=1)
        for each in ("float32", "int8")
    )
    flips = np.flatnonzero(one != other)
    assert flips.size
    choose(page, "changed")
    until(page, f"document.getElementById('place').textContent.startsWith('1 of {flips.size} changed')")
    until(page, "document.getElementById('verdict').textContent")
    assert settled(page) == (str(one[flips[0]]), str(other[flips[0]]))
    assert text(page, "verdict") == "they disagree"


def test_masks_and_boxes_are_shown_as_pictures_and_every_output_has_its_rows(page: Browser) -> None:
    values = np.random.default_rng(0).random((2, 6, 6, 3), np.float32)
    mask = Output("mask", ending="softmax", kind="map", columns=("ground", "cat", "dog"))
    boxes = Output("boxes", (None, 1, 4), kind="boxes")
    price = Output("price", kind="values", columns=("low", "high"), units=("EUR", "EUR"))
    sides = []
    for name, each in zip(("a.float32.tflite", "a.int8.tflite"), values, strict=True):
        answers = {"boxes": np.array([[0.1, 0.1, 0.9, 0.9]])}
        shown = {
            "mask": show_map(each, mask, Choices()), "price": show_values(each[0, 0, :2], price, Choices()),
            "boxes": show_boxes(Boxes(boxes), answers, Choices(), np.zeros((9, 9, 3), np.uint8)),
        }  # fmt: skip
        facts = {key: dict(one.facts) for key, one in shown.items()}
        for key in ("mask", "boxes"):
            png = base64.b64encode(shown[key].files["picture"][1]()).decode()
            facts[key]["picture"] = f"data:image/png;base64,{png}"
        sides.append({"model": name, "milliseconds": 1, "samples": [{"outputs": facts}]})
    ports = [{"name": port.name, "columns": port.columns} for port in (mask, price, boxes)]
    page.run(f"""import(new URL('page/show.js', location.href)).then(({{ showPair, showAll }}) => {{
        showPair(...{json.dumps(sides)}, {json.dumps(ports)});
        showAll({json.dumps(sides)}, {json.dumps(sides[0])}, 3); }})""")
    for side, answer in zip(("left", "right"), sides, strict=True):
        shown_picture = page.run(f"document.getElementById('{side}-picture').src")
        assert shown_picture == answer["samples"][0]["outputs"]["mask"]["picture"]
        assert page.run(f"document.getElementById('{side}-picture').naturalWidth") == 6
    rows = page.run("[...document.querySelectorAll('#bars th')].map((each) => each.textContent)")
    order = ["ground", "cat", "dog"]
    assert rows == ["mask", *order, "price", "low", "high", "boxes", "1"]
    cells = page.run("[...document.querySelectorAll('#bars td:first-child .share')].map((each) => each.textContent)")
    shares = sides[0]["samples"][0]["outputs"]["mask"]["shares"]
    assert cells[:3] == [f"{100 * shares[name]:.0f} %" for name in order]
    assert cells[3].endswith(" EUR")
    assert page.run("document.querySelectorAll('#bars .spot').length") == 6


def test_it_is_drawn_by_keyboard_alone(page: Browser) -> None:
    page.run("document.getElementById('pad').focus()")
    for key in (" ", *["ArrowDown"] * 16):
        for kind in ("keyDown", "keyUp"):
            page.ask("Input.dispatchKeyEvent", type=kind, key=key)
    assert settled(page) == ("1", "1")
    page.ask("Input.dispatchKeyEvent", type="keyDown", key="Escape")
    assert text(page, "left-best") == ""


def test_a_picture_is_read_as_predict_reads_it(page: Browser, digits: Any, tmp_path: Path) -> None:
    Image.fromarray(255 - digits.samples[1, ..., 0]).resize((280, 280)).save(tmp_path / "photo.png")
    choose(page, "picture")
    root = page.ask("DOM.getDocument")["root"]["nodeId"]
    field = page.ask("DOM.querySelector", nodeId=root, selector="#file input")["nodeId"]
    page.ask("DOM.setFileInputFiles", nodeId=field, files=[str(tmp_path / "photo.png")])
    until(page, "document.getElementById('left-best').textContent")
    settled(page)
    assert "tick 'dark on light'" in text(page, "notice")
    page.run("document.querySelector('#invert input').click()")
    assert settled(page) == (str(digits.classes[1]),) * 2
    assert text(page, "notice") == ""


def test_the_camera_is_answered_frame_by_frame_until_something_else_is_chosen(server: Running) -> None:
    flags = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    blank = "Object.assign(document.createElement('canvas'), { width: 560, height: 560 }).toDataURL()"
    shown = f"document.getElementById('pad').toDataURL() !== {blank}"
    with opened_browser(*flags) as browser:
        browser.open(f"http://127.0.0.1:{server.port}/", width=800)
        until(browser, READY)
        choose(browser, "camera")
        until(browser, "document.getElementById('left-best').textContent")
        assert browser.run(shown)
        seen = "document.getElementById('seen').toDataURL()"
        before = browser.run(seen)
        # The picture of the device moves.
        until(browser, f"{seen} !== {json.dumps(before)}")
        choose(browser, "draw")
        assert not browser.run(shown)
        asked = len(browser.requests())
        browser.run("new Promise((done) => setTimeout(() => done(true), 500))")
        assert len(browser.requests()) <= asked + 1
        assert text(browser, "left-best") == ""
        assert not browser.complaints()


def test_a_page_without_a_camera_says_so(page: Browser) -> None:
    choose(page, "camera")
    until(page, "!document.getElementById('notice').hidden")
    assert text(page, "notice").startswith("There is no camera that this page can use")


@pytest.fixture(scope="module")
def axe(shared) -> str:
    """The text of axe-core, from npm."""
    if shutil.which("npm") is None:
        pytest.skip("no npm on PATH, which has axe-core: apt-get install npm")

    def install(folder: Path) -> None:
        subprocess.run(["npm", "install", "--silent", "--prefix", str(folder), "axe-core@4.11"], check=True)

    return (shared("axe", install) / "node_modules/axe-core/axe.min.js").read_text()


@pytest.mark.parametrize("path", ["", "api"])
@pytest.mark.parametrize("dark", [False, True])
def test_it_can_be_used_by_everybody(browser: Browser, server: Running, axe: str, path: str, dark: bool) -> None:
    for width in (360, 1440):
        browser.open(f"http://127.0.0.1:{server.port}/{path}", width=width, dark=dark)
        if path:
            until(browser, "document.querySelectorAll('details').length > 10")
            browser.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        else:
            until(browser, READY)
            choose(browser, "sample")
            until(browser, "document.querySelectorAll('#all td').length")
        browser.run(f"{axe}; true")
        found = browser.run(
            "axe.run().then(({ violations }) => violations.map(({ id, nodes }) => [id, nodes[0].html]))"
        )
        assert not found
        assert browser.run("document.documentElement.scrollWidth <= innerWidth")


def test_a_token_is_asked_for_once(browser: Browser, published: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a-token-of-some-length")
    server = Running(next(published.glob("*.int8.tflite")), "--token-file", tmp_path / "token", log=tmp_path / "log")
    try:
        browser.open(f"http://127.0.0.1:{server.port}/", width=800)
        until(browser, "!document.getElementById('token').hidden")
        browser.run("""(() => { document.getElementById('secret').value = 'a-token-of-some-length';
            document.querySelector('#token button').click(); })()""")
        until(browser, READY)
        browser.open(f"http://127.0.0.1:{server.port}/", width=800)
        until(browser, READY)
        browser.run("sessionStorage.clear()")
        browser.open("about:blank", width=800)
        browser.open(f"http://127.0.0.1:{server.port}/#token=a-token-of-some-length", width=800)
        until(browser, READY)
        assert "token" not in browser.run("location.href")
    finally:
        server.end()


def test_numbers_are_asked_in_a_form(browser: Browser, tmp_path: Path) -> None:
    """A file of another tool, three numbers in and two out: what the contract has no names for is numbered."""
    weights = np.array([[1, 0], [2, 0], [0, 3]], np.float32)
    widths = {"x": 3, "y": 2}.items()
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width]) for name, width in widths]
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "sums", ports[:1], ports[1:], [numpy_helper.from_array(weights, "w")])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (tmp_path / "sums.onnx").write_bytes(made.SerializeToString())
    server = Running(tmp_path / "sums.onnx", "--trust", log=tmp_path / "log")
    try:
        browser.open(f"http://127.0.0.1:{server.port}/", width=360)
        until(browser, READY)
        settled(browser)
        browser.run("""document.querySelectorAll('#fields input').forEach((field, place) => {
            field.value = place + 1; field.dispatchEvent(new Event('input', { bubbles: true })); })""")
        settled(browser)
        shares = browser.run(
            "[...document.querySelectorAll('#bars td:first-child .share')].map((each) => each.textContent)"
        )
        assert shares == ["5", "9"]
        browser.run("""(() => { const field = document.querySelector('#fields input'); field.value = '';
            field.dispatchEvent(new Event('input', { bubbles: true })); })()""")
        assert text(browser, "notice") == "x 1 is missing"
        assert text(browser, "left-best") == ""
        choose(browser, "file")
        root = browser.ask("DOM.getDocument")["root"]["nodeId"]
        field = browser.ask("DOM.querySelector", nodeId=root, selector="#file input")["nodeId"]
        for content, best, line in (
            ("1,2,3\n9,9,9\n", "1", "The file has 2 samples; this is the first."),
            ("1,2\n", "", "the file: got 2 numbers a row, expected 3"),
        ):
            rows = tmp_path / f"{len(content)}.csv"
            rows.write_text(content)
            browser.ask("DOM.setFileInputFiles", nodeId=field, files=[str(rows)])
            until(browser, f"document.getElementById('notice').textContent.startsWith({json.dumps(line)})")
            assert text(browser, "left-best") == best
        # Chromium itself says that the second file was refused.
        (refused,) = browser.complaints()
        assert "status of 400" in refused["params"]["entry"]["text"]
    finally:
        server.end()


def test_tritonclient_gets_the_answers_of_load(
    clients_python: Path, published: Path, digits: Any, tmp_path: Path
) -> None:
    server = Running(published, log=tmp_path / "log")
    try:
        np.save(tmp_path / "pixels.npy", digits.samples[:20])
        program = Path(__file__).with_name("run_triton.py")
        command = [
            clients_python,
            program,
            f"127.0.0.1:{server.port}",
            tmp_path / "pixels.npy",
            tmp_path / "answers.npz",
        ]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert ended.returncode == 0, ended.stderr
        answers = dict(np.load(tmp_path / "answers.npz"))
        names = [path.name for path in published.iterdir() if path.suffix in (".onnx", ".tflite")]
        assert len(names) == 9
        assert answers.keys() == {f"{name} {binary}" for name in names for binary in (True, False)}
        for key, got in answers.items():
            assert np.array_equal(got, load(published / key.split()[0]).predict(digits.samples[:20])), key
    finally:
        assert server.end() == 0
