"""The HTML report in headless Chromium: no error, no request, nothing cut off, and every text can be read."""

import base64
import http.server
import io
import itertools
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium import Browser, opened_browser
from PIL import Image

from edgeport.benchmarks.report.raw.record import (
    ENGINE_CALL,
    LABEL,
    PREDICT,
    Condition,
    Measured,
    Report,
    Series,
    Start,
)
from edgeport.benchmarks.report.renderers.html import html_report

COUNT, LAUNCHES = 2000, 8
HOSTILE = "<script>fetch('//example.org')</script><img src=x onerror=alert(1)>"
WIDTHS = (360, 800, 1400)
CANDIDATES = (
    ("m.keras", "float32", 270.0),
    ("m.float32.tflite", "float32", 44.0),
    ("m.float16.tflite", "float16", 44.4),
    ("m.dynamic.tflite", "dynamic", 16.0),
    ("m.int8.tflite", "int8", 14.0),
    ("m.int16x8.tflite", "int16x8", 1500.0),
    ("m.float32.onnx", "float32", 52.0),
    ("m.float16.onnx", "float16", 54.0),
    ("m.dynamic.onnx", "dynamic", 53.0),
    ("m.int8.onnx", "int8", 27.0),
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with opened_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One run; two machines; and one run whose labels, names and notes are hostile."""
    folder = tmp_path_factory.mktemp("pages")
    one = made_report()
    board = replace(one, host={**one.host, "cpu_model": "Cortex-A72", "board": "Raspberry Pi 4 Model B Rev 1.4"})
    hostile = replace(
        one,
        model=HOSTILE,
        host={**one.host, "cpu_model": HOSTILE},
        dataset={**one.dataset, "name": HOSTILE, "labels": [HOSTILE] * 10},
        skipped=({"file": HOSTILE, "reason": HOSTILE},),
        pictures={**one.pictures, next(iter(one.pictures)): 'AAAA" onerror="alert(1)'},
    )
    contents = {"one": [one], "machines": [one, board], "hostile": [hostile]}
    for name, reports in contents.items():
        (folder / f"{name}.html").write_text(html_report(reports), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in contents}


@pytest.mark.parametrize("name", ["one", "machines", "hostile"])
def test_a_page_asks_for_nothing_but_itself_and_complains_of_nothing(
    browser: Browser, pages: dict[str, Path], name: str
) -> None:
    for dark in (False, True):
        browser.open(pages[name].as_uri(), width=1400, dark=dark)
        browser.run("document.querySelectorAll('details').forEach(each => each.open = true)")
        browser.run("new Promise(done => requestAnimationFrame(() => setTimeout(done, 200)))")
        assert browser.complaints() == []
        asked = [url for url in browser.requests() if not url.startswith("data:")]
        assert asked == [pages[name].as_uri()]


def test_a_served_page_is_one_request(browser: Browser, pages: dict[str, Path]) -> None:
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(pages["one"].parent))

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser.open(f"http://127.0.0.1:{server.server_address[1]}/one.html", width=800)
        browser.run("new Promise(done => setTimeout(done, 500))")
        server.shutdown()
    assert asked == ["/one.html"]


def test_the_policy_of_the_page_stops_a_request_that_someone_puts_into_it(
    browser: Browser, pages: dict[str, Path]
) -> None:
    browser.open(pages["one"].as_uri(), width=800)
    script = (
        "new Promise(done => {const i = new Image(); i.onerror = () => done(1); i.src = 'http://127.0.0.1:9/a.png'})"
    )
    browser.run(script)
    assert any("Content Security Policy" in json.dumps(event) for event in browser.complaints())


def test_hostile_text_stays_text(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["hostile"].as_uri(), width=800)
    assert browser.run("document.scripts.length") == 0
    assert (
        browser.run("[...document.images].filter(each => !each.src.startsWith('data:image/png;base64,')).length") == 0
    )
    handlers = "[...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a => /^on/.test(a.name))).length"
    assert browser.run(handlers) == 0
    assert browser.run("document.querySelector('h1').textContent").startswith(HOSTILE)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["one", "machines"])
def test_nothing_is_wider_than_the_screen_and_no_text_is_tiny(
    browser: Browser, pages: dict[str, Path], name: str, width: int
) -> None:
    browser.open(pages[name].as_uri(), width=width)
    browser.run("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run(_WITH_TEXT + "texts().map(size).reduce((a, b) => Math.min(a, b), 99)") >= 11


@pytest.mark.parametrize("width", WIDTHS)
def test_one_drawing_of_each_chart_is_shown_and_no_text_of_it_is_cut_off(
    browser: Browser, pages: dict[str, Path], width: int
) -> None:
    browser.open(pages["one"].as_uri(), width=width)
    browser.run("document.querySelectorAll('details').forEach(each => each.open = true)")
    drawings = "[...document.querySelectorAll('figure')].map(each => [...each.querySelectorAll('svg')])"
    counts = browser.run(f"{drawings}.map(all => all.filter(each => each.clientWidth).length)")
    assert len(counts) >= 6
    assert set(counts) == {1}
    assert browser.run(_CUT_OFF) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_no_two_labels_of_the_trade_off_run_into_each_other(
    browser: Browser, pages: dict[str, Path], width: int
) -> None:
    browser.open(pages["one"].as_uri(), width=width)
    boxes = browser.run(_LABELS_OF_TRADE_OFF)
    assert len(boxes) == len(CANDIDATES)
    for (name, *box), (other_name, *other) in itertools.combinations(boxes, 2):
        apart = box[2] <= other[0] or other[2] <= box[0] or box[3] <= other[1] or other[3] <= box[1]
        assert apart, f"{name} and {other_name} overlap"


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("name", ["one", "machines"])
def test_every_text_stands_out_from_what_is_behind_it(
    browser: Browser, pages: dict[str, Path], name: str, dark: bool
) -> None:
    browser.open(pages[name].as_uri(), width=1400, dark=dark)
    browser.run("document.querySelectorAll('details').forEach(each => each.open = true)")
    background = browser.run("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") is not dark
    # WCAG 2.1, 1.4.3: 4.5 for text of this size.
    assert browser.run(_WITH_TEXT + _FAINT) == []


@pytest.mark.parametrize("name", ["one", "machines"])
def test_headings_are_in_order_tables_are_named_and_pictures_described(
    browser: Browser, pages: dict[str, Path], name: str
) -> None:
    browser.open(pages[name].as_uri(), width=1400)
    levels = browser.run("[...document.querySelectorAll('h1,h2,h3,h4,h5')].map(each => +each.tagName[1])")
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    unnamed = (
        "[...document.querySelectorAll('table')].filter(t => !t.caption || !t.querySelector('th[scope=col]')).length"
    )
    assert browser.run(unnamed) == 0
    undescribed = """[...document.querySelectorAll('svg:not([aria-hidden])')].filter(svg => svg.getAttribute('role') !==
        'img' || !svg.getAttribute('aria-labelledby').split(' ').every(id => document.getElementById(id))).length"""
    assert browser.run(undescribed) == 0
    assert browser.run("[...document.images].filter(each => !each.alt).length") == 0
    assert browser.run("[...document.images].filter(each => each.complete && !each.naturalWidth).length") == 0
    broken = "[...document.querySelectorAll('a')].filter(a => !document.getElementById(a.hash.slice(1))).length"
    assert browser.run(broken) == 0


def test_a_page_can_be_printed(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["one"].as_uri(), width=1400)
    printed = base64.b64decode(browser.ask("Page.printToPDF", preferCSSPageSize=True)["data"])
    assert printed.startswith(b"%PDF")
    assert 3 <= printed.count(b"/Type /Page\n") <= 30


def made_report() -> Report:
    """Return a run of ten candidates over batches and threads, with flips, profiles and a condition."""
    random = np.random.default_rng(0)
    truth = np.arange(COUNT) % 10
    reference = np.where(random.random(COUNT) < 0.01, (truth + 1) % 10, truth)
    artefacts = tuple(
        _measured(random, file, precision, us, reference, lost=40 if file == "m.dynamic.onnx" else place % 3)
        for place, (file, precision, us) in enumerate(CANDIDATES)
    )
    report = Report(
        created_utc="2026-01-02T03:04:05+00:00",
        edgeport={"version": "0.1.0"},
        model="edge",
        host={
            "cpu_model": "A CPU",
            "architecture": "x86_64",
            "flags": ["avx2"],
            "cores": 2,
            "ram_bytes": 8_000_000_000,
        },
        dataset={"name": "digits", "split": "test", "count": COUNT, "sha256": "d" * 64, "labels": [*"0123456789"]},
        truth=truth.tolist(),
        protocol={"launches": LAUNCHES, "batches": [1, 8], "threads": [1, 2]},
        artefacts=artefacts,
        skipped=({"file": "m.other.tflite", "reason": "its engine is not installed"},),
        conditions=tuple(Condition(2.0, 0.5, 0.0, int(ns)) for ns in random.normal(2e5, 2e3, LAUNCHES)),
        profiles={"m.int8.tflite": _profile()},
    )
    flipped = sorted({int(index) for each in artefacts for index in report.flips(each)})
    return replace(report, pictures={str(index): _picture(random) for index in flipped})


def _measured(
    random: np.random.Generator, file: str, precision: str, us: float, reference: np.ndarray, *, lost: int
) -> Measured:
    answers = reference.copy()
    answers[:lost] = (answers[:lost] + 3) % 10
    ways = [(what, 1, threads) for what in (ENGINE_CALL, PREDICT, LABEL) for threads in (1, 2)]
    ways += [(PREDICT, 8, threads) for threads in (1, 2)]
    return Measured(
        file=file,
        format=file.rpartition(".")[2],
        precision=precision,
        bytes=100_000,
        sha256="a" * 64,
        engine={"name": "engine", "version": "1.0"},
        predictions=answers.tolist(),
        confidence_ppm=random.integers(600_000, 1_000_000, COUNT).tolist(),
        series=tuple(
            Series(what, batch, threads, (1e3 * us * batch / threads**0.5 * random.lognormal(0, 0.03, (LAUNCHES, 150)))
                   .astype(int).tolist())
            for what, batch, threads in ways
        ),
        starts=(Start(90_000_000, 2_000_000, 400_000, 40_000_000, 38_000_000, 1),) * LAUNCHES,
    )  # fmt: skip


def _profile() -> dict[str, Any]:
    operators = [
        {"name": f"FULLY_CONNECTED_with_a_long_name/{place}", "type": "CONV_2D", "us": 10 / (1 + place), "share": 0.1,
         "where": "XNNPACK" if place % 4 else "CPU", "dtype": "int8", "macs": 1000}
        for place in range(30)
    ]  # fmt: skip
    roofline = {"macs": 30_000, "achieved_gmacs_per_s": 3.2, "peak_gmacs_per_s": 100.0, "share_of_peak": 0.032}
    return {"engine": "engine", "operators": operators, "sentences": ["int8 is fast."], "roofline": roofline}


def _picture(random: np.random.Generator) -> str:
    content = io.BytesIO()
    Image.fromarray(random.integers(0, 256, (28, 28), dtype=np.uint8)).save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()


# All elements that hold text of their own and are seen, and how large a text is on the screen.
_WITH_TEXT = """
const texts = () => [...document.body.querySelectorAll('*')].filter(each => each.tagName !== 'title' &&
    each.tagName !== 'desc' && !each.closest('.skip, .metadata thead') && each.getClientRects().length &&
    [...each.childNodes].some(node => node.nodeType === 3 && node.data.trim()));
const size = each => {
    const svg = each.closest('svg');
    const scale = svg && svg.viewBox.baseVal.width ? svg.clientWidth / svg.viewBox.baseVal.width : 1;
    return parseFloat(getComputedStyle(each).fontSize) * scale;
};
"""
_CUT_OFF = """
[...document.querySelectorAll('figure svg')].filter(svg => svg.clientWidth).flatMap(svg => {
    const all = svg.getBoundingClientRect();
    return [...svg.querySelectorAll('text')].filter(text => {
        const box = text.getBoundingClientRect();
        const across = box.left < all.left - 1 || box.right > all.right + 1;
        return across || box.top < all.top - 2 || box.bottom > all.bottom + 2;
    }).map(text => text.textContent);
})
"""
_LABELS_OF_TRADE_OFF = """
[...document.querySelectorAll('#trade-off ~ figure svg')].filter(svg => svg.clientWidth).flatMap(svg =>
    [...svg.querySelectorAll('.label')].map(text => {
        const box = text.getBoundingClientRect();
        // Ascenders and descenders leave some of a line empty.
        return [text.textContent, box.left, box.top + 2, box.right, box.bottom - 2];
    }))
"""
_FAINT = """
const parts = colour => colour.match(/[0-9.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map(each => each / 255)
    .map(each => each <= 0.03928 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4)
    .reduce((sum, each, place) => sum + each * [0.2126, 0.7152, 0.0722][place], 0);
const behind = each => {
    const layers = [];
    for (let at = each; at; at = at.parentElement) {
        const [r, g, b, a = 1] = parts(getComputedStyle(at).backgroundColor);
        layers.push([r, g, b, a]);
        if (a === 1) break;
    }
    return layers.reverse().reduce((under, [r, g, b, a]) =>
        under.map((each, place) => each * (1 - a) + [r, g, b][place] * a), [255, 255, 255]);
};
texts().map(each => {
    const style = getComputedStyle(each);
    const ink = light(parts(each.closest('svg') ? style.fill : style.color)), paper = light(behind(each));
    const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    return [each.className.baseVal ?? each.className, each.textContent.slice(0, 30), ratio];
}).filter(([, , ratio]) => ratio < 4.5)
"""
