"""What a model is made of, as a digest: whoever changes its layers gets another one."""

import hashlib
import json
import sys
from collections.abc import Sequence
from typing import Any

from edgeport.runtime.errors import EdgeportError, InputError
from edgeport.runtime.files.plain_file import MOST_MODEL, read_plain
from edgeport.runtime.host.json_process import JsonProcess, answer_of
from edgeport.runtime.host.replies import refusal, replies


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


def own_definition(start: str) -> str:
    """Return the digest of the file of a model of the user's own, or of the code that builds it."""
    path, _, function = start.partition(".py:")
    content = read_plain(f"{path}.py" if function else path, most=MOST_MODEL, error=InputError, who="models")
    return hashlib.sha256(content + function.encode()).hexdigest()


def definitions_of(models: Sequence[str], *, image_shape: tuple[int, int, int], class_count: int) -> dict[str, str]:
    """Return the digest of each model, from a process of its own: TensorFlow is not wanted in this one.

    Raises:
        InputError: The images are too small for a model.
    """
    question = {"models": list(models), "image_shape": list(image_shape), "class_count": class_count}
    with JsonProcess(__name__) as process:
        process.send(question)
        answer = process.receive()
        if answer is None:
            raise RuntimeError(f"the models cannot be built ({process.cause()}):\n{process.said()}")
    definitions: dict[str, str] = answer_of(answer)["definitions"]
    return definitions


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _renamed(each, names) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_renamed(each, names) for each in value]
    return names.get(value, value) if isinstance(value, str) else value


def main() -> None:
    """Run in the child: one line of JSON in, one out."""
    reply = replies()
    question = json.loads(sys.stdin.readline())
    shape = tuple(question["image_shape"])
    try:
        definitions = {
            model: definition_of(model, image_shape=shape, class_count=question["class_count"])
            for model in question["models"]
        }
    except EdgeportError as error:
        reply(refusal(error))
    else:
        reply({"definitions": definitions})


if __name__ == "__main__":
    main()
