"""Arrays between people's values and an engine's own types: checked, encoded, decoded."""
