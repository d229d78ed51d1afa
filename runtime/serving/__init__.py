"""Artefacts behind HTTP: the Open Inference Protocol, pictures, the contract's own forms, and a page to try them."""
