"""The bundle: everything that a device needs, as files in memory."""

import hashlib
import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeport.export.bundle.archive import SUMS, sums_text
from edgeport.export.bundle.choice import read_choice
from edgeport.export.bundle.device import text_of
from edgeport.export.bundle.included import FOLDER as INCLUDED
from edgeport.export.bundle.included import read_included
from edgeport.export.bundle.packages.targets import System, choose_system, default_engines, engine_named, requirements
from edgeport.export.bundle.packages.vendored import download_wheels
from edgeport.export.bundle.packages.wheel import own_wheel
from edgeport.export.bundle.programs import SERVER, programs_for
from edgeport.export.bundle.reference import ReferenceAnswers, reference_answers
from edgeport.export.bundle.samples import GoldenSamples, golden_samples
from edgeport.export.bundle.selection import Selection, read_artefacts, select
from edgeport.export.manifest import FILE_NAME as MANIFEST
from edgeport.export.manifest import Artefact, Manifest, manifest_text, read_manifest
from edgeport.runtime.artefact.contract import JUDGED_KINDS
from edgeport.runtime.artefact.formats import format_named
from edgeport.runtime.engines.fastest import FILE_NAME as CHOICE
from edgeport.runtime.engines.installed import installed_engines
from edgeport.runtime.errors import unknown_name
from edgeport.runtime.golden.answers import FILE_NAME as GOLDEN
from edgeport.runtime.golden.answers import golden_bytes
from edgeport.runtime.host.machine import version_of
from edgeport.runtime.host.terminal import visible
from edgeport.runtime.serving.bodies import type_of_file

SCHEMA = 2

_SPECIAL = re.compile(r"[^A-Za-z0-9._-]+")
_BENCHMARK = "venv/bin/edgeport benchmark artefacts -o benchmark"


@dataclass(frozen=True)
class BundleOptions:
    """What a bundle is for and what goes into it.

    Attributes:
        target: ``raspberry-pi`` or ``linux``.
        arch: The architecture of the device's programs; empty for that of the newest system.
        python: The Python of the device; empty for that of the newest system.
        engines: The engines to install; empty for the preferred one of each format, and those that ``fastest`` chooses.
        artefacts: Names of files, or ``precision.format``; empty for all that the device can run.
        samples: How many golden samples to take along, at most.
        samples_from: Where they come from, see golden_samples; empty for the model's own data set.
        data_dir: Where the files of mnist lie; see load_dataset.
        with_wheels: Whether the wheels of all packages come along, for a device without a network.
        serve: Whether the server comes along: its packages, and a service that runs it.
        include: Files of the user's own that come along, such as vocabularies and thresholds.
        tasks: What outputs mean to a benchmark, where the export does not say it: ``anomaly``, ``scores=values``.
        metrics: What judges on the device, as ``--metric`` of a benchmark takes it.
        group_by: Which samples belong together, as ``--group-by`` of a benchmark takes it; empty if nobody says.
        fastest: The ``engines.json`` of a benchmark on such a device, or the folder of its results, whose choice the
            programs follow; None for each format's preferred engine.
    """

    target: str = "raspberry-pi"
    arch: str = ""
    python: str = ""
    engines: tuple[str, ...] = ()
    artefacts: tuple[str, ...] = ()
    samples: int = 100
    samples_from: str = ""
    data_dir: Path | None = None
    with_wheels: bool = False
    serve: bool = False
    include: tuple[Path, ...] = ()
    tasks: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    group_by: str = ""
    fastest: Path | None = None


@dataclass(frozen=True, eq=False)
class Bundle:
    """A bundle in memory; ``archive_bytes(bundle.files, top=bundle.name)`` packs it.

    Attributes:
        name: The folder that it unpacks to.
        files: The content of each file, by its path below that folder.
        system: What it is for.
        artefacts: The artefacts in it.
        engines: The engines that it installs, with their versions.
        samples: The golden samples.
        notes: What a user should know, one line each.
    """

    name: str
    files: Mapping[str, bytes]
    system: System
    artefacts: tuple[Artefact, ...]
    engines: tuple[str, ...]
    samples: GoldenSamples
    notes: tuple[str, ...]


def make_bundle(folder: Path, options: BundleOptions, *, on_step: Callable[[str], None] = lambda text: None) -> Bundle:
    """Return the bundle of an export folder.

    Args:
        folder: What ``edgeport export`` has written.
        options: What it is for.
        on_step: Called with what is done next.

    Raises:
        ArtefactError: A file of the folder is missing or altered.
        InputError: An option names what does not exist or does not go together.
        ExportError: pip could not fetch the wheels.

    Examples:
        >>> from pathlib import Path
        >>> from edgeport.export.bundle import BundleOptions, archive_bytes, make_bundle
        >>> bundle = make_bundle(Path("exported"), BundleOptions(artefacts=("int8.tflite",)))
        >>> [name for name in bundle.files if name.endswith(".tflite")]
        ['artefacts/gesture.int8.tflite']
    """
    exported = read_manifest(folder)
    system, selection, choice = _chosen(exported, options)
    manifest = selection.manifest
    included = {f"{INCLUDED}/{name}": content for name, content in read_included(options.include).items()}
    on_step(f"Checking {len(manifest.artefacts)} artefacts")
    files = {f"artefacts/{file}": content for file, content in read_artefacts(folder, manifest).items()}
    files[f"artefacts/{MANIFEST}"] = manifest_text(manifest).encode()
    files |= included | choice
    on_step("Choosing the golden samples")
    samples = golden_samples(
        exported,
        folder=folder,
        count=options.samples,
        source=options.samples_from,
        data_dir=options.data_dir,
        groups=options.group_by,
    )
    on_step(f"Running {samples.count} samples through the Keras model")
    reference = reference_answers(folder, exported, samples)
    on_step(f"Running {samples.count} samples through {len(manifest.artefacts)} artefacts")
    names = [artefact.file for artefact in manifest.artefacts]
    targets = samples.labels if samples.targets is None else samples.targets
    files[f"artefacts/{GOLDEN}"] = golden_bytes(
        folder,
        names,
        samples.inputs,
        labels=samples.labels,
        reference=reference.classes,
        targets=None if exported.classifies_images else targets,
        tasks=_tasks(options.tasks, exported),
        metrics=[each for each in options.metrics if not is_code(each)],
        groups=samples.groups,
        outputs=reference.outputs,
    )
    on_step("Writing the wheel of edgeport")
    wheel, content = own_wheel()
    files[f"wheels/{wheel}"] = content
    pins = requirements(system, selection.engines, serve=options.serve)
    files["requirements.txt"] = "".join(f"{pin}\n" for pin in pins).encode()
    if options.with_wheels:
        on_step(f"Fetching {len(pins)} wheels for {system}")
        files |= {f"wheels/{name}": content for name, content in download_wheels(pins, system).items()}
    name = f"edgeport-{_SPECIAL.sub('-', manifest.name)}-{system.target}"
    measures = reference.known
    files |= _texts(name, system, selection, samples, options, measures=measures)
    files["bundle.json"] = _facts(name, files, system, selection, samples, reference, pins)
    files[SUMS] = sums_text(files)
    engine_names = tuple(f"{engine.name} {engine.version}" for engine in selection.engines)
    notes = (*selection.left_out, *_doubts(selection, samples, reference), *_code_left(options))
    return Bundle(name, files, system, manifest.artefacts, engine_names, samples, notes)


def _chosen(exported: Manifest, options: BundleOptions) -> tuple[System, Selection, dict[str, bytes]]:
    """Return what a bundle is for, what goes along, and the record of the choice of engines, if there is one."""
    engines = tuple(dict.fromkeys(map(engine_named, options.engines)))
    choice = read_choice(options.fastest) if options.fastest is not None else None
    needed = engines or (choice.engines if choice else ())
    system = choose_system(options.target, arch=options.arch, python=options.python, engines=needed)
    if choice and not engines:
        engines = tuple(dict.fromkeys((*default_engines(system), *choice.engines)))
    selection = select(exported, system=system, engines=engines, wanted=options.artefacts)
    if choice is None:
        return system, selection, {}
    choice.check(system, selection)
    return system, selection, {f"artefacts/{CHOICE}": choice.content}


def _tasks(texts: Sequence[str], manifest: Manifest) -> dict[str, str]:
    """Return what ``--task`` says of outputs, by their names; one without a name is of the first output."""
    names = [output.name for output in manifest.outputs]
    found = {}
    for text in texts:
        name, _, task = text.rpartition("=")
        if task not in JUDGED_KINDS:
            raise unknown_name("task", task, JUDGED_KINDS)
        if name and name not in names:
            raise unknown_name("output", name, names)
        found[name] = task
    return found


def _code_left(options: BundleOptions) -> list[str]:
    """Return what becomes of metrics that are Python code, a line each: nothing runs it on the device by itself."""
    lines = []
    for metric in filter(is_code, options.metrics):
        file, _, function = metric.rpartition(".py:")
        name = Path(f"{file}.py").name
        if any(path.name == name for path in options.include):
            lines.append(f"{metric} is code: on the device name it yourself, --metric {INCLUDED}/{name}:{function}")
        else:
            lines.append(
                f"{metric} is code, and does not travel without --include {file}.py: judge the device's report here, "
                f"edgeport report report.json --metric {metric}"
            )
    return lines


def is_code(metric: str) -> bool:
    """Return whether the name of a metric is that of a function in a Python file."""
    return ".py:" in metric


def _doubts(selection: Selection, samples: GoldenSamples, reference: ReferenceAnswers) -> list[str]:
    """Return what the golden answers do not show."""
    doubts = []
    for engine in selection.engines:
        formats = {each.format for each in selection.manifest.artefacts if engine in selection.runners(each)}
        others = dict.fromkeys(
            name.replace("_", "-") for each in sorted(formats) for name in installed_engines(format_named(each))
        )
        if engine.name not in others:
            doubts.append(
                f"{engine.name} is not installed here: the golden answers are those of {' and '.join(others)}, so the "
                "selftest allows integers to be a few steps apart"
            )
    doubts += samples.notes
    if samples.is_random:
        doubts.append(
            "the golden samples are random: they show equal answers, not right ones; give others with --samples-from"
        )
    if not reference.known:
        doubts.append(
            f"{reference.why_not}: the golden answers lack those of the Keras model, so edgeport benchmark has nothing "
            "to compare with on the device; edgeport selftest does not need them"
        )
    return doubts


def _texts(
    name: str, system: System, selection: Selection, samples: GoldenSamples, options: BundleOptions, *, measures: bool
) -> dict[str, bytes]:
    """Return what is written for people and machines on the device."""
    manifest = selection.manifest
    preferred = _preferred(manifest)
    # A model may have any name: with spaces, quotes, or what a shell and systemd would expand.
    first = shlex.quote(f"artefacts/{preferred.file}")
    programs = programs_for(manifest)
    engine = " --engine fastest" if options.fastest is not None else ""
    several = any(len(selection.runners(each)) > 1 for each in manifest.artefacts)
    benchmark = _BENCHMARK + " --engines all" * several
    values = {
        "TOP": name,
        "NAME": manifest.name,
        "WHAT": "a Raspberry Pi" if system.target == "raspberry-pi" else "a small computer",
        "VERSION": version_of("edgeport"),
        "SYSTEM": system.what,
        "PYTHON": system.python,
        "ARCH": system.arch,
        "APT": " ".join(package for _, package in system.from_apt),
        "FIRST": first,
        "UNIT": _in_a_unit(f"/opt/{name}/artefacts/{preferred.file}"),
        "PREDICT": f"venv/bin/edgeport predict {first} {programs.given}{engine}",
        "ENGINE": engine,
        "DENY": "no" if any(each.writes_code for each in selection.engines) else "yes",
        "SERVICE": "yes" if programs.serves else "",
        "SERVER": "yes" if options.serve else "",
        "BODY": f"-H 'Content-Type: {type_of_file(programs.given)}' --data-binary @{programs.given}",
        "BENCHMARK": benchmark if measures else "",
    }
    device = {"install.sh": text_of("install.sh", {key: shlex.quote(value) for key, value in values.items()})}
    for program in (*programs.files, *((SERVER,) if options.serve else ())):
        # A program is a file that can be run and tested as it is.
        device[f"examples/{program}"] = text_of(program, None if program.endswith(".py") else values)
    return device | {"README.md": text_of("README.md", values | _readme_parts(values, selection, samples, options))}


def _in_a_unit(argument: str) -> str:
    """Return an argument as systemd reads it from a command line (systemd.service(5), systemd.unit(5))."""
    for letter, escaped in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$")):
        argument = argument.replace(letter, escaped)
    return f'"{argument}"'


def _readme_parts(
    values: Mapping[str, str], selection: Selection, samples: GoldenSamples, options: BundleOptions
) -> dict[str, str]:
    """Return the parts of the device's README that differ between bundles."""
    manifest = selection.manifest
    rows = []
    for artefact in manifest.artefacts:
        engines = ", ".join(f"{each.name} {each.version}" for each in selection.runners(artefact))
        rows.append(f"| `{artefact.file}` | {artefact.bytes:,} | {engines} |")
    programs, vendored = programs_for(manifest), options.with_wheels
    included = ", ".join(f"`{path.name}`" for path in options.include)
    index = "--no-index --find-links wheels " if vendored else "--only-binary=:all: "
    return {
        "ARTEFACTS": "\n".join(rows),
        "APT": f"python3-venv {values['APT']}".strip(),
        "INCLUDED": f"\n| `{INCLUDED}/` | what was taken along with `--include`: {included} |" if included else "",
        "EXAMPLES": f"{programs.what}; the service of the server" if options.serve else programs.what,
        "WHEELS": f"edgeport, {'and every package that it needs' if vendored else 'the others come from the network'}",
        "NETWORK": "It needs no network." if vendored else "It fetches the packages from the network.",
        "GOLDEN": f"{samples.count} samples ({visible(samples.source)})",
        "BENCHMARK": f"\n$ {values['BENCHMARK']}" if values["BENCHMARK"] else "",
        "PROGRAMS": text_of(programs.section, {**values, "INDEX": index}).decode() if programs.section else "",
        "SERVE": text_of("serve.md", values).decode() if options.serve else "",
        "OWN": text_of("own_files.md", {"OWN": options.include[0].name}).decode() if options.include else "",
    }


def _preferred(manifest: Manifest) -> Artefact:
    """Return the artefact that the examples run: the one in int8, if there is one."""
    return next((each for each in manifest.artefacts if each.precision == "int8"), manifest.artefacts[0])


def _facts(
    name: str,
    files: Mapping[str, bytes],
    system: System,
    selection: Selection,
    samples: GoldenSamples,
    reference: ReferenceAnswers,
    pins: tuple[str, ...],
) -> bytes:
    """Return bundle.json."""
    golden = files[f"artefacts/{GOLDEN}"]
    facts: dict[str, Any] = {
        "schema": SCHEMA,
        "name": name,
        "edgeport": version_of("edgeport"),
        "target": system.target,
        "system": system.what,
        "python": system.python,
        "arch": system.arch,
        "engines": [{"name": e.name, "version": e.version, "formats": e.formats} for e in selection.engines],
        "artefacts": [
            {"file": each.file, "format": each.format, "precision": each.precision, "bytes": each.bytes,
             "sha256": each.sha256}
            for each in selection.manifest.artefacts
        ],
        "golden": {
            "file": f"artefacts/{GOLDEN}",
            "sha256": hashlib.sha256(golden).hexdigest(),
            "samples": samples.count,
            "source": samples.source,
            "random": samples.is_random,
            "labels": samples.labels is not None,
            "targets": samples.labels is not None or samples.targets is not None,
            "reference": reference.known,
        },
        "included": [
            {"file": path, "bytes": len(files[path]), "sha256": hashlib.sha256(files[path]).hexdigest()}
            for path in sorted(files) if path.startswith(f"{INCLUDED}/")
        ],
        "requirements": list(pins),
        "from_apt": [package for _, package in system.from_apt],
        "wheels": sorted(path.removeprefix("wheels/") for path in files if path.startswith("wheels/")),
    }  # fmt: skip
    return (json.dumps(facts, indent=1) + "\n").encode()
