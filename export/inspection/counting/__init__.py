"""How much an operator computes, and how often a loop runs."""
