"""Runs on a real Ray cluster of two nodes on this machine, one of which is killed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sfcore.bench.grid import carry_out_all
from sfcore.bench.plan import Plan, Variant
from sfcore.bench.pool import ClusterPool
from sfcore.bench.sources import Source
from sfcore.cli import main
from sfcore.errors import InputError
from sfcore.resources import sample_data
from sfcore.runs import RunFolder, RunSpec, create_or_resume, is_alive, launch
from sfcore.runs.launchers.ray import Ray

pytest.importorskip("ray")
pytestmark = pytest.mark.slow
IMAGES = str(sample_data() / "scenes") + "[:4]"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        made = headed()
        yield made
        made.shutdown()


def headed(**more: Any) -> Any:
    """A cluster of a head that works on nothing."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "object_store_memory": 100 << 20, "include_dashboard": False}
    return Cluster(initialize_head=True, head_node_args=head | more)


def until(true: Callable[[], Any], seconds: float = 150.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.2)


def test_a_run_whose_node_dies_goes_on_on_another_and_says_so(cluster: Any, tmp_path: Path) -> None:
    first = cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
    spec = RunSpec("lstr-tiny", (IMAGES,), "W4A4", "netwise", options={"iterations": 40}, device="cpu")
    run = create_or_resume(tmp_path / "run", spec)
    launch(run, "ray", cluster.address)
    until(lambda: any(event["type"] == "step" for event in run.events()[0]))
    node = run.record()["node"]
    assert run.status == "running"
    with pytest.raises(InputError, match="worked on already"):
        launch(run, "ray", cluster.address)
    cluster.remove_node(first, allow_graceful=False)
    cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
    until(lambda: run.record()["status"] == "done")
    record = run.record()
    assert record["node"] != node and [each["node"] for each in record["interruptions"]] == [node]
    steps = [event["iteration"] for event in run.events()[0] if event["type"] == "step"]
    assert steps == list(range(1, 41))
    until(lambda: not Ray(cluster.address).living(), 30)
    assert not is_alive(run)


def test_layers_that_a_cluster_measures_are_those_of_one_process(cluster: Any, tmp_path: Path) -> None:
    node = cluster.add_node(num_cpus=2, object_store_memory=100 << 20)
    command = ["layers", "lstr-tiny", "--images", IMAGES, "--limit", "2", "--bits", "W4A4", "--device", "cpu", "--out"]
    assert main([*command, str(tmp_path / "alone")]) == 0
    where = ["--launcher", "ray", "--address", cluster.address, "--workers", "2"]
    assert main([*command, str(tmp_path / "shared"), *where]) == 0
    assert (tmp_path / "shared" / "layers.csv").read_bytes() == (tmp_path / "alone" / "layers.csv").read_bytes()
    cluster.remove_node(node)


def test_a_bench_goes_on_when_the_head_starts_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    variants = tuple(map(Variant.parse, ("calibrate", "netwise:iterations=60")))
    plan = Plan(("lstr-tiny",), ("W4A4",), variants, (0,), (IMAGES,), device="cpu")
    cells, said = plan.cells(tmp_path / "runs"), list[str]()
    first = headed()
    first.add_node(num_cpus=1, object_store_memory=100 << 20)
    pool = ClusterPool(Ray(first.address), 1, 0, tmp_path, said.append)
    with ThreadPoolExecutor(1) as threads:
        sources = (Source("unseen", (IMAGES,)),)
        failed = threads.submit(carry_out_all, cells, sources, jobs=1, pool=pool)
        slow = RunFolder(cells[-1].path)
        until(lambda: slow.path.exists() and any(event["type"] == "step" for event in slow.events()[0]))
        address = first.address
        first.shutdown()
        until(lambda: not slow.is_alive())
        again = headed(gcs_server_port=int(address.rpartition(":")[2]))
        again.add_node(num_cpus=1, object_store_memory=100 << 20)
        assert failed.result(300) == {}
    again.shutdown()
    assert any("has lost 1 workers" in line for line in said)
    assert len(slow.record()["interruptions"]) == 1
    for run in (RunFolder(cell.path) for cell in cells):
        events = run.events()[0]
        steps = [event["iteration"] for event in events if event["type"] == "step"]
        assert sum(event["type"] == "done" for event in events) == 1 and steps == list(range(1, len(steps) + 1))
    assert len(steps) == 60


def test_a_cluster_that_is_not_there_is_named(tmp_path: Path) -> None:
    spec = RunSpec("lstr-tiny", (IMAGES,), "W4A4", "calibrate", device="cpu")
    run = RunFolder.create(tmp_path / "run", spec)
    with pytest.raises(InputError, match=r"the Ray cluster 127\.0\.0\.1:1 cannot be reached"):
        launch(run, "ray", "127.0.0.1:1")
    assert run.status == "queued" and "job" not in run.record()
