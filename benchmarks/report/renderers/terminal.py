"""Tables for a terminal."""

from rich import box
from rich.table import Table as RichTable

from edgeport.benchmarks.report.document import Table

_UNKNOWN = "-"


def terminal_table(table: Table, *, width: int = 80) -> RichTable:
    """Return a table for a rich console, with as many columns as there is room for.

    Args:
        table: Its caption is the title; columns with the highest ranks are left out first.
        width: Of the console, in characters.
    """
    cells = [[_UNKNOWN if cell.value is None else cell.text for cell in row] for row in table.rows]
    kept = list(range(len(table.columns)))

    def needed(place: int) -> int:
        return max(map(len, (table.columns[place].name, *(row[place] for row in cells))))

    while len(kept) > 1 and sum(needed(place) + 1 for place in kept) - 1 > width:
        # The names of the rows stay.
        kept.remove(max(kept[1:], key=lambda place: table.columns[place].rank))
    made = RichTable(title=table.caption, title_justify="left", box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    for place in kept:
        column = table.columns[place]
        made.add_column(column.name, justify="right" if column.numeric else "left", no_wrap=True)
    for row in cells:
        made.add_row(*(row[place] for place in kept))
    return made
