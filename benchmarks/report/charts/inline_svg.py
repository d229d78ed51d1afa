"""matplotlib's SVG as a part of a page: its own identifiers, and the colours of the page by their names."""

import re
import xml.etree.ElementTree as ET

from edgeport.benchmarks.report.charts.axes import COLOURS

_NAMES = {light: name for name, light in COLOURS.items()}
_FRACTION = re.compile(r"-?\d+\.\d+")
_DROPPED = ("metadata", "style", "clipPath")
# Ticks that are not turned are turned by nothing, and a path needs no second blank.
_UNTURNED = re.compile(r"rotate\(-?0 ")
_BLANKS = re.compile(r"\s+(?=[A-Za-z]|$)|(?<=[A-Za-z])\s+|\s(?=\s)")


def inline_svg(source: str, *, identifier: str, title: str, words: str) -> str:
    """Return a drawing for a page.

    Args:
        source: As matplotlib has written it.
        identifier: No other element of the page may have it, or one that begins with it.
        title: What it is.
        words: What is to be seen, for those who do not see it.
    """
    # Comments and the document type are left out by the parser; matplotlib writes no entities.
    svg = ET.fromstring(source)
    for each in svg.iter():
        each.tag = each.tag.rpartition("}")[2]
        each.attrib = {name.rpartition("}")[2]: value for name, value in each.attrib.items()}
    for each in list(svg.iter()):
        for child in [child for child in each if child.tag in _DROPPED]:
            each.remove(child)
    _simplify(svg)
    used = {value[1:] for each in svg.iter() if (value := each.get("href", "")).startswith("#")}
    for each in svg.iter():
        each.attrib = _attributes(each.attrib, used, identifier)
        each.text, each.tail = (each.text or "").strip("\n ") or None, None
    names = {f"{identifier}-title": ("title", title), f"{identifier}-words": ("desc", words)}
    svg.attrib = {"viewBox": svg.attrib["viewBox"], "role": "img", "aria-labelledby": " ".join(names)}
    for place, (name, (tag, text)) in enumerate(names.items()):
        made = ET.Element(tag, {"id": name})
        made.text = text
        svg.insert(place, made)
    return ET.tostring(svg, encoding="unicode")


def _simplify(svg: ET.Element) -> None:
    """Remove what draws nothing: empty groups, and paths without a line and a filling."""
    for child in list(svg):
        _simplify(child)
        unseen = child.tag == "path" and child.get("style", "").replace(" ", "") == "fill:none"
        if unseen or (child.tag in ("g", "defs") and not len(child)):
            svg.remove(child)


def _attributes(attributes: dict[str, str], used: set[str], identifier: str) -> dict[str, str]:
    made = {}
    for name, value in attributes.items():
        if name == "id":
            if value in used:
                made["id"] = f"{identifier}-{value}"
            elif value == "label":
                made["class"] = "label"
        elif name == "href":
            made["href"] = f"#{identifier}-{value[1:]}"
        elif name == "style":
            made["style"] = _style(value)
        elif name == "d":
            made["d"] = _BLANKS.sub("", _FRACTION.sub(_rounded, value))
        elif name != "clip-path" and not (name == "transform" and _UNTURNED.match(value)):
            made[name] = _FRACTION.sub(_rounded, value)
    return made


def _rounded(number: re.Match[str]) -> str:
    """Return a coordinate to a hundredth of a pixel."""
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")


def _style(style: str) -> str:
    """Return a style with the page's fonts, and its colours by name."""
    parts = []
    for part in filter(None, (each.strip() for each in style.split(";"))):
        name, _, value = (each.strip() for each in part.partition(":"))
        if name == "font":
            size = next(each for each in value.split() if each.endswith("px"))
            parts.append(f"font-size:{size}")
            parts += ["font-weight:650"] if value.split()[0] in ("bold", "700") else []
        elif value in _NAMES:
            parts.append(f"{name}:var(--{_NAMES[value]})")
        elif name not in ("font-family", "stroke-linejoin", "stroke-miterlimit"):
            parts.append(f"{name}:{value}")
    return ";".join(parts)
