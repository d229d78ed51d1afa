"""Charts: what they show as data, drawn by matplotlib, and brought into a page."""
