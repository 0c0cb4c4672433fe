"""How many bits weights and activations get."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatch

from sfcore.errors import InputError

BITS = range(2, 17)
EDGE_BITS = 8  # the first and last layers, as all compared methods do
WIDE_BITS = 16  # layers that are kept out of harm, few and small ones


@dataclass(frozen=True)
class Scheme:
    """Bits of a quantized model; printed as ``W4A4``.

    Weights are quantized per output channel, activations per tensor, both symmetrically (zero point 0).

    Attributes:
        weight_bits, activation_bits: 2 to 16.
        wide: patterns (as in file names) of layers, or parts of attention such as ``*.mix``, that get 16 bits.
        wide_heads: whether the branches of the heads get 16 bits: each last layer and those beside it.

    Raises:
        InputError: bits outside 2 to 16.
    """

    weight_bits: int
    activation_bits: int
    wide: tuple[str, ...] = ()
    wide_heads: bool = False

    def __post_init__(self) -> None:
        for name, bits in (("weight", self.weight_bits), ("activation", self.activation_bits)):
            if bits not in BITS:
                raise InputError(f"{bits} {name} bits are not possible: choose {BITS.start} to {BITS.stop - 1}")

    @classmethod
    def parse(cls, text: str, wide: tuple[str, ...] = (), wide_heads: bool = False) -> Scheme:
        """Read ``"W4A4"``.

        Raises:
            InputError: the text is not of that form, or the bits are out of range.
        """
        match = re.fullmatch(r"[Ww](\d+)[Aa](\d+)", text.strip())
        if not match:
            raise InputError(f"{text!r} is no scheme: write bits of weights and activations like W4A4")
        return cls(int(match[1]), int(match[2]), wide, wide_heads)

    def __str__(self) -> str:
        return f"W{self.weight_bits}A{self.activation_bits}"

    def bits_of(self, layer: str, edge: bool, head: bool = False) -> tuple[int, int]:
        """(weight bits, activation bits) of a layer.

        Args:
            edge: whether it is a first or last one.
            head: whether it is in the branch of a head.
        """
        least = EDGE_BITS if edge else 0
        if (head and self.wide_heads) or any(fnmatch(layer, pattern) for pattern in self.wide):
            least = WIDE_BITS
        return max(self.weight_bits, least), max(self.activation_bits, least)
