"""The interface of every artefact: raw pixels in, probabilities out; or tensors by name."""

from _thread import RLock
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import TracebackType
from typing import overload

import numpy as np

from edgeport.runtime.artefact.contract import RAW, Input
from edgeport.runtime.artefact.embedded_metadata import EmbeddedMetadata
from edgeport.runtime.artefact.spec import Spec
from edgeport.runtime.engines.forking import survive_fork
from edgeport.runtime.engines.protocol import Engine, Origin
from edgeport.runtime.errors import ArtefactError, InputError
from edgeport.runtime.prediction.classification import Classification, ranked
from edgeport.runtime.tensors.arrays import FloatArray, Pixels, Tensor
from edgeport.runtime.tensors.batches import samples_at_a_time
from edgeport.runtime.tensors.checks import TensorCheck, as_array, fits
from edgeport.runtime.tensors.decoding import Decoder
from edgeport.runtime.tensors.encoding import encode, encoder_of

# Compared on each call, which takes longer with numpy.uint8 itself.
_PIXEL = np.dtype(np.uint8)


class Predictor:
    """A loaded artefact, made by ``load``.

    Threads may share it. A forked child opens the artefact anew, and so does a process that unpickles it. Used in a
    ``with`` statement, it lets go of its engine at the end.

    Attributes:
        spec: Shapes, dtypes, scales, labels, activation and engine.
    """

    def __init__(self, origin: Origin, metadata: EmbeddedMetadata | None) -> None:
        self._origin = origin
        self._engine: Engine | None = origin.open()
        # threading.RLock is the same, but its module takes 0.2 MB, which onnxruntime's users are spared. The thread
        # that holds it may ask again, in a signal handler.
        self._opening = RLock()
        self._closed = False
        self.spec = _spec_of(origin, self._engine, metadata)
        ranges = [facts.range for facts in metadata.inputs] if metadata else [None] * len(self.spec.inputs)
        self._checks = [
            TensorCheck(tensor, artefact=self.spec.name, pixel_range=pixel_range)
            for tensor, pixel_range in zip(self.spec.inputs, ranges, strict=True)
        ]
        self._check_one = self._checks[0]
        self._batch = self.spec.input.shape[0] if self.spec.input.shape else None
        self._step = samples_at_a_time(self.spec.inputs, self._batch)
        self._image_shape = self.spec.input.shape[1:]
        # What images of one channel may look like too.
        self._grey_shape = self._image_shape[:-1] if self._image_shape[-1:] == (1,) else None
        self._seen: tuple[int, ...] | None = None
        self._single = len(self.spec.inputs) == len(self.spec.outputs) == 1
        activations = (
            [facts.activation for facts in metadata.outputs] if metadata else ["none"] * len(self.spec.outputs)
        )
        self._decoders = [Decoder(*each) for each in zip(self.spec.outputs, activations, strict=True)]
        self._decode_first = self._decoders[0]
        survive_fork(self)

    @overload
    def run(self, tensors: Tensor) -> Tensor: ...
    @overload
    def run(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]: ...
    def run(self, tensors: Tensor | Mapping[str, Tensor]) -> Tensor | dict[str, Tensor]:
        """Return the engine's answer in the engine's own types.

        Args:
            tensors: For an artefact of one input and one output an array of ``spec.input.dtype`` and
                ``spec.input.shape``; for any artefact a mapping from each input's name to such an array.

        Returns:
            An array of ``spec.output.dtype`` and ``spec.output.shape``; for a mapping one array for each output's name.

        Raises:
            InputError: An array has another dtype, byte order or shape; a float array holds NaN, an infinity, or values
                beyond the pixel range that the model was exported for; an input is missing or unknown; the artefact
                has several tensors and only one is given; the engine cannot compute the values; the predictor is
                closed.

        Examples:
            >>> import numpy as np
            >>> from edgeport.runtime import load
            >>> predictor = load("tiny.int8.tflite")
            >>> tensor = np.zeros(predictor.spec.input.shape, predictor.spec.input.dtype)
            >>> predictor.run(tensor).dtype
            dtype('int8')
        """
        # The usual case first: to ask whether an array is a mapping takes longer than all checks of it.
        if type(tensors) is not np.ndarray and isinstance(tensors, Mapping):
            return self._run_named(tensors)
        if not self._single:
            sides = " -> ".join(", ".join(map(str, side)) for side in (self.spec.inputs, self.spec.outputs))
            raise InputError(f"{self.spec.name} has several tensors ({sides}): give a mapping from input name to array")
        self._check_one(tensors)
        return (self._engine or self._reopened()).call_one(tensors)

    def predict(self, images: Pixels) -> FloatArray:
        """Return the probability of each class for each image.

        Args:
            images: uint8 pixels, 0..255, of shape (n, height, width) or (n, height, width, channels).

        Returns:
            float32 of shape (n, classes): the first output. For a model that ends in a softmax each row sums to 1, also
            where its artefact stops just before it; a model that ends in logits gives logits.

        Raises:
            InputError: The array is not uint8, its shape is not the model's, or the model takes no images.

        Examples:
            >>> import numpy as np
            >>> from edgeport.runtime import load
            >>> images = np.zeros((2, 28, 28), np.uint8)
            >>> load("tiny.int8.tflite").predict(images).shape
            (2, 10)
        """
        # Most images are like the last ones.
        if type(images) is not np.ndarray or images.shape != self._seen or images.dtype is not _PIXEL:
            images = self._checked(images)
        if len(images) > 1 and len(images) > self._step:
            return self._predict_parts(images)
        encoded = self._encode_pixels(images)
        if self._single and (self._batch is None or self._batch == len(encoded)):
            return self._decode_first((self._engine or self._reopened()).call_one(encoded))
        return self._decode_first(self._run_batches([encoded])[0])

    def classify(self, images: Pixels, *, top: int = 3) -> list[list[Classification]]:
        """Return for each image the classes that it most probably shows, the best first.

        A model with one output column and a sigmoid has two classes: the column is the second one's, or yes.

        Args:
            images: As for ``predict``.
            top: How many classes to return, at most; 1 or more.

        Raises:
            InputError: As for ``predict``, and if the output is no classes.

        Examples:
            >>> import numpy as np
            >>> from edgeport.runtime import load
            >>> image = np.zeros((1, 28, 28), np.uint8)
            >>> image[0, 4:24, 13:16] = 255  # an upright stroke
            >>> (best, *_), = load("tiny.int8.tflite").classify(image)
            >>> best.label, round(best.probability, 2)
            ('1', 0.98)
        """
        if not isinstance(top, (int, np.integer)) or top < 1:
            raise InputError(f"top: got {top!r}, expected a whole number, 1 or more")
        return ranked(self.predict(images), self.spec, top=int(top))

    def encode(self, images: Pixels) -> Tensor:
        """Return pixels as ``run`` takes them: scaled to the model's input range, quantized if its input is.

        Args:
            images: uint8 pixels, 0..255, of shape (n, height, width) or (n, height, width, channels).

        Returns:
            An array of ``spec.input.dtype`` and shape (n, height, width, channels).

        Raises:
            InputError: The array is not uint8, its shape is not the model's, or the model takes no images.
        """
        # Most images are like the last ones.
        if type(images) is not np.ndarray or images.shape != self._seen or images.dtype is not _PIXEL:
            images = self._checked(images)
        return self._encode_pixels(images)

    def answer(self, real: Mapping[str, Tensor]) -> dict[str, FloatArray]:
        """Return the model's real outputs for real inputs, whatever types the artefact has.

        Args:
            real: For each of ``spec.inputs`` its name and an array of (n, ...) real values, or of integers where the
                model itself takes integers. Where it takes pixels, uint8 stands for pixels, 0..255, as in ``predict``.

        Returns:
            For each of ``spec.outputs`` its name and float32 values of shape (n, ...), after the activation that the
            artefact leaves to the runtime; booleans and integers, such as class ids, as they are.

        Raises:
            InputError: An input is missing or unknown, has another shape, or holds values that are no finite numbers
                or beyond the pixel range that the model was exported for.
        """
        self._check_names(real)
        encoded = []
        for check, encode_pixels in zip(self._checks, self._pixel_encoders, strict=True):
            values = real[check.spec.name]
            # What is no array becomes one if it can; a mask would be lost without a word.
            values = values if isinstance(values, np.ndarray) else as_array(values, check.spec)
            if encode_pixels is not None and values.dtype == _PIXEL:
                check.check_shape(values)
                encoded.append(encode_pixels(values))
            else:
                check.check_samples(values)
                encoded.append(encode(values, check.spec))
        raw = self._run_batches(encoded)
        return {
            tensor.name: decode(values)
            for tensor, decode, values in zip(self.spec.outputs, self._decoders, raw, strict=True)
        }

    def close(self) -> None:
        """Let go of the engine; further calls raise InputError."""
        self._closed = True
        self._engine = None

    def __enter__(self) -> "Predictor":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[type["Predictor"], tuple[Origin, EmbeddedMetadata | None]]:
        # The bytes travel, and not the path: what was verified here is what is opened there.
        return Predictor, (self._origin, self.spec.metadata)

    def __repr__(self) -> str:
        spec = self.spec
        tensors = " -> ".join(", ".join(map(str, side)) for side in (spec.inputs, spec.outputs))
        activation = f", {spec.activation} after it" if spec.activation != "none" else ""
        return (
            f"<Predictor {spec.name}: {tensors}{activation}, "
            f"{spec.engine} {spec.engine_version}, {spec.threads} thread{'s' * (spec.threads > 1)}"
            f"{', closed' * self._closed}>"
        )

    def after_fork(self) -> object:
        """Forget the engine in a forked child, and return it: see ``survive_fork``."""
        engine, self._engine = self._engine, None
        # The lock may have been held by a thread that is not there any more.
        self._opening = RLock()
        return engine

    def _reopened(self) -> Engine:
        if self._closed:
            raise InputError(f"{self.spec.name} is closed: load it again")
        with self._opening:
            if self._engine is None:
                self._engine = self._origin.open()
            return self._engine

    def _run_named(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        self._check_names(tensors)
        ordered = []
        for check in self._checks:
            tensor = tensors[check.spec.name]
            check(tensor)
            ordered.append(tensor)
        answers = (self._engine or self._reopened()).call(ordered)
        return {tensor.name: answer for tensor, answer in zip(self.spec.outputs, answers, strict=True)}

    def _run_batches(self, tensors: list[Tensor]) -> list[Tensor]:
        """Return the raw outputs for any number of samples: in one call, or in the batches of a fixed artefact."""
        engine = self._engine or self._reopened()
        batches = {spec.shape[:1] for spec in self.spec.inputs}
        if len(batches) > 1 or batches == {()}:
            # No axis is common to all inputs: they are no samples, one beside the other.
            return list(engine.call(tensors))
        counts = [len(tensor) for tensor in tensors]
        if len(set(counts)) > 1:
            raise InputError(
                f"{self.spec.name}: got {' and '.join(map(str, counts))} samples, expected as many of each input"
            )
        count = counts[0]
        batch = self._batch
        if batch is None:
            return self._run_parts(tensors)
        if batch == count:
            return list(engine.call(tensors))
        if not all(spec.shape[:1] == (batch,) for spec in self.spec.outputs):
            outputs = "; ".join(map(str, self.spec.outputs))
            raise InputError(
                f"{self.spec.name}: got {count} samples, expected {batch}: its outputs are not one answer for each "
                f"({outputs})"
            )
        if count % batch:
            # The last batch is filled up: its surplus answers are cut off again.
            tensors = [np.concatenate([each, each[:1].repeat(-count % batch, axis=0)]) for each in tensors]
        starts = range(0, len(tensors[0]), batch)
        if self._single:
            return [np.concatenate([engine.call_one(tensors[0][at : at + batch]) for at in starts])[:count]]
        parts = [engine.call([each[at : at + batch] for each in tensors]) for at in starts]
        return [np.concatenate(answers)[:count] for answers in zip(*parts, strict=True)]

    def _predict_parts(self, images: Pixels) -> FloatArray:
        """Return what ``predict`` does, with the memory that a part of the images takes."""
        parts = []
        for start in range(0, len(images), self._step):
            part = images[start : start + self._step]
            raw = self._run_batches([self._encode_pixels(part)])[0]
            if len(raw) != len(part):
                # Its answers are not one for each image, so those of parts would not be those of the whole.
                return self._decode_first(self._run_at_once([self._encode_pixels(images)])[0])
            parts.append(self._decode_first(raw))
        return np.concatenate(parts)

    def _run_at_once(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        return list((self._engine or self._reopened()).call(tensors))

    def _run_parts(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return the raw outputs of an artefact with a free batch, whose memory grows with what it is given."""
        count, step = len(tensors[0]), self._step
        if count <= step:
            return self._run_at_once(tensors)
        parts = []
        for start in range(0, count, step):
            parts.append(self._run_at_once([each[start : start + step] for each in tensors]))
            if not all(answer.shape[:1] == (min(step, count - start),) for answer in parts[-1]):
                return self._run_at_once(tensors)
        return [np.concatenate(answers) for answers in zip(*parts, strict=True)]

    @cached_property
    def _pixel_encoders(self) -> list[Callable[[Pixels], Tensor] | None]:
        """What turns pixels into each input's own type; None for an input that takes no pixels."""
        metadata, tensors = self.spec.metadata, self.spec.inputs
        ports = metadata.inputs if metadata else [Input(tensor.name, range=RAW) for tensor in tensors]
        return [
            encoder_of(port, tensor) if port.range is not None else None
            for port, tensor in zip(ports, tensors, strict=True)
        ]

    @cached_property
    def _encode_pixels(self) -> Callable[[Pixels], Tensor]:
        """What turns pixels into the artefact's own input type."""
        first, *others = self._pixel_encoders
        if first is None or others:
            inputs = "; ".join(map(str, self.spec.inputs))
            raise InputError(
                f"{self.spec.name} takes {inputs}, and no pixels: use answer() with what it takes, or export it with "
                "--input pixels:LOW:HIGH"
            )
        return first

    def _checked(self, images: Pixels) -> Pixels:
        """Return the images with the model's own axes, or raise InputError."""
        if (type(images) is not np.ndarray and not isinstance(images, np.memmap)) or images.dtype != _PIXEL:
            got = images.dtype if type(images) is np.ndarray else type(images).__name__
            raise InputError(
                f"{self.spec.name}: got {got} images, expected a uint8 array of pixels from 0 to 255. "
                "For the artefact's own input type use run()."
            )
        shape, expected = images.shape, self._image_shape
        if shape[1:] == expected and 0 not in shape:
            self._seen = shape
            return images
        if shape[1:] == self._grey_shape and 0 not in shape:
            return images[..., np.newaxis]
        if not images.size:
            raise InputError(f"{self.spec.name}: got no images, expected at least one")
        if len(shape) > 1 and fits(shape[1:], expected):
            return images
        if expected[-1:] == (1,) and len(shape) > 1 and fits(shape[1:], expected[:-1]):
            return images[..., np.newaxis]
        axes = ", ".join("any" if axis is None else str(axis) for axis in expected)
        raise InputError(f"{self.spec.name}: got images of shape {shape}, expected (n, {axes})")

    def _check_names(self, tensors: Mapping[str, Tensor]) -> None:
        if not isinstance(tensors, Mapping):
            raise InputError(
                f"{self.spec.name}: got {type(tensors).__name__}, expected an array for each input by its name: "
                f"{', '.join(tensor.name for tensor in self.spec.inputs)}"
            )
        if tensors.keys() != {tensor.name for tensor in self.spec.inputs}:
            raise InputError(
                f"{self.spec.name}: got the inputs {', '.join(map(str, tensors))}, "
                f"expected {', '.join(map(str, self.spec.inputs))}"
            )


def _spec_of(origin: Origin, engine: Engine, metadata: EmbeddedMetadata | None) -> Spec:
    """Return what is known of an artefact; raises ArtefactError if its metadata is that of another one."""
    for side, facts, tensors in (
        ("inputs", metadata.inputs, engine.inputs) if metadata else ("", (), ()),
        ("outputs", metadata.outputs, engine.outputs) if metadata else ("", (), ()),
    ):
        if len(facts) != len(tensors):
            raise ArtefactError(
                f"{origin.name}: its metadata has {len(facts)} {side}, the model has {len(tensors)}: export it again"
            )
    return Spec(
        name=origin.name,
        format=origin.format,
        engine=origin.package.replace("_", "-"),
        engine_version=engine.version,
        threads=origin.threads,
        inputs=engine.inputs,
        outputs=engine.outputs,
        metadata=metadata,
    )
