"""Facts about the machine that a benchmark ran on."""

import os
import platform
from pathlib import Path
from typing import Any

from edgeport.benchmarks.measure.machine.sensors import ROOT, clock_mhz, temperature_c, text_of, throttled_bits
from edgeport.runtime.host.machine import cpu_facts, cpu_model, version_of

# What decides how fast float and int8 are: vectors, dot products of bytes on x86 and ARM, and their matrix units.
_RELEVANT_FLAGS = (
    "avx2", "fma", "avx512f", "avx512_bf16", "avx_vnni", "avx512_vnni", "avx_vnni_int8", "amx_tile", "amx_bf16",
    "amx_int8", "neon", "asimd", "asimdhp", "asimddp", "bf16", "i8mm", "sve", "sve2", "sme",
)  # fmt: skip
# Parts of ARM Ltd. (implementer 0x41) by their number: Linux, arch/arm64/include/asm/cputype.h.
_ARM_CORES = {
    0xC07: "Cortex-A7", 0xD03: "Cortex-A53", 0xD04: "Cortex-A35", 0xD05: "Cortex-A55", 0xD07: "Cortex-A57",
    0xD08: "Cortex-A72", 0xD09: "Cortex-A73", 0xD0A: "Cortex-A75", 0xD0B: "Cortex-A76", 0xD0C: "Neoverse-N1",
    0xD40: "Neoverse-V1", 0xD41: "Cortex-A78", 0xD49: "Neoverse-N2", 0xD4F: "Neoverse-V2",
}  # fmt: skip
_VIRTUAL_VENDORS = ("qemu", "kvm", "vmware", "innotek", "xen", "microsoft corporation", "google", "parallels")


def host_facts(*, root: Path = ROOT) -> dict[str, Any]:
    """Return what decides how fast things run here, and nothing that says whose machine it is.

    Keys: ``cpu_model``, ``cpu_core`` (which core of ARM's), ``architecture``, ``flags`` (those that matter), ``cores``,
    ``usable_cores`` (their numbers, those that this process may run on), ``governor``, ``frequency_mhz``,
    ``min_frequency_mhz`` and ``max_frequency_mhz`` of the last usable core, ``temperature_c``, ``throttled`` (the bits
    of ``vcgencmd get_throttled``), ``board`` (of a Raspberry Pi and its like), ``ram_bytes``, ``hypervisor`` (whether
    this is a virtual machine), ``load_1min``, ``os``, ``kernel``, ``python`` and ``numpy``. What the system does not
    tell is None.

    Args:
        root: Where /sys and the device tree are.
    """
    cpu = cpu_facts()
    flags = set((cpu.get("flags") or cpu.get("Features") or "").split())
    cores = usable_cores()
    # The one that a benchmark with one thread runs on.
    core = cores[-1]
    return {
        "cpu_model": cpu_model(),
        "cpu_core": _arm_core(cpu),
        "architecture": platform.machine(),
        "flags": [flag for flag in _RELEVANT_FLAGS if flag in flags],
        "cores": os.cpu_count(),
        "usable_cores": cores,
        "governor": text_of(root / f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor"),
        "frequency_mhz": clock_mhz(core, root=root),
        "min_frequency_mhz": clock_mhz(core, "cpuinfo_min_freq", root=root),
        "max_frequency_mhz": clock_mhz(core, "cpuinfo_max_freq", root=root),
        "temperature_c": temperature_c(root=root),
        "throttled": throttled_bits(),
        "board": text_of(root / "proc/device-tree/model"),
        "ram_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "hypervisor": _virtual(flags, root),
        "load_1min": os.getloadavg()[0],
        "os": _operating_system(),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "numpy": version_of("numpy"),
    }


def usable_cores() -> list[int]:
    """Return the numbers of the cores that this process may run on."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def _arm_core(cpu: dict[str, str]) -> str | None:
    if cpu.get("CPU implementer") != "0x41":
        return None
    part = cpu.get("CPU part", "")
    return _ARM_CORES.get(int(part, 16), part) if part.startswith("0x") else None


def _virtual(flags: set[str], root: Path) -> bool:
    """Whether this is a virtual machine: x86 has a flag for it, others are known by their maker's name."""
    if "hypervisor" in flags or (root / "proc/device-tree/hypervisor").exists():
        return True
    vendor = (text_of(root / "sys/class/dmi/id/sys_vendor") or "").lower()
    # Amazon sells whole machines as well, under the same name.
    product = (text_of(root / "sys/class/dmi/id/product_name") or "").lower()
    return vendor.startswith(_VIRTUAL_VENDORS) or (vendor == "amazon ec2" and "metal" not in product)


def _operating_system() -> str:
    """Return the distribution's own name where it has one, as on any Linux, else the system's."""
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return f"{platform.system()} {platform.release()}"
