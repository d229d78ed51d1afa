"""A report as raw samples and facts, and the file that holds it."""
