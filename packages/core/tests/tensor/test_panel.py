"""Panels: immutable sets of tensors by name."""

import copy

import pytest
from tensor_cases import HOURS

from dagcast_core.tensor import AlignmentError, IndexTensor, Panel


def test_a_panel_is_immutable_and_may_differ_in_labels(rides):
    later = rides.isel(hour=slice(2, 6)).named("eta")
    panel = Panel([rides, later], level=IndexTensor([1.0], {"kind": ["x"]}))
    assert list(panel) == ["rides", "eta", "level"]
    cut = panel.sel(region=["LAX"]).between(HOURS[2], HOURS[3])
    assert cut["rides"].sizes == {"region": 1, "hour": 2}
    assert cut["level"] is not None
    assert panel["rides"].sizes == {"region": 3, "hour": 6}
    with pytest.raises(TypeError):
        panel["x"] = rides
    with pytest.raises(AlignmentError, match="members differ"):
        panel.index("hour")
    assert panel.align("hour").index("hour").equals(HOURS[2:].rename("hour"))
    assert set(panel.select("eta", "rides").align().to_frame().columns) == {"eta", "rides"}
    assert panel.assign(eta=later * 2)["eta"].name == "eta"


def test_panels_come_back_from_other_libraries(rides):
    panel = Panel([rides, (rides * 2).named("double")])
    for again in (
        Panel.from_pandas(panel.to_frame()),
        Panel.from_pandas(panel.to_pandas()),
        Panel.from_arrow(panel.to_arrow()),
        Panel.from_xarray(panel.to_xarray()),
        copy.copy(panel),
    ):
        assert list(again) == list(panel)
        assert again["double"].layout is rides.layout
        assert again["double"].tolist() == panel["double"].tolist()


def test_a_panel_answers_like_any_mapping(rides):
    panel = Panel([rides])
    assert panel.get("eta") is None
    assert "eta" not in panel
    assert list(panel.keys()) == ["rides"]
    with pytest.raises(KeyError, match="it holds"):
        panel["eta"]
