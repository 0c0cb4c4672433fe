"""Budgets of bits: what an allocation may cost at most, as people write it: ``4.5bit``, ``40%size``, ``25%bops``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sfcore.errors import InputError
from sfcore.quant.cost import Profile
from sfcore.quant.scheme import EDGE_BITS, FULL, Scheme

EXAMPLES = "4.5bit, 40%size, 25%bops, 1.2MB or 115%bops@W4A4"
_MEGABYTE, _GIGA = 1e6, 1e9
_UNITS = {name.lower(): name for name in ("bit", "wbit", "abit", "%size", "MB", "%bops", "GBOPs")} | {"bits": "bit"}
_AMOUNT = r"(?P<amount>\d{1,12}(?:\.\d{1,30})?)"  # never infinite
_FORM = re.compile(_AMOUNT + r"\s*(?P<share>%?)\s*(?P<unit>[a-z]+)(?:@(?P<of>.+))?", re.IGNORECASE)


@dataclass(frozen=True)
class Budget:
    """One limit; printed as it is written.

    Attributes:
        amount: of bits, or of percent, megabytes or billions of operations.
        unit: "bit" (average bits of weights, and no more bit operations than if weights and activations of all layers
            had so many, first and last ones at least 8), "wbit", "abit" (average bits of weights, of activations),
            "%size", "MB", "%bops" or "GBOPs".
        of: the scheme that percent are of; None for the whole network at the largest of the candidates.
    """

    amount: float
    unit: str
    of: Scheme | None = None

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read a budget.

        Raises:
            InputError: the text is none, or nothing can be had for it.

        Example:
            >>> Budget.parse("115%bops@W4A4").of
            Scheme(weight_bits=4, activation_bits=4, per_tensor=False, affine=False, rules=(), adds=False, target='')
            >>> str(Budget.parse("4.50 bits"))
            '4.5bit'
        """
        match = _FORM.fullmatch(text.strip())
        unit = _UNITS.get((match["share"] + match["unit"]).lower()) if match else None
        if not match or unit is None or (match["of"] and not match["share"]):
            raise InputError(f"{text!r} is no budget: write {EXAMPLES}")
        if not float(match["amount"]) > 0:
            raise InputError(f"the budget {text} is nothing: it must be more than 0")
        return cls(float(match["amount"]), unit, Scheme.parse(match["of"]) if match["of"] else None)

    def __str__(self) -> str:
        amount = np.format_float_positional(self.amount, trim="-")  # with an exponent it could not be read again
        return f"{amount}{self.unit}" + (f"@{self.of}" if self.of else "")

    def limits(self, profile: Profile, top: Scheme) -> list[Limit]:
        """What it bounds.

        Args:
            top: the whole network at the largest of the candidates.

        Raises:
            InputError: the scheme that percent are of gives bits to a layer that there is not.
        """
        reference, share = self.of or top, self.amount / 100
        if self.unit == "bit":
            evenly = sum(layer.macs * max(self.amount, EDGE_BITS * layer.edge) ** 2 for layer in profile.layers)
            bops = _bops(profile, evenly + FULL * FULL * profile.macs, str(self))
            return [_weight_bits(profile, self.amount, str(self)), bops]
        if self.unit == "wbit":
            return [_weight_bits(profile, self.amount, str(self))]
        if self.unit == "abit":
            return [_activation_bits(profile, self.amount, str(self))]
        if self.unit in ("%size", "MB"):
            most = share * profile.size_bytes(reference) if self.unit == "%size" else self.amount * _MEGABYTE
            return [_size(profile, most, str(self))]
        most = share * profile.cost(reference).bops if self.unit == "%bops" else self.amount * _GIGA
        return [_bops(profile, most, str(self))]


@dataclass(frozen=True, eq=False)
class Limit:
    """A bound on a sum over layers: fixed + sum of per_weight·w + per_activation·a + per_product·w·a ≤ most.

    A product of two activations counts its own bits as those of weights in ``per_product``.

    Attributes:
        name: the budget that it is of, for messages.
        quantity: what is bounded, in words.
        digits: after the point, in which people say it.
        most: the bound.
        fixed: what is left in full precision takes.
        per_weight, per_activation, per_product: (L,) of each layer of the profile.
    """

    name: str
    quantity: str
    digits: int
    most: float
    fixed: float
    per_weight: np.ndarray
    per_activation: np.ndarray
    per_product: np.ndarray

    def use(self, layer: np.ndarray, weights: np.ndarray, activations: np.ndarray) -> np.ndarray:
        """What layers take of the bound, as shares of what is left of it beside ``fixed``; infinite where nothing is.

        Args:
            layer, weights, activations: (N,) a layer and its bits; a product of activations has 0 for its weights.
        """
        factor = np.where(weights > 0, weights, activations)
        taken = self.per_weight[layer] * weights + self.per_activation[layer] * activations
        taken = taken + self.per_product[layer] * factor * activations
        left = self.most - self.fixed
        return taken / left if left > 0 else np.full(len(layer), np.inf)

    def amount(self, taken: float) -> str:
        """How much shares of the bound that add up to ``taken`` are, as people say it; rounded up, so that it is
        enough."""
        exact = self.fixed + taken * (self.most - self.fixed)
        step = 10.0**-self.digits
        return f"{np.ceil(exact / step - 1e-6) * step:,.{self.digits}f} {self.quantity}"


def _weight_bits(profile: Profile, most: float, name: str) -> Limit:
    weights, nothing = _of(profile, "weights"), np.zeros(len(profile.layers))
    whole = max(weights.sum() + profile.weights, 1)
    return Limit(name, "bits a weight", 2, most, FULL * profile.weights / whole, weights / whole, nothing, nothing)


def _activation_bits(profile: Profile, most: float, name: str) -> Limit:
    values, nothing = _of(profile, "values"), np.zeros(len(profile.layers))
    return Limit(name, "bits an activation", 2, most, 0.0, nothing, values / max(values.sum(), 1), nothing)


def _size(profile: Profile, most: float, name: str) -> Limit:
    nothing, fixed = np.zeros(len(profile.layers)), (profile.weights + profile.vectors) * FULL / 8
    return Limit(name, "bytes", 0, most, fixed, _of(profile, "weights") / 8, nothing, nothing)


def _bops(profile: Profile, most: float, name: str) -> Limit:
    nothing, fixed = np.zeros(len(profile.layers)), FULL * FULL * profile.macs
    return Limit(name, "bit operations", 0, most, fixed, nothing, nothing, _of(profile, "macs"))


def _of(profile: Profile, what: str) -> np.ndarray:
    return np.array([getattr(layer, what) for layer in profile.layers], float)


def is_budget(text: str) -> bool:
    """Whether a text has the form of a budget, and so is no scheme."""
    match = _FORM.fullmatch(text.strip())
    return match is not None and (match["share"] + match["unit"]).lower() in _UNITS


def parse_budgets(texts: Sequence[str]) -> tuple[Budget, ...]:
    """Several budgets, all of which hold. Raises InputError: there is none, or one is no budget."""
    if not texts:
        raise InputError(f"no budget was given: write {EXAMPLES}")
    return tuple(map(Budget.parse, texts))
