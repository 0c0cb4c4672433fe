"""What every exporter is, and the registry of them. One more is one more file that registers a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sfcore.detectors.base import Detector
from sfcore.errors import InputError
from sfcore.registries import Registry

DYNAMIC = "dynamic"  # a batch of any number of images


@dataclass(frozen=True)
class Subject:
    """What is exported, and how.

    Attributes:
        detector: in full precision.
        quantized: its quantized copy; None where there is none.
        about: what the files tell of themselves: detector, scheme, preprocessing, hashes, versions, metrics.
        opset: of ONNX.
        batch: how many images a file takes at once; "dynamic" for any number.
        signed: whether activations get signed types alone.
        integer_bias: whether biases are written as int32, where integers are added up.
    """

    detector: Detector
    quantized: Detector | None
    about: Mapping[str, Any]
    opset: int = 21
    batch: int | str = 1
    signed: bool = False
    integer_bias: bool = True

    def needs_quantized(self) -> Detector:
        """The quantized copy. Raises InputError: there is none."""
        if self.quantized is None:
            raise InputError(
                "there is no quantized model to export: name a run, or give --bits and --images to calibrate one"
            )
        return self.quantized


@dataclass(frozen=True)
class Written:
    """What an exporter wrote.

    Attributes:
        files: what each is, by its name in the folder.
        notes: what differs from the simulation, as sentences.
    """

    files: Mapping[str, str]
    notes: tuple[str, ...] = field(default=())


def parse_batch(text: str) -> int | str:
    """A number of images, or "dynamic". Raises InputError: it is neither."""
    if text == DYNAMIC or (text.isdecimal() and int(text)):
        return text if text == DYNAMIC else int(text)
    raise InputError(f"the batch is {text!r}: give a number of images from 1, or {DYNAMIC}")


Exporter = Callable[[Subject, Path], Written]  # writes into an empty folder of its own

EXPORTERS: Registry[Exporter] = Registry("export format", "sfcore.export.formats")
