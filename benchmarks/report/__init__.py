"""Show a report to people: in the terminal, as Markdown, as pictures, and as one self-contained HTML page."""
