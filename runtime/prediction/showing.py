"""What ``edgeport predict`` shows: the answers of an artefact as lines of text or of JSON."""

import json
import sys
from collections.abc import Mapping, Sequence

from edgeport.runtime.artefact.spec import Spec
from edgeport.runtime.prediction.classification import Classification, ranked
from edgeport.runtime.tensors.arrays import Tensor
from edgeport.runtime.terminal import visible


def show(
    names: Sequence[str], answers: Mapping[str, Tensor], spec: Spec, *, top: int = 3, as_json: bool = False
) -> None:
    """Print one line for each sample.

    Args:
        names: What to call each of the n samples.
        answers: For each output its name and n answers, as ``Predictor.answer`` gives them.
        spec: What is known of the artefact.
        top: How many classes to print.
        as_json: Whether to print one JSON object a sample, with every class.

    Raises:
        InputError: The answers are no classes.
    """
    for name, classes in zip(names, ranked(answers[spec.output.name], spec, top=sys.maxsize), strict=True):
        if as_json:
            probabilities = {each.label: each.probability for each in classes}
            print(json.dumps({"image": name, "label": classes[0].label, "probabilities": probabilities}))
        else:
            print(visible(f"{name}  {_sentence(classes, top)}"))


def _sentence(classes: Sequence[Classification], top: int) -> str:
    # A model that ends in logits gives scores of any size.
    style = ".1%" if classes[-1].probability >= 0 and classes[0].probability <= 1.000001 else ".4g"
    first, *others = (f"{each.label}  {each.probability:{style}}" for each in classes[:top])
    return f"{first}   ({', '.join(others)})" if others else first
