"""Facts about the machine that a benchmark ran on."""

import os
import platform
from pathlib import Path
from typing import Any

from edgeport.runtime.cpu import cpu_facts, cpu_model

# The CPU flags that decide how fast int8 is: dot products of bytes on x86 and ARM, and their matrix units.
_RELEVANT_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm", "sve")


def host_facts() -> dict[str, Any]:
    """Return CPU model, relevant flags, cores, governor, memory, operating system and Python version."""
    cpu = cpu_facts()
    flags = set((cpu.get("flags") or cpu.get("Features") or "").split())
    return {
        "cpu_model": cpu_model(),
        "architecture": platform.machine(),
        "flags": [flag for flag in _RELEVANT_FLAGS if flag in flags],
        "cores": os.cpu_count(),
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "ram_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "load_1min": os.getloadavg()[0],
        "os": _operating_system(),
        "python": platform.python_version(),
    }


def _operating_system() -> str:
    """Return the distribution's own name where it tells, as on any Linux, else the system's."""
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return f"{platform.system()} {platform.release()}"


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None
