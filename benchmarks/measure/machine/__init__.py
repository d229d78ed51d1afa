"""The machine that is measured on: what it is, and what else it does meanwhile."""
