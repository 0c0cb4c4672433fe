"""What visitors upload: checked, bounded, their own, and gone afterwards."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from PIL import Image

from app import uploads
from app.uploads import FRAME_MB, FRAMES_MB, MOST_FRAMES, PREFIX, Uploads
from sfcore.errors import InputError
from sfcore.inputs.images import MEGAPIXELS, Preprocessing
from tests.app.conftest import Visit, errors

PIXELS = Preprocessing((64, 64), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclass
class File:
    """An uploaded file, as Streamlit hands it over."""

    name: str
    content: bytes
    size: int = -1
    file_id: str = field(default_factory=lambda: uuid4().hex)

    def __post_init__(self) -> None:
        self.size = len(self.content) if self.size < 0 else self.size

    def getbuffer(self) -> memoryview:
        return memoryview(self.content)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary folder of the test's own, where uploads go."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    uploads.server_folder.cache_clear()
    yield tmp_path
    uploads.server_folder.cache_clear()


def road(width: int = 64, height: int = 36, form: str = "JPEG") -> bytes:
    """A small picture."""
    content = io.BytesIO()
    Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(content, form)
    return content.getvalue()


def test_good_images_are_kept_and_bad_ones_named() -> None:
    mine, good, bad = Uploads(), File("road.jpg", road()), File("broken.png", b"no image")
    kept, problems = mine.frames([good, bad], PIXELS)
    assert [path.name for path in kept] == ["road.jpg"] and kept[0].read_bytes() == good.content
    assert len(problems) == 1 and problems[0].startswith("broken.png is no image")
    assert sorted(path.name for path in mine.folder.rglob("*.*")) == ["road.jpg"]  # nothing bad lies about


def test_two_images_of_one_name_are_both_kept() -> None:
    kept, _ = Uploads().frames([File("road.jpg", road(64)), File("road.jpg", road(80))], PIXELS)
    assert len(set(kept)) == 2


def test_an_image_of_too_many_pixels_is_refused_by_its_header() -> None:
    content = io.BytesIO()
    Image.new("1", (MEGAPIXELS * 1000 + 1, 1000)).save(content, "PNG")  # few bytes, many pixels
    assert len(content.getvalue()) < 100_000
    kept, problems = Uploads().frames([File("bomb.png", content.getvalue())], PIXELS)
    assert not kept and f"bomb.png has more than {MEGAPIXELS} megapixels" in problems[0]


def test_a_picture_under_a_wrong_name_is_judged_by_its_content() -> None:
    kept, problems = Uploads().frames([File("road.jpg", road(form="TIFF"))], PIXELS)
    assert not kept and "road.jpg is no image" in problems[0]


def test_a_large_file_is_refused_before_it_is_written() -> None:
    mine = Uploads()
    kept, problems = mine.frames([File("large.jpg", b"", size=(FRAME_MB + 1) * 2**20)], PIXELS)
    assert not kept and f"at most {FRAME_MB} MB" in problems[0]
    assert not list(mine.folder.rglob("*.jpg"))


def test_too_many_images_and_too_much_together_are_refused() -> None:
    with pytest.raises(InputError, match=f"{MOST_FRAMES + 1} images are too many"):
        Uploads().frames([File("a.jpg", b"")] * (MOST_FRAMES + 1), PIXELS)
    with pytest.raises(InputError, match=f"at most {FRAMES_MB} MB"):
        Uploads().frames([File("a.jpg", b"", size=FRAME_MB * 2**20)] * (FRAMES_MB // FRAME_MB + 1), PIXELS)


def test_what_is_taken_back_is_removed() -> None:
    mine, first, second = Uploads(), File("a.jpg", road()), File("b.jpg", road())
    kept, _ = mine.frames([first, second], PIXELS)
    weights = mine.weights(File("net.safetensors", b"x"))
    mine.frames([second], PIXELS)
    assert not kept[0].exists() and kept[1].exists() and weights and weights.exists()
    assert mine.weights(None) is None and not weights.exists()


def test_closing_removes_ones_own_and_no_others() -> None:
    mine, other = Uploads(), Uploads()
    kept, _ = mine.frames([File("a.jpg", road())], PIXELS)
    theirs, _ = other.frames([File("b.jpg", road())], PIXELS)
    mine.close()
    assert not mine.folder.exists() and not kept[0].exists() and theirs[0].exists()


def test_a_path_to_uploads_is_refused() -> None:
    mine = Uploads()
    for path in (mine.folder, mine.folder / ".." / mine.folder.name):
        with pytest.raises(InputError, match="visitors have uploaded"):
            uploads.refuse(str(path))
    uploads.refuse("/roads/highway")


def test_no_visitor_opens_the_uploads_of_another(visit: Visit) -> None:
    theirs = Uploads()
    kept, _ = theirs.frames([File("secret.jpg", road())], PIXELS)
    app = visit(images="Folder", folder=str(kept[0].parent))
    assert "visitors have uploaded" in errors(app)[0] and not app.exception
    app = visit(weights=str(theirs.weights(File("net.safetensors", b"x"))))
    assert "visitors have uploaded" in errors(app)[0] and not app.exception


def test_the_next_server_removes_what_a_killed_one_left_and_spares_the_living(own_folder: Path) -> None:
    living = uploads.server_folder()
    killed = "import os; from app import uploads; uploads.server_folder(); os._exit(9)"  # without any clearing up
    here = {**os.environ, "TMPDIR": str(own_folder), "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", killed], env=here, check=False).returncode == 9
    assert len(list(own_folder.glob(f"{PREFIX}*"))) == 2
    uploads.sweep()
    assert list(own_folder.glob(f"{PREFIX}*")) == [living]
