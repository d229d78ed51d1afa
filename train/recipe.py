"""How each model is trained: one frozen recipe per model."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training run, besides the model, the data and the seed.

    Attributes:
        epochs: Passes over the train split.
        batch_size: Images per step.
        learning_rate: The peak of the schedule: a linear warm-up from zero, then a cosine down to zero.
        warmup: The share of all steps that the warm-up takes, 0 to 1.
        weight_decay: AdamW's decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101).
        label_smoothing: The share of the target that is spread over all classes, 0 to 1.
        rotation: Each image is turned by up to this many degrees either way.
        scaling: Each axis is stretched by up to this share either way.
        shear: The horizontal shear is up to this either way.
        shift: Each image is moved by up to this share of its side either way.
    """

    epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 3e-3
    warmup: float = 0.05
    weight_decay: float = 4e-3
    label_smoothing: float = 0.05
    rotation: float = 15.0
    scaling: float = 0.12
    shear: float = 0.2
    shift: float = 0.09


RECIPES: dict[str, Recipe] = {
    "classic": Recipe(epochs=12, learning_rate=2e-3),
    "edge": Recipe(epochs=30),
}
