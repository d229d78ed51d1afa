"""How each model is trained: one frozen recipe per model."""

from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training run, besides the model, the data, the teacher and the seed.

    Attributes:
        epochs: Passes over the train split.
        batch_size: Images per step.
        learning_rate: The peak of the schedule: a linear warm-up from zero, then a cosine down to zero.
        warmup: The share of all steps that the warm-up takes, 0 to 1.
        weight_decay: AdamW's decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101).
        label_smoothing: The share of the target that is spread over all classes, 0 to 1. With a teacher, unused.
        rotation: Each image is turned by up to this many degrees either way.
        scaling: Each axis is stretched by up to this share either way.
        shear: The horizontal shear is up to this either way.
        shift: Each image is moved by up to this share of its side either way.
        elastic: Each point of a grid over the image takes its surroundings along by up to this share of the side.
        plain_epochs: The last so many epochs see the images as they are, so that the model ends on what it will be
            asked (He et al., "Data Augmentation Revisited", arXiv 1909.09148).
        teacher_share: The share of the target that is the teacher's answer, 0 to 1; the rest is the label.
        temperature: The teacher's logits are divided by this, so that its second thoughts count.
        copies: With a teacher, augmented copies of the train split that it answers once; epochs take them in turns.
        qat_epochs: Passes of the quantization-aware fine-tuning that ``--qat`` adds.
        qat_learning_rate: Its peak; its schedule has the same shape.
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
    elastic: float = 0.0
    plain_epochs: int = 0
    teacher_share: float = 0.9
    temperature: float = 2.0
    copies: int = 12
    qat_epochs: int = 5
    qat_learning_rate: float = 5e-4

    @property
    def augmentation(self) -> dict[str, float]:
        """How far each image is changed, by the name of the field."""
        return {name: getattr(self, name) for name in ("rotation", "scaling", "shear", "shift", "elastic")}

    def in_epoch(self, number: int) -> "Recipe":
        """Return what holds in an epoch, counted from 1: in a plain one, nothing is changed, and there is one copy."""
        if number <= self.epochs - self.plain_epochs:
            return self
        return replace(self.without_augmentation, copies=1)

    @property
    def without_augmentation(self) -> "Recipe":
        """The same recipe for samples that are taken as they are."""
        plain: dict[str, Any] = dict.fromkeys(self.augmentation, 0.0)
        return replace(self, **plain)


_CLASSIC = Recipe(epochs=12, learning_rate=2e-3)
_TEACHER = Recipe(epochs=18, weight_decay=1e-2, label_smoothing=0.0, elastic=0.06, plain_epochs=3)
# The changes are a little smaller than the teacher's. The fewer the weights, the larger the steps and the less decay: a
# small model has nothing to forget.
_EDGE = Recipe(learning_rate=4e-3, label_smoothing=0.0, rotation=12, shear=0.12, shift=0.08, plain_epochs=2, copies=16)
# A trained model of the user's own is sure of its answers by now: smoothed labels would only make it less so.
OWN_MODEL = Recipe(label_smoothing=0.0)

RECIPES: dict[str, Recipe] = {
    "classic": _CLASSIC,
    "edge": Recipe(epochs=30),
    "edge-2k": replace(_EDGE, epochs=40, learning_rate=3e-2, weight_decay=1e-4),
    "edge-10k": replace(_EDGE, epochs=28, learning_rate=6e-3, weight_decay=1e-3),
    "edge-35k": replace(_EDGE, epochs=22),
    "edge-100k": replace(_EDGE, epochs=30),
    "teacher": _TEACHER,
    "teacher-5x5": _TEACHER,
}
