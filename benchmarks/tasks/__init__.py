"""What answers are worth: metrics by the libraries that people trust, with what paired verdicts need of them."""
