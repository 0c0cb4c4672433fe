"""One small registry type: a name, a thing, and a folder whose files register themselves; so do plug-ins."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from sfcore.errors import InputError

T = TypeVar("T")


class Registry(Generic[T]):
    """Things by name, filled by the files of one package.

    Args:
        what: what the things are called in messages.
        package: dotted name of the package whose modules register; imported at the first look-up.
            Entry points of other packages in the group of the same name are loaded too.
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
            InputError: there is none.
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
            importlib.import_module(f"{self._package}.{module.name}")
        for point in entry_points(group=self._package):
            point.load()
