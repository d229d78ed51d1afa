"""Studies of what judges: its verdicts on answers that are known, and what it takes."""
