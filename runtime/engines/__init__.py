"""One module an engine, the protocol they share, and what every engine needs."""
