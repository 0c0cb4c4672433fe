"""Pictures as components take them."""

from __future__ import annotations

from base64 import b64encode


def uri(jpeg: bytes) -> str:
    """A JPEG file as a data URI."""
    return "data:image/jpeg;base64," + b64encode(jpeg).decode()
