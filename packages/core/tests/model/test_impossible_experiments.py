"""Experiments that nobody can have run are refused by name, with what is wrong."""

from dataclasses import replace

import numpy as np
import pytest

from dagcast_core.contract import (
    Arm,
    Cells,
    Change,
    ContractError,
    Experiment,
)
from dagcast_core.model import ExperimentError, effect_of, fit
from dagcast_core.tensor import IndexTensor


def closed(history, kit, until):
    """The market with SEA open from an hour on: spend is recorded before, outcomes are not."""
    changed = {}
    for name in ("sessions", "driver_hours", "eta"):
        tensor = history[name]
        values = tensor.values("region", "hour").numpy().copy()
        values[kit.REGIONS.index("SEA"), :until] = np.nan
        changed[name] = IndexTensor(
            values, {"region": tensor.index("region"), "hour": tensor.index("hour")}, name
        )
    return history.assign(changed)


@pytest.mark.parametrize("regions", [("SEA",), ("SFO", "SEA")])
def test_region_that_was_not_open(kit, history, regions):
    item = kit.spend_experiment(regions=regions)
    until = 168 * 2 + 5
    later = history["eta"].index("hour")[until]
    with pytest.raises(ExperimentError, match=f"'SEA'.*{later:%Y-%m-%d %H:%M}") as error:
        effect_of(kit.collection(), closed(history, kit, until), item)
    assert item.name in str(error.value)
    # Open for the last hours of the trial is open.
    effect_of(kit.collection(), closed(history, kit, 168 * 2 - 5), item)
    with pytest.raises(ExperimentError, match="none in the history"):
        effect_of(kit.collection(), closed(history, kit, 10**6), item)


@pytest.mark.parametrize(
    ("change", "reached"),
    [
        (Change("spend", "set", -5.0), "-5"),
        (Change("spend", "scale", -1.0), "-"),
        (Change("spend", "add", -1e6), "-"),
    ],
)
def test_arm_beyond_the_bounds_of_its_lever(kit, history, change, reached):
    item = replace(kit.spend_experiment(), treatment=Arm("treatment", (change,)))
    with pytest.raises(ExperimentError, match=rf"'spend' to {reached}.*lower bound is 0") as error:
        fit(kit.collection(), history, [item])
    assert item.name in str(error.value)
    assert "'treatment'" in str(error.value)


def test_labels_twice_or_as_one_string_name_experiment_and_field(kit):
    data = kit.spend_experiment().to_json()
    assert Experiment.from_json(data) == kit.spend_experiment()

    def read(**cells):
        return Experiment.from_json({**data, "cells": {**data["cells"], **cells}})

    for bad, words in (
        (["SFO", "SFO", "LAX"], "names 'SFO' twice"),
        ("SFO", "is 'SFO'"),
        ([], "is"),
    ):
        with pytest.raises(ContractError, match=words) as error:
            read(regions=bad)
        assert f"cells of Experiment {data['name']!r}" in str(error.value)
        assert "labels of Cells" in str(error.value)
    with pytest.raises(ContractError, match="levers of Experiment"):
        Experiment.from_json({**data, "levers": "spend"})
    arm = {"name": "on", "changes": [{"quantity": "spend", "where": {"incentive": "bonus"}}]}
    with pytest.raises(ContractError, match=r"treatment of Experiment.*where of the Change"):
        Experiment.from_json({**data, "treatment": arm})
    with pytest.raises(ContractError, match="both 'regions' and 'labels'"):
        read(labels=["SFO"])


def test_cells_of_another_dim_are_written_in_its_words():
    cells = Cells(("d1", "d2"), "2025-01-13T00:00Z", "2025-01-13T05:00Z", dim="depot")
    assert cells.to_json()["depots"] == ["d1", "d2"]
    assert Cells.from_json(cells.to_json()) == cells
    assert Cells.from_json({**cells.to_json(), "dim": "depot"}).dim == "depot"
    with pytest.raises(ContractError, match="no 'depots'"):
        Cells.from_json({k: v for k, v in cells.to_json().items() if k != "depots"})
