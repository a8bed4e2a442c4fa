"""A lever on a page: by row where it has the dim of the rows, and once where it has not."""

import numpy as np
import pandas as pd
import pytest

from dagcast.plans import Axes, Outlook, Reading
from dagcast.review import Heatmap
from dagcast.review.plan_page import lever_map, whole_note
from dagcast.workflow.common._layers import layers_of
from dagcast_core.tensor import IndexTensor

HOURS = pd.date_range("2026-01-05", periods=3, freq="h", tz="UTC")
AXES = Axes("region", pd.Index(["SFO", "LAX"]), "hour", HOURS)
READING = Reading("Premium", "USD/h", "money", "", True)


@pytest.fixture
def outlook():
    hours = tuple(hour.isoformat() for hour in HOURS)
    return Outlook("region", ("SFO", "LAX"), "hour", hours, 0.9, 2, None, {}, {}, {}, {}, {}, {})


def test_lever_without_the_dim_of_the_rows_is_counted_once():
    premium = IndexTensor(
        [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], {"vehicle": ["bike", "van"], "hour": HOURS}
    )
    layers = layers_of(premium, AXES)
    assert {name: values.tolist() for name, values in layers.items()} == {
        "bike": [[1.0, 2.0, 3.0]],
        "van": [[4.0, 5.0, 6.0]],
    }


def test_lever_with_the_dim_of_the_rows_has_a_row_for_each():
    spend = IndexTensor(
        [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], {"region": ["LAX", "SFO"], "hour": HOURS}
    )
    assert layers_of(spend, AXES)[""].tolist() == [[4.0, 5.0, 6.0], [1.0, 2.0, 3.0]]


def test_its_labels_are_the_rows_of_its_own_heatmap(outlook):
    named = {"bike": np.array([[1.0, 2.0, 3.0]]), "van": np.array([[4.0, 5.0, 6.0]])}
    found = lever_map("d", "Premium", READING, named, outlook)
    assert isinstance(found, Heatmap)
    assert found.rows == ("bike", "van")
    assert found.layers[""].tolist() == [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]


def test_layers_by_row_add_up_above_the_rows_of_the_page(outlook):
    named = {"boost": np.ones((2, 3)), "streak": np.full((2, 3), 2.0)}
    found = lever_map("d", "Spend", READING, named, outlook)
    assert found.rows == ()
    assert list(found.layers) == ["All together", "boost", "streak"]
    assert found.layers["All together"].tolist() == np.full((2, 3), 3.0).tolist()


def test_chart_without_rows_says_so(outlook):
    whole = np.vstack([np.ones((1, 3)), np.full((2, 3), np.nan)])
    assert whole_note(whole, outlook) == "Not by region."
    assert whole_note(np.ones((3, 3)), outlook) == ""
