"""What happens in a run, as lines of events.jsonl: typed, each with the time it happened."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from sfcore.datasets.distilled import DISTILLING
from sfcore.records import OPEN

READING, RENDERING, CALIBRATING = "reading images", "rendering scenes", "calibrating"
MEASURING = "measuring curves"
PREPARATION = (DISTILLING, READING, RENDERING, CALIBRATING, MEASURING)  # phases before tuning
RECORDING = "recording"  # begins the names of the phases in which tuning records what its steps need


@with_config(OPEN)
class Progress(TypedDict):
    """How far a phase is: one of PREPARATION, or of RECORDING while a run is tuned."""

    type: Literal["progress"]
    phase: str
    done: int
    total: int
    time: NotRequired[float]


@with_config(OPEN)
class Step(TypedDict):
    """A step of tuning.

    Attributes:
        iteration, iterations: steps taken, and in all.
        loss, terms: what is minimised on the step's images, and its parts.
        noise: level of each head on these images, net-wise.
        selected: heads tuned on, net-wise.
        unit: its place, how many there are, and its name, elsewhere.
        held_back, best, calibrated: distortion on the held-back images, where it was measured: now, of the state that
            is kept, and before the first step.
        weights: what charts show of how weights are rounded, by layer, where there is anything; see
            :meth:`sfcore.quant.quantizers.Quantizer.facts`.
    """

    type: Literal["step"]
    iteration: int
    iterations: int
    loss: NotRequired[float]
    terms: NotRequired[dict[str, Any]]
    noise: NotRequired[dict[str, float] | None]
    selected: NotRequired[list[str] | tuple[str, ...] | None]
    unit: NotRequired[list[Any]]
    held_back: NotRequired[float]
    best: NotRequired[float]
    calibrated: NotRequired[float]
    weights: NotRequired[dict[str, dict[str, float]]]
    time: NotRequired[float]


@with_config(OPEN)
class Note(TypedDict):
    """What people should know before the first step."""

    type: Literal["note"]
    text: str
    time: NotRequired[float]


@with_config(OPEN)
class End(TypedDict):
    """How a stretch of work ended."""

    type: Literal["done", "stopped", "failed"]
    error: NotRequired[str]
    time: NotRequired[float]


Event = Annotated[Progress | Step | Note | End, Field(discriminator="type")]
EVENT: TypeAdapter[Any] = TypeAdapter(Event)
TYPES = ("progress", "step", "note", "done", "stopped", "failed")  # of later versions there may be more
