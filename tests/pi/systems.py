"""What is compared with what: the userlands, the engines that are installed together, the CPUs."""

from dataclasses import dataclass
from itertools import product


@dataclass(frozen=True)
class Userland:
    """A Debian release for one architecture, with its own Python.

    Attributes:
        suite: Debian's name of the release.
        debian_arch: Debian's name of the architecture.
        arch: The same as Linux and pip name it.
        triplet: The name of its library folders.
        python: Its Python's version.
        target: What ``edgeport bundle --target`` calls such a computer.
        emulator: The QEMU program that runs it; empty for programs that this machine runs itself.
        packages: Debian packages beside Python and the libraries that wheels expect.
        library_folders: Folders below the triplet's, where Debian's alternatives would have put links.
    """

    suite: str
    debian_arch: str
    arch: str
    triplet: str
    python: str
    target: str = "raspberry-pi"
    emulator: str = ""
    packages: tuple[str, ...] = ()
    library_folders: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its name in folders and reports, for example ``arm64-bookworm``."""
        return f"{self.debian_arch}-{self.suite}"


_ARM64 = ("arm64", "aarch64", "aarch64-linux-gnu")
_AMD64 = ("amd64", "x86_64", "x86_64-linux-gnu")
PC_BOOKWORM = Userland("bookworm", *_AMD64, "3.11", target="linux")
PC_TRIXIE = Userland("trixie", *_AMD64, "3.13", target="linux")
PI_BOOKWORM = Userland("bookworm", *_ARM64, "3.11", emulator="qemu-aarch64")
PI_TRIXIE = Userland("trixie", *_ARM64, "3.13", emulator="qemu-aarch64")
# No wheels of numpy and Pillow fit 32-bit ARM: Debian's are taken, as on the device.
PI_32_BIT = Userland(
    "bookworm",
    "armhf",
    "armv7l",
    "arm-linux-gnueabihf",
    "3.11",
    emulator="qemu-arm",
    packages=("python3-numpy", "python3-pil"),
    library_folders=("blas", "lapack"),
)
# The Debian release that QEMU comes from: onnxruntime crashes in that of Bookworm.
EMULATOR_SUITE = "trixie"
EMULATORS = ("qemu-aarch64", "qemu-arm", "qemu-x86_64")

_BOTH = ("ai-edge-litert", "onnxruntime")
_ALL = (*_BOTH, "openvino")
_OLD = ("tflite-runtime",)


@dataclass(frozen=True)
class Device:
    """A userland with the engines of one bundle.

    Attributes:
        userland: The system.
        engines: The engines that the bundle installs; tflite-runtime needs numpy 1 and so a bundle of its own.
    """

    userland: Userland
    engines: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its name in folders and messages."""
        return f"{self.userland.name}-{'-'.join(self.engines)}"


@dataclass(frozen=True)
class Trial:
    """One engine on one CPU of a device, compared with the same engine on this machine itself.

    Attributes:
        device: Where the engine is installed.
        engine: The engine.
        cpu: The CPU as QEMU names it; empty for this machine's own.
        reference: The device, run natively, whose answers are the right ones; a native trial's own.
        emulator: The QEMU program; empty for none.
    """

    device: Device
    engine: str
    cpu: str
    reference: Device
    emulator: str

    @property
    def name(self) -> str:
        """Its name in folders and messages."""
        return f"{self.device.userland.name} {self.cpu or 'native'} {self.engine}"


_REFERENCES = {
    (PI_BOOKWORM, _ALL): PC_BOOKWORM,
    (PI_BOOKWORM, _OLD): PC_BOOKWORM,
    (PI_TRIXIE, _BOTH): PC_TRIXIE,
    (PI_32_BIT, _OLD): PC_BOOKWORM,
}
# 64-bit: Pi 3 and Zero 2 W, Pi 4, Pi 5. QEMU's 32-bit CPUs stand for those of the Pi 2 and for a larger one.
_CPUS = {"aarch64": ("cortex-a53", "cortex-a72", "cortex-a76"), "armv7l": ("cortex-a7", "cortex-a15")}
# What would show the same once more is left out: the oldest CPU on the newer system, and for OpenVINO, which takes the
# longest here, since it compiles each model anew.
_LEFT_OUT = {(PI_TRIXIE, "ai-edge-litert"), (PI_TRIXIE, "onnxruntime"), (PI_BOOKWORM, "openvino")}
# An x86-64 without the integer dot products (VNNI) that newer ones have.
_WITHOUT_VNNI = "Haswell"

DEVICES: tuple[Device, ...] = (
    *(Device(PC_BOOKWORM, engines) for engines in (_ALL, _OLD)),
    Device(PC_TRIXIE, _BOTH),
    *(Device(userland, engines) for userland, engines in _REFERENCES),
)
NATIVE: tuple[Trial, ...] = tuple(
    Trial(device, engine, "", device, "") for device in DEVICES if not device.userland.emulator
    for engine in device.engines
)  # fmt: skip
EMULATED: tuple[Trial, ...] = (
    *(
        Trial(Device(userland, engines), engine, cpu, Device(reference, engines), userland.emulator)
        for (userland, engines), reference in _REFERENCES.items()
        for engine, cpu in product(engines, _CPUS[userland.arch])
        if cpu != "cortex-a53" or (userland, engine) not in _LEFT_OUT
    ),
    *(
        Trial(device, engine, _WITHOUT_VNNI, device, "qemu-x86_64")
        for device in (Device(PC_BOOKWORM, _ALL),)
        for engine in device.engines
    ),
)
