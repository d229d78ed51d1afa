"""Processes of our own that answer in lines of JSON: from the outside and from the inside."""
