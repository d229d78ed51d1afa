"""Advice on calibration samples: are they like what the model was trained on, and are they enough?"""
