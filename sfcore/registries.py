"""One small registry type: a name, a thing, and a folder whose files register themselves; so do plug-ins."""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Generic, TypeVar

from sfcore.errors import InputError

T = TypeVar("T")
PLUGINS = "SFCORE_PLUGINS"  # environment variable: Python files that register things, as in PATH


class Registry(Generic[T]):
    """Things by name, filled by the files of one package and by plug-ins.

    Args:
        what: what the things are called in messages.
        package: dotted name of the package whose modules register; imported at the first look-up.
            So are entry points of other packages in the group of the same name, and the files that the
            environment variable ``SFCORE_PLUGINS`` lists.
    """

    def __init__(self, what: str, package: str) -> None:
        self._what, self._package = what, package
        self._things: dict[str, T] = {}
        self._loaded = False

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator that adds a thing under ``name``."""

        def add(thing: T) -> T:
            self._things[name] = thing
            return thing

        return add

    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        self._load()
        return tuple(sorted(self._things))

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __getitem__(self, name: str) -> T:
        """The thing called ``name``.

        Raises:
            InputError: there is none, or a plug-in cannot be imported.
        """
        self._load()
        if name not in self._things:
            raise InputError(f"there is no {self._what} {name!r}: choose one of {', '.join(self.names())}")
        return self._things[name]

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            if module.name != "__main__":
                importlib.import_module(f"{self._package}.{module.name}")
        for point in entry_points(group=self._package):
            point.load()
        for path in filter(None, os.environ.get(PLUGINS, "").split(os.pathsep)):
            import_file(Path(path).expanduser().resolve())


@cache
def import_file(path: Path) -> None:
    """Import a Python file that registers things, once.

    Raises:
        InputError: it cannot be imported; the message says why.
    """
    name = f"sfcore_plugin_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise InputError(f"the plug-in {path} ({PLUGINS}) is no Python file: give the path of a .py file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a user's file raises
        del sys.modules[name]
        raise InputError(f"the plug-in {path} cannot be imported ({type(error).__name__}: {error})") from error
