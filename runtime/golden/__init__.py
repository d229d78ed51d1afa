"""Golden answers: made where the artefact was verified, compared on the device."""
