"""The app for a team: roots, owners, limits and the log, and what visitors try against them."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from app.team import activity, people
from app.team.limits import Seats
from app.team.people import Person
from sfcore.errors import InputError
from sfcore.resources import sample_data
from sfcore.runs import RunFolder
from sfcore.serving import Serving
from tests.app.conftest import Visit, errors

HTML = "<img src=x onerror=alert(1)>"


@pytest.fixture
def root(tmp_path: Path, runs_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a team may read, with a limit of two runs a person."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name, value in Serving((str(folder),), queued=2).environment.items():
        monkeypatch.setenv(name, value)
    return folder


def owned(run: RunFolder, who: str) -> RunFolder:
    run.update(owner={"id": who, "name": who})
    return run


def test_paths_outside_are_refused_in_the_sidebar(root: Path, visit: Visit) -> None:
    (root / "out").symlink_to("/etc")
    for path in ("/etc", "~", f"{root}/../runs", f"{root}/out", "/etc[:3]", "file:///etc", "~nobody-of-this-name/x"):
        app = visit(images="Folder", folder=path)
        assert any(
            "is outside of what this server may read" in each or "names nobody" in each for each in errors(app)
        ), path
    assert not visit(weights=str(sample_data() / "weights" / "ganet-tiny.safetensors")).exception
    assert any("is outside" in each for each in errors(visit(weights="/etc/passwd")))


def test_a_scheme_file_outside_is_refused(root: Path, visit: Visit) -> None:
    assert any("is outside" in each for each in errors(visit("tune", t_bits="/etc/x.json")))


def test_anothers_run_is_seen_and_not_touched(root: Path, visit: Visit, run: RunFolder) -> None:
    owned(run, HTML)
    run.update(status="stopped")
    app = visit("tune", run=run.name)
    assert not app.exception and "Resume" not in [button.label for button in app.button]
    shown = " ".join(each.proto.body for each in app.get("html"))
    assert "&lt;img src=x" in shown and HTML not in shown
    from app.team.actions import delete, label, resume, stop
    from sfcore.runs.tags import Tags

    for act in (stop, resume, lambda run: delete(run.name), lambda run: label(run, Tags(("x",)))):
        with pytest.raises(InputError, match="so you cannot"):
            act(run)
    assert run.path.is_dir() and run.status == "stopped"


def test_a_run_on_uploads_is_seen_by_its_whole_name_alone_and_not_touched(
    root: Path, visit: Visit, run: RunFolder, runs_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, secret = "ganet-tiny-W4A4", "ganet-tiny-W4A4-0123456789abcdef"
    run.path.rename(runs_folder / secret)
    hers = owned(RunFolder.open(runs_folder / secret), "ada")
    (hers.path / "images").mkdir()
    shutil.copy(sample_data() / "scenes" / "00-curve.jpg", hers.path / "images" / "hers.jpg")
    hers.update(spec=hers.record()["spec"] | {"images": [str(hers.path / "images")]}, status="stopped")

    def seen(**link: str) -> bool:
        app = visit("runs", **link)
        assert not app.exception
        return secret in " ".join(app.dataframe[0].value["Run"] if app.dataframe else [])

    monkeypatch.setattr(people, "person", lambda: Person("bob", "bob"))
    assert seen(run=secret)
    assert not seen(run=base, against=base, search=base)
    app = visit("tune", run=secret)
    assert not app.exception and not {"Resume", "Stop"} & {button.label for button in app.button}
    app = visit(images="Folder", folder=str(hers.path / "images" / "hers.jpg"))
    assert any("is outside of what this server may read" in each for each in errors(app))
    monkeypatch.setattr(people, "person", lambda: Person("ada", "ada"))
    assert seen() and "Resume" in [button.label for button in visit("tune", run=secret).button]


def test_a_run_of_the_command_line_belongs_to_nobody_who_visits(root: Path, run: RunFolder) -> None:
    assert not people.is_mine(run)
    with pytest.raises(InputError, match="of who runs the server"):
        people.check_mine(run, "delete")


def test_what_one_does_is_logged_and_the_log_is_put_away_when_full(
    root: Path, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.team.actions import delete

    me = Person("me", 'Eve\n{"action": "delete"}')
    for module in (people, activity):
        monkeypatch.setattr(module, "person", lambda: me)
    owned(run, "me")
    delete(run.name)
    log = run.path.parent / activity.FILE
    (line,) = map(json.loads, log.read_text().splitlines())
    assert line["action"] == "delete" and line["about"] == run.name and line["person"] == me.record
    assert abs(line["time"] - time.time()) < 60
    monkeypatch.setattr(activity, "MOST_BYTES", 1)
    for _ in range(activity.KEPT + 2):
        activity.note("enter")
    assert len(list(log.parent.glob(f"{activity.FILE}.[0-9]"))) == activity.KEPT


def test_more_runs_than_one_person_may_have_are_refused(
    root: Path, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.team import limits

    monkeypatch.setattr(limits, "person", lambda: Person("me", "me"))
    owned(run, "me")
    monkeypatch.setattr(RunFolder, "is_alive", lambda self: True)
    limits.check_queue(1)
    with pytest.raises(InputError, match="nothing is lost"):
        limits.check_queue(2)
    owned(run, "other")
    limits.check_queue(2)


def test_uploads_beyond_a_persons_share_are_refused(
    root: Path, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.team import limits

    monkeypatch.setattr(limits, "person", lambda: Person("me", "me"))
    owned(run, "me")
    (run.path / "images").mkdir(exist_ok=True)
    (run.path / "images" / "a.png").write_bytes(bytes(2**20))
    limits.check_room(999 * 2**20)
    with pytest.raises(InputError, match="your runs keep 1 MB"):
        limits.check_room(999 * 2**20 + 1)


def test_a_flood_of_sessions_is_turned_away_and_closed_pages_make_room() -> None:
    open_, team = {str(number) for number in range(100)}, Serving(("/",), sessions=2, visitors=5)
    seats = Seats(open_.__contains__)
    for number in range(2):
        seats.take(str(number), "eve", team)
        seats.take(str(number), "eve", team)  # drawn again
    with pytest.raises(InputError, match="as many as one person may"):
        seats.take("2", "eve", team)
    for number in range(3, 6):
        seats.take(str(number), f"anonymous {number}", team)
    with pytest.raises(InputError, match="all 5 places"):
        seats.take("6", "bob", team)
    open_.remove("3")
    seats.take("6", "bob", team)
    seats.take("0", "eve", team)  # who is in stays in
