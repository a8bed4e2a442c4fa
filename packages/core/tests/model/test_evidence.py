"""Experiments set against models, and against each other."""

import math

import numpy as np
import pytest

from dagcast_core.contract import Cells, ExperimentSet
from dagcast_core.model import Widening, conflicts_among
from dagcast_core.model._evidence import Evidence
from dagcast_core.model._shared_errors import covariance_of


def test_misfit_uses_the_covariance_and_the_weights(kit, history):
    first = kit.spend_experiment("first", estimate=2.0, standard_error=0.5, group="week")
    second = kit.spend_experiment(
        "second", estimate=1.0, standard_error=0.4, incentive="guarantee", group="week"
    )
    matrix = ((0.25, 0.1), (0.1, 0.16))
    measured = ExperimentSet((first, second), {"week": matrix})
    evidence = Evidence(kit.collection(), history, measured, Widening.none(), {"first": 4.0})
    apart = np.array([3 * math.log1p(1.5) - 2.0, 3 * math.log1p(1.5) - 1.0])
    weighted = np.array(matrix) * np.outer([0.5, 1.0], [0.5, 1.0])
    expected = 0.5 * apart @ np.linalg.solve(weighted, apart)
    assert evidence.misfit().item() == pytest.approx(expected, rel=1e-9)
    np.testing.assert_allclose(covariance_of(measured).numpy(), matrix)


def test_contradiction_is_named_with_its_numbers(kit):
    first = kit.spend_experiment("first", estimate=4.0, standard_error=0.3)
    second = kit.spend_experiment("second", estimate=1.0, standard_error=0.4)
    (conflict,) = conflicts_among(ExperimentSet((first, second)))
    assert conflict.z == pytest.approx(6.0)
    assert "first measured 4 and second 1 for the same change: 6.0" in str(conflict)


def test_other_arms_or_regions_are_no_contradiction(kit):
    first = kit.spend_experiment("first", estimate=4.0, standard_error=0.3)
    other_arm = kit.spend_experiment("second", estimate=1.0, incentive="guarantee")
    elsewhere = kit.spend_experiment(
        "third",
        estimate=1.0,
        cells=Cells(("JFK",), "2025-01-13T00:00+00:00", "2025-01-14T00:00+00:00", dim="region"),
    )
    assert conflicts_among(ExperimentSet((first, other_arm, elsewhere))) == ()
