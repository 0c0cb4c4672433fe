"""One small registry type: a name, a thing, and a folder whose files register themselves; so do plug-ins."""

from __future__ import annotations

import hashlib
import importlib
import os
import pkgutil
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from threading import RLock
from types import CodeType, ModuleType
from typing import Generic, TypeVar

from sfcore.errors import InputError

T = TypeVar("T")
PLUGINS = "SFCORE_PLUGINS"  # environment variable: Python files that register things, as in PATH
_plugin_lock = RLock()  # a plug-in may look things up while it is imported, in the same thread
_imported: set[Path] = set()  # plug-in files
_under_way: list[Path] = []  # those of them that are being imported: more than one where they import each other


class NameClash(UserWarning):
    """Two modules have registered different things under the same name."""


class Registry(Generic[T]):
    """Things by name, filled by the files of one package and by plug-ins.

    Of two things under the same name that of the package stays, else the first; :class:`NameClash` is warned of.
    Nothing stays of a module whose import failed. Threads may look things up at the same time, the first time too.

    Args:
        what: what the things are called in messages.
        package: dotted name of the package whose modules register; imported at the first look-up.
            So are entry points of other packages in the group of the same name, and the files that the
            environment variable ``SFCORE_PLUGINS`` lists.
    """

    def __init__(self, what: str, package: str) -> None:
        self._what, self._package = what, package
        self._things: dict[str, T] = {}
        self._owners: dict[str, ModuleType] = {}  # the module that registered each
        self._loaded = False

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator that adds a thing under ``name``."""
        owner = _registering_module()

        def add(thing: T) -> T:
            if self._is_free(name, owner):
                self._owners[name] = owner
                self._things[name] = thing
            return thing

        return add

    def names(self) -> tuple[str, ...]:
        """All names, sorted. Raises InputError: a plug-in cannot be imported."""
        self._load()
        return tuple(sorted(filter(self._is_there, tuple(self._things))))

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __getitem__(self, name: str) -> T:
        """The thing called ``name``.

        Raises:
            InputError: there is none, or a plug-in cannot be imported.
        """
        self._load()
        if not self._is_there(name):
            raise InputError(f"there is no {self._what} {name!r}: choose one of {', '.join(self.names())}")
        return self._things[name]

    def _is_there(self, name: str) -> bool:
        """Whether a name stands for something; not where the import of its module failed after it had registered."""
        owner = self._owners.get(name)
        return name in self._things and (owner is None or sys.modules.get(owner.__name__) is owner)

    def _is_free(self, name: str, new: ModuleType) -> bool:
        """Whether a module may register something under ``name``; warns where another one has."""
        if not self._is_there(name) or _file(self._owners[name]) == _file(new):  # imported again
            return True
        old = self._owners[name]
        replaced = self._is_own(new) and not self._is_own(old)
        used, unused = (new, old) if replaced else (old, new)
        first, second = (f"{module.__name__} ({_file(module)})" for module in (used, unused))
        text = (
            f"the {self._what} {name!r} is in {first} and in {second}: the former is used, give the latter another name"
        )
        warnings.warn(text, NameClash, stacklevel=3)
        return replaced

    def _is_own(self, module: ModuleType) -> bool:
        return f"{module.__name__}.".startswith(f"{self._package}.")

    def _load(self) -> None:
        """Import all that registers; what fails is tried again at the next look-up.

        Python's own locks see to it that a module is whole when its import returns, whichever thread began it. One of
        ours around them would block for good where a module that another thread imports looks something up.
        """
        if self._loaded:
            return
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            if module.name != "__main__":
                importlib.import_module(f"{self._package}.{module.name}")
        for point in entry_points(group=self._package):
            with _named(f"{point.value} (entry point of {self._package})"):
                point.load()
        with _plugin_lock:
            for path in filter(None, os.environ.get(PLUGINS, "").split(os.pathsep)):
                import_file(Path(path).expanduser().resolve())
            self._loaded = not _under_way  # a plug-in that looks things up has not registered all of its own


def import_file(path: Path) -> None:
    """Import a Python file that registers things, once; one that failed is tried again.

    Raises:
        InputError: it cannot be imported; the message says why.
    """
    with _plugin_lock:
        if path in _imported:
            return
        if not path.is_file() or path.suffix != ".py":
            raise InputError(f"the plug-in {path} ({PLUGINS}) is no Python file: give the path of a .py file")
        _imported.add(path)
        _under_way.append(path)
        try:
            with _named(f"{path} ({PLUGINS})"):
                _execute(path)
        except BaseException:
            _imported.discard(path)
            raise
        finally:
            _under_way.pop()


def _execute(path: Path) -> None:
    """Run a file as a module, under a name that no other file of the same name has taken."""
    name = f"sfcore_plugin_{path.stem}"
    if name in sys.modules:
        name += f"_{hashlib.sha256(bytes(path)).hexdigest()[:8]}"
    spec = spec_from_loader(name, _Source(name, str(path)))
    assert spec and spec.loader
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise


class _Source(SourceFileLoader):
    """A file compiled anew each time: kept bytecode may be older than a mend of the same second and size."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


@contextmanager
def _named(plugin: str) -> Iterator[None]:
    """Whatever a user's code raises, as one line that names it."""
    try:
        yield
    except (Exception, SystemExit) as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"the plug-in {plugin} cannot be imported ({why}): mend it, or leave it out") from error


def _registering_module() -> ModuleType:
    """The module whose import registers something, however deep in its functions."""
    frame = sys._getframe(2)
    while frame.f_code.co_name != "<module>" and frame.f_back:
        frame = frame.f_back
    return sys.modules.get(frame.f_globals.get("__name__", ""), sys.modules[__name__])


def _file(module: ModuleType) -> str:
    """The same where a module is imported again, as itself or as ``__main__``."""
    return getattr(module, "__file__", None) or module.__name__
