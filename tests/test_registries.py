"""Registries: whole at every look-up, whoever looks; plug-ins that clash, break and are mended."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from sfcore.cli import main
from sfcore.detectors.registry import DETECTORS
from sfcore.errors import InputError
from sfcore.registries import PLUGINS, NameClash, Registry, import_file

_numbers = count()
REGISTERS = "from {package}.shelf import SHELF\nSHELF.register('{name}')('{thing}')\n"


class Shop:
    """A package with a registry of its own and one thing in it, and plug-ins that are added file by file."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.package = f"shop{next(_numbers)}"
        self.folder, self.monkeypatch, self.plugins = folder, monkeypatch, list[Path]()
        (folder / self.package).mkdir()
        (folder / self.package / "__init__.py").touch()
        shelf = f"from sfcore.registries import Registry\nSHELF = Registry('thing', '{self.package}')\n"
        (folder / self.package / "shelf.py").write_text(shelf)
        self.add("ours", "as shipped")
        monkeypatch.syspath_prepend(str(folder))

    @property
    def shelf(self) -> Registry[str]:
        __import__(f"{self.package}.shelf")
        found: Registry[str] = sys.modules[f"{self.package}.shelf"].SHELF
        return found

    def registers(self, name: str, thing: str) -> str:
        return REGISTERS.format(package=self.package, name=name, thing=thing)

    def add(self, name: str, thing: str, before: str = "") -> None:
        (self.folder / self.package / f"has_{name}.py").write_text(before + self.registers(name, thing))

    def plug_in(self, place: str, text: str) -> Path:
        path = self.folder / place
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        self.plugins.append(path)
        self.monkeypatch.setenv(PLUGINS, ":".join(map(str, self.plugins)))
        return path


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    before = set(sys.modules)
    yield Shop(tmp_path, monkeypatch)
    for name in set(sys.modules) - before:
        if name.startswith(("shop", "sfcore_plugin_")):
            del sys.modules[name]


def at_once(look: Callable[[], object], visitors: int = 8) -> list[object]:
    """What so many threads see that look at the same time; it fails where they block each other."""
    seen: list[object] = []
    gate = threading.Barrier(visitors)

    def visit() -> None:
        gate.wait()
        seen.append(look())

    threads = [threading.Thread(target=visit, daemon=True) for _ in range(visitors)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(seen) == visitors
    return seen


def test_visitors_who_come_at_once_all_see_everything(shop: Shop):
    shop.add("slow", "as shipped", "import time\ntime.sleep(0.2)\n")
    shop.plug_in(
        "a/more.py", f"import time\n{shop.registers('first', 'mine')}time.sleep(0.2)\n{shop.registers('last', '')}"
    )
    shelf = shop.shelf
    assert set(at_once(shelf.names)) == {("first", "last", "ours", "slow")}


def test_a_plugin_may_look_things_up_while_others_wait_for_it(shop: Shop):
    text = f"from {shop.package}.shelf import SHELF\nassert 'ours' in SHELF.names()\nimport time\ntime.sleep(0.1)\n"
    shop.plug_in("a/curious.py", text + shop.registers("late", "mine"))
    shelf = shop.shelf
    assert set(at_once(shelf.names)) == {("late", "ours")}


def test_files_of_the_same_name_in_two_folders_are_two_plugins(shop: Shop):
    for place in ("a", "b"):
        shop.plug_in(f"{place}/mine.py", shop.registers(f"of-{place}", place))
    assert shop.shelf.names() == ("of-a", "of-b", "ours")


@pytest.mark.parametrize("ending", ["raise RuntimeError('no luck')", "import nothing_of_this_name", "exit(2)", "1 +"])
def test_a_broken_plugin_is_named_at_every_look_up_until_it_is_mended(ending: str, shop: Shop):
    path = shop.plug_in("a/mine.py", f"{shop.registers('half', 'mine')}{ending}")
    for _ in range(2):
        with pytest.raises(InputError, match=r"a/mine\.py .*cannot be imported \(\w+: .*mend it") as told:
            shop.shelf.names()
        assert "\n" not in str(told.value)
    path.write_text(shop.registers("whole", "mine"))
    assert shop.shelf.names() == ("ours", "whole")


def test_a_mend_within_the_same_second_and_of_the_same_size_counts(shop: Shop):
    path = shop.plug_in("a/mine.py", shop.registers("name", "mine") + "1 / 0")
    with pytest.raises(InputError, match="ZeroDivisionError"):
        shop.shelf.names()
    path.write_text(shop.registers("name", "mine") + "1 / 1")
    assert shop.shelf["name"] == "mine"


def test_what_ships_is_not_replaced_by_a_plugin_and_both_are_named(shop: Shop):
    shop.plug_in("a/mine.py", shop.registers("ours", "mine"))
    with pytest.warns(NameClash, match=rf"thing 'ours' is in {shop.package}\.has_ours .* and in .*a/mine\.py"):
        assert shop.shelf["ours"] == "as shipped"


def test_what_ships_takes_its_name_back_from_a_plugin_that_came_first(shop: Shop):
    path = shop.plug_in("a/mine.py", shop.registers("ours", "mine"))
    import_file(path)
    with pytest.warns(NameClash, match=rf"is in {shop.package}\.has_ours"):
        assert shop.shelf["ours"] == "as shipped"


def test_of_two_plugins_the_first_stays(shop: Shop):
    for place in ("a", "b"):
        shop.plug_in(f"{place}/mine.py", shop.registers("theirs", place))
    with pytest.warns(NameClash, match=r"a/mine\.py.* and in .*b/mine\.py"):
        assert shop.shelf["theirs"] == "a"


def test_registering_the_same_again_is_no_clash(shop: Shop):
    assert shop.shelf["ours"] == "as shipped"
    shop.add("ours", "as shipped later")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del sys.modules[f"{shop.package}.has_ours"]
        __import__(f"{shop.package}.has_ours")
    assert shop.shelf["ours"] == "as shipped later"


def test_the_command_line_notes_a_clash_and_answers(shop: Shop, capsys: pytest.CaptureFixture[str]):
    text = "import warnings\nfrom sfcore.registries import NameClash\nwarnings.warn('two are called x', NameClash)\n"
    shop.plug_in("a/clashing.py", text)
    shop.monkeypatch.setattr(DETECTORS, "_loaded", False)
    assert main(["detectors", "--json"]) == 0
    told = capsys.readouterr()
    assert told.err == "sfcore: two are called x\n" and told.out.startswith("[")
