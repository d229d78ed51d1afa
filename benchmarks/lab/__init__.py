"""What measures edgeport itself, compares it with others and makes docs/results: no part of the wheel."""
