"""A small OpenID provider on this machine: whoever is at its door signs in at once."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "studio", "only-for-tests"


class Provider(ThreadingHTTPServer):
    """Serves discovery, authorization, tokens, keys and the end of a session.

    Attributes:
        at_the_door: the subject of whoever signs in next.
        audience: whom tokens are for; another's than CLIENT must not sign anybody in.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.at_the_door, self.audience = "ada", CLIENT
        self.key = RSAKey.generate_key(2048, {"kid": "1", "use": "sig", "alg": "RS256"})
        self.codes: dict[str, dict[str, str]] = {}

    def configuration(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "end_session_endpoint": f"{self.url}/end",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def tokens(self, code: str) -> dict[str, Any]:
        """What a code is exchanged for, once."""
        claims = self.codes.pop(code)
        now = int(time.time())
        email = f"{claims['sub']}@example.com"
        content = claims | {"iss": self.url, "aud": self.audience, "iat": now, "exp": now + 600, "email": email}
        token = jwt.encode({"alg": "RS256", "kid": "1"}, content, self.key)
        return {"access_token": secrets.token_hex(8), "token_type": "Bearer", "id_token": token}


class _Handler(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        place, asked = urlsplit(self.path), {name: v[0] for name, v in parse_qs(urlsplit(self.path).query).items()}
        if place.path == "/authorize":
            code = secrets.token_hex(8)
            self.server.codes[code] = {"sub": self.server.at_the_door, "nonce": asked["nonce"]}
            self._redirect(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}")
        elif place.path == "/end":
            self._redirect(asked["post_logout_redirect_uri"])
        elif place.path == "/keys":
            self._answer({"keys": [self.server.key.as_dict(private=False)]})
        else:
            self._answer(self.server.configuration())

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self._answer(self.server.tokens(form["code"][0]))

    def _redirect(self, url: str) -> None:
        self.send_response(302)
        self.send_header("Location", url)
        self.end_headers()

    def _answer(self, content: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@contextmanager
def provider() -> Iterator[Provider]:
    """A provider for the length of a block."""
    with Provider() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
