"""The choices that hold for a whole export."""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

from edgeport.export.conversion.ranges.methods import AUTO, METHODS, MINMAX
from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.artefact.formats import FORMATS, Format, format_named
from edgeport.runtime.artefact.precisions import PRECISIONS, Precision, precision_named
from edgeport.runtime.errors import InputError, unknown_name

# onnxruntime fuses quantized operators up to this opset in every version we know (its issue 28770 lost them at 22).
OPSET = 17
# Each step is a copy of the loop's operators, some 5 to 25 KB of file.
UNROLL_LIMIT = 256
_MOST_STEPS = 100_000
_OPSETS = range(13, 22)
# Takes in one line what a conversion did to the model that its user should know.
OnNote = Callable[[str], None]
_TENSOR_TYPES = ("int8", "uint8", "float32")


@dataclass(frozen=True)
class Required:
    """What the caller asks of every artefact, beyond the limits of its precision; 0 for nothing.

    Attributes:
        agreement: The least share of equal decisions, 0 to 1.
        sqnr_db: The least SQNR, in dB.
    """

    agreement: float = 0.0
    sqnr_db: float = 0.0


@dataclass(frozen=True)
class Options:
    """What an export makes, how, and what it demands.

    Attributes:
        formats: The formats to write; empty for all.
        precisions: The precisions to write; empty for all.
        batch: How many samples an artefact takes at a time: a number, ``dynamic`` for any, or ``usual`` for what suits
            the format (1 in TFLite, any in ONNX).
        opset: The ONNX operator set, 13 to 21.
        reduce_range: Whether integer ONNX uses 7 bits of its weights, so that CPUs without VNNI answer alike.
        tensor_type: The type of the input and output of int8 TFLite: ``int8``, ``uint8`` or ``float32``. With ``uint8``
            int8 ONNX takes bytes too where an input is of pixels from 0 to 255; what it gives stays float32.
        require_agreement: The least share of samples with the same top-1 class, 0 to 1, beyond each precision's own.
        require_sqnr_db: The least signal-to-quantization-noise ratio in dB, beyond each precision's own.
        keep_rejected: Whether artefacts that miss a limit are written too, with ``rejected`` in their names.
        unroll_limit: How many steps a loop (a recurrent layer) may have to be written out step by step, which integer
            TFLite needs.
        tflite_metadata: Whether TFLite files also carry the standard metadata that MediaPipe and Android read.
        keep_float: The layers that stay in floats in the precision ``mixed``; empty for no such artefact.
        calibration_method: How 8-bit activations get their ranges: one of ``METHODS``, or ``auto`` for the best of them
            on samples that no range is taken from.
        equalize: Whether the channels of an integer activation are made alike in size, by the weights before and
            behind it, in each file that is measured to lose less then.
        correct_biases: Whether biases take off what rounding weights adds to the mean of each channel, likewise; not
            in a file with layers in floats.
        keep_float_io: Whether the first and the last layers with weights stay in floats too: those nearest to each
            input and to each output.
        keep_float_where_faster: Whether layers are searched that run faster in floats, to stay in floats.
        max_loss: Below which loss int8 must stay, in points of a share such as accuracy, else in the metric's own unit.
            Where it does not, the fewest layers are searched that must stay in floats. None if nobody asks.
        try_cures: Whether a search for layers in floats begins with calibration methods, equalized channels and
            corrected biases.
        metrics: By which metrics the loss is judged, as ``edgeport benchmark`` names them; empty for the usual one. A
            function of a Python file is run.
        data: Where the samples come from that judge the loss, with what is true of them; empty for where those come
            from that calibrate. Test data is never used.
    """

    formats: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()
    batch: int | str = "usual"
    opset: int = OPSET
    reduce_range: bool = True
    tensor_type: str = "int8"
    require_agreement: float = 0.0
    require_sqnr_db: float = 0.0
    keep_rejected: bool = False
    unroll_limit: int = UNROLL_LIMIT
    tflite_metadata: bool = False
    keep_float: tuple[str, ...] = ()
    calibration_method: str = MINMAX
    equalize: bool = False
    correct_biases: bool = False
    keep_float_io: bool = False
    keep_float_where_faster: bool = False
    max_loss: float | None = None
    try_cures: bool = True
    metrics: tuple[str, ...] = ()
    data: str = ""

    def __post_init__(self) -> None:
        if self.batch not in ("usual", "dynamic") and not (isinstance(self.batch, int) and 1 <= self.batch <= 4096):
            raise InputError(f"batch: got {self.batch}, expected a number from 1 to 4096, or dynamic")
        if self.opset not in _OPSETS:
            raise InputError(f"opset: got {self.opset}, expected {_OPSETS[0]} to {_OPSETS[-1]}")
        if self.tensor_type not in _TENSOR_TYPES:
            raise InputError(f"tensor type: got {self.tensor_type!r}, expected one of {', '.join(_TENSOR_TYPES)}")
        if not 0 <= self.require_agreement <= 1:
            raise InputError(f"required agreement: got {self.require_agreement:g}, expected a share from 0 to 1")
        if not math.isfinite(self.require_sqnr_db):
            raise InputError(f"required SQNR: got {self.require_sqnr_db:g}, expected a number of dB")
        if not 1 <= self.unroll_limit <= _MOST_STEPS:
            raise InputError(f"unroll limit: got {self.unroll_limit}, expected 1 to {_MOST_STEPS:,} steps")
        self._check_mixed()
        self._check_method()
        if not self.variants:
            raise InputError(
                f"no format of {', '.join(self.formats)} knows a precision of {', '.join(self.precisions)}: "
                + "; ".join(f"{row.name} is for {' and '.join(row.formats)}" for row in PRECISIONS.values())
            )

    def _check_method(self) -> None:
        if self.calibration_method not in (*METHODS, AUTO):
            raise unknown_name("calibration method", self.calibration_method, [*METHODS, AUTO])
        has_int8 = any(precision.in_integers and not precision.wide_activations for _, precision in self.variants)
        for said in ("equalize", "correct_biases"):
            if getattr(self, said) and not self.needs_calibration:
                raise InputError(f"--{said.replace('_', '-')}: got it without int8 or int16x8, which it is for")
        if self.calibration_method != MINMAX and not has_int8:
            raise InputError(
                f"calibration method: got {self.calibration_method} without int8, whose ranges alone it chooses"
            )

    def _check_mixed(self) -> None:
        """Raise InputError if layers in floats are asked for and cannot be, or the other way round."""
        asked = "mixed" in self.precisions
        if not self.wants_mixed and asked:
            raise InputError(
                "precisions: got mixed without layers that stay in floats: name them with --keep-float LAYER,..., or "
                "have them searched with --max-loss or --keep-float-where-faster"
            )
        if self.max_loss is None and (self.metrics or self.data or not self.try_cures):
            said = "--metric" if self.metrics else "--data" if self.data else "--no-cures"
            raise InputError(f"{said}: got it without --max-loss, which it is for")
        if self.searches:
            self._check_search()
        elif self.wants_mixed and self.precisions and not asked:
            raise InputError(
                f"--keep-float: got layers for mixed, and precisions without it ({', '.join(self.precisions)})"
            )
        if self.wants_mixed and self.tensor_type == "uint8":
            raise InputError("--tensor-type: got uint8 with layers in floats, expected int8 or float32")

    def _check_search(self) -> None:
        """Raise InputError if the layers that are searched cannot be found."""
        if self.max_loss is not None and not 0 < self.max_loss < math.inf:
            raise InputError(f"--max-loss: got {self.max_loss:g}, expected a number above 0, such as 0.5")
        said = "--max-loss"
        if self.keep_float_where_faster:
            said = "--keep-float-where-faster"
            if self.keep_float or self.keep_float_io or self.max_loss is not None:
                other = "--keep-float" if self.max_loss is None else "--max-loss"
                raise InputError(f"{said}: got it with {other}, which chooses layers too: leave one of them out")
        if self.precisions and "int8" not in self.precisions:
            raise InputError(
                f"{said}: got the precisions {', '.join(self.precisions)}, expected int8 among them, which it begins "
                "with"
            )

    @property
    def wants_mixed(self) -> bool:
        """Whether some layers shall stay in floats, or be searched that must."""
        return bool(self.keep_float) or self.keep_float_io or self.searches

    @property
    def searches(self) -> bool:
        """Whether layers are searched that stay in floats."""
        return self.max_loss is not None or self.keep_float_where_faster

    @property
    def searched(self) -> list[Format]:
        """The formats in which layers are searched that stay in floats."""
        if not self.searches:
            return []
        return [row for row, precision in self.variants if precision.name == "int8"]

    @property
    def variants(self) -> list[tuple[Format, Precision]]:
        """The artefacts to make, in the order of the tables, without those that a search makes."""
        formats = [format_named(name) for name in self.formats] or list(FORMATS)
        wanted = [precision_named(name) for name in self.precisions] or list(PRECISIONS.values())
        # A search makes its own.
        named = (self.keep_float or self.keep_float_io) and not self.searches
        precisions = [row for row in wanted if named or not row.for_layers]
        return [
            (row, precision)
            for row in FORMATS
            for precision in PRECISIONS.values()
            if row in formats and precision in precisions and row.name in precision.formats
        ]

    @property
    def required(self) -> Required:
        """What the caller asks of every artefact, beyond the limits of its precision."""
        return Required(self.require_agreement, self.require_sqnr_db)

    @property
    def needs_calibration(self) -> bool:
        """Whether any of the artefacts has integer activations."""
        return any(precision.in_integers for _, precision in self.variants)

    def batch_of(self, port: Input, *, usual: int | None) -> int | None:
        """Return the batch of an artefact, None for a free one.

        Args:
            port: The model's first input, which may be fixed to a batch of its own.
            usual: The batch that suits the format.

        Raises:
            InputError: The model is fixed to another batch.
        """
        fixed = port.shape[0] if port.shape else None
        if self.batch == "usual":
            return fixed or usual
        wanted = None if self.batch == "dynamic" else int(self.batch)
        if fixed not in (None, wanted):
            raise InputError(f"batch: got {self.batch}, but the model itself is fixed to a batch of {fixed}")
        return wanted


def check_layers(named: Collection[str], present: Collection[str]) -> None:
    """Raise InputError if a layer that shall stay in floats has no operator of its own in a file."""
    for name in named:
        if name not in present:
            raise unknown_name("layer to keep in floats", name, sorted(filter(None, present)))


def ignored(note: str) -> None:
    """Take a note for which nobody asked."""


def check_chosen(options: Options) -> None:
    """Raise InputError if nothing has chosen the calibration method yet: one conversion has nothing to judge by."""
    if options.calibration_method == AUTO:
        expected = ", ".join(METHODS)
        raise InputError(f"calibration method: got {AUTO}, which export() chooses; expected one of {expected}")
