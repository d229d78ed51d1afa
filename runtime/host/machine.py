"""What runs here: the CPU as the operating system names it, and the versions of installed packages."""


def version_of(distribution: str) -> str:
    """Return the version of a distribution; ``unknown`` where it lacks its metadata, as in a frozen program."""
    # Takes milliseconds, which the start of a program need not.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"


def cpu_facts() -> dict[str, str]:
    """Return the fields of /proc/cpuinfo: those of the first core, and a Raspberry Pi's model at its end."""
    fields: dict[str, str] = {}
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        return fields
    for line in text.splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    return fields


def cpu_model() -> str:
    """Return the name of the CPU, or on ARM that of the board: the model of a Raspberry Pi, or the kind of cores."""
    # Likewise.
    import platform

    facts = cpu_facts()
    cores = " ".join(f"{name} {facts[name]}" for name in ("CPU implementer", "CPU part") if name in facts)
    return facts.get("model name") or facts.get("Model") or cores or platform.processor() or platform.machine()
