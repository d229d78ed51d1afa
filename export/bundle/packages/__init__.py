"""Packages that a bundle installs: their versions by system, their wheels, and a wheel of edgeport itself."""
