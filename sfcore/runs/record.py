"""What run.json holds, field by field: the run's record beside its specification."""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from pydantic import TypeAdapter, with_config
from typing_extensions import TypedDict

from sfcore.records import OPEN

FORMAT = 2  # of the run folder; raise it when older code could not read what newer code writes
Status = Literal["queued", "running", "stopped", "done", "failed"]
LAUNCHED: tuple[Status, ...] = ("queued", "running")  # somebody works on the run or will, unless that one has died


@with_config(OPEN)
class Interruption(TypedDict):
    """What broke the work on a run off.

    Attributes:
        time: when the run went on, in seconds since 1970.
        node: where it had been worked on.
        why: as a sentence.
    """

    time: float
    node: str | None
    why: str


@with_config(OPEN)
class RunRecord(TypedDict):
    """A run's record. Fields that this version does not know stay as they are.

    Attributes:
        format: of the folder.
        spec: see :class:`sfcore.runs.spec.RunSpec`.
        versions: of python, torch and sfcore.
        status: as last written; a run whose process is gone without a word is stopped.
        created, started, ended: seconds since 1970; the latter two of the last stretch of work.
        worked: seconds over all stretches.
        turn, device, launcher, busy: how it was launched.
        address, cores, job: on a cluster: which one, what each worker is given, and the id there.
        node, pid: the machine and the process that work on it, or did last.
        interruptions: what broke the work off, after which it went on.
        images, image_hash, weights_hash: what it was made of.
        full_precision: what of the quantized model stays so, and why, by the names of modules.
        transform_notes: what transforms did to it when it was calibrated, as sentences.
        scheme: what the scheme costs: its name, average bits of weights and of activations, bit operations an image.
        likeness: how alike its images are.
        image_bytes: of an image's pixels, and of its cached activations.
        memory: bytes at most.
        result: agreement with full precision on the held-back images, by model.
        error: why it failed.
        hopeless: why a search stopped it early.
        owner: who started it on a server for a team: id and name.
    """

    format: int
    spec: dict[str, Any]
    status: Status
    versions: NotRequired[dict[str, str]]
    created: NotRequired[float]
    started: NotRequired[float | None]
    ended: NotRequired[float | None]
    worked: NotRequired[float]
    turn: NotRequired[int]
    device: NotRequired[str | None]
    launcher: NotRequired[str]
    address: NotRequired[str | None]
    cores: NotRequired[int]
    job: NotRequired[int | str | None]
    node: NotRequired[str | None]
    pid: NotRequired[int | str | None]
    interruptions: NotRequired[list[Interruption]]
    busy: NotRequired[bool]
    images: NotRequired[int]
    image_hash: NotRequired[str]
    weights_hash: NotRequired[str]
    full_precision: NotRequired[dict[str, str]]
    transform_notes: NotRequired[list[str]]
    scheme: NotRequired[dict[str, Any]]
    likeness: NotRequired[float]
    image_bytes: NotRequired[list[int]]
    memory: NotRequired[int]
    result: NotRequired[dict[str, dict[str, int | float | None]]]
    error: NotRequired[str | None]
    hopeless: NotRequired[str]
    owner: NotRequired[dict[str, str]]


RECORD = TypeAdapter(RunRecord)
