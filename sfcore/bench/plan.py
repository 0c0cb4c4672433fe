"""What a bench is asked to do: detectors × schemes × methods × seeds, each cell of which is an ordinary run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from sfcore.detectors import registry
from sfcore.errors import InputError
from sfcore.names import shortened
from sfcore.quant.budget import is_budget
from sfcore.quant.methods.options import options_of, value_of
from sfcore.quant.methods.recipe import METHODS, refuse_former
from sfcore.quant.scheme import Scheme
from sfcore.quant.transforms import with_usual
from sfcore.runs import RunSpec

NAME = 200  # bytes of the name of a run folder, which a file beside it may be called after
SWEPT = "selective-focus"  # whose k a bench varies, as in the paper's table 7
# Options whatever the method.
OF_THE_RUN = ("weight_calibrator", "activation_calibrator", "bias_correction", "transforms")
JOINT = "+"  # between transforms, for a comma ends an option


@dataclass(frozen=True)
class Variant:
    """One row of the tables: a method, perhaps with options of its own.

    Attributes:
        label: what the tables call it.
        method: its name among the methods.
        changes: options that differ from those of the plan.
    """

    label: str
    method: str
    changes: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Variant:
        """Read ``[LABEL=]METHOD[:OPTION=VALUE[,OPTION=VALUE...]]``, such as ``Few=qdrop:iterations=100``.

        Raises:
            InputError: it is not of that form.
        """
        name, _, rest = text.partition(":")
        label, given, method = name.rpartition("=")
        pairs = [part.partition("=") for part in rest.split(",")] if rest else []
        if not method or (given and not label) or not all(key and value for key, _, value in pairs):
            raise InputError(f"{text!r} is no method: write [LABEL=]METHOD[:OPTION=VALUE,...], such as qdrop:drop=0.3")
        return cls(label or text, method, {key: value_of(value) for key, _, value in pairs})


@dataclass(frozen=True)
class Setting:
    """An option's value for the cells that have all of certain names.

    Attributes:
        where: detectors, schemes without their rules, methods, or granularities of methods; empty for all cells.
        option: a field of the methods, or one of OF_THE_RUN.
    """

    where: frozenset[str]
    option: str
    value: Any

    @classmethod
    def parse(cls, text: str) -> Setting:
        """Read ``[NAME.]...OPTION=VALUE``, such as ``W8A8.netwise.iterations=400``.

        Raises:
            InputError: it is not of that form, or methods have the option no more.
        """
        key, equals, value = text.partition("=")
        *where, option = key.split(".")
        if not (equals and value and option and all(where)):
            raise InputError(
                f"{text!r} sets nothing: write OPTION=VALUE or METHOD.OPTION=VALUE, such as iterations=300"
            )
        option = option.replace("-", "_")
        refuse_former(option)
        return cls(frozenset(where), option, value_of(value))


@dataclass(frozen=True)
class Cell:
    """One run of a bench.

    Attributes:
        path: its run folder.
        spec: what it is asked to do.
        label: of its row in the tables.
        budget: that its scheme was allocated for, as text; empty where the scheme was given.
    """

    path: Path
    spec: RunSpec
    label: str
    budget: str = ""

    def __str__(self) -> str:
        return f"{self.spec.detector} {self.bits} {self.label}, seed {self.spec.seed}"

    @property
    def bits(self) -> str:
        """What the tables call its bits: the scheme, or the budget that several detectors have schemes of their own
        for."""
        return self.budget or self.spec.scheme

    @property
    def curves(self) -> tuple[Any, ...] | None:
        """Cells that have this in common need the same noise-score curves; None for those that need none."""
        recipe = self.spec.settings()
        return (self.spec.detector, self.spec.seed, recipe.rendered) if recipe.needs_curves else None


@dataclass(frozen=True)
class Plan:
    """The whole bench.

    Attributes:
        detectors, schemes, seeds: of the cells. In the place of a scheme may stand a budget such as "4.5bit".
        variants: the rows of the tables.
        images, limit: calibration images, as of :class:`RunSpec`.
        weights: checkpoints by detector, where other than the shipped ones.
        weights_keys: which weights in those, where several fit.
        settings: options of the methods; of two that fit a cell, the later one counts.
        ks: numbers of heads for further cells of SWEPT.
        device: as of :class:`RunSpec`.
        allocated: the scheme of each detector and budget.
    """

    detectors: tuple[str, ...]
    schemes: tuple[str, ...]
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...]
    images: tuple[str, ...]
    limit: int | None = None
    weights: Mapping[str, str] = field(default_factory=dict)
    weights_keys: Mapping[str, str] = field(default_factory=dict)
    settings: tuple[Setting, ...] = ()
    ks: tuple[int, ...] = ()
    device: str = "auto"
    allocated: Mapping[tuple[str, str], Scheme] = field(default_factory=dict)

    @property
    def budgets(self) -> tuple[str, ...]:
        """Those of the schemes that are budgets."""
        return tuple(dict.fromkeys(text for text in self.schemes if is_budget(text)))

    def cells(self, root: Path) -> list[Cell]:
        """All cells, seed by seed, so that a bench that was interrupted has all of its first seeds.

        Args:
            root: the folder that gets the run folders.

        Raises:
            InputError: something in the plan is unknown, or fits nothing else in it.
        """
        self._check_names()
        found = [
            self._cell(root, detector, scheme, budget, variant, seed)
            for seed in dict.fromkeys(self.seeds)
            for detector in dict.fromkeys(self.detectors)
            for scheme, budget in dict.fromkeys(self._bits(detector))
            for variant in self._rows(detector)
        ]
        checked: set[tuple[str, str]] = set()
        for cell in found:
            if (cell.spec.detector, cell.label) not in checked:
                cell.spec.validate()
                checked.add((cell.spec.detector, cell.label))
        return found

    def _bits(self, detector: str) -> Iterator[tuple[Scheme, str]]:
        """The schemes of a detector, with the budgets of those that were allocated."""
        for text in self.schemes:
            if text not in self.budgets:
                yield Scheme.parse(text), ""
            elif (detector, text) in self.allocated:
                yield self.allocated[detector, text], text
            else:
                raise InputError(f"no bits were allocated to {detector} for {text}: allocate them first")

    def _rows(self, detector: str) -> Iterator[Variant]:
        """The variants, and SWEPT at those k that the detector has the heads for and that are not its usual one."""
        yield from self.variants
        heads = heads_of(detector)
        usual = RunSpec(detector, (), "W8A8", SWEPT, options=self._options(Variant(SWEPT, SWEPT), {detector, SWEPT}))
        for k in self.ks:
            if k <= heads and k != usual.settings().heads_to_select(heads):
                yield Variant(f"{SWEPT}:k={k}", SWEPT, {"k": k})

    def _cell(self, root: Path, detector: str, scheme: Scheme, budget: str, variant: Variant, seed: int) -> Cell:
        names = {detector, budget or scheme.base, variant.method, variant.label, METHODS[variant.method].granularity}
        options = self._options(variant, names)
        chosen = {name: options.pop(name) for name in OF_THE_RUN if name in options}
        of_the_run: dict[str, Any] = METHODS[variant.method].calibration() | chosen
        if "transforms" in of_the_run:
            of_the_run["transforms"] = _transforms(of_the_run["transforms"])
        spec = RunSpec(
            detector, self.images, str(scheme), variant.method, self.weights.get(detector), options,
            self.limit, seed, self.device, **of_the_run, weights_key=self.weights_keys.get(detector),
        )  # fmt: skip
        name = re.sub(r"[^\w.=-]+", "-", f"{detector}-{budget or scheme}-{variant.label}-{seed}")
        return Cell(root / shortened(name, NAME), spec.absolute(), variant.label, budget)

    def _options(self, variant: Variant, names: set[str]) -> dict[str, Any]:
        """What is set for a cell, without what its method does not know."""
        given = {s.option: s.value for s in self.settings if s.where <= names}
        known = {*OF_THE_RUN, *_options_of(variant.method)}
        return {name: value for name, value in given.items() if name in known} | dict(variant.changes)

    def _check_names(self) -> None:
        """Every setting and every k must fit something, for one that does not is most likely a slip."""
        labels = [variant.label for variant in self.variants]
        if len(set(labels)) < len(labels):
            raise InputError(
                f"two methods have the same name ({', '.join(labels)}): write LABEL=METHOD for one of them"
            )
        methods = {variant.method for variant in self.variants}
        schemes = {text if text in self.budgets else Scheme.parse(text).base for text in self.schemes}
        names = {*self.detectors, *schemes, *methods, *labels, *(METHODS[name].granularity for name in methods)}
        options = {*OF_THE_RUN, *(option for method in methods for option in _options_of(method))}
        for setting in self.settings:
            if odd := sorted(setting.where - names):
                raise InputError(f"an option is set for {odd[0]!r}, which is not in this bench: {_listed(names)}")
            if setting.option not in options:
                raise InputError(f"no method here has an option {setting.option!r}: choose one of {_listed(options)}")
        if odd := sorted(self.weights.keys() - set(self.detectors)):
            raise InputError(f"weights are given for {odd[0]!r}, which is not in this bench: {_listed(self.detectors)}")
        if self.ks and SWEPT not in labels:
            raise InputError(f"k is varied for {SWEPT}, which is not among the methods: add it")


def _transforms(given: Any) -> tuple[str, ...]:
    """The transforms of ``gamma-migration+token-clip`` or of a list, the usual ones first.

    Raises:
        InputError: it is neither, or one is named twice.
    """
    names = [name for name in given.split(JOINT) if name] if isinstance(given, str) else given
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"transforms={given!r} names none: write transforms=gamma-migration{JOINT}token-clip")
    return with_usual(names)


def _listed(names: Sequence[str] | set[str]) -> str:
    return ", ".join(sorted(names))


@cache
def heads_of(detector: str) -> int:
    """How many heads a detector has."""
    return len(registry.entry(detector).sample.heads)


def _options_of(method: str) -> list[str]:
    return list(options_of(METHODS[method]))
