"""``sfcore app`` for a team as docs/serving.md has it: sign-in by OpenID Connect, under a path, behind nginx."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.browser import ROOT, free_port, wait_until_answered
from tests.app.oidc_provider import CLIENT, SECRET, Provider

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
BASE = "studio"


@contextmanager
def team_server(folder: Path, provider: Provider) -> Iterator[str]:
    """The app for a team, for the length of a block; yields its address, that of nginx where there is one.

    Args:
        folder: gets the secrets and nginx's files; ``runs`` and ``data`` in it are the server's runs and only root.
    """
    port, door = free_port(), free_port()
    public = door if NGINX else port
    _write_secrets(folder, f"http://127.0.0.1:{public}/{BASE}/oauth2callback", provider)
    command = [sys.executable, "-m", "sfcore", "app", "--port", str(port), "--base-path", BASE]
    command += ["--root", str(folder / "data")]
    places = {"SFCORE_RUNS": str(folder / "runs"), "SFCORE_CACHE": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    with _process(command, f"http://127.0.0.1:{port}/{BASE}/_stcore/health", folder, places):
        if not NGINX:
            yield f"http://127.0.0.1:{port}/{BASE}"
            return
        (folder / "nginx.conf").write_text(nginx_configuration(folder, door, port))
        command = [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "nginx.log")]
        with _process(command, f"http://127.0.0.1:{door}/{BASE}/_stcore/health", folder):
            yield f"http://127.0.0.1:{door}/{BASE}"


def nginx_configuration(folder: Path, door: int, port: int) -> str:
    """The part that docs/serving.md shows, word for word but for the port, in a server of this test's own."""
    location = documented_location().replace("127.0.0.1:8501", f"127.0.0.1:{port}")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    user = "user root;\n" if os.geteuid() == 0 else ""  # else its workers are nobody, whom the folder keeps out
    return (
        f"{user}daemon off;\npid {folder}/nginx.pid;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}\n"
        f"server {{\nlisten 127.0.0.1:{door};\n{location}}}\n}}\n"
    )


def documented_location() -> str:
    """The nginx snippet of docs/serving.md."""
    text = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    begin = text.index("        location /studio/ {")
    end = text.index("        }\n", begin) + len("        }\n")
    return textwrap.dedent(text[begin:end])


def _write_secrets(folder: Path, redirect: str, provider: Provider) -> None:
    (folder / ".streamlit").mkdir()
    values = {
        "redirect_uri": redirect,
        "cookie_secret": "0123456789abcdef" * 4,
        "client_id": CLIENT,
        "client_secret": SECRET,
        "server_metadata_url": f"{provider.url}/.well-known/openid-configuration",
    }
    lines = "".join(f'{name} = "{value}"\n' for name, value in values.items())
    (folder / ".streamlit" / "secrets.toml").write_text(f"[auth]\n{lines}")


@contextmanager
def _process(command: list[str], health: str, folder: Path, places: dict[str, str] | None = None) -> Iterator[None]:
    with (folder / "printed.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, env={**os.environ} | (places or {}), stdout=log, stderr=log)
    try:
        wait_until_answered(health, process)
        yield
    finally:
        process.terminate()
        process.wait(60)
