"""``sfcore allocate``: what it answers, what it writes, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from sfcore.datasets.images import find_images
from sfcore.detectors import registry
from sfcore.detectors.base import Detector
from sfcore.detectors.registry import DETECTORS
from sfcore.quant import Scheme, quantize
from sfcore.quant.cost import Profile
from sfcore.quant.inference import run
from sfcore.resources import sample_data
from tests.cli.conftest import Command
from tests.detectors.small import Small

SCENES = sample_data() / "scenes"
SCORES = {"f1", "distortion", "shift_px"}


@pytest.fixture(scope="module", autouse=True)
def detector() -> Iterator[None]:
    """A detector that is measured in a second, called "small"."""
    registry.register("small")(Small)
    yield
    del DETECTORS._things["small"], DETECTORS._owners["small"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_file(Small().state_dict(), path)
    return path


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that keeps what is measured from test to test."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def cache(measured: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SFCORE_CACHE", str(measured))
    return measured


@pytest.fixture
def words(weights: Path, tmp_path: Path) -> list[object]:
    """A call of the command that is quick; options after these take their place."""
    given = ["--images", SCENES, "--limit", 8, "--candidates", 4, 8, 16, "--rounds", 0, "--budget", "6bit"]
    return ["allocate", "small", "--weights", weights, *given, "--out", tmp_path / "bits.json"]


def stacked(model: Detector, files: list[Path]) -> Tensor:
    return torch.cat([model.preprocessing.stack([model.preprocessing.read(file)]) for file in files])


def test_the_answer_says_what_the_scheme_costs_and_how_it_does_beside_a_uniform_one(
    sfcore_: Command, words: list[object], weights: Path, tmp_path: Path
) -> None:
    found = sfcore_.json(*words)
    assert {"scheme", "average_weight_bits", "average_activation_bits", "bops", "size_bytes", "measured", "uniform"} < (
        set(found)
    )
    assert set(found["measured"]) == SCORES and set(found["uniform"]) == {"bits", *SCORES}
    assert found["file"] == str(tmp_path / "bits.json") and "front" not in found
    scheme, profile = Scheme.parse(found["file"]), Profile.of(registry.create("small", weights))
    cost = profile.cost(scheme)
    assert str(scheme) == found["scheme"] and profile.size_bytes(scheme) == found["size_bytes"]
    assert (cost.average_weight_bits, cost.average_activation_bits, cost.bops) == (
        found["average_weight_bits"], found["average_activation_bits"], found["bops"],
    )  # fmt: skip
    assert found["average_weight_bits"] <= 6
    uniform = Scheme.parse(found["uniform"]["bits"])
    assert str(uniform) == "W4A4"  # of 4, 8 and 16 bits for all
    assert (found["budget"], found["strategy"], found["criterion"]) == (["6bit"], "milp", "distortion")


def test_the_scores_are_those_of_the_calibrated_model_on_images_that_nothing_was_chosen_on(
    sfcore_: Command, words: list[object], weights: Path
) -> None:
    found = sfcore_.json(*words)
    model = registry.create("small", weights)
    frames = stacked(model, find_images([SCENES], 8))
    assert found["images"] == {"chosen_on": 6, "judged_on": 2}
    batch = model.preprocessing.normalize(frames[:6])
    for text, said in ((found["scheme"], found["measured"]), (found["uniform"]["bits"], found["uniform"])):
        quantized = quantize(model, Scheme.parse(text), [batch])
        full, other = (each.decode(run(each, frames[6:])) for each in (model, quantized))
        agreed = model.task.agreement(full, other)
        assert (said["f1"], said["distortion"], said["shift_px"]) == pytest.approx(
            (agreed.f1, agreed.distortion, agreed.shift), rel=1e-3
        )


def test_other_images_may_be_judged_on(sfcore_: Command, words: list[object]) -> None:
    found = sfcore_.json(*words, "--test", f"{SCENES}[:3]")
    assert found["images"] == {"chosen_on": 8, "judged_on": 3}


def test_the_scheme_file_is_taken_by_other_commands(
    sfcore_: Command, words: list[object], weights: Path, tmp_path: Path
) -> None:
    found = sfcore_.json(*words)
    layers = sfcore_.json(
        "layers", "small", "--weights", weights, "--images", SCENES, "--limit", 1, "--bits", tmp_path / "bits.json"
    )
    assert layers["scheme"]["bops"] == found["bops"]
    assert layers["scheme"]["average_weight_bits"] == found["average_weight_bits"]
    given = Scheme.parse(found["scheme"])
    for layer in Profile.of(registry.create("small", weights)).layers:
        bits = given.bits_of(layer.name, layer.edge, layer.head)
        own = {each["part"]: each["bits"] for each in layers["layers"] if each["layer"] == layer.name}
        assert set(own.values()) <= {bits.weights, bits.activations}
        assert not layer.weights or own["weight"] == bits.weights


def test_people_are_told_the_same_and_where_the_scheme_is(
    sfcore_: Command, words: list[object], tmp_path: Path
) -> None:
    found = sfcore_.json(*words)
    code, out, _ = sfcore_(*words)
    assert code == 0 and f"{tmp_path / 'bits.json'} holds the scheme: give it to --bits" in out
    assert f"{found['average_weight_bits']:.2f} bits a weight" in out and f"{found['size_bytes']:,} bytes" in out
    lines = [line.split() for line in out.splitlines()]
    assert ["bits", "f1", "distortion", "shift_px"] in lines
    assert any(line[:1] == ["allocated"] for line in lines) and any(line[:2] == ["uniform", "W4A4"] for line in lines)


def test_the_same_call_chooses_the_same_and_measures_no_layer_again(
    sfcore_: Command, words: list[object], cache: Path, tmp_path: Path
) -> None:
    words = [*words, "--rounds", 1, "--seed", 3]
    first, scheme = sfcore_.json(*words), (tmp_path / "bits.json").read_bytes()
    kept = {file: file.read_bytes() for file in (cache / "layers").iterdir()}
    assert kept
    assert sfcore_.json(*words) == first and (tmp_path / "bits.json").read_bytes() == scheme
    assert {file: file.read_bytes() for file in (cache / "layers").iterdir()} == kept


@pytest.mark.parametrize("strategy", ["greedy", "uniform"])
def test_other_strategies_and_constraints_are_taken(sfcore_: Command, words: list[object], strategy: str) -> None:
    found = sfcore_.json(*words, "--strategy", strategy, "--equal", "--shared", "--budget", "90%size", "5.5wbit")
    assert found["strategy"] == strategy and found["budget"] == ["6bit", "90%size", "5.5wbit"]
    assert found["average_weight_bits"] <= 5.5
    scheme = Scheme.parse(found["scheme"])
    assert scheme.weight_bits == scheme.activation_bits
    assert all(rule.weights in (None, rule.activations) for rule in scheme.rules)
    if strategy == "uniform":
        assert found["measured"] == {name: found["uniform"][name] for name in SCORES}


def test_a_front_is_measured_and_listed_by_what_it_takes(sfcore_: Command, words: list[object]) -> None:
    rows = sfcore_.json(*words, "--front", 3)["front"]
    assert [row["bops"] for row in rows] == sorted(row["bops"] for row in rows)
    assert sorted(row["uniform"] for row in rows) == [False] * 3 + [True] * 2
    assert {row["scheme"] for row in rows if row["uniform"]} == {"W4A4", "W8A8"}
    assert all(set(row) > SCORES for row in rows)
    rows = sfcore_.json(*words, "--front", 2, "--front-axis", "size")["front"]
    assert [row["size_bytes"] for row in rows] == sorted(row["size_bytes"] for row in rows)
    assert "front, on the same images\nuniform" in sfcore_(*words, "--front", 2)[1]


def test_a_folder_for_the_scheme_is_made(sfcore_: Command, words: list[object], tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder" / "bits.json"
    found = sfcore_.json(*words, "--out", out)
    assert str(Scheme.load(out)) == found["scheme"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--budget", "4.5"], "'4.5' is no budget: write 4.5bit, 40%size"),
        (["--budget", "0bit"], "the budget 0bit is nothing"),
        (["--budget", "40%bops@W99A9"], "99 weight bits are not possible"),
        (["--out", "bits.txt"], "--out bits.txt: a scheme file ends in .json"),
        (["--strategy", "guess"], "there is no strategy 'guess': choose one of greedy, milp, uniform"),
        (
            ["--criterion", "guess"],
            "there is no criterion 'guess': choose one of cosine, distortion, gradient, hessian",
        ),
        (["--candidates", "1", "8"], "1 bits are no candidate: choose from 2 to 16"),
        (["--candidates", "4", "17"], "17 bits are no candidate: choose from 2 to 16"),
        (["--front-axis", "speed"], "--front-axis speed: choose one of bops, size"),
        (["--device", "tpu"], "no device 'tpu'"),
        (["--limit", "0"], "the limit is 0"),
        (["--images", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_used_is_said_before_anything_is_measured(
    sfcore_: Command,
    words: list[object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    said: str,
) -> None:
    monkeypatch.setenv("SFCORE_CACHE", str(tmp_path / "fresh"))
    assert said in sfcore_.error(*words, *options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--budget", "3wbit"], "cannot be met: the least that can be is 4.56 bits a weight"),
        (["--budget", "30%bops", "0.001MB"], "the budget 0.001MB cannot be met: the least that can be is 1,320 bytes"),
        (["--budget", "90%size@W8A8,nothing=4"], "gives bits to nothing, but no quantized layer is called so"),
        (["--rounds", "-1"], "-1 rounds are not possible: choose 0 or more"),
        (["--front", "1"], "1 budgets make no front: choose 2 or more"),
    ],
)
def test_what_a_network_cannot_do_is_one_line_and_writes_no_scheme(
    sfcore_: Command, words: list[object], tmp_path: Path, options: list[str], said: str
) -> None:
    assert said in sfcore_.error(*words, *options)
    assert list(tmp_path.iterdir()) == []


def test_a_scheme_file_of_another_network_is_refused_by_the_layer(
    sfcore_: Command, weights: Path, tmp_path: Path
) -> None:
    path = tmp_path / "bits.json"
    path.write_text(json.dumps({"format": 1, "scheme": "W4A4", "layers": {"backbone.conv1": 8, "middle": 4}}))
    words = ("layers", "small", "--weights", weights, "--images", SCENES, "--limit", 1, "--bits", path)
    assert "the scheme gives bits to backbone.conv1, but no quantized layer is called so" in sfcore_.error(*words)


@pytest.mark.slow
def test_a_shipped_detector_is_allocated_bits_and_other_commands_take_them(
    sfcore_: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SFCORE_CACHE", str(tmp_path / "cache"))
    name, out = "bezierlanenet-tiny", tmp_path / "bits.json"
    given = ["--budget", "110%bops@W4A4", "--candidates", 4, 8, 16, "--rounds", 0, "--limit", 8, "--out", out]
    found: dict[str, Any] = sfcore_.json("allocate", name, "--images", SCENES, *given)
    profile = Profile.of(registry.create(name))
    cost = profile.cost(Scheme.load(out))
    assert cost.bops == found["bops"] <= 1.1 * (1 + 1e-6) * profile.cost(Scheme(4, 4)).bops
    assert cost.bops > 1.05 * profile.cost(Scheme(4, 4)).bops
    assert found["uniform"]["bits"] == "W4A4"
    assert found["measured"]["f1"] > 0.5 and found["measured"]["distortion"] > 0
    lines = [json.loads(line) for file in (tmp_path / "cache" / "layers").iterdir() for line in file.open()]
    assert len(lines) == 3 * len({line["quantizer"] for line in lines})
    layers = sfcore_.json("layers", name, "--images", SCENES, "--limit", 1, "--bits", out)
    assert layers["scheme"]["bops"] == found["bops"]
