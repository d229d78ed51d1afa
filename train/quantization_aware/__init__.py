"""A float CNN as one that rounds as int8 does, so that training learns to live with it."""
