"""Whether TensorFlow Lite stands arrays with empty axes: some of its kernels kill the process on them.

The first step of a decoder has a cache of length 0, and most models take it. A quantized convolution or a resizing
divides by that length, which ends the process by a signal that no ``except`` catches. No list of operators would hold
for every version, so each combination of shapes is tried once, in a process of its own.
"""

import os
from collections.abc import Sequence

from edgeport.runtime.engines.protocol import Origin
from edgeport.runtime.errors import InputError

# Far more than a call on nothing takes, also on a small computer that has to load the engine first.
_SECONDS = 60.0


class EmptyAxes:
    """What one artefact was found to stand."""

    # Set in the process that tries: there a crash is an answer.
    in_a_process_of_its_own = False

    def __init__(self, origin: Origin, names: Sequence[str]) -> None:
        """Prepare; nothing is tried yet.

        Args:
            origin: The artefact.
            names: Those of its inputs, in order.
        """
        self._origin = origin
        self._names = names
        self._stood: set[tuple[tuple[int, ...], ...]] = set()

    def check(self, shapes: Sequence[tuple[int, ...]]) -> None:
        """Return if the engine computes inputs of these shapes, else raise InputError.

        Args:
            shapes: One for each input; a shape without an empty axis among them is fine.
        """
        wanted = tuple(shapes)
        if wanted in self._stood or self.in_a_process_of_its_own:
            return
        origin = self._origin
        given = ", ".join(f"{name} {shape}" for name, shape in zip(self._names, wanted, strict=True))
        if not hasattr(os, "pidfd_open"):
            raise InputError(
                f"{origin.name}: got {given}, expected no axis of length 0: {origin.package} may crash on one, and "
                "only on Linux can that be tried in a process of its own; run the ONNX file of this model"
            )
        # Those who give no empty axes need none of it.
        from edgeport.runtime.artefact.foreign.probing import probe_content

        probe = probe_content(
            origin.content,
            name=origin.name,
            engine=origin.package,
            shapes=dict(zip(self._names, wanted, strict=True)),
            seconds=_SECONDS,
        )
        if probe.outcome != "runs":
            raise InputError(
                f"{origin.name}: {origin.package} cannot compute {given}: tried in a process of its own, it "
                f"{probe.outcome} ({probe.detail}); give every axis a length of 1 or more, or run the ONNX file instead"
            )
        self._stood.add(wanted)
