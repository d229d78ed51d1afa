"""The images that an artefact answers unlike the reference, with both answers."""

import re
import xml.etree.ElementTree as ET

from edgeport.benchmarks.report.findings import Findings, Subject
from edgeport.benchmarks.report.html_elements import element, folded, paragraph
from edgeport.benchmarks.report.html_page import Place
from edgeport.benchmarks.report.words import THIN, counted, percent

MOST_PICTURES = 24
_BASE64 = re.compile("[A-Za-z0-9+/]+={0,2}")
_KINDS = ("right to wrong", "wrong to right", "wrong to other")


def flips(findings: Findings, place: Place) -> ET.Element | None:
    """Return the section; None if there is nothing to compare."""
    if not findings.others:
        return None
    reference = findings.reference.name
    flipped = [subject for subject in findings.others if subject.paired and subject.paired.flips]
    alike = [subject.name for subject in findings.others if subject.paired and not subject.paired.flips]
    intro = f"Images that an artefact answers unlike {reference}, those that became wrong first."
    if not flipped:
        intro = f"Every artefact answers every image as {reference} does."
    elif alike:
        intro += f" Without any: {', '.join(alike)}."
    galleries = (_gallery(findings, subject, opened=subject is flipped[0]) for subject in flipped)
    return place.section("flips", "Flipped images", paragraph(intro), *galleries)


def label_of(findings: Findings, index: int) -> str:
    """Return the name of a class; its number if it has none."""
    labels = findings.report.dataset.get("labels", ())
    return str(labels[index]) if 0 <= index < len(labels) else str(index)


def _gallery(findings: Findings, subject: Subject, *, opened: bool) -> ET.Element:
    report, paired = findings.report, subject.paired
    assert paired is not None
    indices = sorted(
        (int(each) for each in report.flips(subject.measured)), key=lambda each: (_kind(findings, subject, each), each)
    )
    drawn = [index for index in indices if _BASE64.fullmatch(str(report.pictures.get(str(index), "")))]
    shown = drawn[:MOST_PICTURES]
    told = f"{subject.name}: {counted(paired.flips, 'flip')}"
    rest = len(indices) - len(shown)
    more = f"{rest:,} more {'is' if rest == 1 else 'are'} not shown here; flips.npz beside this report holds them all."
    return folded(
        f"{told} ({paired.right_to_wrong:,} right to wrong, {paired.wrong_to_right:,} wrong to right, "
        f"{paired.wrong_to_other:,} wrong to other)",
        element("ul", *(_card(findings, subject, index) for index in shown), class_="flips") if shown else None,
        paragraph(more, class_="note") if rest else None,
        opened=opened,
    )


def _kind(findings: Findings, subject: Subject, index: int) -> int:
    truth = findings.report.truth[index]
    if findings.reference.measured.predictions[index] == truth:
        return 0
    return 1 if subject.measured.predictions[index] == truth else 2


def _card(findings: Findings, subject: Subject, index: int) -> ET.Element:
    """Return the picture of an image with what is true and what both answered, and how sure they were."""
    report, reference = findings.report, findings.reference
    truth = label_of(findings, report.truth[index])
    answers = [
        (who, label_of(findings, each.predictions[index]), float(each.confidence[index]), each.predictions[index])
        for who, each in ((reference.name, reference.measured), (subject.name, subject.measured))
    ]
    picture = element(
        "img",
        src=f"data:image/png;base64,{report.pictures[str(index)]}",
        alt=f"Test image {index}, of class {truth}",
        loading="lazy",
        decoding="async",
    )
    lines = [element("div", element("dt", "true"), element("dd", element("b", truth)))]
    for who, answer, sure, predicted in answers:
        right = predicted == report.truth[index]
        sign = element("span", "\u2713" if right else "\u2717", class_="good" if right else "bad",
                       title="right" if right else "wrong")  # fmt: skip
        value = element("dd", element("b", answer), " ", sign, element("small", f" {percent(sure, decimals=0)}{THIN}%"))
        lines.append(element("div", element("dt", who), value))
    kind = element("span", _KINDS[_kind(findings, subject, index)], class_="kind")
    return element("li", picture, element("div", kind, element("dl", *lines)))
