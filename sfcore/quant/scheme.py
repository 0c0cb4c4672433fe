"""How many bits weights and activations get, and on what grids: a default, and rules for layers that get others."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from sfcore.errors import InputError
from sfcore.files import parse_json, read_text, write_json
from sfcore.quant.targets import TARGETS, Target

BITS = range(1, 17)
EDGE_BITS = 8  # the first and last layers, as all compared methods do
# After the bits: step sizes of weights per tensor, activations with zero points, quantized residual adds.
WORDS = ("tensor", "affine", "adds")
HEADS = "heads"  # the pattern of the branches of the heads: each last layer and those beside it
EDGES = "edges"  # the pattern of the first and last layers
FULL = 32  # "bits" of a rule that leaves layers in full precision
FORMAT = 1  # of a scheme file
UNIFORM = "uniform"  # the quantizer of whatever is not said to have another
BINARY = "binary"  # that of weights of one bit
LONGEST_NAME = 48  # characters


class Bits(NamedTuple):
    """What the quantizers of one layer get.

    Attributes:
        weights, activations: bits.
        per_tensor, affine: as of :class:`Scheme`.
        signed: whether activations have signed integers also where none is negative.
        integer_bias: whether the bias is rounded to steps of the product of the two step sizes.
        weight_quantizer, activation_quantizer: by name.
    """

    weights: int
    activations: int
    per_tensor: bool = False
    affine: bool = False
    signed: bool = False
    integer_bias: bool = False
    weight_quantizer: str = UNIFORM
    activation_quantizer: str = UNIFORM


@dataclass(frozen=True)
class Rule:
    """Bits of the layers that a pattern names; printed as ``heads=16`` or ``*.mix=W8A16``.

    Attributes:
        pattern: as in file names, of layers or parts of attention; or "heads" or "edges".
        weights, activations: 1 to 16; None where the scheme's own stay; both 32 for layers in full precision.

    Raises:
        InputError: other bits, none at all, or no pattern.
    """

    pattern: str
    weights: int | None = None
    activations: int | None = None

    def __post_init__(self) -> None:
        if not self.pattern or set(self.pattern) & set(",="):
            raise InputError(f"{self.pattern!r} is no pattern of layers: write a name, a name with *, or {HEADS}")
        if self.weights is None and self.activations is None:
            raise InputError(f"the layers {self.pattern} get no bits: write 8, W8, A8 or W8A8")
        if FULL in (self.weights, self.activations) and not self.full:
            raise InputError(f"{self}: only a whole layer stays in full precision: write {self.pattern}={FULL}")
        for what, bits in (("weight", self.weights), ("activation", self.activations)):
            if bits is not None and not self.full:
                check_bits(what, bits)

    @property
    def full(self) -> bool:
        """Whether it leaves its layers in full precision."""
        return self.weights == self.activations == FULL

    @classmethod
    def parse(cls, pattern: str, text: str) -> Rule:
        """Read the bits ``"8"``, ``"W8"``, ``"A8"`` or ``"W8A4"`` of a pattern.

        Raises:
            InputError: the text is not of that form, or the bits are out of range.
        """
        match = re.fullmatch(
            r"(?P<both>\d{1,4})|(?:w(?P<weights>\d{1,4}))?(?:a(?P<activations>\d{1,4}))?", text.strip().lower()
        )
        if not match or not text.strip():
            raise InputError(f"{pattern}={text}: {text!r} are no bits; write 8, W8, A8 or W8A8")
        both, weights, activations = (int(n) if n else None for n in match.group("both", "weights", "activations"))
        return cls(pattern.strip(), both or weights, both or activations)

    def __str__(self) -> str:
        if self.weights == self.activations:
            return f"{self.pattern}={self.weights}"
        said = "".join(f"{sign}{bits}" for sign, bits in (("W", self.weights), ("A", self.activations)) if bits)
        return f"{self.pattern}={said}"

    @property
    def of_one(self) -> bool:
        """Whether it is for one layer, which it calls by its name."""
        return self.pattern not in (HEADS, EDGES) and not set(self.pattern) & set("*?[")

    def names(self, layer: str, edge: bool, head: bool) -> bool:
        """Whether a layer, or a part of one, is meant; ``edge``: it is a first or last one, ``head``: it is in the
        branch of a head."""
        return {HEADS: head, EDGES: edge}.get(self.pattern, fnmatchcase(layer, self.pattern))

    def means(self, layer: str) -> bool:
        """Whether it means this layer by its name, or edges as such, so that those may have fewer than 8 bits."""
        return self.pattern in (layer, EDGES)

    def over(self, weights: int, activations: int, least: int) -> tuple[int, int]:
        """The bits of a layer that is meant, in place of those that it had, and at least ``least``."""
        return max(self.weights or weights, least), max(self.activations or activations, least)


@dataclass(frozen=True)
class Scheme:
    """Bits and grids of a quantized model; printed as ``W4A4``, ``W8A8-affine-portable``, ``W4A4,heads=16``.

    The first and last layers keep at least 8 bits unless a rule calls one by its own name, or all of them "edges": a
    pattern of many layers, or "heads", does not mean them. Of several rules that name a layer, the last one counts.

    Weights are symmetric (zero point 0), for with a zero point of theirs every product would need the sum of its
    inputs; that of activations is a constant that goes into the bias (Nagel et al. 2021, section 2.3).

    Attributes:
        weight_bits, activation_bits: 1 to 16.
        per_tensor: whether a weight has one step size for all of it ("tensor"), not one an output channel.
            Activations always have one.
        affine: whether activations have zero points ("affine"), or are symmetric like weights.
        rules: for layers with other bits.
        adds: whether both inputs of residual adds are rounded ("adds"), where a network has them as modules
            (:class:`sfcore.detectors.layers.Add`).
        target: name of the profile of engines that is simulated ("portable", …); empty for none: biases are not
            rounded then.

    Raises:
        InputError: bits outside 1 to 16, two rules of the same pattern, no such target, or what it cannot run.
    """

    weight_bits: int
    activation_bits: int
    per_tensor: bool = False
    affine: bool = False
    rules: tuple[Rule, ...] = ()
    adds: bool = False
    target: str = ""

    def __post_init__(self) -> None:
        check_bits("weight", self.weight_bits)
        check_bits("activation", self.activation_bits)
        if self.profile:
            self._check_target(self.profile)
        patterns = [rule.pattern for rule in self.rules]
        if twice := next((pattern for pattern in patterns if patterns.count(pattern) > 1), None):
            raise InputError(f"the scheme gives {twice} bits twice: leave one of the two out")

    @classmethod
    def parse(cls, text: str) -> Scheme:
        """Read ``"W4A4"``, ``"W4A4-tensor-affine"``, ``"W4A4,heads=16,*.mix=W8"``, or the scheme file of that path.

        Raises:
            InputError: the text is not of that form, the bits are out of range, or the file is no scheme.

        Example:
            >>> Scheme.parse("W4A4-affine,heads=16").bits_of("conv1", edge=True)[:2]
            (8, 8)
            >>> str(Scheme.parse("w8a4"))
            'W8A4'
        """
        if text.strip().lower().endswith(".json"):
            return cls.load(Path(text.strip()))
        base, _, rules = text.partition(",")
        match = re.fullmatch(r"w(\d{1,4})a(\d{1,4})((?:-[a-z]+)*)", base.strip().lower())
        words = match[3].split("-")[1:] if match else []
        targets = [word for word in words if word not in WORDS]
        if not match or not set(targets) <= set(TARGETS) or len(targets) > 1:
            raise InputError(
                f"{base!r} is no scheme: write bits of weights and activations like W4A4, what differs from the "
                f"default after it ({', '.join(WORDS)}, and at most one target of {', '.join(TARGETS)}) like "
                f"W4A4-affine, and layers with other bits like W4A4,{HEADS}=16; or give a scheme file (.json)"
            )
        per_tensor, affine, adds = (word in words for word in WORDS)
        return cls(int(match[1]), int(match[2]), per_tensor, affine, parse_rules(rules), adds, "".join(targets))

    @classmethod
    def load(cls, path: Path) -> Scheme:
        """Read a scheme file: ``{"format": 1, "scheme": "W4A4", "layers": {"conv1": "W8A8", "heads": 16}}``.

        The bits of a layer may also be written ``{"weights": 8, "activations": 4}``.

        Raises:
            InputError: the file cannot be read, or a field of it is wrong; the message names it.
        """
        try:
            content = parse_json(read_text(path, "scheme file"))
        except ValueError as error:
            raise InputError(f"{path} is no scheme file ({error}): it must be JSON") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise InputError(f'{path} is no scheme file: it must be {{"format": {FORMAT}, "scheme": …, "layers": …}}')
        base, layers = content.get("scheme"), content.get("layers", {})
        if not isinstance(base, str) or base.lower().endswith(".json"):
            raise InputError(f"{path}: scheme is {base!r}; it must be text such as 'W4A4'")
        if not isinstance(layers, dict):
            raise InputError(f"{path}: layers is {layers!r}; it must give each pattern its bits")
        scheme = cls.parse(base)
        rules = tuple(_rule(path, pattern, bits) for pattern, bits in layers.items())
        return replace(scheme, rules=scheme.rules + rules)

    def save(self, path: Path) -> None:
        """Write what :meth:`load` reads. Raises InputError: it cannot be written."""
        layers = {rule.pattern: str(rule).rpartition("=")[2] for rule in self.rules}
        write_json(path, {"format": FORMAT, "scheme": self.base, "layers": layers})

    @property
    def base(self) -> str:
        """The scheme without its rules, as text."""
        chosen = (self.per_tensor, self.affine, self.adds)
        said = [*(word for word, is_so in zip(WORDS, chosen, strict=True) if is_so), self.target]
        return "-".join([f"W{self.weight_bits}A{self.activation_bits}", *filter(None, said)])

    @property
    def profile(self) -> Target | None:
        """What its target makes of it. Raises InputError: there is no such target."""
        return TARGETS[self.target] if self.target else None

    @property
    def quantizes_adds(self) -> bool:
        """Whether residual adds are quantized, by choice or because the target does."""
        return self.adds or bool(self.profile and self.profile.adds)

    def _check_target(self, target: Target) -> None:
        if self.affine and not target.affine:
            raise InputError(f"{self.target} has no zero points: leave -affine out, or choose another target")
        if not self.per_tensor and not target.per_channel:
            raise InputError(f"{self.target} has one step size a weight: add -tensor, or choose another target")
        every: list[tuple[str, int | None]] = [("weight", self.weight_bits), ("activation", self.activation_bits)]
        some = [rule for rule in self.rules if not rule.full]
        every += [pair for rule in some for pair in (("weight", rule.weights), ("activation", rule.activations))]
        for what, bits in every:
            known = target.weight_bits if what == "weight" else target.activation_bits
            if bits is not None and bits not in known:
                able = ", ".join(str(each) for each in BITS if each in known)
                raise InputError(f"{self.target} runs no {what}s of {bits} bits: choose {able}, or another target")

    def __str__(self) -> str:
        return ",".join([self.base, *map(str, self.rules)])

    @property
    def name(self) -> str:
        """The scheme as tables have room for it: many rules are only counted."""
        whole = str(self)
        return whole if len(whole) <= LONGEST_NAME else f"{self.base} with {len(self.rules)} rules"

    @property
    def slug(self) -> str:
        """The name as part of a file's."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")

    def bits_of(self, layer: str, edge: bool, head: bool = False) -> Bits:
        """What a layer gets.

        Args:
            edge: whether it is a first or last one.
            head: whether it is in the branch of a head.
        """
        least = EDGE_BITS if edge else 0
        weights, activations = max(self.weight_bits, least), max(self.activation_bits, least)
        for rule in self.rules:
            if rule.names(layer, edge, head) and not rule.full:
                weights, activations = rule.over(weights, activations, 0 if rule.means(layer) else least)
        target = self.profile
        signed, integer_bias = (target.signed, target.integer_bias) if target else (False, False)
        quantizer = BINARY if weights == 1 else UNIFORM
        return Bits(weights, activations, self.per_tensor, self.affine, signed, integer_bias, quantizer)

    def leaves(self, layer: str, edge: bool, head: bool = False) -> bool:
        """Whether a layer stays in full precision: see :meth:`bits_of`."""
        meant = [rule for rule in self.rules if rule.names(layer, edge, head)]
        return bool(meant) and meant[-1].full

    def check_names(self, layers: Sequence[str]) -> None:
        """Refuse a rule for one layer that none of ``layers`` is called by; one of many serves many detectors, and may
        mean nothing here.

        Raises:
            InputError: there is such a rule; the message tells the names most like its own.
        """
        for rule in self.rules:
            if rule.of_one and rule.pattern not in layers:
                like = get_close_matches(rule.pattern, layers, cutoff=0)
                raise InputError(
                    f"the scheme gives bits to {rule.pattern}, but no quantized layer is called so: choose another, "
                    f"such as {', '.join(like)}, or a pattern with *"
                )


def parse_rules(text: str) -> tuple[Rule, ...]:
    """Read ``"heads=16, *.mix=W8"``; there are none in an empty text.

    Raises:
        InputError: a part of the text is no rule.
    """
    found = []
    for part in text.split(",") if text.strip() else ():
        pattern, equals, bits = part.partition("=")
        if not equals:
            raise InputError(f"{part!r} gives no layer its bits: write PATTERN=BITS, such as {HEADS}=16 or *.mix=W8A16")
        found.append(Rule.parse(pattern, bits))
    return tuple(found)


def check_bits(what: str, bits: int) -> None:
    """Raise InputError unless ``bits`` are possible."""
    if bits not in BITS:
        raise InputError(f"{bits} {what} bits are not possible: choose {BITS.start} to {BITS.stop - 1}")


def _rule(path: Path, pattern: str, bits: Any) -> Rule:
    """The rule of a field of a scheme file."""
    try:
        if isinstance(bits, Mapping) and set(bits) <= {"weights", "activations"}:
            given = [bits.get(name) for name in ("weights", "activations")]
            if all(value is None or (isinstance(value, int) and not isinstance(value, bool)) for value in given):
                return Rule(pattern, *given)
        if isinstance(bits, str) or (isinstance(bits, int) and not isinstance(bits, bool)):
            return Rule.parse(pattern, str(bits))
    except InputError as error:
        raise InputError(f"{path}: layers: {error}") from error
    said = json.dumps(bits)
    raise InputError(f'{path}: layers: {pattern} is {said}; write 8, "W8A4" or {{"weights": 8, "activations": 4}}')
