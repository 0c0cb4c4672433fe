"""A small server that speaks the part of MLflow's REST API which an export needs; what it is told stays in memory."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlparse
from uuid import uuid4


class Server:
    """What is kept, and the answers.

    Attributes:
        runs: by id, as the API has them.
        artifacts: content by path.
        refused: endings of paths that are answered with an error from now on.
    """

    def __init__(self) -> None:
        self.experiments: list[dict[str, Any]] = []
        self.runs: dict[str, dict[str, Any]] = {}
        self.artifacts: dict[str, bytes] = {}
        self.refused: set[str] = set()

    def answer(self, path: str, given: dict[str, Any]) -> dict[str, Any] | None:
        """The answer to a call; None where there is no such thing."""
        method = getattr(self, "on_" + re.sub(r"\W", "_", path), None)
        if path in self.refused or method is None:
            raise PermissionError(f"{path} is refused")
        return method(given)

    def on_experiments_get_by_name(self, given: dict[str, Any]) -> dict[str, Any] | None:
        found = [each for each in self.experiments if each["name"] == given["experiment_name"]]
        return {"experiment": found[0]} if found else None

    def on_experiments_create(self, given: dict[str, Any]) -> dict[str, Any]:
        number = str(len(self.experiments))
        self.experiments.append({"experiment_id": number, "name": given["name"], "lifecycle_stage": "active"})
        return {"experiment_id": number}

    def on_runs_create(self, given: dict[str, Any]) -> dict[str, Any]:
        number = uuid4().hex
        info = {
            "run_id": number, "run_uuid": number, "experiment_id": given["experiment_id"], "status": "RUNNING",
            "run_name": given["run_name"], "start_time": given["start_time"], "lifecycle_stage": "active",
            "artifact_uri": f"mlflow-artifacts:/0/{number}/artifacts",
        }  # fmt: skip
        self.runs[number] = {"info": info, "data": {"metrics": [], "params": [], "tags": given["tags"]}}
        return {"run": self.runs[number]}

    def on_runs_get(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"run": self.runs[given["run_id"]]}

    def on_runs_search(self, given: dict[str, Any]) -> dict[str, Any]:
        _, name, value = re.fullmatch(r"(tags)\.`(.+)` = '(.+)'", given["filter"]).groups()  # type: ignore[union-attr]
        return {"runs": [run for run in self.active() if self.tags(run).get(name) == value]}

    def on_runs_log_parameter(self, given: dict[str, Any]) -> dict[str, Any]:
        self.runs[given["run_id"]]["data"]["params"].append({"key": given["key"], "value": given["value"]})
        return {}

    def on_runs_log_batch(self, given: dict[str, Any]) -> dict[str, Any]:
        self.runs[given["run_id"]]["data"]["metrics"] += given["metrics"]
        return {}

    def on_runs_set_tag(self, given: dict[str, Any]) -> dict[str, Any]:
        self.runs[given["run_id"]]["data"]["tags"].append({"key": given["key"], "value": given["value"]})
        return {}

    def on_runs_update(self, given: dict[str, Any]) -> dict[str, Any]:
        info = self.runs[given["run_id"]]["info"]
        info |= {name: given[name] for name in ("status", "end_time") if name in given}
        return {"run_info": info}

    def on_runs_delete(self, given: dict[str, Any]) -> dict[str, Any]:
        self.runs[given["run_id"]]["info"]["lifecycle_stage"] = "deleted"
        return {}

    def active(self) -> list[dict[str, Any]]:
        """Runs that are not deleted."""
        return [run for run in self.runs.values() if run["info"]["lifecycle_stage"] == "active"]

    @staticmethod
    def tags(run: dict[str, Any]) -> dict[str, str]:
        return {each["key"]: each["value"] for each in run["data"]["tags"]}


@contextmanager
def mlflow_server() -> Iterator[tuple[str, Server]]:
    """The server's address and what it keeps, for the length of a block."""
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({name: values[0] for name, values in parse_qs(urlparse(self.path).query).items()})

        def do_POST(self) -> None:
            self._answer(json.loads(self._body()))

        def do_PUT(self) -> None:
            content = self._body()
            if "artifacts" in server.refused:
                return self._say(403, {"error_code": "PERMISSION_DENIED", "message": "artifacts are refused"})
            server.artifacts[self.path.rpartition("/artifacts/")[2]] = content
            self._say(200, {})

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") == "chunked":
                parts = []
                while size := int(self.rfile.readline(), 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        def _answer(self, given: dict[str, Any]) -> None:
            path = urlparse(self.path).path.partition("/mlflow/")[2]
            try:
                found = server.answer(path, given)
            except PermissionError as error:
                return self._say(403, {"error_code": "PERMISSION_DENIED", "message": str(error)})
            missing = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "there is none"}
            self._say(404 if found is None else 200, missing if found is None else found)

        def _say(self, code: int, content: dict[str, Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{http.server_address[1]}", server
    finally:
        http.shutdown()
        http.server_close()
