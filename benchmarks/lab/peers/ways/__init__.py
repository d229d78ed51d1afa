"""Other ways to run the same weights: what runs each, opened and called as its user would."""
