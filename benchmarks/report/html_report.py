"""The report for people: one self-contained HTML page for one run, or for several machines side by side."""

import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import replace

from edgeport.benchmarks.report.findings import Findings, findings_of
from edgeport.benchmarks.report.html_accuracy import accuracy
from edgeport.benchmarks.report.html_answer import answer, tiles, warnings
from edgeport.benchmarks.report.html_confusion import confusions
from edgeport.benchmarks.report.html_elements import element, paragraph
from edgeport.benchmarks.report.html_flips import flips
from edgeport.benchmarks.report.html_latency import latency, throughput, trade_off
from edgeport.benchmarks.report.html_machine import legend, machine, reproduce
from edgeport.benchmarks.report.html_machines import lead, machine_names, machines, same_answers
from edgeport.benchmarks.report.html_mlperf import mlperf
from edgeport.benchmarks.report.html_page import Place, page
from edgeport.benchmarks.report.html_profile import profiles
from edgeport.benchmarks.report.html_startup import startup
from edgeport.benchmarks.report.html_summary import summary
from edgeport.benchmarks.report.record import Report
from edgeport.benchmarks.report.words import counted, enumerated, moment

Section = Callable[[Findings, Place], ET.Element | None]

_SECTIONS: tuple[Section, ...] = (
    summary, trade_off, latency, throughput, accuracy, flips, confusions, startup, profiles, mlperf, machine, reproduce,
)  # fmt: skip
_OF_ANSWERS = (accuracy, flips, confusions)


def html_report(reports: Sequence[Report]) -> str:
    """Return a page that needs no network and no JavaScript.

    Args:
        reports: One run, or the runs of several machines, of which the first is what the others are compared with.
    """
    findings = [findings_of(report) for report in reports]
    title = _title(reports)
    place = Place()
    if len(findings) == 1:
        header = _header(title, _subtitle(reports[0]), *_lead(findings[0]))
        content = [*_sections(findings[0], place), legend(place)]
    else:
        names = machine_names(reports)
        header = _header(title, f"{len(reports)} runs: {'; '.join(names)}", lead(findings, names))
        content = [
            machines(findings, names, place),
            *(_machine(findings, names, index) for index in range(len(findings))),
            legend(place),
        ]
    versions = sorted({str(report.edgeport.get("version", "")) for report in reports})
    footer = element(
        "footer", paragraph(f"Written by edgeport {', '.join(versions)}; every figure is computed from raw samples.")
    )
    return page(title, header, content, footer)


def _title(reports: Sequence[Report]) -> str:
    models = list(dict.fromkeys(report.model for report in reports))
    sets = list(dict.fromkeys(str(report.dataset["name"]) for report in reports))
    return f"{enumerated(models)} on {enumerated(sets)}"


def _subtitle(report: Report) -> str:
    return (
        f"{counted(len(report.truth), 'test image')} \u00b7 {report.host.get('cpu_model', 'unknown processor')} \u00b7 "
        f"{moment(report.created_utc)}"
    )


def _header(title: str, subtitle: str, *lead: ET.Element | None) -> ET.Element:
    return element("header", paragraph("edgeport benchmark", class_="kicker"), element("h1", title),
                   paragraph(subtitle, class_="subtitle"), *lead)  # fmt: skip


def _lead(findings: Findings) -> Sequence[ET.Element | None]:
    return answer(findings), tiles(findings), warnings(findings)


def _sections(findings: Findings, place: Place, *, without: Sequence[Section] = ()) -> list[ET.Element]:
    made = (section(findings, place) for section in _SECTIONS if section not in without)
    return [section for section in made if section is not None]


def _machine(findings: Sequence[Findings], names: Sequence[str], index: int) -> ET.Element:
    """Return all sections of one of several machines; what the first one has shown of the same answers is left out."""
    each, place = findings[index], Place(prefix=f"m{index + 1}-")
    told: list[ET.Element | None] = [paragraph(_subtitle(each.report), class_="subtitle"), *_lead(each)]
    without: Sequence[Section] = ()
    if index and same_answers(each, findings[0]):
        without = _OF_ANSWERS
        link = element("a", names[0], href="#m1-accuracy")
        told.append(paragraph("Every image gets the answers that it gets on ", link, ", where they are shown."))
    inner = replace(place, level=3)
    return place.section("run", names[index], *told, *_sections(each, inner, without=without), class_="machine")
