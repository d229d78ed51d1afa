"""The folder of `edgeport bundle --target web` in Chromium: its engine gives the numbers of the desktop's."""

import base64
import functools
import http.server
import io
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium import Browser, opened_browser
from PIL import Image

from edgeport.runtime import load
from edgeport.runtime.artefact.contract import Output
from edgeport.runtime.prediction.showing.maps import show_map
from edgeport.runtime.prediction.showing.shown import Choices
from edgeport.runtime.samples.pictures.images import read_images
from edgeport.runtime.samples.pictures.resizing import DIGITS as AS_DIGITS
from edgeport.runtime.samples.pictures.resizing import FITS, INTERPOLATIONS, Resizing
from edgeport.train import load_dataset

DIGITS = 500
READY = "!document.getElementById('work').hidden"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture(scope="module")
def folder(edgeport, published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("npm") is None:
        pytest.skip("no npm on PATH, which has onnxruntime-web: apt-get install npm")
    folder = tmp_path_factory.mktemp("web") / "page"
    options = ("--target", "web", "--samples", 10, "--samples-from", "mnist-5k")
    said = edgeport("bundle", published, *options, "-o", folder).stdout
    assert "in the browser alone" in said
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> Iterator[Browser]:
    """The page, from a server that knows nothing but files."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    with opened_browser() as browser:
        browser.open(address, width=1000)
        until(browser, READY)
        yield browser
        assert not browser.complaints()
        assert all(url.startswith((address, "data:")) for url in browser.requests())
    server.shutdown()


def until(browser: Browser, condition: str) -> None:
    script = f"new Promise((done, no) => {{ let left = 2000; const look = () => ({condition}) ? done(true) : "
    assert browser.run(f"{script}left-- ? setTimeout(look, 10) : no('never: ' + {json.dumps(condition)}); look() }})")


def test_the_browser_computes_what_the_desktop_does(page: Browser, folder: Path, published: Path) -> None:
    dataset = load_dataset("mnist-5k")
    digits = dataset.test.samples[:DIGITS]
    page.run(f"window.digits = {json.dumps(digits.reshape(DIGITS, -1).tolist())}; true")
    for name in ("edge-2k.float32.onnx", "edge-2k.int8.onnx"):
        got = page.run(f"""import(new URL('page/backend.js', location.href)).then(async (backend) => {{
            const {{ artefacts }} = await (await fetch('model.json')).json(), found = [];
            const artefact = artefacts.find((each) => each.name === '{name}');
            for (const flat of window.digits) {{
                const row = (at) => flat.slice(28 * at, 28 * at + 28).map((one) => [one]);
                const rows = Array.from({{ length: 28 }}, (_, at) => row(at));
                const {{ found: given }} = await backend.run(artefact, {{ image: [rows] }});
                found.push(given.probabilities.numbers);
            }}
            return found; }})""")
        predictor = load(published / name)
        expected = np.concatenate([predictor.run(predictor.encode(each[np.newaxis])) for each in digits])
        apart = np.abs(np.array(got, np.float32) - expected)
        different = int((apart > 0).any(axis=1).sum())
        print(f"{name}: {different} of {DIGITS} differ, by {apart.max():.3g} at most")
        assert (np.argmax(got, axis=1) == expected.argmax(axis=1)).mean() >= 0.99
        # Floats are added in another order.
        assert apart.max() < 1e-4 if "float32" in name else not different


def test_the_page_answers_without_a_server_of_ours(page: Browser) -> None:
    page.run("document.querySelector('input[value=sample]').click()")
    until(page, "document.querySelector('[aria-busy=false]') && document.getElementById('verdict').textContent")
    assert page.run("document.querySelectorAll('#all tbody tr').length") == 4
    assert page.run("document.getElementById('truth').textContent").startswith("In truth: ")
    page.run("document.querySelector('input[value=changed]').click()")
    until(page, "document.getElementById('place').textContent.includes('of the 10 samples')")


def encoded(image: Image.Image, kind: str, turn: int = 1) -> bytes:
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = turn
    image.save(buffer, kind, exif=exif, quality=90)
    return buffer.getvalue()


def pictures() -> Iterator[tuple[str, bytes, int]]:
    """Yield pictures of many kinds: what they are, their bytes, and how many levels a browser may be off."""
    random = np.random.default_rng(0)
    for height, width in ((28, 28), (20, 28), (60, 50), (35, 61), (97, 33), (333, 500), (7, 5), (1, 1)):
        rows, columns = np.mgrid[:height, :width]
        waves = [127 + 110 * np.sin(columns / (7 + 3 * k) + k) * np.cos(rows / (11 + k)) for k in range(4)]
        values = np.clip(np.stack(waves, -1) + random.normal(0, 8, (height, width, 4)), 0, 255).astype(np.uint8)
        grey, colour, alpha = (Image.fromarray(each) for each in (values[..., 0], values[..., :3], values))
        yield "PNG", encoded(grey, "PNG"), 0
        yield "PNG", encoded(colour, "PNG"), 0
        yield "PNG with transparency", encoded(alpha, "PNG"), 2
        # libjpeg is not of one version everywhere.
        yield "JPEG", encoded(colour, "JPEG"), 3
        yield "JPEG", encoded(grey, "JPEG"), 3
        for turn in (3, 6, 7) if height < 99 else ():
            # It is scaled before it is turned here, and after that in a browser; in between levels are rounded.
            yield "PNG on its side", encoded(colour, "PNG", turn), 2


def test_pictures_become_the_pixels_that_predict_reads(page: Browser, tmp_path: Path) -> None:
    """The last level of a few pixels apart: the sine of the filter is another library's."""
    counts: dict[str, list[int]] = {}
    for number, (what, content, most) in enumerate(pictures()):
        (tmp_path / "x.png").write_bytes(content)
        text = base64.b64encode(content).decode()
        ways = [
            (shape, Resizing(fit, each))
            for shape in ((28, 28, 1), (48, 64, 3))
            for fit in FITS
            for each in INTERPOLATIONS
        ]
        # All of them would take half a minute.
        for shape, resizing in ways[number % 3 :: 3]:
            port = {"shape": [None, *shape], "resizing": resizing._asdict()}
            got = page.run(f"""import(new URL('page/pictures.js', location.href)).then((module) => {{
                const bytes = Uint8Array.from(atob('{text}'), (each) => each.charCodeAt(0));
                return module.pixelsOfPicture(new Blob([bytes]), {json.dumps(port)}, false); }})""")
            expected = read_images([tmp_path / "x.png"], shape=shape, resizing=resizing)[0].astype(int)
            apart = np.abs(np.reshape(got, shape) - expected)
            assert apart.max() <= max(most, 1), (what, shape, resizing)
            if not most:
                assert (apart > 0).mean() < 0.01, (what, shape, resizing)
            counts.setdefault(what, []).append(int(apart.max()))
    for what, found in counts.items():
        print(f"{what}: {found.count(0)} of {len(found)} the very pixels, the others {max(found)} levels off at most")


@pytest.mark.parametrize(("kind", "sizes", "most"), [("PNG", (28, 90, 200, 640), 1), ("JPEG", (900, 1600), 12)])
def test_a_digit_in_a_picture_is_answered_as_predict_does(
    page: Browser, published: Path, tmp_path: Path, kind: str, sizes: tuple[int, ...], most: int
) -> None:
    """Of a large JPEG Pillow decodes a part of the resolution, which a browser cannot."""
    predictor = load(published / "edge-2k.int8.onnx")
    digits = load_dataset("mnist-5k").test.samples[:12, ..., 0]
    levels, same = [], 0
    for place, pixels in enumerate(digits):
        size = sizes[place % len(sizes)]
        image = Image.fromarray(pixels).resize((size, size + 7 * place)).convert(("L", "RGB")[place % 2])
        (tmp_path / "x").write_bytes(encoded(image, kind))
        content = base64.b64encode((tmp_path / "x").read_bytes()).decode()
        answer, seen = page.run(f"""import(new URL('page/backend.js', location.href)).then(async (backend) => {{
            const bytes = Uint8Array.from(atob('{content}'), (each) => each.charCodeAt(0));
            const {{ answers, seen }} = await backend.askFile(new File([bytes], 'x'), false);
            const {{ samples }} = answers.find(({{ model }}) => model === 'edge-2k.int8.onnx');
            return [samples[0].outputs.probabilities, seen.data]; }})""")
        read = read_images([tmp_path / "x"], shape=(28, 28, 1), resizing=AS_DIGITS)
        levels.append(np.abs(np.reshape(seen, read.shape) - read.astype(int)))
        (expected,) = predictor.predict(np.array(seen, np.uint8).reshape(read.shape))
        got = np.array([answer["probabilities"][str(each)] for each in range(10)])
        assert np.allclose(got, expected, rtol=1e-6, atol=0)
        same += answer["label"] == str(predictor.predict(read)[0].argmax())
    most_off, usually = np.max(levels), np.mean(levels)
    print(f"{kind}: {most_off} levels off at most, {usually:.2f} on average; {same} of {len(digits)} answers the same")
    assert most_off <= most
    assert same == len(digits)


@pytest.mark.parametrize(
    ("ending", "columns", "names"),
    [("softmax", 3, ("ground", "cat", "dog")), ("sigmoid", 1, ()), ("sigmoid", 2, ("road", "shade")), ("none", 1, ())],
)
def test_maps_are_the_pictures_of_predict(page: Browser, ending: str, columns: int, names: tuple[str, ...]) -> None:
    values = np.random.default_rng(0).random((7, 5, columns), np.float32)
    port = Output("mask", ending=ending, kind="map", columns=names)
    shown = show_map(values, port, Choices())
    with Image.open(io.BytesIO(shown.files["picture"][1]())) as picture:
        expected = np.asarray(picture.convert("RGB"))
    got, pixels = page.run(f"""import(new URL('page/maps.js', location.href)).then(async (module) => {{
        const port = {json.dumps(port._asdict())}, real = {json.dumps(values.ravel().tolist())};
        const found = module.mapOf(port, real, {json.dumps(values.shape)}, false, 0.5), image = new Image();
        image.src = found.picture;
        await image.decode();
        const context = new OffscreenCanvas(5, 7).getContext('2d');
        context.drawImage(image, 0, 0);
        return [found, [...context.getImageData(0, 0, 5, 7).data]]; }})""")
    assert np.array_equal(np.reshape(pixels, (7, 5, 4))[..., :3], expected)
    for key in ("shares", "colours"):
        assert got.get(key, {}) == pytest.approx(shown.facts.get(key, {}))
