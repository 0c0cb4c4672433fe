"""What talks to a Ray cluster: ``python -m sfcore.runs.ray_driver [ADDRESS]`` reads a request and prints the answer.

Both are JSON. A request submits jobs, asks which live, or cancels some; see :class:`sfcore.runs.launchers.ray.Ray`.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import sys
import threading
import uuid
from typing import Any

from sfcore.runs.job import Job

NAMESPACE = "sfcore"


class Keeper:
    """An actor that holds the place of a job on a node while a child of it carries the job out.

    Ray makes it anew on another node when its own goes away, whether or not who launched it is still there; so all that
    it does begins here.
    """

    def __init__(self, job: dict[str, Any]) -> None:
        import ray

        context = ray.get_runtime_context()
        self.me: Any = context.current_actor
        # The nodes of one machine differ in their id alone.
        self.node = f"{platform.node()}:{context.get_node_id()[:8]}"
        threading.Thread(target=self._carry_out, args=(Job(**job),), daemon=True).start()

    def _carry_out(self, job: Job) -> None:
        import ray

        try:
            job.carry_out(self.node)
        finally:
            ray.kill(self.me)


def submit(jobs: list[dict[str, Any]]) -> list[str]:
    """Start an actor a job; returns their names."""
    import ray

    names = []
    for job in jobs:
        names.append(f"{job['name']}-{uuid.uuid4().hex[:8]}")
        given = {"num_cpus": job["cores"], "num_gpus": job["gpus"], "name": names[-1], "scheduling_strategy": "SPREAD"}
        ray.remote(Keeper).options(lifetime="detached", max_restarts=-1, **given).remote(job)
    return names


def cancel(names: list[str]) -> list[str]:
    """Kill actors, and with each its child; those that are gone already are let be."""
    import ray

    living = [name for name in names if name in ray.util.list_named_actors()]
    for name in living:
        ray.kill(ray.get_actor(name))
    return living


def answer(request: dict[str, Any]) -> list[str]:
    """What a request asks."""
    import ray

    if "submit" in request:
        return submit(request["submit"])
    if "cancel" in request:
        return cancel(request["cancel"])
    return list(ray.util.list_named_actors())


def main() -> None:
    """Answer one request."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    request = json.load(sys.stdin)
    address = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("RAY_ADDRESS") or "auto"
    try:
        ray.init(address, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:
        sys.exit(" ".join(str(error).split()))
    print(json.dumps(answer(request)), flush=True)


if __name__ == "__main__":
    main()
