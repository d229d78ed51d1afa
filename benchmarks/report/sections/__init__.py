"""A report as a document: each function of this package makes a section of the findings, as data."""
