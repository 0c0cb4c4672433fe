"""OpenVINO's intermediate representation, made of the ONNX file."""

from __future__ import annotations

from pathlib import Path

from sfcore.errors import InputError, needs_package
from sfcore.export.base import EXPORTERS, Subject, Written
from sfcore.export.formats.onnx import onnx

FILE = "model.xml"


@EXPORTERS.register("openvino")
def openvino(subject: Subject, folder: Path) -> Written:
    """An .xml and a .bin; weights stay integers."""
    try:
        import openvino as ov
    except ImportError as error:
        raise needs_package(error, "the format openvino") from error
    written = onnx(subject, folder)
    (source,) = (folder / name for name in written.files)
    try:
        ov.save_model(ov.convert_model(source), folder / FILE, compress_to_fp16=False)
    except RuntimeError as error:
        raise InputError(f"OpenVINO cannot convert the network ({str(error).splitlines()[-1].strip()})") from error
    source.unlink()
    files = {FILE: "the quantized network, for OpenVINO", FILE.replace(".xml", ".bin"): "its weights"}
    return Written(files, written.notes)
