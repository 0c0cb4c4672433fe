"""``sfcore app``."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

from sfcore.cli.commands.app import App
from sfcore.cli.console import Answer, note, show
from sfcore.datasets.videos import PLAIN_CONTAINERS
from sfcore.errors import InputError
from sfcore.resources import cache, home
from sfcore.roots import real, runs
from sfcore.serving import Serving, is_loopback

SIGNS_IN = ("authlib", "httpx")  # what Streamlit needs to sign people in
_BASE = re.compile(r"[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*")


def run(arguments: App) -> Answer:
    """Become the app's server; its configuration lies beside its main script."""
    if not (home() / "app" / "main.py").is_file():
        raise InputError(f"the app is not where it belongs ({home() / 'app'}): install selective-focus-studio again")
    if not 1 <= arguments.port <= 65535:
        raise InputError(f"the port is {arguments.port}: it must be 1 to 65535")
    base, environment = _base(arguments.base_path), _environment(arguments)
    host = f"[{arguments.address}]" if ":" in arguments.address else arguments.address
    url = f"http://{host}:{arguments.port}{f'/{base}' if base else ''}"
    if arguments.json:
        show(Answer({"url": url, "pid": os.getpid()}, url), as_json=True)
    else:
        note(f"the app is at {url} (Ctrl-C ends it)")
    options = {
        "server.address": arguments.address,
        "server.port": str(arguments.port),
        "server.baseUrlPath": base,
        "server.showEmailPrompt": "false",
        "browser.gatherUsageStats": "false",
    }
    if environment:  # whatever a configuration file says
        options |= {
            "server.enableCORS": "true",
            "server.enableXsrfProtection": "true",
            "server.enableAgentApi": "false",
        }
    flags = [part for name, value in options.items() if value for part in (f"--{name}", value)]
    path = os.pathsep.join(p for p in (str(home()), os.environ.get("PYTHONPATH")) if p)
    command = [sys.executable, "-P", "-m", "app.serve", *flags]  # -P: not an "app" in the present folder
    os.execve(sys.executable, command, {**os.environ, "PYTHONPATH": path, **environment})


def _base(path: str) -> str:
    base = path.strip("/")
    if base and (not _BASE.fullmatch(base) or {".", ".."} & set(base.split("/"))):
        raise InputError(f"the base path is {path}: it must be like studio or tools/studio, as the proxy has it")
    return base


def _environment(arguments: App) -> dict[str, str]:
    """What the server and its runs are told of serving a team; nothing where it serves one person."""
    if not arguments.root:
        if not is_loopback(arguments.address):
            raise InputError(
                f"others reach the app at {arguments.address}, and could read every file that you can: name the "
                "folders that they may read with --root DIR (again for more), or leave --address out"
            )
        return {}
    _check_sign_in()
    for name in ("queued", "upload_mb", "sessions", "visitors"):
        if getattr(arguments, name) < 1:
            raise InputError(f"--{name.replace('_', '-')} is {getattr(arguments, name)}: it must be at least 1")
    roots = [real(root.expanduser()) for root in arguments.root]
    for root in roots:
        if not root.is_dir():
            raise InputError(f"there is no folder {root}: --root takes one that exists; check the path")
        if any(root.is_relative_to(place) for place in (runs(), real(cache()))):
            raise InputError(f"{root} holds runs or caches of this server, which nobody reads by path: name another")
    bounds = arguments.queued, arguments.upload_mb, arguments.sessions, arguments.visitors
    team = Serving(tuple(map(str, roots)), *bounds, tuple(map(_launcher, arguments.launcher or ())))
    return {**team.environment, **PLAIN_CONTAINERS, "SFCORE_RUNS": str(runs())}


def _check_sign_in() -> None:
    """Refuse to serve a team that is to sign in and could not; Streamlit would let everybody in, or nobody."""
    for folder in (Path.cwd(), Path(os.path.expanduser("~"))):
        file = folder / ".streamlit" / "secrets.toml"
        try:
            wanted = file.is_file() and "auth" in tomllib.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{file} is no TOML, so nobody could sign in ({error}): mend it") from error
        if wanted and not all(map(find_spec, SIGNS_IN)):
            raise InputError(
                f"{file} has people sign in, which needs Authlib: pip install 'selective-focus-studio[team]'"
            )


def _launcher(text: str) -> tuple[str, str | None]:
    """The name and the address of ``NAME[=ADDRESS]``. Raises InputError: it cannot be used here."""
    from sfcore.runs.launcher import LAUNCHERS

    name, _, address = text.partition("=")
    if why := LAUNCHERS[name](address or None).refusal():
        raise InputError(why)
    return name, address or None
