"""What a model is made of, as a digest: whoever changes its layers gets another one."""

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from edgeport.benchmarks.sweep.cells.cell import Own
from edgeport.runtime.artefact.contract import Input
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
    definitions: dict[str, str] = _asked(question)["definitions"]
    return definitions


def own_models(starts: Mapping[str, str]) -> dict[str, Own]:
    """Return what is known of models of the user's own, from a process of its own.

    Args:
        starts: Their files or functions, by their names in the sweep.

    Raises:
        InputError: One cannot be opened or built.
    """
    answer = _asked({"own": dict(starts)})["own"] if starts else {}
    return {
        model: Own(tuple(Input(name, tuple(shape), dtype) for name, shape, dtype in inputs), is_compiled)
        for model, (inputs, is_compiled) in answer.items()
    }


def _asked(question: Mapping[str, Any]) -> Mapping[str, Any]:
    with JsonProcess(__name__) as process:
        process.send(question)
        answer = process.receive()
        if answer is None:
            raise RuntimeError(f"the models cannot be built ({process.cause()}):\n{process.said()}")
    return answer_of(answer)


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
    try:
        found = _known(question["own"]) if "own" in question else _definitions(**question)
    except EdgeportError as error:
        reply(refusal(error))
    else:
        reply(found)


def _known(starts: Mapping[str, str]) -> dict[str, Any]:
    from edgeport.benchmarks.sweep.cells.own_model import built, known_of

    known = {model: known_of(built(start, seed=0), start=start) for model, start in starts.items()}
    return {
        "own": {
            model: ([(port.name, port.shape, port.dtype) for port in each.inputs], each.is_compiled)
            for model, each in known.items()
        }
    }


def _definitions(models: Sequence[str], image_shape: Sequence[int], class_count: int) -> dict[str, Any]:
    height, width, channels = image_shape
    return {
        "definitions": {
            model: definition_of(model, image_shape=(height, width, channels), class_count=class_count)
            for model in models
        }
    }


if __name__ == "__main__":
    main()
