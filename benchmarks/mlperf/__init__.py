"""Artefacts under MLPerf LoadGen."""
