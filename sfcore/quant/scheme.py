"""How many bits weights and activations get."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatch

from sfcore.errors import InputError

BITS = range(2, 17)
EDGE_BITS = 8  # the first and last layers, as all compared methods do


@dataclass(frozen=True)
class Scheme:
    """Bits of a quantized model; printed as ``W4A4``.

    Weights are quantized per output channel, activations per tensor, both symmetrically (zero point 0).

    Attributes:
        weight_bits, activation_bits: 2 to 16.
        wide: patterns (as in file names) of layers, or parts of attention such as ``*.mix``, that stay at 8 bits
            besides the first and last.
        wide_heads: whether the layers beside a last one, the branch of its head, stay at 8 bits too.

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

    def bits_of(self, layer: str, edge: bool) -> tuple[int, int]:
        """(weight bits, activation bits) of a layer; ``edge`` says that it is a first or last one."""
        if edge or any(fnmatch(layer, pattern) for pattern in self.wide):
            return max(self.weight_bits, EDGE_BITS), max(self.activation_bits, EDGE_BITS)
        return self.weight_bits, self.activation_bits
