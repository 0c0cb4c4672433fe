"""What ``distilled:`` texts say, without a network."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfcore.datasets.distilled import Distilled
from sfcore.datasets.images import find_images, image_set, read_image
from sfcore.datasets.source import absolute, is_there
from sfcore.errors import InputError

OF = "0123456789ab"
SHARES = st.integers(0, 1000).map(lambda parts: parts / 1000)
WHATS = st.builds(
    Distilled, st.integers(1, 1000), st.just(False), SHARES, SHARES, st.integers(1, 10**5),
    st.integers(0, 10**6), st.sampled_from(["", OF]),
)  # fmt: skip


@given(WHATS)
def test_a_text_says_all_and_is_read_again(what: Distilled) -> None:
    assert Distilled.parse(str(what)) == Distilled.parse(what.frames[0]) == what
    assert absolute(str(what)) == str(what)


def test_what_is_usual_is_not_said() -> None:
    assert str(Distilled(64)) == "distilled:64"
    assert str(Distilled.parse("distilled:64,seed=7,zeroq")) == "distilled:64,zeroq,seed=7"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("distilled:0", "count is '0', but must be 1 to 1,000"),
        ("distilled:", "count is '', but must be 1 to 1,000"),
        ("distilled:1001", "count is '1001'"),
        ("distilled:64,epsilon=2", "epsilon is '2', but must be 0 to 1"),
        ("distilled:64,epsilon=nan", "epsilon is 'nan', but must be 0 to 1"),
        ("distilled:64,steps=0", "steps is '0', but must be 1 to 100,000"),
        ("distilled:64,steps=1.5", "steps is '1.5'"),
        ("distilled:64,of=../..", "of is '..', but must be the 12 hex digits"),
        ("distilled:64,zero", "'zero' says nothing about distilled images: write distilled:COUNT"),
        ("distilled:64,zeroq=1", "'zeroq=1' says nothing"),
        ("distilled:64,count=3", "'count=3' says nothing"),
        ("distilled:64,seed=1,seed=2", "says seed twice"),
        ("distilled:64,zeroq,epsilon=0.3", "ZeroQ has no margin"),
        ("distilled:64/000064", "none of its 64 images: the first is distilled:64/000000"),
        ("distilled:64/1", "none of its 64 images"),
    ],
)
def test_what_says_nothing_is_refused_with_what_is_allowed(text: str, said: str) -> None:
    with pytest.raises(InputError) as error:
        find_images([text])
    assert said in str(error.value)


def test_names_are_known_without_a_network_and_parts_are_those_of_any_source() -> None:
    assert [frame.name for frame in find_images(["distilled:9[-2:]"])] == ["000007", "000008"]
    assert find_images(["distilled:9/000004"]) == [Path("distilled:9/000004")]
    assert len(image_set(["distilled:9,zeroq", "scenes:4"], limit=6)) == 6
    assert is_there(Path("distilled:9/000004")) and not is_there(Path(f"distilled:9,of={OF}/000004"))
    with pytest.raises(InputError, match=r"distilled are images, and this detector reads \.bin"):
        find_images(["distilled:9"], formats=[".bin"])


def test_images_that_were_not_made_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SFCORE_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="none is at hand here: write the images with 'sfcore distil NAME --count 9"):
        read_image(Path("distilled:9/000004"))
    with pytest.raises(InputError, match=r"no longer in the cache .*: name the source without 'of='"):
        read_image(Path(f"distilled:9,of={OF}/000004"))
