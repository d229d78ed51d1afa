"""Debian packages of any architecture, downloaded by this machine's apt and unpacked without root."""

import os
import platform
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from processes import StoppedError, run

_SOURCES = Path("/etc/apt")
_OS_RELEASE = Path("/etc/os-release")
_TOOLS = ("apt-get", "dpkg-deb")
_ONE_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>.+)")


@dataclass(frozen=True)
class Source:
    """Where a Debian release is fetched from.

    Attributes:
        uri: The mirror.
        suites: The releases that it is used for on this machine.
        components: For example ``main``.
        signed_by: The file with its keys; empty for those that apt trusts anyway.
    """

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str = ""

    def line(self, *, suite: str, arch: str) -> str:
        """Return the line of a sources.list for another release and architecture."""
        options = f"arch={arch}" + (f" signed-by={self.signed_by}" if self.signed_by else "")
        return f"deb [{options}] {self.uri} {suite} main"


def sources_of_lines(text: str) -> list[Source]:
    """Return the sources of a file in apt's one-line style."""
    sources = []
    for line in text.splitlines():
        match = _ONE_LINE.fullmatch(line.partition("#")[0].strip())
        if match:
            options = dict(each.split("=", 1) for each in (match["options"] or "").split() if "=" in each)
            components = tuple(match["components"].split())
            sources.append(Source(match["uri"], (match["suite"],), components, options.get("signed-by", "")))
    return sources


def sources_of_stanzas(text: str) -> list[Source]:
    """Return the enabled sources of a file in apt's deb822 style."""
    sources = []
    without_comments = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n[ \t]*\n", without_comments):
        fields = _fields(stanza)
        enabled = fields.get("enabled", "yes").lower() not in ("no", "false", "0", "off", "without", "disable")
        if "deb" not in fields.get("types", "").split() or not enabled:
            continue
        signed_by = fields.get("signed-by", "")
        # A key may stand in the file itself, over several lines: then those that apt trusts anyway have to do.
        signed_by = signed_by if signed_by.startswith("/") else ""
        suites, components = (tuple(fields.get(name, "").split()) for name in ("suites", "components"))
        sources += [Source(uri, suites, components, signed_by) for uri in fields.get("uris", "").split()]
    return sources


def _fields(stanza: str) -> Mapping[str, str]:
    """Return the fields of a stanza by their names in small letters; continued lines are joined by spaces."""
    joined = re.sub(r"\n[ \t]+", " ", stanza.strip())
    pairs = (line.split(":", 1) for line in joined.splitlines() if ":" in line)
    return {name.strip().lower(): value.strip() for name, value in pairs}


def debian_source(sources: Iterable[Source], *, suite: str) -> Source:
    """Return the machine's own source of its Debian release, which has every other release beside it.

    Args:
        sources: All that the machine has; most others are no Debian at all.
        suite: The release that the machine runs.

    Raises:
        StoppedError: There is none.
    """
    for source in sources:
        if suite in source.suites and "main" in source.components:
            return source
    raise StoppedError(f"apt knows no source of Debian {suite}: expected one in {_SOURCES}/sources.list or below")


def host_source() -> Source:
    """Return the source of this machine's Debian.

    Raises:
        StoppedError: This is no Debian on x86-64, or a tool is missing.
    """
    release = dict(
        line.split("=", 1) for line in (_OS_RELEASE.read_text("utf-8") if _OS_RELEASE.exists() else "").splitlines()
        if "=" in line
    )  # fmt: skip
    name, suite = (release.get(key, "").strip('"') for key in ("ID", "VERSION_CODENAME"))
    if name != "debian" or platform.machine() != "x86_64" or not all(map(shutil.which, _TOOLS)):
        got = f"{name or 'an unknown system'} on {platform.machine()}"
        raise StoppedError(f"make test-pi needs Debian on x86-64, whose apt fetches the Pi's system: got {got}")
    return debian_source(_read_sources(_SOURCES), suite=suite)


def _read_sources(folder: Path) -> list[Source]:
    single = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*.list"))]
    lines = [source for path in single if path.is_file() for source in sources_of_lines(path.read_text("utf-8"))]
    stanzas = sorted((folder / "sources.list.d").glob("*.sources"))
    return lines + [source for path in stanzas for source in sources_of_stanzas(path.read_text("utf-8"))]


def download(
    source: Source, packages: Sequence[str], folder: Path, *, suite: str, arch: str, alone: bool
) -> list[Path]:
    """Download packages of any release and architecture, with a state of apt's own below ``folder``.

    Args:
        source: Where from.
        packages: Their names.
        folder: Where to; it must be new.
        suite: The release.
        arch: Debian's name of the architecture.
        alone: Whether they come without what they depend on.

    Returns:
        The .deb files.
    """
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    (folder / "sources.list").write_text(source.line(suite=suite, arch=arch) + "\n", "utf-8")
    settings = {
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache",
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "APT::Architecture": arch,
        "APT::Architectures": arch,
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        "Debug::NoLocking": "1",
    }
    if os.geteuid() == 0:
        # apt would give up root's rights to download, and could then not write to a folder of root's.
        settings["APT::Sandbox::User"] = "root"
    apt = ["apt-get", "--quiet", *(part for name, value in settings.items() for part in ("-o", f"{name}={value}"))]
    run([*apt, "update"], what=f"apt-get update for {arch} {suite}")
    verb = ["download"] if alone else ["--yes", "--no-install-recommends", "--download-only", "install"]
    archives = folder / "cache" / "archives"
    run([*apt, *verb, *packages], what=f"apt-get for {arch} {suite}", folder=archives)
    return sorted(archives.glob("*.deb"))


def unpack(packages: Iterable[Path], root: Path) -> None:
    """Unpack .deb files into one tree; their scripts are not run."""
    root.mkdir()
    for package in packages:
        run(["dpkg-deb", "--extract", str(package), str(root)], what=f"dpkg-deb of {package.name}")
    for name in ("lib", "lib64"):
        # The package that has these links in Trixie makes them by a script.
        if not (root / name).exists() and (root / "usr" / name).exists():
            (root / name).symlink_to(f"usr/{name}")


def unpack_programs(package: Path, names: Iterable[str], folder: Path) -> None:
    """Unpack single programs of a .deb file into ``folder``: the whole of QEMU is large."""
    folder.mkdir()
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE) as unpacking:
        assert unpacking.stdout is not None
        with tarfile.open(fileobj=unpacking.stdout, mode="r|") as archive:
            for entry in archive:
                name = entry.name.rpartition("/")[2]
                content = archive.extractfile(entry) if entry.isfile() and name in names else None
                if content:
                    (folder / name).write_bytes(content.read())
                    (folder / name).chmod(0o755)
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        raise StoppedError(f"{package.name} holds no {', '.join(missing)}")
