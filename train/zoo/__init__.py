"""The zoo: trained models that are installed with the package, and what was measured of them.

To begin:

    from edgeport.train.zoo import published_models

    for model in published_models():
        print(model.name, model.parameters, model.score.share("int8.tflite"))

A model is a folder beside this file: ``model.keras``, the ``training.json`` of its training, the ``manifest.json`` of
its export and ``scores.json`` with what it and the models of other seeds have right. Nothing here needs TensorFlow.
"""

from edgeport.train.zoo.published import (
    ZOO,
    PublishedArtefact,
    PublishedModel,
    Score,
    find_published,
    published_model,
    published_models,
)

__all__ = [
    "ZOO",
    "PublishedArtefact",
    "PublishedModel",
    "Score",
    "find_published",
    "published_model",
    "published_models",
]
