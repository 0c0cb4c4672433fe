"""``sfcore bench`` as a script calls it, on a real tiny detector, and the unseen images that it is judged on."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import pytest

import sfcore.cli
from sfcore.bench.sources import Source, rendered_test, sources_of, unseen
from sfcore.cli.bench import _named_file
from sfcore.datasets.scenes import render
from sfcore.detectors.registry import entry
from sfcore.errors import InputError
from sfcore.resources import sample_data
from sfcore.runs import list_runs

SCENES = str(sample_data() / "scenes")


def test_a_bench_from_images_to_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", "--detectors", "lstr-tiny", "--methods", "calibrate", "selective-focus", "--bits", "W4A4"]
    words += ["--images", f"{SCENES}[:4]", "--test", f"seen={SCENES}[:1]", f"far={SCENES}[4:6]", "--seeds", "0"]
    words += ["--iterations", "2", "--batch", "1", "--out", str(tmp_path), "--json"]
    assert sfcore.cli.main(words) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["cells"], answer["failed"]) == (2, {})
    found = [(row["method"], row["test"], row["images"]) for row in answer["rows"]]
    assert found == [(name, *one) for name in ("calibrate", "selective-focus") for one in (("seen", 1), ("far", 2))]
    tuned = answer["rows"][2]
    assert (tuned["iterations"], tuned["k"]) == (2, 2) and min(tuned["curve_seconds"], tuned["tuning_seconds"]) > 0

    with (tmp_path / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["test"] for row in rows] == ["seen", "far"] * 2
    assert {(row["average_weight_bits"], row["bops"]) for row in rows} == {("4.05", rows[0]["bops"])}
    report = (tmp_path / "report.md").read_text()
    assert "| W4A4 | bits of a weight | 4.05 |" in report
    for name in ("bits", "table1-seen-f1", "table1-far-distortion", "table3-far", "figure6-W4A4"):
        assert f"tables/{name}.csv" in report and (tmp_path / "tables" / f"{name}.csv").is_file()
        assert cv2.imread(str(tmp_path / "tables" / f"{name}.png")).shape[1] > 300
    assert [run.status for run in list_runs(tmp_path / "runs")] == ["done"] * 2  # the app opens this folder


def test_rendered_scenes_are_a_labelled_source(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    spec = entry("ganet-tiny").input
    named = rendered_test(spec, tmp_path, 2, lambda *progress: told.append(progress))
    (source,), folder = sources_of([named], None), Path(named.rpartition("=")[2])
    images = unseen(source)
    assert source.name == "rendered scenes" and len(images.files) == 2 and told[-1][1:] == (2, 2)
    assert images.frames is not None
    dataset, frame = images.frames[0]
    label = dataset.label(frame)
    assert label and len(label.lanes) == len(render(51_000_000, size=(922, 1640)).lanes)
    (part,) = sources_of([f"part={folder}[test][1:]"], None)
    assert [one.name for _, one in unseen(part).frames or ()] == [images.frames[1][1].name]
    told.clear()
    assert rendered_test(spec, tmp_path, 2, lambda *progress: told.append(progress)) == named and told == []

    frame.image.with_suffix(".lines.txt").unlink()
    with pytest.raises(InputError, match=r"\.lines\.txt"):
        sources_of([f"rendered={folder}"], None)


def test_paths_of_one_name_are_one_source(tmp_path: Path) -> None:
    found = sources_of([f"{SCENES}[:2]", f"others={SCENES}[2:4]", f"others={SCENES}/06-curve.jpg"], 1)
    assert [(source.name, len(unseen(source).files)) for source in found] == [("scenes[:2]", 1), ("others", 2)]
    odd = tmp_path / "a=b.jpg"
    odd.write_bytes(Path(SCENES, "00-curve.jpg").read_bytes())
    assert sources_of([str(odd)], None) == (Source("a=b.jpg", (str(odd),)),)
    with pytest.raises(InputError, match="no images at"):
        sources_of(["others=nowhere"], None)


def test_scenes_are_sources_by_their_own_name_or_another() -> None:
    own, far, part = sources_of(["scenes:3,seed=4", "far=scenes:2,seed=5", "a=b=scenes:9[7:]"], None)
    assert [source.name for source in (own, far, part)] == ["scenes:3,seed=4", "far", "a=b"]
    assert (own.paths, far.paths, part.paths) == (("scenes:3,seed=4",), ("scenes:2,seed=5",), ("scenes:9[7:]",))
    assert [frame.name for _, frame in unseen(part).frames or ()] == ["000007", "000008"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--weights", "lstr.pkl"], "write DETECTOR=FILE"),
        (["--weights", "lstr-tiny=::ema"], "write DETECTOR=FILE or DETECTOR=FILE::KEY"),
        (["--weights", "lstr-tiny=no.pth::ema"], "there is no checkpoint"),
        (["--set", "qdrop.batch=2"], "not in this bench"),
        (["--methods", "magic"], "no method 'magic'"),
        (["--test", "nowhere"], "no images at"),
        (["--jobs", "0"], "0 jobs"),
    ],
)
def test_what_cannot_be_used_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    image = f"{SCENES}/00-curve.jpg"
    given = ["bench", "--detectors", "lstr-tiny", "--methods", "netwise", "--images", image, "--test", image]
    assert sfcore.cli.main([*given, "--out", str(tmp_path / "out"), *words]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_weights_of_a_checkpoint_are_named_by_file_and_key(tmp_path: Path) -> None:
    odd = tmp_path / "a::b.pth"
    odd.touch()
    assert _named_file("lstr-tiny=last.pth::ema/state_dict") == ("lstr-tiny", "last.pth", "ema/state_dict")
    assert _named_file("lstr-tiny=last.pth") == ("lstr-tiny", "last.pth", "")
    assert _named_file(f"lstr-tiny={odd}") == ("lstr-tiny", str(odd), "")
