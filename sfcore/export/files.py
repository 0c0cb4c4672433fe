"""Exporting: all formats that are asked for, a manifest that says what each file is, and a program that runs one."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sfcore.errors import InputError
from sfcore.export.base import EXPORTERS, Subject
from sfcore.files import explained, write_atomic, write_json

MANIFEST, EXAMPLE = "manifest.json", "run_onnx.py"
PROGRAMS = Path(__file__).with_name("programs")  # an example for each kind of input
FORMAT = 1  # of a manifest
FULL_PRECISION = "onnx-fp32"  # the format that holds nothing quantized
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Exported:
    """What was exported into a folder.

    Attributes:
        files: of each its path, its format and its bytes; manifest and example are no part of it.
        notes: what differs from the simulation, as sentences.
    """

    files: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]


def export(subject: Subject, formats: Sequence[str], out: Path, progress: Progress | None = None) -> Exported:
    """Write all formats into a folder, or nothing.

    Raises:
        InputError: there is no such format, the network cannot be exported, a package is missing, or the folder cannot
            be written; nothing is left half-written then.
    """
    if not formats:
        raise InputError(f"no format is given: choose some of {', '.join(EXPORTERS)}")
    exporters = {name: EXPORTERS[name] for name in formats}
    with explained(out):
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=".export-") as name:
            made, files = Path(name), list[dict[str, Any]]()
            notes = dict.fromkeys(_beforehand(subject, formats))
            for done, (kind, exporter) in enumerate(exporters.items(), 1):
                place = made / kind
                place.mkdir()
                written = exporter(subject, place)
                files += [_described(place / file, out, kind, what) for file, what in written.files.items()]
                notes |= dict.fromkeys(written.notes)
                if progress:
                    progress(done, len(exporters))
            _write_about(made, subject, files, list(notes))
            for path in sorted(made.rglob("*")):
                if path.is_file():
                    shutil.move(path, out / path.name)
    return Exported(tuple({key: each[key] for key in ("path", "format", "bytes")} for each in files), tuple(notes))


def _beforehand(subject: Subject, formats: Sequence[str]) -> list[str]:
    """What is known to differ from the simulation before anything is written."""
    target = subject.about.get("scheme", {}).get("target")
    quantized = subject.quantized is not None and any(name != FULL_PRECISION for name in formats)
    if quantized and subject.integer_bias and not target:
        return ["the scheme names no target, so biases were not rounded in the simulation; in the files they are int32"]
    return []


def _described(file: Path, out: Path, kind: str, what: str) -> dict[str, Any]:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    path = str(out / file.name)
    return {"path": path, "format": kind, "bytes": file.stat().st_size, "what": what, "sha256": digest}


def _write_about(folder: Path, subject: Subject, files: Sequence[dict[str, Any]], notes: Sequence[str]) -> None:
    named = [each | {"path": Path(each["path"]).name} for each in files]
    first = next((each["path"] for each in named if each["path"].endswith(".onnx")), None)
    spec = subject.detector.preprocessing
    program = PROGRAMS / f"{spec.kind}.py.txt"
    run = f"python {EXAMPLE} {first} {spec.noun.upper()}" if first and program.exists() else None
    checks = _checks(folder, subject, files)
    content = {"format": FORMAT, "files": named, "run": run, "notes": list(notes), "checks": checks, **subject.about}
    write_json(folder / MANIFEST, content)
    if run:
        write_atomic(folder / EXAMPLE, program.read_bytes())


def _checks(folder: Path, subject: Subject, files: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """What the target of the scheme would not run of the ONNX files, by the name of the target."""
    target = (subject.about.get("scheme") or {}).get("target")
    paths = [folder / each["format"] / Path(each["path"]).name for each in files]
    graphs = [path for path in paths if path.suffix == ".onnx"]
    if not target or not graphs:
        return {}
    from sfcore.export.checks import violations
    from sfcore.export.proto import load

    return {target: [f"{path.name}: {each}" for path in graphs for each in violations(load(path), target)]}
