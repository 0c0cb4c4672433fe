"""What a run is asked to do."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, field, replace
from pathlib import Path
from typing import Annotated, Any

from sfcore.datasets.images import ImageSet, image_set
from sfcore.datasets.source import absolute
from sfcore.detectors import registry
from sfcore.devices import resolve_device
from sfcore.errors import InputError
from sfcore.quant.calibrate import ACTIVATIONS, WEIGHTS
from sfcore.quant.calibrators import CALIBRATORS
from sfcore.quant.cost import Profile
from sfcore.quant.methods.recipe import Recipe, configured
from sfcore.quant.scheme import Scheme
from sfcore.quant.transforms import TRANSFORMS, USUAL
from sfcore.records import AsTuple, record


@record("the run specification")
class RunSpec:
    """Everything that decides a run's result, by names and numbers alone, so that it can be written down.

    Attributes:
        detector: its name in the registry.
        images: calibration images: sources such as ``frames``, ``frames[:140]`` or ``scenes:600``.
        scheme: bits and grids of weights and activations, such as "W4A4", "W4A4-affine" or "W4A4,heads=16".
        method: its name among the methods.
        weights: checkpoint file; None for the shipped weights.
        options: fields of the method that differ from its defaults.
        limit: at most so many images, spread evenly over the sources; None for all.
        seed: of everything random.
        device: "cpu", "cuda", or "auto" (CUDA where there is one).
        weight_calibrator, activation_calibrator: what finds the ranges of weights and of activations, by name.
        bias_correction: whether calibration removes the mean error of each layer's output, where lanes are the better
            for it.
        weights_key: which weights in the checkpoint, where several fit; None where one does.
        transforms: names of what is done to the detector so that it can be quantized, or quantized better, in this
            order.
    """

    detector: str
    images: Annotated[tuple[str, ...], AsTuple]
    scheme: str
    method: str
    weights: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    limit: int | None = None
    seed: int = 0
    device: str = "auto"
    weight_calibrator: str = WEIGHTS
    activation_calibrator: str = ACTIVATIONS
    bias_correction: bool = True
    weights_key: str | None = None
    transforms: Annotated[tuple[str, ...], AsTuple] = USUAL

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        lists = {"images": list(self.images), "transforms": list(self.transforms)}
        return asdict(self) | lists | {"options": dict(self.options)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> RunSpec:
        """What :meth:`to_dict` gave.

        Raises:
            InputError: a field is missing, unknown or of a wrong type.
        """
        return cls(**content)

    def absolute(self) -> RunSpec:
        """The same with absolute paths and a scheme file's content, so that a run can be resumed from any folder."""
        images = tuple(map(absolute, self.images))
        weights = os.path.abspath(self.weights) if self.weights else None
        return replace(self, images=images, weights=weights, scheme=str(self.full_scheme()))

    def settings(self) -> Recipe:
        """The method's frozen configuration with this run's options.

        Raises:
            InputError: no such method or option, or a value that the method refuses.
        """
        return configured(self.method, self.options)

    def full_scheme(self) -> Scheme:
        """The scheme. Raises InputError: its text is none, or its file is gone."""
        return Scheme.parse(self.scheme)

    def image_set(self) -> ImageSet:
        """The calibration images. Raises InputError: see :func:`sfcore.datasets.images.image_set`."""
        return image_set(self.images, self.limit, registry.entry(self.detector).input.formats)

    def weights_file(self) -> Path:
        """The checkpoint that will be loaded.

        Raises:
            InputError: none is given and none ships, or the file does not exist.
        """
        found = registry.entry(self.detector)
        path = Path(self.weights) if self.weights else found.shipped
        if path is None:
            raise InputError(f"{self.detector} ships no weights: give its checkpoint; published at {found.source}")
        if not path.is_file():
            raise InputError(f"there is no checkpoint {path}: check the path")
        return path

    def validate(self) -> None:
        """Check every field before anything is computed or written.

        Raises:
            InputError: the first thing found wrong.
        """
        self.weights_file()
        scheme = self.full_scheme()
        for name in (self.weight_calibrator, self.activation_calibrator):
            CALIBRATORS[name]  # refuses an unknown name
        for name in self.transforms:
            TRANSFORMS[name]
        recipe, detector = self.settings(), registry.create(self.detector, self.weights, key=self.weights_key)
        recipe.check_scheme(scheme)
        recipe.check_detector(detector)
        if any(rule.of_one for rule in scheme.rules):
            Profile.of(detector, self.transforms).cost(scheme)  # refuses the name of a layer that there is not
        resolve_device(self.device)
        self.image_set()
