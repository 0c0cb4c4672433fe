"""How much work a run may be: a method as published, or with fewer steps for machines without a GPU."""

from __future__ import annotations

from typing import Any

import torch

from sfcore.quant.methods.recipe import Recipe

PUBLISHED = "As published"
# Steps, net-wise and for each layer or block, and images a step at most.
STEPS = {"Quick look": (150, 100, 4), "Thorough": (1000, 1000, 8)}
FASTEST = 8  # times the published rate; beyond that, tuning diverges
CHECKS = 10  # at least, of the held-back images


def preset(method: type[Recipe], effort: str) -> dict[str, Any]:
    """The options that differ from the method's own; none where it takes no more steps as published.

    Fewer steps go with rates as many times as high, up to a limit, but for methods whose rates are steady. Rates in
    units of step sizes stay: a step then moves a weight by the same share, however many there are. What happens every
    so many steps happens more often.
    """
    published = method()
    if effort not in STEPS or not published.iterations:
        return {}
    steps, batch = STEPS[effort][published.granularity != "net"], STEPS[effort][2]
    share = steps / published.iterations
    if share >= 1:
        return {}
    wanted: dict[str, Any] = {
        "iterations": steps,
        "batch": min(published.batch, batch),
        "check_every": min(published.check_every, max(1, steps // CHECKS)),
        "reselect_every": max(1, round(published.reselect_every * share)),
        "rendered": round(published.rendered * share),
    }
    faster = 1.0 if published.relative or published.steady else min(1 / share, FASTEST)
    for rate in ("learning_rate", "step_rate"):
        if getattr(published, rate) is not None:
            wanted[rate] = float(f"{getattr(published, rate) * faster:.3g}")
    return {name: value for name, value in wanted.items() if value != getattr(published, name)}


def efforts(method: type[Recipe]) -> list[str]:
    """Those that differ for a method, the least first."""
    return [*(effort for effort in STEPS if preset(method, effort)), PUBLISHED]


def usual(method: type[Recipe]) -> str:
    """What a first visit gets: something that ends in minutes where there is no GPU."""
    return PUBLISHED if torch.cuda.is_available() else efforts(method)[0]


def described(method: type[Recipe], effort: str) -> str:
    """What an effort changes, in one line."""
    published, changed = method(), preset(method, effort)
    steps, batch = (changed.get(name, getattr(published, name)) for name in ("iterations", "batch"))
    text = f"{steps:,} iterations{_each(published)} of {batch} images"
    if not changed:
        return f"{text}."
    times = changed.get("learning_rate", published.learning_rate) / published.learning_rate
    rate = "the same rate" if times == 1 else f"{times:.2g} times the rate"
    return f"{text} at {rate}, in place of {published.iterations:,} of {published.batch}."


def _each(recipe: Recipe) -> str:
    return "" if recipe.granularity == "net" else f" for each {recipe.granularity}"
