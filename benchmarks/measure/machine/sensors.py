"""What the system reports of its processor while it works: clock, temperature and throttling."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

ROOT = Path("/")

# Zones and chips that are the processor, or lie on the same silicon.
_CPU_ZONES = ("cpu", "soc", "x86_pkg_temp", "core")
_CPU_CHIPS = {"coretemp", "k10temp", "zenpower", "cpu_thermal"}
# A governor or a processor takes up to 10 ms to raise the clock of a core that gets to work.
_BUSY_SECONDS = 0.02


def clock_mhz(core: int, which: str = "scaling_cur_freq", *, root: Path = ROOT) -> float | None:
    """Return a clock of a core in MHz; None if the system does not report it, as most virtual machines do not.

    Args:
        core: Its number.
        which: ``scaling_cur_freq``, ``cpuinfo_min_freq`` or ``cpuinfo_max_freq``.
        root: Where /sys is.
    """
    text = text_of(root / f"sys/devices/system/cpu/cpu{core}/cpufreq" / which)
    return int(text) / 1e3 if text and text.isdigit() else None


def busy_clock_mhz(cores: Iterable[int], *, root: Path = ROOT) -> float | None:
    """Return the mean clock of some cores in MHz, each read while it is busy: that of an idle one says nothing.

    Args:
        cores: Their numbers; this process may run on them.
        root: Where /sys is.
    """
    known = [core for core in cores if clock_mhz(core, root=root) is not None]
    if not known or not hasattr(os, "sched_setaffinity"):
        return None
    usual = os.sched_getaffinity(0)
    clocks = []
    try:
        for core in known:
            os.sched_setaffinity(0, {core})
            deadline = time.perf_counter() + _BUSY_SECONDS
            while time.perf_counter() < deadline:
                pass
            clocks.append(clock_mhz(core, root=root))
    finally:
        os.sched_setaffinity(0, usual)
    read = [clock for clock in clocks if clock is not None]
    return sum(read) / len(read) if read else None


def temperature_c(*, root: Path = ROOT) -> float | None:
    """Return the temperature of the processor in degrees Celsius, the hottest of its sensors; None if none is read.

    Args:
        root: Where /sys is.
    """
    found = [
        zone / "temp"
        for zone in (root / "sys/class/thermal").glob("thermal_zone*")
        if (text_of(zone / "type") or "").lower().startswith(_CPU_ZONES)
    ]
    for chip in (root / "sys/class/hwmon").glob("hwmon*"):
        if text_of(chip / "name") in _CPU_CHIPS:
            found += chip.glob("temp*_input")
    texts = [text_of(path) for path in found]
    read = [int(text) / 1e3 for text in texts if text and text.lstrip("-").isdigit()]
    if read:
        return max(read)
    # On a Raspberry Pi: temp=48.3'C
    printed = firmware_reply("measure_temp")
    try:
        return float(printed.partition("=")[2].removesuffix("'C")) if printed else None
    except ValueError:
        return None


def throttled_bits() -> int | None:
    """Return what a Raspberry Pi's firmware says of throttling, a bit mask; None on any other computer.

    Raspberry Pi documentation, "vcgencmd: get_throttled".
    """
    printed = firmware_reply("get_throttled")
    try:
        return int(printed.partition("=")[2], 16) if printed else None
    except ValueError:
        return None


def firmware_reply(question: str) -> str | None:
    """Return the answer of a Raspberry Pi's ``vcgencmd``; None where there is none, or where it may not be asked."""
    program = shutil.which("vcgencmd")
    if program is None:
        return None
    try:
        printed = subprocess.run(
            [program, question], capture_output=True, encoding="utf-8", errors="replace", check=False, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return printed.stdout.strip() if printed.returncode == 0 else None


def text_of(path: Path) -> str | None:
    """Return what a file of the system says; None if there is none, or it may not be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return None
