"""Tasks composed from the installed digits: real ink, and a truth that is exact."""
