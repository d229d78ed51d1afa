"""The loop: what an epoch is made of, and epoch after epoch until the best one is known."""
