"""From a file to answers: load an artefact, ask it, name what it says."""
