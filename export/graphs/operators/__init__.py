"""Operators that a format lacks, in operators that every format has."""
