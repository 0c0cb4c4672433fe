"""Pictures as components take them."""

from __future__ import annotations

from base64 import b64encode

# For a component's script: a tall picture is made as narrow as it must be to be seen whole.
FIT = """
const fit = (image, frame) => {
  image.onload = () => { frame.style.maxWidth = 90 * image.naturalWidth / image.naturalHeight + 'vh'; };
};
"""


def uri(jpeg: bytes) -> str:
    """A JPEG file as a data URI."""
    return "data:image/jpeg;base64," + b64encode(jpeg).decode()
