"""What shows a document to people: a page, Markdown, tables for a terminal. None of it computes a figure."""
