"""Screenshots of every page in both themes, for the documentation: ``python -m docs.screenshots``.

The app runs from this checkout with the run that ships; Chromium is needed. Look at each picture before keeping it.
That of a search is taken where ``--runs`` names the folder in which the search of docs/search.md was made.
"""

from __future__ import annotations

import argparse
import io
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

from benchmarks.browser import chromium, serving
from sfcore.resources import sample_data

WIDTH, HEIGHT = 1280, 1000
QUALITY = 82  # of WebP
SAME = "detector=condlanenet-tiny&image=09-normal.jpg"  # of the run that ships
SEARCH = "search"
PAGES = {
    "overview": "",
    "tour-1": "tour?step=Broken",
    "tour-2": "tour?step=Head",
    "tour-3": "tour?step=Pixels",
    "tour-4": "tour?step=Curves",
    "tour-5": "tour?step=Tuned",
    "tour-6": "tour?step=Repaired",
    "heads": f"heads?{SAME}&head=offset",
    "pixels": f"pixels?{SAME}&head=offset",
    "boxes": "heads?detector=centernet-tiny&head=wh",
    "sweeps": "heads?detector=centerpoint-pillar-tiny&head=hm",
    "curves": f"curves?{SAME}&c_run=tour",
    "layers": f"layers?{SAME}&l_layers=3-5",
    "tune": f"tune?{SAME}&run=tour",
    SEARCH: "tune?t_what=A+search&detector=ganet-tiny&t_method=Selective+Focus&search=first",
    "compare": f"compare?{SAME}&run=tour&frames=8",
    "runs": f"runs?{SAME}",
    "projector": "tour?step=Repaired&projector=true",
}
BUSY = "[data-testid=stStatusWidget], [data-testid=stProgress], [data-testid=stSkeleton], [data-stale=true]"
PATIENCE = 180_000  # milliseconds that a page may take on a busy machine
QUIET = 1500  # milliseconds without work after which a page is taken for ready


def shoot(page: Page, address: str) -> bytes:
    """Open a page, wait until it is quiet, and return it as WebP."""
    page.goto(address)
    page.wait_for_selector("h1", timeout=PATIENCE)
    quiet = 0
    while quiet < QUIET:
        page.wait_for_timeout(300)
        quiet = 0 if page.locator(BUSY).count() else quiet + 300
    picture = io.BytesIO()
    Image.open(io.BytesIO(page.screenshot())).convert("RGB").save(picture, "WEBP", quality=QUALITY, method=6)
    return picture.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/screenshots"), metavar="DIR")
    parser.add_argument("--only", nargs="+", choices=list(PAGES), default=list(PAGES), metavar="NAME")
    parser.add_argument("--runs", type=Path, metavar="DIR", help="where the search of docs/search.md was made")
    given = parser.parse_args()
    names = [name for name in given.only if name != SEARCH or given.runs]
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as runs:
        shutil.copytree(sample_data() / "tour", Path(runs) / "tour")
        for each in given.runs.glob("first*") if given.runs else ():
            shutil.copytree(each, Path(runs) / each.name)
        with serving(Path(runs)) as url, chromium() as browser:
            for theme in ("light", "dark"):
                context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=theme)
                for name in names:
                    page = context.new_page()
                    (given.out / f"{name}-{theme}.webp").write_bytes(shoot(page, f"{url}/{PAGES[name]}"))
                    page.close()
                    print(f"{name}-{theme}.webp")


if __name__ == "__main__":
    main()
