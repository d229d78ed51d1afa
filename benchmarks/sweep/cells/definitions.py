"""What a model is made of, as a digest: whoever changes its layers gets another one."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from edgeport.runtime.errors import EdgeportError, InputError


def definition_of(model: str, *, image_shape: tuple[int, int, int], class_count: int) -> str:
    """Return the digest of a model's layers, their settings and how they are connected.

    The numbers that Keras adds to names count all layers of a process, so names are replaced by their order.

    Args:
        model: The model's name, for ``build_model``.
        image_shape: (height, width, channels).
        class_count: How many classes there are.

    Raises:
        InputError: The images are too small for the model.
    """
    # TensorFlow, which takes seconds.
    from edgeport.train.models.named import build_model

    config = build_model(model, image_shape=image_shape, class_count=class_count).get_config()
    numbers = {layer["config"]["name"]: f"layer-{number}" for number, layer in enumerate(config["layers"])}
    return hashlib.sha256(json.dumps(_renamed(config, numbers), sort_keys=True, default=str).encode()).hexdigest()


def definitions_of(models: Sequence[str], *, image_shape: tuple[int, int, int], class_count: int) -> dict[str, str]:
    """Return the digest of each model, from a process of its own: TensorFlow is not wanted in this one.

    Raises:
        InputError: The images are too small for a model.
    """
    question = {"models": list(models), "image_shape": list(image_shape), "class_count": class_count}
    ended = subprocess.run(
        [sys.executable, "-m", __name__], input=json.dumps(question), capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise RuntimeError(f"the models cannot be built:\n{ended.stderr}")
    answer: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    if "error" in answer:
        raise InputError(answer["error"])
    definitions: dict[str, str] = answer["definitions"]
    return definitions


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _renamed(each, names) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_renamed(each, names) for each in value]
    return names.get(value, value) if isinstance(value, str) else value


def main() -> None:
    """Run in the child: one line of JSON in, one out."""
    question = json.loads(sys.stdin.read())
    shape = tuple(question["image_shape"])
    try:
        definitions = {
            model: definition_of(model, image_shape=shape, class_count=question["class_count"])
            for model in question["models"]
        }
    except EdgeportError as error:
        print(json.dumps({"error": str(error)}))
    else:
        print(json.dumps({"definitions": definitions}))


if __name__ == "__main__":
    main()
