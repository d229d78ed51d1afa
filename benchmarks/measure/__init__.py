"""Measure candidates, each in processes of its own: answers, latency, start-up, memory, and the machine meanwhile."""
