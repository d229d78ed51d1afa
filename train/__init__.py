"""Train a CNN: data sets with fixed splits, models that take raw pixels, recipes, fitting and pictures.

To begin:

    from pathlib import Path
    from rich.console import Console
    from edgeport.train import RECIPES, Run, load_dataset, train

    run = Run("edge", load_dataset("mnist-5k"), RECIPES["edge"], seed=0)
    train(run, Path("runs/digits"), console=Console())

Only what is used is imported: ``load_dataset`` needs no TensorFlow.
"""

from typing import TYPE_CHECKING

from edgeport.runtime.host.lazy_names import lazy_names
from edgeport.train.models import keras_backend  # noqa: F401  (chooses the backend before Keras is imported)

if TYPE_CHECKING:
    from edgeport.train.datasets.dataset import Dataset, Split
    from edgeport.train.datasets.named import load_dataset
    from edgeport.train.loop.fitting import Run, fit
    from edgeport.train.loop.recipe import RECIPES, Recipe
    from edgeport.train.models.named import build_model
    from edgeport.train.quantization_aware.quantize import quantize_aware
    from edgeport.train.training import train

__all__ = [
    "RECIPES",
    "Dataset",
    "Recipe",
    "Run",
    "Split",
    "build_model",
    "fit",
    "load_dataset",
    "quantize_aware",
    "train",
]

__getattr__ = lazy_names(
    __name__,
    {
        "RECIPES": "loop.recipe",
        "Dataset": "datasets.dataset",
        "Recipe": "loop.recipe",
        "Run": "loop.fitting",
        "Split": "datasets.dataset",
        "build_model": "models.named",
        "fit": "loop.fitting",
        "load_dataset": "datasets.named",
        "quantize_aware": "quantization_aware.quantize",
        "train": "training",
    },
)
