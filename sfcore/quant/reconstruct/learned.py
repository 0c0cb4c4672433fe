"""What a recipe learns of a module: its parameters, their optimizer, and the limits that they keep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from sfcore.quant.layers import QuantLayer
from sfcore.quant.methods.recipe import Recipe
from sfcore.quant.quantizers import quantizers
from sfcore.quant.reconstruct.rounding import Rounding, soft_rounding

# Weights may move by several of their steps; step sizes and the factors of norms only by a part of themselves.
STEP_RATE, NORM_RATE = 0.2, 0.02
SMALLEST = 1e-12  # step size


class Learned:
    """The values of a module that a recipe learns, from now until they are handed back.

    Args:
        module: of a quantized model; tuned in place.
    """

    def __init__(self, module: nn.Module, recipe: Recipe) -> None:
        self.recipe = recipe
        wanted = "rounding" in recipe.learn
        self.roundings = {name: Rounding(layer) for name, layer in rounded(module)} if wanted else {}
        groups = [([parameter], rate) for parameter, rate in parameters(module, recipe)]
        for group, _ in groups:
            group[0].requires_grad_()
        self.scheduled = len(groups)  # the rate of the rounding, which comes last, stays
        if self.roundings:
            groups.append(([each.alpha for each in self.roundings.values()], recipe.learning_rate))
        self.optimizer = torch.optim.Adam([{"params": group, "lr": rate} for group, rate in groups])
        self.rates = [rate for _, rate in groups]
        self.limits = weight_limits(module, recipe.reach) if recipe.reach else []
        self.steps = [q.scale for _, q in quantizers(module) if q.scale.requires_grad]
        self.module = module

    def in_effect(self, iteration: int) -> AbstractContextManager[None]:
        """Within the block the module computes with what is learned, rather than with what it would hand back; its
        gradients are those of the iteration."""
        for _, quantizer in quantizers(self.module):
            quantizer.anneal(iteration / self.recipe.iterations, self.recipe.estimator)
        return soft_rounding(self.roundings.values())

    def facts(self) -> dict[str, dict[str, float]]:
        """What charts show of how weights are rounded, by layer."""
        found = {name: layer.weight_quantizer.facts(layer.weight) for name, layer in layers(self.module)}
        return {name: facts for name, facts in found.items() if facts}

    def penalty(self, iteration: int) -> Tensor | None:
        """The term of the learned rounding, where it counts."""
        exponent = self.recipe.exponent(iteration)
        if exponent is None or not self.roundings:
            return None
        return self.recipe.rounding * torch.stack([r.penalty(exponent) for r in self.roundings.values()]).sum()

    def descend(self, iteration: int) -> None:
        """One step of Adam down the gradient, which is gone afterwards."""
        factor = self.recipe.rate(iteration)
        for index, (group, rate) in enumerate(zip(self.optimizer.param_groups, self.rates, strict=True)):
            group["lr"] = rate * (factor if index < self.scheduled else 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        with torch.no_grad():
            for weight, low, high in self.limits:
                weight.clamp_(low, high)
            for scale in self.steps:
                scale.clamp_min_(SMALLEST)

    def harden(self) -> None:
        """Make the module an ordinary quantized one with what has been learned so far; learning may go on."""
        for each in self.roundings.values():
            each.harden()

    def state(self) -> dict[str, Tensor]:
        """What the remaining steps depend on, beside the module's own state."""
        state = {
            f"adam.{index}.{name}": value
            for index, moments in self.optimizer.state_dict()["state"].items()
            for name, value in moments.items()
        }
        for name, each in self.roundings.items():
            state |= {f"alpha.{name}": each.alpha.detach(), f"base.{name}": each.base}
        return state

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on as the one whose :meth:`state` this is."""
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in under("adam.", state).items():
            index, name = key.split(".")
            moments.setdefault(int(index), {})[name] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})
        for name, each in self.roundings.items():
            each.alpha.data.copy_(state[f"alpha.{name}"])
            each.base.copy_(state[f"base.{name}"])


def under(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The part of a state whose names begin with ``prefix``, without it."""
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def layers(module: nn.Module) -> Iterator[tuple[str, QuantLayer]]:
    """The quantized layers inside a module with their names."""
    return ((name, each) for name, each in module.named_modules() if isinstance(each, QuantLayer))


def rounded(module: nn.Module) -> Iterator[tuple[str, QuantLayer]]:
    """Those of :func:`layers` whose weights go up or down to the next step."""
    return ((name, each) for name, each in layers(module) if "rounding" in each.weight_quantizer.learnable)


def learns(module: nn.Module, recipe: Recipe) -> bool:
    """Whether there is anything in a module that the recipe learns."""
    rounds = "rounding" in recipe.learn and any(True for _ in rounded(module))
    return rounds or any(True for _ in parameters(module, recipe))


def parameters(module: nn.Module, recipe: Recipe) -> Iterator[tuple[nn.Parameter, float]]:
    """The module's own parameters that the recipe learns, each with its learning rate."""

    def rate(unit: Tensor) -> float:
        return recipe.learning_rate * (float(unit.detach().mean()) if recipe.relative else 1.0)

    for each in module.modules():
        if isinstance(each, QuantLayer):
            step = each.weight_quantizer.scale
            if "weights" in recipe.learn:
                yield each.weight, rate(step)
            if "biases" in recipe.learn:
                yield each.bias, rate(step)
        elif isinstance(each, (nn.LayerNorm, nn.GroupNorm)) and "norms" in recipe.learn:
            for parameter in each.parameters():
                yield parameter, rate(each.weight * NORM_RATE)
    for name, quantizer in quantizers(module):
        wanted = quantizer.learnable & set(recipe.learn)
        if "steps" in wanted and not ("rounding" in recipe.learn and name.endswith("weight_quantizer")):
            yield quantizer.scale, recipe.step_rate or rate(quantizer.scale * STEP_RATE)
        if "offsets" in wanted and quantizer.zero is not None:
            yield quantizer.zero, recipe.step_rate or rate(torch.ones(()))


def weight_span(layer: QuantLayer) -> Tensor:
    """The largest magnitude that each channel's quantized weights can take, shaped to broadcast over the weight."""
    quantizer = layer.weight_quantizer
    return quantizer.scale.detach() * float(max(map(abs, quantizer.limits)))


def weight_limits(module: nn.Module, reach: float) -> list[tuple[nn.Parameter, Tensor, Tensor]]:
    """Every weight with the least and the largest value that ``reach`` allows it."""
    limits = []
    for _, layer in layers(module):
        start, most = layer.weight.detach().clone(), reach * weight_span(layer)
        limits.append((layer.weight, start - most, start + most))
    return limits
