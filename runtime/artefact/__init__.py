"""What an artefact is: its format, what it says of itself, its tensors."""
