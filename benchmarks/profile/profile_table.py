"""A profile as a table, for the terminal and for Markdown."""

from collections.abc import Sequence

from rich import box
from rich.table import Table

from edgeport.benchmarks.profile.profile_facts import OperatorTime, Profile
from edgeport.benchmarks.report.renderers.markdown_table import markdown_table

_COLUMNS = ("operator", "type", "ran in", "us", "±", "%", "MACs", "GMAC/s")
_WORDS = 3
_MOST_ROWS = 20
_LONGEST_NAME = 34
_UNKNOWN = "-"


def profile_table(profile: Profile) -> Table:
    """Return the operators as a table for a rich console, the slowest of them if there are many."""
    table = Table(title=_title(profile), title_justify="left", box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    for number, name in enumerate(_COLUMNS):
        table.add_column(name, justify="left" if number < _WORDS else "right", no_wrap=number > 0, overflow="fold")
    for row in _rows(profile):
        table.add_row(*row)
    return table


def profile_markdown(profile: Profile) -> str:
    """Return the sentences and the operators as Markdown, ending with a newline."""
    words = "".join(f"- {each}\n" for each in (*profile.sentences, profile.method))
    return f"### {_title(profile)}\n\n{words}\n{markdown_table(_COLUMNS, _rows(profile), left=range(_WORDS))}"


def _title(profile: Profile) -> str:
    threads = "1 thread" if profile.threads == 1 else f"{profile.threads} threads"
    return f"{profile.file}: {profile.whole_us:.1f} us a call, {profile.engine} {profile.version}, {threads}"


def _rows(profile: Profile) -> list[tuple[str, ...]]:
    """Return the operators in the order of the graph; of a large one the slowest, and the others in one row."""
    slowest = sorted(profile.operators, key=lambda each: -each.us)[:_MOST_ROWS]
    chosen = {id(each) for each in slowest}
    rows = [_row(each) for each in profile.operators if id(each) in chosen]
    others = [each for each in profile.operators if id(each) not in chosen]
    if others:
        rows.append(_summed(f"{len(others)} others", others))
    return rows


def _row(operator: OperatorTime) -> tuple[str, ...]:
    speed = operator.gmacs_per_s
    where = f"{operator.where} {operator.dtype}".strip()
    return (
        _shortened(operator.name),
        operator.type,
        where,
        f"{operator.us:.2f}",
        f"{operator.noise_us:.2f}",
        f"{100 * operator.share:.1f}",
        f"{operator.macs:,}" if operator.macs else _UNKNOWN,
        f"{speed:.3g}" if speed else _UNKNOWN,
    )


def _summed(name: str, operators: Sequence[OperatorTime]) -> tuple[str, ...]:
    macs = sum(each.macs or 0 for each in operators)
    share = sum(each.share for each in operators)
    took = sum(each.us for each in operators)
    return name, "", "", f"{took:.2f}", _UNKNOWN, f"{100 * share:.1f}", f"{macs:,}" if macs else _UNKNOWN, _UNKNOWN


def _shortened(name: str) -> str:
    """Return a name of bearable length: its end differs between layers."""
    return name if len(name) <= _LONGEST_NAME else f"...{name[3 - _LONGEST_NAME :]}"
