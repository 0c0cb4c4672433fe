"""Runs in MLflow: parameters, metrics over the steps, tags, and the record as artifacts, in a store or on a server.

A run is there once. What was exported is known by a tag, and whether all of it was by another that is written last: a
run that has not changed since is left as it is, any other is written anew before the earlier one is deleted there.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from sfcore.errors import InputError, installing
from sfcore.runs.folder import RunFolder
from sfcore.runs.tags import tags_of

EXPERIMENT = "selective-focus"
KEY, STATE = "sfcore.run", "sfcore.state"  # tags: which run it is, and what of it was exported
RECORD = ("run.json", "labels.json", "events.jsonl", "curves.csv", "curves.json")
STATUS = {"done": "FINISHED", "failed": "FAILED", "stopped": "KILLED", "running": "RUNNING", "queued": "SCHEDULED"}
AT_ONCE = 500  # metrics of one request; servers take 1000 at most, parameters, metrics and tags together
LONGEST = 500  # characters of a parameter, which every version takes
# Unless the environment says otherwise: an address where nobody answers is told in seconds, and nobody else is told.
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30", "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}  # fmt: skip
FOLDERS = "MLFLOW_ALLOW_FILE_STORE"  # which MLflow wants to be set before it opens a folder


class Tracking:
    """One experiment of MLflow, which runs are exported to.

    Args:
        uri: of the store or server: ``http://host:5000``, ``sqlite:///FILE.db``, or a folder.
        experiment: its name; it is made where there is none.

    Raises:
        InputError: mlflow-skinny is not installed, or there is no such store or server.
    """

    def __init__(self, uri: str, experiment: str = EXPERIMENT) -> None:
        if not find_spec("mlflow"):
            raise InputError(f"an export to MLflow needs the package mlflow-skinny: {installing('mlflow')}")
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        self.uri, self.shown = uri, _without_password(uri)
        if self.is_folder:
            os.environ.setdefault(FOLDERS, "true")
        with self._explained():
            from mlflow.tracking import MlflowClient

            self.client = MlflowClient(uri)
            found = self.client.get_experiment_by_name(experiment)
            if found and found.lifecycle_stage != "active":
                raise InputError(f"the experiment {experiment} at {self.shown} is deleted: restore it, or name another")
            self.experiment = (
                found.experiment_id if found else self.client.create_experiment(experiment, self._beside())
            )

    @property
    def is_folder(self) -> bool:
        """Whether the runs are kept in a folder, which MLflow still writes and no longer improves."""
        return "://" not in self.uri or self.uri.startswith("file:")

    def _beside(self) -> str | None:
        """Where artifacts go: beside a database in a file, or else where MLflow or the server puts them."""
        file = self.uri.removeprefix("sqlite:///")
        return (Path(file).resolve().parent / "artifacts").as_uri() if file != self.uri else None

    def export(self, run: RunFolder) -> tuple[str, str]:
        """Write a run, unless it is there and has not changed since.

        Returns:
            Its id in MLflow, and "written", "replaced" (an earlier state of it was there) or "unchanged".

        Raises:
            InputError: it cannot be written; then nothing of it is left.
        """
        state, key = _state(run), _key(run)
        with self._explained():
            there = self.client.search_runs([self.experiment], f"tags.`{KEY}` = '{key}'")
            if kept := [each for each in there if each.data.tags.get(STATE) == state]:
                return kept[0].info.run_id, "unchanged"
            written: str = self._write(run, key, state)
            for each in there:
                self.client.delete_run(each.info.run_id)
        return written, "replaced" if there else "written"

    def _write(self, run: RunFolder, key: str, state: str) -> str:
        record, client = run.record(), self.client
        begun = int(1000 * record.get("created", 0))
        tags = {**_tags(run), KEY: key}
        new: str = client.create_run(self.experiment, begun, tags, run.name).info.run_id
        try:
            for name, value in _parameters(run).items():
                client.log_param(new, name, value)
            metrics = _metrics(run)
            while some := list(islice(metrics, AT_ONCE)):
                client.log_batch(new, metrics=some)
            for file in (*RECORD, *_results(run)):
                if (run.path / file).is_file():
                    client.log_artifact(new, str(run.path / file))
            client.set_tag(new, STATE, state)
            ended = record.get("ended")
            client.set_terminated(new, STATUS[run.status], int(1000 * ended) if ended else None)
        except BaseException:
            with suppress(Exception):
                client.delete_run(new)
            raise
        return new

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Whatever MLflow, a database or the network raise, in one line."""
        try:
            yield
        except InputError:
            raise
        except Exception as error:
            said = _without_password(" ".join(str(error).split()))
            raise InputError(
                f"MLflow at {self.shown} does not take the run ({type(error).__name__}: {said[:300]}): "
                "check the address, that it answers, and what it lets you write"
            ) from error


def _without_password(text: str) -> str:
    """A text without the name and the password of the addresses in it."""
    return re.sub(r"//[^/@\s]*@", "//", text)


def _key(run: RunFolder) -> str:
    """What tells a run from all others, wherever its folder is by now."""
    record = run.record()
    told = json.dumps([record["spec"], record.get("created")], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def _state(run: RunFolder) -> str:
    """What changes with everything that is exported."""
    found = hashlib.sha256()
    for file in (*RECORD, *_results(run)):
        with suppress(FileNotFoundError):
            found.update((run.path / file).read_bytes())
    return f"{run.status} {found.hexdigest()[:32]}"


def _results(run: RunFolder) -> list[str]:
    """The files of predictions, which are called after what the task finds."""
    return sorted({file.name for file in run.path.glob("*.json")} - {*RECORD})


def _parameters(run: RunFolder) -> dict[str, str]:
    """The specification, and all options of the method."""
    spec = run.spec
    given = spec.to_dict()
    options = given.pop("options")
    with suppress(InputError):  # a method that is not known here
        options = asdict(spec.settings())
    given |= {"images": ", ".join(spec.images), "transforms": ", ".join(spec.transforms)}
    return {name: _cut(str(value)) for name, value in (given | options).items() if value is not None}


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _tags(run: RunFolder) -> dict[str, str]:
    record, written = run.record(), tags_of(run)
    found = {
        "sfcore.path": str(run.path.absolute()), "sfcore.tags": ", ".join(written.tags),
        "mlflow.note.content": written.note, "sfcore.status": run.status, "sfcore.hopeless": record.get("hopeless"),
        "sfcore.error": record.get("error"), "sfcore.node": record.get("node"),
        "sfcore.owner": (record.get("owner") or {}).get("name"),
        **{name: record.get(name) for name in ("image_hash", "weights_hash")},
        **{f"version.{name}": value for name, value in record.get("versions", {}).items()},
    }  # fmt: skip
    return {name: str(value) for name, value in found.items() if value}


def _metrics(run: RunFolder) -> Iterator[Any]:
    """Everything that was measured, at the iteration and the time when it was."""
    from mlflow.entities import Metric

    last, when = 0, 0
    for event in run.events()[0]:
        if event["type"] != "step":
            continue
        last, when = event["iteration"], int(1000 * event["time"])
        measured = {name: event.get(name) for name in ("loss", "held_back", "best")}
        measured |= {f"noise/{head}": value for head, value in (event.get("noise") or {}).items()}
        yield from (Metric(name, value, when, last) for name, value in _numbers(measured).items())
    record = run.record()
    when = int(1000 * (record.get("ended") or 0)) or when
    results: dict[str, Any] = {
        f"{model}/{name}": value for model, found in record.get("result", {}).items() for name, value in found.items()
    }
    results |= {f"scheme/{name}": value for name, value in record.get("scheme", {}).items()}
    results |= {"seconds": record.get("worked"), "memory": record.get("memory")}
    yield from (Metric(name, value, when, last) for name, value in _numbers(results).items())


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Those that are finite numbers."""
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }
