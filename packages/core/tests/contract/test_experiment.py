"""Experiments are checked where they are declared."""

import pytest
from measured import experiment

from dagcast_core.contract import Cells, ContractError, Experiment, ExperimentSet


def test_covariance_has_to_be_one():
    pair = (experiment("a", group="g"), experiment("b", group="g"))
    ExperimentSet(pair, {"g": ((0.01, 0.005), (0.005, 0.01))})
    with pytest.raises(ContractError, match="is not symmetric at row 1, column 0"):
        ExperimentSet(pair, {"g": ((0.01, 0.005), (0.004, 0.01))})
    with pytest.raises(ContractError, match="is not positive definite"):
        ExperimentSet(pair, {"g": ((0.01, 0.02), (0.02, 0.01))})
    with pytest.raises(ContractError, match=r"0\.09 on its diagonal where the squared"):
        ExperimentSet(pair, {"g": ((0.09, 0.0), (0.0, 0.01))})
    with pytest.raises(ContractError, match="is not 2 by 2"):
        ExperimentSet(pair, {"g": ((0.01,),)})


def test_experiments_left_out_leave_the_covariance_of_the_rest():
    trio = tuple(experiment(name, group="g") for name in "abc")
    matrix = ((0.01, 0.001, 0.002), (0.001, 0.01, 0.003), (0.002, 0.003, 0.01))
    rest = ExperimentSet(trio, {"g": matrix}).without("b")
    assert [item.name for item in rest] == ["a", "c"]
    assert rest.covariances["g"] == ((0.01, 0.002), (0.002, 0.01))


def test_cells_are_normalised_to_utc():
    cells = Cells(("a",), "2026-01-05T00:00Z", "2026-01-06T00:00+00:00", (9, 7, 7), dim="region")
    assert cells.start == "2026-01-05T00:00:00+00:00"
    assert cells.local_hours == (7, 9)
    assert cells.counted_hours == ()


def test_cells_of_earlier_files_are_understood():
    """Then labels were called regions, and a dim was named only where it was another one."""
    window = {"start": "2026-01-05T00:00Z", "end": "2026-01-06T00:00Z"}
    first = Cells.from_json({"regions": ["a"], **window})
    assert (first.dim, first.labels) == ("region", ("a",))
    other = Cells.from_json({"regions": ["b"], "dim": "warehouse", **window})
    assert (other.dim, other.labels) == ("warehouse", ("b",))
    assert Cells.from_json(other.to_json()) == other
    with pytest.raises(ContractError, match="both 'regions' and 'labels'"):
        Cells.from_json({"regions": ["a"], "labels": ["a"], "dim": "region", **window})


def test_counted_hours_survive_json_and_are_checked():
    cells = Cells(
        ("a",), "2026-01-05T00:00Z", "2026-01-06T00:00Z", counted_hours=(9, 7), dim="region"
    )
    assert Cells.from_json(cells.to_json()) == cells
    assert cells.counted_hours == (7, 9)
    with pytest.raises(ContractError, match="counted_hours of Cells are"):
        Cells(("a",), "2026-01-05T00:00Z", "2026-01-06T00:00Z", counted_hours=(24,), dim="region")


def test_labels_are_compared_side_by_side_unless_they_switched_together():
    hours = ("2026-01-05T00:00Z", "2026-01-11T23:00Z")
    both = Cells(("SFO", "LAX"), *hours, dim="region")
    assert experiment(cells=both).side_by_side
    assert not experiment().side_by_side
    assert not experiment(cells=both, design="user_split").side_by_side
    whole = experiment(cells=both, together=True)
    assert not whole.side_by_side
    assert Experiment.from_json(whole.to_json()) == whole
    # Files of before say nothing of it.
    before = {k: v for k, v in whole.to_json().items() if k != "together"}
    assert Experiment.from_json(before).side_by_side
    with pytest.raises(ContractError, match="together of .* is 'yes'; expected true or false"):
        experiment(together="yes")
