"""The folder service of a bundle lives through whatever is put into its folder, and answers each picture once."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "robustness"))

from folder_service import run


def test_every_good_picture_is_answered_once_and_nothing_ends_the_service() -> None:
    counts = run(400)
    assert counts["answered once"] == counts["good pictures"] > 50
    assert (counts["answered more than once"], counts["tracebacks"], counts["ended"]) == (0, 0, 0)
    assert counts["lines for files that are none"] > 50
