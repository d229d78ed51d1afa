"""A document as Markdown."""

from collections.abc import Sequence

from edgeport.benchmarks.report.document import (
    Block,
    Cell,
    Chart,
    Code,
    Console,
    Document,
    Facts,
    Folded,
    Heading,
    Listed,
    Notice,
    Paragraph,
    Pictures,
    Section,
    Strong,
    Table,
    Words,
)
from edgeport.benchmarks.report.findings import Findings
from edgeport.benchmarks.report.renderers.markdown_table import markdown_table
from edgeport.benchmarks.report.sections.notes import notes_of
from edgeport.benchmarks.report.sections.summary import legend_of, markdown_summary, title_of

_UNKNOWN = "-"


def table_text(table: Table) -> str:
    """Return a table as Markdown, without its caption."""
    heads = [f"{column.name}, {column.unit}" if column.unit else column.name for column in table.columns]
    left = [place for place, column in enumerate(table.columns) if not column.numeric]
    return markdown_table(heads, [[_cell(cell) for cell in row] for row in table.rows], left=left)


def summary_table(findings: Findings) -> str:
    """Return the short summary of a run as a Markdown table, as documents show it."""
    return table_text(markdown_summary(findings))


def markdown_report(findings: Findings, document: Document) -> str:
    """Return report.md: the answer, the short summary, what to know before one believes it, and all sections."""
    notes = "".join(f"- {note}\n" for note in notes_of(findings.report, findings.disturbances))
    table = markdown_summary(findings)
    parts = [
        f"# {title_of(findings)}\n",
        *(_block(block) for block in document.lead if isinstance(block, Paragraph)),
        table_text(table),
        f"{legend_of([column.name for column in table.columns], judged=bool(findings.report.judged))}\n",
        notes,
        document_text(document),
    ]
    return "\n".join(part for part in parts if part)


def document_text(document: Document) -> str:
    """Return all of a document that is not for its page alone; charts are pictures beside it, or words."""
    parts = [f"## {section.title}\n\n{_blocks(section.blocks)}" for section in document.sections
             if not section.page_only]  # fmt: skip
    return "\n".join(parts)


def _blocks(blocks: Sequence[Block]) -> str:
    return "\n".join(filter(None, map(_block, blocks)))


def _block(block: Block) -> str:
    match block:
        case Table():
            return f"{_plain(block.caption)}:\n\n{table_text(block)}"
        case Heading():
            return f"### {block.text}\n"
        case Paragraph():
            return f"{_words(block.words)}\n"
        case Listed() | Notice():
            return _listed(block)
        case Facts():
            return "".join(f"- {_plain(name)}: {_words((value,))}\n" for name, value in block.facts)
        case Console():
            return f"```console\n$ {block.command}\n```\n"
        case Folded():
            return f"**{_plain(block.summary)}**\n\n{_blocks(block.blocks)}"
        case Chart() | Pictures():
            return _picture(block)
        case Section():
            return f"### {block.title}\n\n{_blocks(block.blocks)}"
        case _:
            return ""


def _picture(block: Chart | Pictures) -> str:
    if not block.file and isinstance(block, Chart):
        return f"{_plain(block.words)}\n"
    return f"![{_plain(block.title)}]({block.file})\n"


def _listed(block: Listed | Notice) -> str:
    head = f"**{_plain(block.label)}**\n\n" if isinstance(block, Notice) else ""
    return head + "".join(f"- {_words(item)}\n" for item in block.items)


def _cell(cell: Cell) -> str:
    if cell.value is None:
        return _UNKNOWN
    return f"{cell.text} ({cell.below})" if cell.below else cell.text


def _words(words: Words) -> str:
    runs = (words,) if isinstance(words, str) else words
    return "".join(_run(run) for run in runs)


def _run(run: str) -> str:
    mark = "**" if isinstance(run, Strong) else "`" if isinstance(run, Code) else ""
    return f"{mark}{_plain(run)}{mark}"


def _plain(text: str) -> str:
    return " ".join(text.splitlines())
