"""A diagnosis as a document: what costs most, a chart of each format along the network, and all layers as a table."""

from collections.abc import Sequence

import numpy as np

from edgeport.benchmarks.report.charts.data import Layers, Panel
from edgeport.benchmarks.report.document import (
    Block,
    Cell,
    Chart,
    Code,
    Column,
    Document,
    Heading,
    Listed,
    Paragraph,
    Section,
    Table,
)
from edgeport.benchmarks.report.looks import FORMAT_NAMES, colour_of
from edgeport.export.diagnosis.bought import FLOAT32, INT8, INT16X8, MIXED, not_reached, search_sentences
from edgeport.export.diagnosis.diagnosis import FormatDiagnosis, LayerError, sentences
from edgeport.export.diagnosis.layer_errors import StepError
from edgeport.export.manifest import Search

_EXPLAINED = (
    "Built up: the signal-to-quantization-noise ratio (SQNR) of a layer's output in the whole integer file, with what "
    "all layers before it have lost. Own: what the layer adds itself, its integer operators and its float ones on the "
    "same rounded inputs. Share: its part of the error at the outputs, each layer rounded alone. More dB is better; 6 "
    "dB are one bit."
)


def debug_document(
    found: Sequence[FormatDiagnosis],
    samples: str,
    repairs: Sequence[tuple[str, str]] = (),
    searches: Sequence[Search] = (),
) -> Document:
    """Return a diagnosis as a page shows it.

    Args:
        found: What was measured in each format.
        samples: On what, in words.
        repairs: The commands that repair what costs most, each with words in front of it.
        searches: What an export with a largest loss has found, if there was one.
    """
    files = " and ".join(each.integer_file for each in found)
    costly: list[Block] = []
    for each in found:
        costly += [
            Heading(f"{FORMAT_NAMES[each.format]}, {each.outputs_db:.1f} dB at the end"),
            Listed(sentences(each)),
        ]
    names = _order(found)
    chart = Chart(
        name="layers",
        title="Error along the network",
        words="; ".join(
            f"in {FORMAT_NAMES[each.format]} the ratio falls from {each.layers[0].built_up.sqnr_db:.0f} to "
            f"{each.outputs_db:.0f} dB"
            for each in found
        ),
        data=Layers(tuple(names), tuple(_panel(each, names) for each in found)),
        caption="The line is what has built up, hollow marks are a layer's own error, bars its share of the error at "
        "the outputs; arcs are branches that join again.",
        file="layers.png",
    )
    return Document(
        title=f"Where the accuracy goes: {files}",
        subtitle=samples,
        command="edgeport debug",
        lead=[],
        sections=[
            Section("costly", "What costs most", costly),
            *([Section("repair", "What repairs it", _repairs(repairs, searches))] if repairs or searches else []),
            Section("network", "Along the network", [chart, Paragraph(_EXPLAINED, "note")]),
            Section("layers", "All layers", [layer_table(found), *(_range_table(each) for each in found)]),
        ],
    )


def _repairs(repairs: Sequence[tuple[str, str]], searches: Sequence[Search]) -> list[Block]:
    """Return the commands, and what was bought for what in each format."""
    commands = [(f"{words} ", Code(command)) for words, command in repairs]
    blocks: list[Block] = [Listed(commands)] if commands else []
    for each in searches:
        nearest = [] if each.enough else [not_reached(each)]
        blocks += [
            Heading(FORMAT_NAMES[each.format]),
            Listed([f"{text[0].upper()}{text[1:]}" for text in (*nearest, *search_sentences(each))]),
        ]
        if each.bytes:
            blocks.append(_bought_table(each))
    return blocks


def _bought_table(search: Search) -> Table:
    columns = [
        Column("precision", numeric=False),
        Column("loss", rank=0),
        Column("size", "bytes", rank=1),
        Column("a call", "us", rank=2),
    ]
    rows = [
        [
            Cell(name, look="code"),
            Cell(search.losses.get(name)),
            Cell(f"{search.bytes[name]:,}"),
            Cell(f"{search.us[name]:,.4g}" if name in search.us else None),
        ]
        for name in (FLOAT32, INT16X8, MIXED, INT8)
        if name in search.bytes
    ]
    return Table(f"What less loss costs in {FORMAT_NAMES[search.format]}", columns, rows)


def layer_table(found: Sequence[FormatDiagnosis]) -> Table:
    """Return a row for each layer with its errors in each format."""
    columns = [Column("layer", numeric=False), Column("operator", numeric=False, rank=4)]
    for each in found:
        name = FORMAT_NAMES[each.format]
        columns += [
            Column(name, "dB", rank=1),
            Column("own", "dB", rank=2),
            Column("share", "%", rank=0),
        ]
    rows = []
    by_name = [{layer.layer: layer for layer in each.layers} for each in found]
    for name in _order(found):
        known = [layers.get(name) for layers in by_name]
        first = next(layer for layer in known if layer is not None)
        row = [Cell(name, look="code"), Cell(first.worst.type)]
        for each, layer in zip(found, known, strict=True):
            row += _cells(each, layer)
        rows.append(row)
    return Table(
        "SQNR of each layer in dB: built up, its own, and its share of the error at the outputs", columns, rows
    )


def _cells(found: FormatDiagnosis, layer: LayerError | None) -> list[Cell]:
    if layer is None:
        return [Cell(None), Cell(None), Cell(None)]
    share = None if layer.at_outputs is None else found.share(layer)
    return [
        Cell(_decibels(layer.built_up.sqnr_db)),
        Cell(None if layer.own_db is None else _decibels(layer.own_db)),
        Cell(share, kind="percent1", look="bad" if layer in found.costliest else ""),
    ]


def _decibels(value: float) -> str:
    # The sum makes 0.0 of -0.0.
    return "exact" if value >= 200 else f"{round(value, 1) + 0.0:.1f}"


def _range_table(found: FormatDiagnosis) -> Table:
    """Return what each operator's integers can stand for, beside what was seen."""
    columns = [
        Column("layer", numeric=False),
        Column("operator", numeric=False, rank=3),
        Column("integers reach", numeric=False, rank=0),
        Column("seen", numeric=False, rank=1),
        Column("clipped", rank=2),
        Column("widest channel", rank=4),
        Column("largest error", rank=5),
        Column("bias", rank=6),
    ]
    rows = [[Cell(layer.layer, look="code"), *_ranges(step)] for layer in found.layers for step in layer.steps]
    return Table(f"Ranges in {found.integer_file}", columns, rows)


def _ranges(error: StepError) -> list[Cell]:
    channels = error.channels
    ratio = None if channels is None or not np.isfinite(channels.ratio) else f"{channels.ratio:.1f} x median"
    return [
        Cell(error.type),
        Cell(None if error.limits is None else f"{error.limits[0]:.3g} to {error.limits[1]:.3g}"),
        Cell(f"{error.seen[0]:.3g} to {error.seen[1]:.3g}"),
        Cell(error.clipped, kind="percent1"),
        Cell(ratio),
        Cell(f"{error.built_up.largest:.3g}"),
        Cell(f"{error.built_up.bias:.2g}"),
    ]


def _order(found: Sequence[FormatDiagnosis]) -> list[str]:
    """Return the layers of all formats in the order in which they run."""
    names: list[str] = []
    for each in found:
        place = 0
        for layer in each.layers:
            if layer.layer in names:
                place = names.index(layer.layer) + 1
            else:
                names.insert(place, layer.layer)
                place += 1
    return names


def _panel(found: FormatDiagnosis, names: Sequence[str]) -> Panel:
    layers = sorted(found.layers, key=lambda layer: names.index(layer.layer))
    places = {layer.layer: names.index(layer.layer) for layer in layers}
    writers = {step.step.exact: layer.layer for layer in found.layers for step in layer.steps}
    ordered = [layer.layer for layer in found.layers]
    branches = set()
    for layer in found.layers:
        taken = {source.exact for step in layer.steps for source in step.step.sources}
        for name in taken & writers.keys():
            if ordered.index(layer.layer) - ordered.index(writers[name]) > 1:
                branches.add((places[writers[name]], places[layer.layer]))
    return Panel(
        name=FORMAT_NAMES[found.format],
        colour=colour_of(found.format),
        places=tuple(places.values()),
        built_up=tuple(layer.built_up.sqnr_db for layer in layers),
        own=tuple(layer.own_db for layer in layers),
        shares=tuple(found.share(layer) for layer in layers),
        costly=tuple(places[layer.layer] for layer in found.costliest),
        branches=tuple(sorted(branches)),
    )
