"""Write the measured tables into README.md and docs/*.md.

Run it with: python docs/refresh_tables.py

A table stands between two comments, the first of which names the report that it comes from:

    <!-- table: docs/results/mnist-edge/report.json -->
    <!-- end of table -->

A test fails when a document differs from what this script would write.
"""

import re
from pathlib import Path

from edgeport.benchmarks import read_report
from edgeport.benchmarks.table import markdown_table

ROOT = Path(__file__).parents[1]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_TABLE = re.compile(r"(<!-- table: (\S+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def refreshed(text: str) -> str:
    """Return a document with each of its tables made anew from the report that it names."""
    return _TABLE.sub(lambda match: f"{match[1]}{markdown_table(read_report(ROOT / match[2]))}{match[3]}", text)


if __name__ == "__main__":
    for document in DOCUMENTS:
        document.write_text(refreshed(document.read_text()))
