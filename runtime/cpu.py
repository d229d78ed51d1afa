"""What the operating system tells about the CPU."""

import platform
from pathlib import Path


def cpu_facts() -> dict[str, str]:
    """Return the fields of /proc/cpuinfo: those of the first core, and a Raspberry Pi's model at its end."""
    fields: dict[str, str] = {}
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return fields
    for line in text.splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    return fields


def cpu_model() -> str:
    """Return the name of the CPU, or on a Raspberry Pi that of the board."""
    facts = cpu_facts()
    return facts.get("model name") or facts.get("Model") or platform.processor() or platform.machine()
