"""Measure what the trip to a small computer cost, in accuracy, size and latency, and tell it in reports."""
