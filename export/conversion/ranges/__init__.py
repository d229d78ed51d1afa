"""From the values that calibration sees to the range of each integer activation."""
