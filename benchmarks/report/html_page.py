"""The frame of the page: head, style, navigation, and the headings of its sections."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from edgeport.benchmarks.report.html_elements import Child, clean, element

_STYLE = Path(__file__).with_name("html_report.css")
# The browser itself keeps the page from loading anything, whatever a report holds.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#1f5fa8"/>'
    '<path d="M7 23h18" stroke="#fff" stroke-width="2.5"/><path d="M9 19v-4M16 19V8M23 19v-7" stroke="#ffc078" '
    'stroke-width="4"/></svg>'
)


@dataclass(frozen=True)
class Place:
    """Where on the page something stands.

    Attributes:
        prefix: What all its identifiers begin with, so that those of two machines differ.
        level: Of the headings of its sections, 2 or more.
    """

    prefix: str = ""
    level: int = 2

    def section(self, name: str, title: str, *children: Child, class_: str | None = None) -> ET.Element:
        """Return a section with its heading."""
        heading = element(f"h{self.level}", title, id=f"{self.prefix}{name}")
        return element("section", heading, *children, class_=class_, aria_labelledby=f"{self.prefix}{name}")

    def heading(self, title: str) -> ET.Element:
        """Return a heading within a section."""
        return element(f"h{self.level + 1}", title)


def page(title: str, header: ET.Element, content: Sequence[ET.Element], footer: ET.Element) -> str:
    """Return a page as text.

    Args:
        title: Of the browser's window.
        header: What stands first, with the only heading of the first level.
        content: The sections; those with a heading get a line in the navigation.
        footer: What stands last.
    """
    html = element(
        "html",
        element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="color-scheme", content="light dark"),
            element("meta", name="referrer", content="no-referrer"),
            element("title", title),
            element("link", rel="icon", href=f"data:image/svg+xml,{quote(_ICON)}"),
            element("style", _STYLE.read_text(encoding="ascii")),
        ),
        element(
            "body",
            element("a", "Skip to the report", href="#report", class_="skip"),
            header,
            element("div", _navigation(content), element("main", *content, id="report"), class_="columns"),
            footer,
        ),
        lang="en",
    )
    # In ASCII with character references, so that no locale or server can spoil it.
    return f"<!DOCTYPE html>\n{ET.tostring(html, encoding='us-ascii', method='html').decode('ascii')}\n"


def _navigation(content: Sequence[ET.Element]) -> ET.Element:
    """Return links to all sections, those within a machine's indented."""
    links = []
    for section in content:
        for heading in section.iter():
            if heading.tag in ("h2", "h3") and heading.get("id"):
                words = clean("".join(heading.itertext()))
                class_ = "inner" if heading.tag == "h3" else None
                links.append(element("li", element("a", words, href=f"#{heading.get('id')}"), class_=class_))
    return element("nav", element("ul", *links), aria_label="Sections")
