"""``sfcore app``."""

from __future__ import annotations

import os
import sys

from sfcore.cli.commands.app import App
from sfcore.cli.console import Answer, note, show
from sfcore.errors import InputError
from sfcore.resources import home


def run(arguments: App) -> Answer:
    """Become the app's server; its configuration lies beside its main script."""
    if not (home() / "app" / "main.py").is_file():
        raise InputError(f"the app is not where it belongs ({home() / 'app'}): install selective-focus-studio again")
    if not 1 <= arguments.port <= 65535:
        raise InputError(f"the port is {arguments.port}: it must be 1 to 65535")
    url = f"http://127.0.0.1:{arguments.port}"
    if arguments.json:
        show(Answer({"url": url, "pid": os.getpid()}, url), as_json=True)
    else:
        note(f"the app is at {url} (Ctrl-C ends it)")
    options = {
        "server.address": "127.0.0.1",
        "server.port": str(arguments.port),
        "server.showEmailPrompt": "false",
        "browser.gatherUsageStats": "false",
    }
    flags = [part for name, value in options.items() for part in (f"--{name}", value)]
    path = os.pathsep.join(p for p in (str(home()), os.environ.get("PYTHONPATH")) if p)
    command = [sys.executable, "-P", "-m", "app.serve", *flags]  # -P: not an "app" in the present folder
    os.execve(sys.executable, command, {**os.environ, "PYTHONPATH": path})
