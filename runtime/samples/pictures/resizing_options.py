"""The command-line options that say how pictures take the size of a model."""

import argparse

from edgeport.runtime.samples.pictures.resizing import FITS, INTERPOLATIONS, Resizing


def add_resizing(parser: argparse._ActionsContainer) -> None:
    """Declare ``--resize`` and ``--interpolation``."""
    parser.add_argument(
        "--resize",
        choices=FITS,
        help="how pictures take the model's size: stretch (default, as Keras' loaders), letterbox or crop",
    )
    parser.add_argument(
        "--interpolation",
        choices=INTERPOLATIONS,
        help="bilinear (default, as Keras' loaders) or lanczos, which misses no pixel of large pictures",
    )


def chosen_resizing(arguments: argparse.Namespace) -> Resizing | None:
    """Return what the options say; None if neither was given."""
    chosen = {"fit": arguments.resize, "interpolation": arguments.interpolation}
    given = {name: value for name, value in chosen.items() if value}
    return Resizing(**given) if given else None
