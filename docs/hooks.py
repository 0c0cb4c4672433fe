"""What the documentation consists of beside the pages of this folder: the reference, and files of other folders.

MkDocs calls the functions named ``on_…`` while it builds.
"""

from __future__ import annotations

import pkgutil
import re
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
ROOMS = (
    "tasks", "inputs", "detectors", "datasets", "evaluation", "sensitivity", "quant", "distil", "export", "engines",
    "runs", "deployment", "present", "bench",
)  # fmt: skip
GROUND = ("errors", "registries")  # what every room speaks of
# Of the rest of the project; a link to anything else in it is an error.
FILES = ("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "benchmarks/README.md", "examples/*.py", "pyproject.toml")
LOGO = "app/static/icon.svg"
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")


def on_config(config: MkDocsConfig) -> None:
    """Put the reference behind the glossary."""
    assert config.nav
    place = next(i for i, entry in enumerate(config.nav) if "Glossary" in entry) + 1
    config.nav.insert(place, {"Reference": [_entry(room) for room in ROOMS] + [{"ground": _page("sfcore")}]})


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what does not lie in this folder."""
    for package in _packages():
        files.append(File.generated(config, _page(package), content=_reference(package)))
    for path in (path for pattern in FILES for path in ROOT.glob(pattern)):
        files.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    files.append(File.generated(config, "icon.svg", abs_src_path=str(ROOT / LOGO)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Point links that are right in a checkout to where their targets are in the site."""
    source = PurePosixPath(page.file.src_uri)
    own = not (ROOT / source).is_file()  # a page of this folder
    here = PurePosixPath("docs" if own else ".") / source.parent

    def moved(link: re.Match[str]) -> str:
        target = normpath(str(here / link[1]))
        return "../" * (len(source.parts) - 1) + target.removeprefix("docs/")

    return LINK.sub(moved, markdown)


def _packages() -> list[str]:
    """The packages that have a page, by their full names."""
    return ["sfcore", *(package for room in ROOMS for package in _below(f"sfcore.{room}"))]


def _below(package: str) -> list[str]:
    """A package and all packages in it."""
    folder = ROOT.joinpath(*package.split("."))
    inner = [module.name for module in pkgutil.iter_modules([str(folder)]) if module.ispkg]
    return [package, *(each for name in inner for each in _below(f"{package}.{name}"))]


def _modules(package: str) -> list[str]:
    """A package and the modules that lie directly in it; of sfcore itself only those that all speak of."""
    if package == "sfcore":
        return [f"sfcore.{name}" for name in GROUND]
    folder = ROOT.joinpath(*package.split("."))
    names = [module.name for module in pkgutil.iter_modules([str(folder)]) if not module.ispkg]
    return [package, *(f"{package}.{name}" for name in names if not name.startswith("_"))]


def _page(package: str) -> str:
    return f"reference/{package}.md"


def _entry(room: str) -> dict[str, Any]:
    """A room in the navigation: its pages by what they are called within it."""
    package = f"sfcore.{room}"
    return {room: [{each.removeprefix("sfcore."): _page(each)} for each in _below(package)]}


def _reference(package: str) -> str:
    """The page of a package; of the package itself only what it says, for its names come with their modules."""
    first, *rest = _modules(package)
    head = f"::: {first}\n" + ("    options: {members: false}\n" if first == package and rest else "")
    return "\n".join([f"# {package}\n", head, *(f"::: {module}\n" for module in rest)])
