"""Findings as a document: one run, or several machines side by side."""

from collections.abc import Callable, Sequence

from edgeport.benchmarks.report.document import Block, Document, Paragraph, Section
from edgeport.benchmarks.report.findings import Findings
from edgeport.benchmarks.report.raw.record import Report
from edgeport.benchmarks.report.sections.accuracy import accuracy
from edgeport.benchmarks.report.sections.answer import lead
from edgeport.benchmarks.report.sections.judged import judged
from edgeport.benchmarks.report.sections.latency import engines, latency, startup, throughput, trade_off
from edgeport.benchmarks.report.sections.machine import legend, machine, reproduce
from edgeport.benchmarks.report.sections.machines import lead_of_all, machine_names, machines, same_answers
from edgeport.benchmarks.report.sections.pictures.flips import confusions, flips
from edgeport.benchmarks.report.sections.pictures.shown_answers import shown_answers
from edgeport.benchmarks.report.sections.profile import mlperf, profiles
from edgeport.benchmarks.report.sections.summary import summary
from edgeport.benchmarks.report.words import counted, enumerated, moment

_Maker = Callable[[Findings], Section | None]
_MAKERS: tuple[_Maker, ...] = (
    summary, trade_off, engines, latency, throughput, judged, shown_answers, accuracy, flips, confusions, startup,
    profiles, mlperf, machine, reproduce,
)  # fmt: skip
_OF_ANSWERS = (judged, shown_answers, accuracy, flips, confusions)


def document_of(findings: Sequence[Findings]) -> Document:
    """Return the document of one run, or of several machines, of which the first is what others are compared with."""
    reports = [each.report for each in findings]
    versions = sorted({str(report.edgeport.get("version", "")) for report in reports})
    footer = f"Written by edgeport {', '.join(versions)}; every figure is computed from raw samples."
    if len(findings) == 1:
        sections = [*_sections(findings[0]), legend(reports[0])]
        return Document(_title(reports), _subtitle(reports[0]), lead(findings[0]), sections, footer)
    names = machine_names(reports)
    each_one = [_machine(findings, names, index) for index in range(len(findings))]
    sections = [machines(findings, names), *each_one, legend(reports[0])]
    subtitle = f"{len(reports)} runs: {'; '.join(names)}"
    return Document(_title(reports), subtitle, [lead_of_all(findings, names)], sections, footer)


def _title(reports: Sequence[Report]) -> str:
    models = list(dict.fromkeys(report.model for report in reports))
    sets = list(dict.fromkeys(str(report.dataset["name"]) for report in reports))
    return f"{enumerated(models)} on {enumerated(sets)}"


def _subtitle(report: Report) -> str:
    samples = counted(report.count, f"test {report.sample}")
    return f"{samples} \u00b7 {report.host.get('cpu_model', 'unknown processor')} \u00b7 {moment(report.created_utc)}"


def _sections(findings: Findings, *, without: Sequence[_Maker] = ()) -> list[Section]:
    made = (make(findings) for make in _MAKERS if make not in without)
    return [section for section in made if section is not None]


def _machine(findings: Sequence[Findings], names: Sequence[str], index: int) -> Section:
    """Return all sections of one of several machines; what the first one has shown of the same answers is left out."""
    each = findings[index]
    blocks: list[Block] = [Paragraph(_subtitle(each.report), "subtitle"), *lead(each)]
    without: Sequence[_Maker] = ()
    if index and same_answers(each, findings[0]):
        without = _OF_ANSWERS
        words = f"Every {each.report.sample} gets the answers that it gets on {names[0]}, where they are shown."
        blocks.append(Paragraph(words))
    return Section(f"m{index + 1}", names[index], [*blocks, *_sections(each, without=without)], look="machine")
