"""What the site does beside mkdocs: the top folder's pages, help texts, glossary words, and a check of all links."""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup, NavigableString
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from edgeport.runtime.cli import COMMANDS, empty_parsers, with_options

ROOT = Path(__file__).parents[2]
# Files outside of docs that pages link to; README.md is the first page.
_PAGES = {"README.md": "index.md", "SECURITY.md": "SECURITY.md", "CONTRIBUTING.md": "CONTRIBUTING.md",
          "CHANGELOG.md": "CHANGELOG.md"}  # fmt: skip
_LINK = re.compile(r"(\]\()([^)#:\s]+)((?:#[^)]*)?\))")
_TERM = re.compile(r"^\| \*\*(.+?)\*\* \| (.+?) \|$", re.MULTILINE)
# What is made from the code, and the glossary itself.
_NO_LINKED_TERMS = {
    "index.md", "CHANGELOG.md",
    *(f"reference/{name}.md" for name in ("commands", "runtime", "workstation", "glossary")),
}  # fmt: skip
# Words of the glossary that these pages also use in their plain sense.
_PLAIN = {"export", "group", "margin", "round", "scale", "target"}
_NO_TERMS = {"a", "code", "pre", "h1", "h2", "h3", "h4", "th", "script", "style", "button"}


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages and files that lie outside of docs."""
    for name, uri in _PAGES.items():
        files.append(File.generated(config, uri, content=_moved((ROOT / name).read_text("utf-8"), name, uri)))
    for path in (ROOT / "LICENSE", ROOT / "CITATION.cff", *sorted((ROOT / "examples").glob("*.*"))):
        files.append(File.generated(config, f"{path.relative_to(ROOT)}", content=path.read_bytes()))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links to where files are in the site, and fill in what is generated."""
    uri = page.file.src_uri
    if uri == "reference/commands.md":
        return markdown + "".join(_help())
    if uri == "reference/glossary.md":
        return _TERM.sub(lambda found: f'| <strong id="{_slug(found[1])}">{found[1]}</strong> | {found[2]} |', markdown)
    return markdown if uri in _PAGES.values() else _moved(markdown, f"docs/{uri}", uri)


def _moved(markdown: str, path: str, uri: str) -> str:
    """Return a document with links as they are in the site.

    Args:
        markdown: The document.
        path: Where it lies in the repository.
        uri: Where it lies in the site.
    """

    def link(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), found[2]))
        target = target.removeprefix("docs/") if target.startswith("docs/") else _PAGES.get(target, target)
        # The page of a report stands for its text.
        target = re.sub(r"^(results/.*/report)\.md$", r"\1.html", target)
        return found[1] + posixpath.relpath(target, posixpath.dirname(uri) or ".") + found[3]

    return _LINK.sub(link, markdown)


def _help() -> Iterator[str]:
    _, parsers = empty_parsers()
    for command in COMMANDS:
        with_options(command, parsers[command.name])
        yield f"\n## edgeport {command.name}\n\n"
        yield f"```text\n{parsers[command.name].format_help()}```\n"


def on_page_content(html: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Link each word of the glossary where it first stands on a page."""
    uri = page.file.src_uri
    if uri in _NO_LINKED_TERMS:
        return html
    tree = BeautifulSoup(html, "html.parser")
    text = (ROOT / "docs" / "reference" / "glossary.md").read_text("utf-8")
    terms = {found[1]: re.sub(r"[*`]|\[(.*?)\]\(.*?\)", r"\1", found[2]) for found in _TERM.finditer(text)}
    place = posixpath.relpath("reference/glossary.html", posixpath.dirname(page.file.dest_uri) or ".")
    for term in sorted(terms.keys() - _PLAIN, key=len, reverse=True):
        word = re.compile(rf"(?<![\w.-]){re.escape(term)}(?![\w-])")
        for piece in tree.find_all(string=word):
            if isinstance(piece, NavigableString) and not any(parent.name in _NO_TERMS for parent in piece.parents):
                before, after = word.split(piece, maxsplit=1)
                link = tree.new_tag(
                    "a", attrs={"class": "term", "href": f"{place}#{_slug(term)}", "title": terms[term]}
                )
                link.string = term
                piece.replace_with(before, link, after)
                break
    return str(tree)


def _slug(term: str) -> str:
    return "term-" + re.sub(r"\W+", "-", term.lower()).strip("-")


def on_post_build(*, config: MkDocsConfig) -> None:
    """Fail on a link or an anchor that leads nowhere, and on whatever a page would fetch from elsewhere."""
    site = Path(config.site_dir)
    pages = {path.resolve(): BeautifulSoup(path.read_text("utf-8"), "html.parser") for path in site.rglob("*.html")
             if "results" not in path.relative_to(site).parts}  # fmt: skip
    anchors = {path: {tag["id"] for tag in tree.find_all(id=True)} for path, tree in pages.items()}
    wrong = [
        f"{path.relative_to(site.resolve())}: {address}"
        for path, tree in pages.items()
        for tag, address in _addresses(tree)
        if not _leads_somewhere(path, tag, address, anchors)
    ]
    if wrong:
        raise PluginError("links that lead nowhere, or elsewhere:\n" + "\n".join(wrong))


def _addresses(tree: BeautifulSoup) -> Iterator[tuple[Any, str]]:
    for tag in tree.find_all(["a", "img", "link", "script"]):
        address = tag.get("href") or tag.get("src")
        if address:
            yield tag, str(address)


def _leads_somewhere(path: Path, tag: Any, address: str, anchors: dict[Path, set[str]]) -> bool:
    if re.match(r"[a-z]+:|//", address):
        # A person may follow a link; a page may not fetch anything.
        return tag.name == "a"
    file, _, anchor = address.partition("#")
    target = (path.parent / file).resolve() if file else path
    if not target.is_file():
        return path.name == "404.html"
    return not anchor or target not in anchors or anchor in anchors[target]
