"""The CNNs that can be trained, and Keras files to go on from."""
