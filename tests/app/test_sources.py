"""What the path in the sidebar is taken for."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from app import sources
from sfcore.datasets.dataset import Frame, spread
from sfcore.datasets.scenes import SCENARIOS, render
from sfcore.datasets.scenes.folders import write_scenes
from sfcore.errors import InputError
from tests.app.conftest import Visit, errors

SIZE = (120, 200)


@pytest.fixture(scope="module")
def culane(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine rendered scenes in CULane's layout, one of each scenario; three of them are a train split too."""
    root = tmp_path_factory.mktemp("culane")
    scenes = [render(seed, SIZE, scenario) for seed, scenario in enumerate(SCENARIOS)]
    write_scenes("culane", root, "train", scenes[:3])
    write_scenes("culane", root, "test", scenes)
    return root


def frames(*scenarios: str) -> list[Frame]:
    return [Frame(f"{number:03d}.jpg", Path(f"{number:03d}.jpg"), name) for number, name in enumerate(scenarios)]


def test_frames_are_spread_equally_over_scenarios_in_their_old_order() -> None:
    chosen = spread(frames(*["normal"] * 80, *["night"] * 10, *["cross"] * 2), 22)
    assert Counter(frame.scenario for frame in chosen) == {"normal": 10, "night": 10, "cross": 2}
    assert [frame.name for frame in chosen][:3] == ["000.jpg", "008.jpg", "016.jpg"]
    assert chosen == sorted(chosen, key=lambda frame: frame.name)


@pytest.mark.parametrize("most", [1, 2, 7, 30, 31, 500])
def test_a_spread_has_as_many_frames_as_asked_for_if_there_are(most: int) -> None:
    everything = frames(*["normal"] * 20, *["night"] * 7, *[""] * 3)
    assert len(spread(everything, most)) == min(most, 30)


def test_a_dataset_is_recognised_and_described(culane: Path) -> None:
    found = sources.opened(str(culane), None, sources.changed(str(culane)))
    assert sources.title(found) == "CULane, test: 9 images, 9 scenarios"
    assert "train" in sources.splits(str(culane), sources.changed(str(culane)))


def test_a_part_of_a_dataset_keeps_its_labels_and_scenarios(culane: Path) -> None:
    part = f"{culane}[2:4]"
    found = sources.opened(part, None, sources.changed(part))
    assert [frame.scenario for frame in found.frames] == ["hlight", "shadow"]
    assert found.label(found.frames[0]).lanes and not sources.splits(part, 0.0)


def test_every_fifth_frame_of_a_video(tmp_path: Path) -> None:
    file = tmp_path / "drive.avi"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for number in range(12):
        writer.write(np.full((48, 64, 3), 20 * number, np.uint8))
    writer.release()
    found = sources.opened(f"{file}[::5]", None, sources.changed(f"{file}[::5]"))
    assert [frame.image.name for frame in found.frames] == ["000000", "000005", "000010"]


def test_files_of_one_name_are_told_apart() -> None:
    found = sources.loose(Path("uploads"), [Path("a/1.jpg"), Path("b/1.jpg"), Path("c/1.jpg")])
    assert [frame.name for frame in found.frames] == ["1.jpg", "1.jpg (2)", "1.jpg (3)"]


def test_a_changed_list_is_noticed(culane: Path, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(culane, root)
    before = sources.changed(str(root))
    os.utime(root / "list", (before + 10, before + 10))
    assert sources.changed(str(root)) == before + 10
    assert sources.changed(f"{root}[:2]") == before + 10


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match="/no/such/place"):
        sources.opened("/no/such/place", None, 0.0)


def test_the_sidebar_narrows_a_dataset_by_split_and_scenario(visit: Visit, culane: Path) -> None:
    app = visit(images="Folder", folder=str(culane))
    assert errors(app) == []
    assert "CULane, test: 9 images, 9 scenarios" in [caption.value for caption in app.sidebar.caption]
    assert len(app.selectbox(key="image").options) == 9
    app.multiselect(key="scenarios").set_value(["night", "curve"]).run()
    assert [name.split("/")[1] for name in app.selectbox(key="image").options] == ["curve", "night"]
    app.selectbox(key="split").set_value("train").run()
    assert errors(app) == [] and len(app.selectbox(key="image").options) == 3


def test_a_link_names_split_and_scenarios(visit: Visit, culane: Path) -> None:
    app = visit(images="Folder", folder=str(culane), scenarios="night", limit="5")
    assert errors(app) == [] and len(app.selectbox(key="image").options) == 1


def test_a_dataset_without_its_images_says_so_and_another_source_works(
    visit: Visit, culane: Path, tmp_path: Path
) -> None:
    shutil.copytree(culane / "list", tmp_path / "list")
    app = visit(images="Folder", folder=str(tmp_path))
    assert "there is no image" in errors(app)[0] and not app.exception
    app.segmented_control(key="images").set_value("Samples").run()
    assert errors(app) == [] and app.title[0].value == "Overview"


def test_a_path_that_the_system_refuses_is_explained(visit: Visit) -> None:
    app = visit(images="Folder", folder="/" + "x" * 300)
    assert "cannot be read (File name too long)" in errors(app)[0] and not app.exception


def test_runs_take_a_whole_source_by_its_name_and_a_part_by_its_images(visit: Visit, culane: Path) -> None:
    whole = visit(images="Folder", folder=str(culane)).session_state["studio"]
    part = visit(images="Folder", folder=str(culane), scenarios="night").session_state["studio"]
    assert whole.sources(5) == (str(culane),)
    assert part.sources(5) == tuple(str(path) for path in part.images) and len(part.images) == 1


def test_rendered_scenes_are_typed_like_a_folder(visit: Visit) -> None:
    app = visit(images="Folder", folder="scenes:30,seed=3", limit="4")
    assert errors(app) == [] and len(app.selectbox(key="image").options) == 4
    assert any(caption.value.startswith("Rendered: 30 images") for caption in app.sidebar.caption)
    assert app.session_state["studio"].sources(5) == ("scenes:30,seed=3",)
    app.text_input(key="folder").set_value("scenes:99999").run()
    assert "1 to 10,000 scenes" in errors(app)[0] and not app.exception
