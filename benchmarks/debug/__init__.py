"""Which layers lose accuracy in integers, shown: in a terminal, as a page and as JSON."""
