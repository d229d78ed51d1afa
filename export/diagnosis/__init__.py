"""Which layers lose accuracy in integers, why, and what can be done about it."""
