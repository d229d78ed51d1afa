"""The files of the folder: the page, the ONNX artefacts, what they take and give, samples, and the engine."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeport.export.bundle.samples import GoldenSamples, golden_samples
from edgeport.export.bundle.selection import read_artefacts
from edgeport.export.bundle.web.vendored import onnxruntime_web
from edgeport.export.manifest import Artefact, read_manifest
from edgeport.runtime.engines.quiet import quiet_stderr
from edgeport.runtime.errors import InputError
from edgeport.runtime.prediction.loading import load
from edgeport.runtime.prediction.predictor import Predictor
from edgeport.runtime.prediction.showing.show import meanings_of
from edgeport.runtime.samples.shaping import ports_of
from edgeport.runtime.serving.page_files import page_files
from edgeport.runtime.serving.samples import plain
from edgeport.runtime.serving.served import Served, contract_of
from edgeport.runtime.tensors.encoding import encode

# Without which it is no such folder.
RECORD = "model.json"
_FORMAT = "onnx"
# What a server of ours says in a header: nothing of another host. The engine is WebAssembly.
_HEAD = b'<meta charset="utf-8">'
_RULES = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'"
)
_POLICY = f'\n<meta http-equiv="Content-Security-Policy" content="{_RULES}">'.encode()
# What JavaScript has arrays for, and onnxruntime-web takes.
_DTYPES = ("float32", "int32", "int64")


def web_files(
    folder: Path,
    *,
    artefacts: Sequence[str] = (),
    samples: int = 100,
    samples_from: str = "",
    data_dir: Path | None = None,
    on_step: Callable[[str], None] = lambda text: None,
) -> tuple[dict[str, bytes], GoldenSamples]:
    """Return the files of a page that answers in the browser, by their paths, and the samples in it.

    Args:
        folder: What ``edgeport export`` has written.
        artefacts: Names of ONNX files, or ``precision.format``; empty for all of them.
        samples: How many samples to take along, at most.
        samples_from: Where they come from, see ``golden_samples``.
        data_dir: Where the files of mnist lie.
        on_step: Called with what is done next.

    Raises:
        ArtefactError: A file of the folder is missing or altered.
        InputError: There is no ONNX artefact that a browser can run, or an option names what does not exist.
        MissingDependencyError: There is no npm.
        ExportError: npm could not install the engine.
    """
    manifest = read_manifest(folder)
    chosen = _chosen(manifest.artefacts, artefacts)
    on_step(f"Checking {len(chosen)} artefacts")
    with quiet_stderr():
        loaded = {each.file: load(folder / each.file) for each in chosen}
    contracts = [_contract(name, predictor) for name, predictor in loaded.items()]
    on_step("Choosing samples")
    golden = golden_samples(manifest, folder=folder, count=samples, source=samples_from, data_dir=data_dir)
    on_step("Getting onnxruntime-web")
    files = {f"page/onnxruntime/{name}": content for name, content in onnxruntime_web().items()}
    files |= {path.lstrip("/"): file.content for path, file in page_files().items() if path.startswith("/page/")}
    del files["page/openapi.json"], files["page/api.js"]
    for name in ("backend.js", "maps.js", "pictures.js"):
        files[f"page/{name}"] = (Path(__file__).parent / name).read_bytes()
    files["index.html"] = page_files()["/"].content.replace(_HEAD, _HEAD + _POLICY, 1)
    content = read_artefacts(folder, manifest)
    files |= {f"models/{each.file}": content[each.file] for each in chosen}
    files[RECORD] = _json({"artefacts": contracts, "samples": golden.count})
    files["samples.json"] = _json(_samples(golden, manifest.outputs[0].columns))
    return files, golden


def _chosen(artefacts: Sequence[Artefact], wanted: Sequence[str]) -> list[Artefact]:
    runs = [each for each in artefacts if each.format == _FORMAT and _in_browser(each)]
    if wanted:
        for name in wanted:
            if not any(name in (each.file, f"{each.precision}.{each.format}") for each in runs):
                listed = ", ".join(each.file for each in runs) or "none"
                raise InputError(f"--artefact: got {name}, expected ONNX files that a browser can run: {listed}")
        return [each for each in runs if {each.file, f"{each.precision}.{each.format}"} & set(wanted)]
    if not runs:
        raise InputError("the export has no ONNX file that a browser can run: export with --formats onnx")
    return runs


def _in_browser(artefact: Artefact) -> bool:
    tensors = (*artefact.inputs, *artefact.outputs)
    return all(tensor.dtype in _DTYPES and not tensor.quantized for tensor in tensors)


def _contract(name: str, predictor: Predictor) -> dict[str, Any]:
    """Return what a server says of an artefact, with what the browser must do before and after the engine."""
    spec = predictor.spec
    served = Served(name, predictor, ports_of(spec), meanings_of(spec))
    assert spec.metadata, "an export's files have their metadata"
    tables = {
        # What each pixel value becomes, as the runtime computes it.
        port.name: encode(np.linspace(*port.range, 256), tensor).tolist() if port.range is not None else None
        for port, tensor in zip(served.ports, spec.inputs, strict=True)
    }
    return {**contract_of(served), "tables": tables, "batch": spec.input.shape[0] or 1}


def _samples(golden: GoldenSamples, columns: Sequence[str]) -> list[dict[str, Any]]:
    labels = golden.labels
    found = []
    for place in range(golden.count):
        values: Mapping[str, Any] = {name: plain(each[place]) for name, each in golden.inputs.items()}
        number = None if labels is None else int(labels[place])
        label = None if number is None else columns[number] if number < len(columns) else str(number)
        found.append({"values": values, "label": label})
    return found


def _json(value: Any) -> bytes:
    return json.dumps(value, allow_nan=False).encode()
