"""How many bits weights and activations get, and on what grids."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import NamedTuple

from sfcore.errors import InputError

BITS = range(2, 17)
EDGE_BITS = 8  # the first and last layers, as all compared methods do
WIDE_BITS = 16  # layers that are kept out of harm, few and small ones
WORDS = ("tensor", "affine")  # after the bits: step sizes of weights per tensor, activations with zero points


class Bits(NamedTuple):
    """What the quantizers of one layer get.

    Attributes:
        weights, activations: bits.
        per_tensor, affine: as of :class:`Scheme`.
    """

    weights: int
    activations: int
    per_tensor: bool = False
    affine: bool = False


@dataclass(frozen=True)
class Scheme:
    """Bits and grids of a quantized model; printed as ``W4A4``, ``W4A4-tensor``, ``W4A4-affine`` or with both words.

    Weights are symmetric (zero point 0), for with a zero point of theirs every product would need the sum of its
    inputs; that of activations is a constant that goes into the bias (Nagel et al. 2021, section 2.3).

    Attributes:
        weight_bits, activation_bits: 2 to 16.
        per_tensor: whether a weight has one step size for all of it ("tensor"), not one an output channel.
            Activations always have one.
        affine: whether activations have zero points ("affine"), or are symmetric like weights.
        wide: patterns (as in file names) of layers, or parts of attention such as ``*.mix``, that get 16 bits.
        wide_heads: whether the branches of the heads get 16 bits: each last layer and those beside it.

    Raises:
        InputError: bits outside 2 to 16.
    """

    weight_bits: int
    activation_bits: int
    per_tensor: bool = False
    affine: bool = False
    wide: tuple[str, ...] = ()
    wide_heads: bool = False

    def __post_init__(self) -> None:
        for name, bits in (("weight", self.weight_bits), ("activation", self.activation_bits)):
            if bits not in BITS:
                raise InputError(f"{bits} {name} bits are not possible: choose {BITS.start} to {BITS.stop - 1}")

    @classmethod
    def parse(cls, text: str, wide: tuple[str, ...] = (), wide_heads: bool = False) -> Scheme:
        """Read ``"W4A4"``, ``"W4A4-tensor-affine"`` and the like.

        Raises:
            InputError: the text is not of that form, or the bits are out of range.
        """
        match = re.fullmatch(r"w(\d+)a(\d+)((?:-[a-z]+)*)", text.strip().lower())
        words = match[3].split("-")[1:] if match else []
        if not match or not set(words) <= set(WORDS):
            raise InputError(
                f"{text!r} is no scheme: write bits of weights and activations like W4A4, "
                f"and what differs from the default after it ({', '.join(WORDS)}), like W4A4-{WORDS[-1]}"
            )
        per_tensor, affine = (word in words for word in WORDS)
        return cls(int(match[1]), int(match[2]), per_tensor, affine, wide, wide_heads)

    def __str__(self) -> str:
        said = [word for word, chosen in zip(WORDS, (self.per_tensor, self.affine), strict=True) if chosen]
        return "-".join([f"W{self.weight_bits}A{self.activation_bits}", *said])

    def bits_of(self, layer: str, edge: bool, head: bool = False) -> Bits:
        """What a layer gets.

        Args:
            edge: whether it is a first or last one.
            head: whether it is in the branch of a head.
        """
        least = EDGE_BITS if edge else 0
        if (head and self.wide_heads) or any(fnmatch(layer, pattern) for pattern in self.wide):
            least = WIDE_BITS
        weights, activations = max(self.weight_bits, least), max(self.activation_bits, least)
        return Bits(weights, activations, self.per_tensor, self.affine)
