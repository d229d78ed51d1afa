"""What is changed in a graph so that integers can hold it."""
