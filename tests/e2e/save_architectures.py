"""``python tests/e2e/save_architectures.py FOLDER NAME...``: write some of the architectures as .keras files."""

import re
import sys
from pathlib import Path

from architectures import ARCHITECTURES, lively


def main() -> None:
    """Write each named architecture; its file is called like it, in small letters."""
    folder, *names = sys.argv[1:]
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name in names:
        stem = re.sub(r"\W+", "-", name.lower())
        lively(ARCHITECTURES[name]).save(Path(folder, f"{stem}.keras"))


if __name__ == "__main__":
    main()
