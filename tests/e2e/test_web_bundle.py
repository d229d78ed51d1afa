"""The folder of `edgeport bundle --target web` in Chromium: its engine gives the numbers of the desktop's."""

import functools
import http.server
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium import Browser, opened_browser

from edgeport.runtime import load
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
