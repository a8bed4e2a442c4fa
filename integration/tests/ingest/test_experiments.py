"""Experiments beside the events are read whole, or refused with their reason."""

import json

import pytest

from dagcast.ingest import read_experiments
from dagcast_core.contract import Arm, Cells, Change, Experiment
from dagcast_core.data import DataError


def experiment(**changes) -> dict:
    cells = Cells(("NYC",), "2026-01-12T00:00:00+00:00", "2026-01-12T03:00:00+00:00", dim="region")
    treatment = Arm("treatment", (Change("coupon_spend", "add", 5.0),))
    made = Experiment(
        "coupons-1", ("coupon_spend",), "sessions", cells=cells, treatment=treatment,
        estimate=2.0, standard_error=0.5,
    )  # fmt: skip
    return {**made.to_json(), **changes}


def test_experiments_are_read_and_checked(tmp_path):
    assert len(read_experiments(tmp_path)) == 0
    path = tmp_path / "experiments.json"
    path.write_text(json.dumps([experiment()]))
    (found,) = read_experiments(tmp_path)
    assert (found.name, found.estimate) == ("coupons-1", 2.0)
    path.write_text(json.dumps({"experiments": [experiment()], "covariances": {}}))
    assert len(read_experiments(tmp_path)) == 1


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("[", "content that is not JSON"),
        ("3", "found int"),
        (json.dumps([experiment(), experiment()]), "two experiments are called 'coupons-1'"),
        (json.dumps([experiment(standard_error=0)]), "expected a positive number"),
        (json.dumps([{"name": "x"}]), "has no 'levers'"),
        (json.dumps([experiment(surprise=1)]), "surprise"),
    ],
)
def test_wrong_experiments_are_refused(tmp_path, content, found):
    (tmp_path / "experiments.json").write_text(content)
    with pytest.raises(DataError) as caught:
        read_experiments(tmp_path)
    assert found in str(caught.value)
    assert "Correct the file" in str(caught.value)
