"""Turn a Keras model into artefacts: convert, calibrate, embed what the runtime needs, verify, record."""
