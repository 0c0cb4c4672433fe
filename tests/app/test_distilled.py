"""Distilled images in the sidebar."""

from __future__ import annotations

import pytest

from app import distilled
from tests.app.conftest import Visit, errors

FEW = {"detector": "scnn-tiny", "images": "Distilled", "d_count": "2", "d_steps": "2"}


@pytest.mark.slow
def test_images_are_distilled_on_demand_and_shown_with_what_they_are(visit: Visit) -> None:
    app = visit(**FEW)
    assert "no distilled images of these settings yet: press Distil" in app.sidebar.error[0].value
    app.button(key="distil").click().run()
    assert errors(app) == [] and app.selectbox(key="image").options == ["000000", "000001"]
    assert distilled.ABOUT in [caption.value for caption in app.sidebar.caption]
    again = visit(**FEW)  # another visitor finds them made
    assert errors(again) == [] and "distil" not in [button.key for button in again.button]
    typed = visit(detector="scnn-tiny", images="Folder", folder="distilled:2,steps=2[1:]")
    assert errors(typed) == [] and typed.selectbox(key="image").options == ["000001"]
    other = visit(detector="scnn-tiny", images="Folder", folder="distilled:3,steps=2")
    assert "distilled:3,steps=2 is not made yet: make it under Distilled" in errors(other)[0]
