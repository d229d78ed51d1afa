"""One cell of a sweep: what decides its result, its process, and what it leaves."""
