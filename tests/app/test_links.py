"""Links that somebody has made up: whatever a parameter holds, a page says what is wrong with it, or goes without."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sfcore.quant.methods import METHODS
from sfcore.quant.methods.options import options_of
from sfcore.serving import Serving
from tests.app.conftest import ROOT, Visit, errors

PAGES = sorted(file.stem for file in (ROOT / "pages").glob("*.py"))
HTML = "<img src=x onerror=alert(1)>"
# What stops every page before it looks at anything else: attacked in test_team.py, and by themselves here.
FIRST = {"detector", "weights", "weights_key", "images", "folder", "dataset"}


def parameters() -> set[str]:
    """The names that any page reads of its link, as the source has them, and such as it puts together or knows not."""
    sources = [file.read_text() for room in ("app", "pages") for file in (ROOT / room).rglob("*.py")]
    names = re.compile(r'key="(\w+)",?\s+bind="query-params"|(?:recall|keep|query_params\.get)\("(\w+)"')
    found = {one or other for text in sources for one, other in names.findall(text)} | {"run", "against", "bits"}
    options = {f"t_{name}" for method in METHODS for name in options_of(METHODS[method])}
    return found | options | {"l_budget_bit", "l_budget_%size@W8A8", "l_budget_nothing", "t_nothing", "s_lam", "f_tags"}


@pytest.fixture
def team(tmp_path: Path, runs_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    for name, value in Serving((str(tmp_path / "data"),)).environment.items():
        monkeypatch.setenv(name, value)


@pytest.mark.slow
@pytest.mark.parametrize("value", ["nan", HTML, "-99999999999999999999", "9" * 5000, "../../etc/passwd", "\0", ""])
def test_no_value_of_any_parameter_breaks_a_page(value: str, team: None, visit: Visit) -> None:
    names = parameters() - FIRST
    assert {"t_method", "t_lam", "run", "seed", "at"} <= names
    for page in PAGES:
        app = visit(page, **dict.fromkeys(names, value))
        assert not app.exception, (page, [each.message for each in app.exception])
        assert not any("Traceback" in each for each in errors(app))
        assert not any(HTML in each.proto.body for each in app.get("html")), page


@pytest.mark.parametrize("name", sorted(FIRST))
def test_no_value_of_what_is_opened_breaks_the_app(name: str, team: None, visit: Visit) -> None:
    for value in (HTML, "-1", "../../etc/passwd", "\0", "x" * 5000):
        more = {"images": name.capitalize()} if name in ("folder", "dataset") else {}
        app = visit(**more, **{name: value})
        assert not app.exception, (value, [each.message for each in app.exception])
        assert not any("Traceback" in each for each in errors(app))
