"""A bench on a cluster against the same bench here: ``python -m benchmarks.cluster --out DIR``.

24 cells, two at a time, three times over: in processes of this machine, on a Ray cluster of two nodes with a core each,
and on such a cluster of which a node is killed when a quarter of the cells is done. The tables must be the same byte
for byte, but for seconds; no cell may be done twice, and the one that the killed node had must say so. Prints JSON;
exits with 1 where any of this does not hold.

The overhead of a run is what it costs that it is not here: the seconds from the end of a worker's last cell (for its
first one, from the start of the command) to the first event of the next, mean over all cells, less the same here. It
counts starting workers, passing a cell on and seeing that it has ended; ``passing`` is the same without first cells.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sfcore.bench.cell import VERDICTS
from sfcore.errors import InputError
from sfcore.resources import sample_data
from sfcore.runs import RunFolder

WORKERS, STEPS = 2, 4
METHODS = ("calibrate", "netwise", "lsq-plus")
DETECTORS = ("lstr-tiny", "bezierlanenet-tiny")
MEMORY = 100 << 20  # bytes of a node's store of objects, which nothing here uses
SECONDS = "table3"  # begins the names of tables of times
BENCH = (
    "bench", "--detectors", *DETECTORS, "--bits", "W4A4", "--methods", *METHODS, "--iterations", str(STEPS),
    "--batch", "1", "--device", "cpu", "--jobs", str(WORKERS),
)  # fmt: skip
IMAGES = str(sample_data() / "scenes")
SOURCES = ("--images", f"{IMAGES}[:4]", "--test", f"unseen={IMAGES}[4:5]")


class Arm:
    """One way to carry the bench out, in a folder of its own.

    Args:
        seeds: how many; each is a cell of every detector and method.
        where: options that say by which launcher.
    """

    def __init__(self, out: Path, seeds: int, *where: str) -> None:
        self.out, self.where = out, where
        self.seeds = [str(seed) for seed in range(seeds)]
        self.cells = seeds * len(DETECTORS) * len(METHODS)
        self.begun = 0.0  # seconds since 1970

    @contextmanager
    def at_work(self) -> Iterator[subprocess.Popen[bytes]]:
        """The command, which has ended well when the block is left. Raises RuntimeError: it has not."""
        self.out.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "sfcore", *BENCH, *SOURCES, "--seeds", *self.seeds]
        command += ["--out", str(self.out), *self.where]
        self.begun = time.time()
        with (self.out / "printed.txt").open("ab") as printed:
            process = subprocess.Popen(
                command, stdout=printed, stderr=printed, env=os.environ | {"OMP_NUM_THREADS": "1"}
            )
            try:
                yield process
                if process.wait():
                    raise RuntimeError(f"the bench in {self.out} failed: see printed.txt there")
            finally:
                process.kill()

    @property
    def runs(self) -> list[RunFolder]:
        """Of the cells, in the order of their names."""
        return [RunFolder(path.parent) for path in sorted(self.out.glob("runs/**/run.json"))]

    @property
    def done(self) -> int:
        """Cells behind us."""
        return len(list(self.out.glob(f"runs/**/{VERDICTS}")))

    def tables(self) -> dict[str, bytes]:
        """The tables without those of times, and all results without the columns of times."""
        files = [file for file in sorted((self.out / "tables").iterdir()) if file.suffix in (".csv", ".md")]
        found = {file.name: file.read_bytes() for file in files if not file.name.startswith(SECONDS)}
        with (self.out / "results.csv").open(newline="") as file:
            rows = [{name: text for name, text in row.items() if "seconds" not in name} for row in csv.DictReader(file)]
        return {**found, "results": json.dumps(rows).encode()}

    def waits(self) -> tuple[list[float], list[float]]:
        """Seconds before the first event of each worker's first cell, and of its others."""
        by_worker: dict[Any, list[tuple[float, float]]] = {}
        for run in self.runs:
            began, ended = run.events()[0][0]["time"], (run.path / VERDICTS).stat().st_mtime
            by_worker.setdefault(run.record()["pid"], []).append((began, ended))
        first, others = [], []
        for spans in map(sorted, by_worker.values()):
            first.append(spans[0][0] - self.begun)
            others += [after[0] - before[1] for before, after in itertools.pairwise(spans)]
        return first, others


def checked(arm: Arm, usual: Arm) -> dict[str, Any]:
    """What must hold of an arm, by name; whether it does."""
    events = [run.events()[0] for run in arm.runs]
    ends = [sum(event["type"] == "done" for event in each) for each in events]
    steps = [[event["iteration"] for event in each if event["type"] == "step"] for each in events]
    return {
        "all cells are done, each once": ends == [1] * arm.cells,
        "no step was taken twice": all(each == list(range(1, len(each) + 1)) for each in steps),
        "same tables": arm.tables() == usual.tables(),
    }


def overhead(arm: Arm, usual: Arm) -> dict[str, float]:
    """Seconds a run costs more than in the usual arm; see the head of this file."""
    (first, others), (first_here, others_here) = arm.waits(), usual.waits()
    return {
        "run": statistics.fmean(first + others) - statistics.fmean(first_here + others_here),
        "passing": statistics.fmean(others) - statistics.fmean(others_here),
        "worker": statistics.fmean(first) - statistics.fmean(first_here),
    }


@contextmanager
def ray_cluster(nodes: int) -> Iterator[Any]:
    """A head that works on nothing, and nodes with a core each; all of them on this machine."""
    from ray.cluster_utils import Cluster

    given: dict[str, Any] = {"object_store_memory": MEMORY}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **given})
    try:
        for _ in range(nodes):
            cluster.add_node(num_cpus=1, **given)
        yield cluster
    finally:
        cluster.shutdown()


def kill_a_node(cluster: Any, arm: Arm, process: subprocess.Popen[bytes]) -> str:
    """Kill a node while it works on a cell, once a quarter of all is done; returns what runs call it."""
    while process.poll() is None:
        running = [run.record() for run in arm.runs if run.record()["status"] == "running"]
        if arm.done >= arm.cells // 4 and running:
            name = str(running[0]["node"])
            node = next(one for one in cluster.worker_nodes if one.node_id.startswith(name.rpartition(":")[2]))
            cluster.remove_node(node, allow_graceful=False)
            return name
        time.sleep(0.2)
    raise RuntimeError(f"the bench in {arm.out} ended before a node could be killed: see printed.txt there")


def measured(out: Path, seeds: int) -> dict[str, Any]:
    """All three arms."""
    here = Arm(out / "local", seeds)
    with here.at_work():
        pass
    with ray_cluster(WORKERS) as cluster:
        there = Arm(out / "ray", seeds, "--launcher", "ray", "--address", cluster.address)
        with there.at_work():
            pass
    with ray_cluster(WORKERS) as cluster:
        broken = Arm(out / "killed", seeds, "--launcher", "ray", "--address", cluster.address)
        with broken.at_work() as process:
            killed = kill_a_node(cluster, broken, process)
    told = [each for run in broken.runs for each in run.record().get("interruptions", [])]
    lost = {"what the killed node had says so": [each["node"] for each in told] == [killed]}
    return {
        "ray": {
            "holds": checked(there, here), "overhead": overhead(there, here),
            "waits": {"here": here.waits(), "there": there.waits()}, "nodes": nodes_of(there.runs),
        },
        "killed": {
            "holds": checked(broken, here) | lost, "killed": killed, "interruptions": told,
            "nodes": nodes_of(broken.runs),
        },
    }  # fmt: skip


def nodes_of(runs: Sequence[RunFolder]) -> dict[str, int]:
    """How many cells each node ended."""
    return dict(Counter(str(run.record()["node"]) for run in runs))


def main() -> int:
    """Measure, print and judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for the benches' folders, some MB; new")
    parser.add_argument("--seeds", type=int, default=4, metavar="N", help="six cells each (default: 4)")
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out} is not empty: times are measured from the start, so name a new folder")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])
    found = measured(out, arguments.seeds)
    print(json.dumps(found, indent=1))
    return 0 if all(all(arm["holds"].values()) for arm in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
