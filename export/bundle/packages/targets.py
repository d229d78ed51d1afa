"""The systems that a bundle can be made for: which engines have wheels there, and the version of every package.

All versions stand here. They are those of constraints.txt wherever the system has a wheel of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from edgeport.runtime.errors import InputError, unknown_name

# What edgeport itself and the table of its benchmark need, beside numpy.
_BASE = ("markdown-it-py", "mdurl", "pillow", "pygments", "rich")
# What the server needs besides.
_SERVER = ("anyio", "click", "h11", "idna", "prometheus-client", "starlette", "typing-extensions", "uvicorn")
_VERSIONS = {
    "ai-edge-litert": "2.3.0",
    "anyio": "4.16.0",
    "backports-strenum": "1.2.8",
    "click": "8.5.1",
    "flatbuffers": "25.12.19",
    "h11": "0.16.0",
    "idna": "3.20",
    "markdown-it-py": "4.3.0",
    "mdurl": "0.1.2",
    "ml-dtypes": "0.6.0",
    "onnxruntime": "1.32.0",
    "openvino": "2026.4.1",
    "packaging": "26.3",
    "pillow": "13.0.0",
    "prometheus-client": "0.26.0",
    "protobuf": "7.36.2",
    "pygments": "2.21.0",
    "rich": "15.0.0",
    "starlette": "1.10.0",
    "tflite-runtime": "2.14.0",
    "tqdm": "4.70.1",
    "typing-extensions": "4.16.0",
    "uvicorn": "0.54.0",
}
_NUMPY = {"3.11": "2.4.6", "3.12": "2.5.5", "3.13": "2.5.5"}
# tflite-runtime was built for numpy 1, and the newest ml-dtypes wants numpy 2.
_BESIDE_NUMPY_1 = {"numpy": "1.26.4", "ml-dtypes": "0.5.4"}


@dataclass(frozen=True)
class Unfit:
    """Files that an engine is not for.

    Attributes:
        kinds: What they are, by ``precision.format``.
        why: Why it is not for them.
        arch: The architecture on which that is so; empty for all.
        fails: Whether it fails to load them, so that a selftest, which tries every engine, fails too; others skip them.
    """

    kinds: tuple[str, ...]
    why: str
    arch: str = ""
    fails: bool = False


@dataclass(frozen=True)
class BundledEngine:
    """A package that runs artefacts on a device.

    Attributes:
        name: Its name on the package index.
        formats: The formats that it runs.
        needs: Every package that it brings along, numpy apart.
        numpy_1: Whether it needs numpy 1.
        unfit: The files of these formats that it is not for.
        writes_code: Whether it writes machine code while it runs, which a hardened service has to allow.
    """

    name: str
    formats: tuple[str, ...]
    needs: tuple[str, ...] = ()
    numpy_1: bool = False
    unfit: tuple[Unfit, ...] = ()
    writes_code: bool = False

    @property
    def version(self) -> str:
        """The version that a bundle pins."""
        return _VERSIONS[self.name]

    def runs(self, precision: str, format_name: str, *, arch: str) -> bool:
        """Return whether it runs files of a precision in a format on an architecture."""
        return format_name in self.formats and self.obstacle(precision, format_name, arch=arch) is None

    def obstacle(self, precision: str, format_name: str, *, arch: str) -> Unfit | None:
        """Return why it is not for files of a precision in a format on an architecture; None if it is."""
        kind = f"{precision}.{format_name}"
        return next((each for each in self.unfit if kind in each.kinds and each.arch in ("", arch)), None)


ENGINES: tuple[BundledEngine, ...] = (
    BundledEngine(
        "ai-edge-litert",
        ("tflite",),
        needs=("backports-strenum", "flatbuffers", "ml-dtypes", "protobuf", "tqdm", "typing-extensions"),
    ),
    BundledEngine(
        "tflite-runtime",
        ("tflite",),
        numpy_1=True,
        unfit=(
            Unfit(
                ("dynamic.tflite",),
                "it knows FULLY_CONNECTED up to version 11, and dynamic files hold version 12",
                fails=True,
            ),
        ),
    ),
    BundledEngine("onnxruntime", ("onnx",), needs=("flatbuffers", "packaging", "protobuf")),
    # Without openvino-telemetry, which it declares and does not need: that reports to its maker.
    BundledEngine(
        "openvino",
        ("onnx", "tflite"),
        unfit=(
            Unfit(
                ("dynamic.tflite", "int8.tflite", "int16x8.tflite", "mixed.tflite"),
                "it computes the integers of TFLite files otherwise than TensorFlow Lite does",
            ),
            Unfit(
                ("int8.onnx", "mixed.onnx"),
                "on ARM it opens only some files in integers, and rounds differently",
                arch="aarch64",
            ),
        ),
        writes_code=True,
    ),
)


@dataclass(frozen=True)
class System:
    """One system that a bundle can be made for.

    Attributes:
        target: What the user calls the computer.
        arch: The architecture of its programs, not of its kernel.
        python: The Python that it has.
        what: The operating system's name.
        glibc: The second number of its glibc's version, 2.x: wheels for a later one do not run there.
        engines: The engines that have wheels for it, the preferred one of each format first.
        from_apt: The packages that have no wheel for it and come from the system, with their names there.
    """

    target: str
    arch: str
    python: str
    what: str
    glibc: int
    engines: tuple[str, ...]
    from_apt: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"Python {self.python} on {self.arch}"


_ALL = ("ai-edge-litert", "onnxruntime", "tflite-runtime", "openvino")
_CURRENT = ("ai-edge-litert", "onnxruntime", "openvino")
_DEBIAN = (("numpy", "python3-numpy"), ("pillow", "python3-pil"))

# The first row that fits is taken, so the newest system of each kind stands first.
SYSTEMS: tuple[System, ...] = (
    System("raspberry-pi", "aarch64", "3.13", "Raspberry Pi OS Trixie, 64-bit", 41, _CURRENT),
    System("raspberry-pi", "aarch64", "3.11", "Raspberry Pi OS Bookworm, 64-bit", 36, _ALL),
    System("raspberry-pi", "armv7l", "3.11", "Raspberry Pi OS Bookworm, 32-bit", 36, ("tflite-runtime",), _DEBIAN),
    System("linux", "x86_64", "3.13", "Debian 13 or alike", 41, _CURRENT),
    System("linux", "x86_64", "3.12", "Ubuntu 24.04 or alike", 39, _CURRENT),
    System("linux", "x86_64", "3.11", "Debian 12 or alike", 36, _ALL),
)


def engine_named(name: str) -> BundledEngine:
    """Return the engine that users call ``name``, with hyphens or underscores.

    Raises:
        InputError: There is none, with the nearest name.
    """
    for engine in ENGINES:
        if engine.name == name.lower().replace("_", "-"):
            return engine
    raise unknown_name("engine", name, (engine.name for engine in ENGINES))


def choose_system(target: str, *, arch: str = "", python: str = "", engines: Sequence[BundledEngine] = ()) -> System:
    """Return the newest system of a target that has wheels of the engines.

    Args:
        target: ``raspberry-pi`` or ``linux``.
        arch: Its architecture; empty for any.
        python: Its Python; empty for any.
        engines: The engines that it must have; empty for any.

    Raises:
        InputError: There is no such system, with the reason and the way out.
    """
    rows = [row for row in SYSTEMS if row.target == target]
    if not rows:
        raise unknown_name("target", target, {row.target for row in SYSTEMS})
    for what, got, known in (
        (f"architecture of {target}", arch, {row.arch for row in rows}),
        (f"Python of {target}", python, {row.python for row in rows}),
    ):
        if got and got not in known:
            raise unknown_name(what, got, known)
    alike = [row for row in rows if row.arch == (arch or row.arch) and row.python == (python or row.python)]
    if not alike:
        ways = _ways([row for row in rows if arch == row.arch or python == row.python])
        raise InputError(f"no engine has a wheel for Python {python} on {arch}: take {ways}")
    for row in alike:
        if all(engine.name in row.engines for engine in engines):
            return row
    lacking = next(engine for engine in engines if engine.name not in alike[0].engines)
    having = _ways([row for row in rows if lacking.name in row.engines and row not in alike])
    others = [name for name in alike[0].engines if set(engine_named(name).formats) & set(lacking.formats)]
    instead = f"--engine {others[0]}" if others else f"another format than {' or '.join(lacking.formats)}"
    raise InputError(f"{lacking.name} has no wheel for {alike[0]}: take {having + ', or ' if having else ''}{instead}")


def other_systems(system: System, format_name: str) -> str:
    """Return the options for the other systems of a target that run a format; empty if there are none."""
    return _ways(
        [
            row
            for row in SYSTEMS
            if row.target == system.target and any(format_name in engine_named(name).formats for name in row.engines)
        ]
    )


def default_engines(system: System) -> tuple[BundledEngine, ...]:
    """Return the preferred engine of each format that the system can run."""
    preferred: dict[str, BundledEngine] = {}
    for name in system.engines:
        engine = engine_named(name)
        for format_name in engine.formats:
            preferred.setdefault(format_name, engine)
    return tuple(dict.fromkeys(preferred.values()))


def requirements(system: System, engines: Sequence[BundledEngine], *, serve: bool = False) -> tuple[str, ...]:
    """Return ``name==version`` of every package that a device installs beside edgeport, those they need included.

    Args:
        system: The device.
        engines: What runs the artefacts.
        serve: Whether ``edgeport serve`` is to run there.
    """
    versions = {**_VERSIONS, "numpy": _NUMPY[system.python]}
    if any(engine.numpy_1 for engine in engines):
        versions |= _BESIDE_NUMPY_1
    names = {*_BASE, *(_SERVER if serve else ()), "numpy"}.union(*((engine.name, *engine.needs) for engine in engines))
    return tuple(f"{name}=={versions[name]}" for name in sorted(names - {name for name, _ in system.from_apt}))


def _ways(rows: Sequence[System]) -> str:
    return ", or ".join(f"--arch {row.arch} --python {row.python}" for row in rows)
