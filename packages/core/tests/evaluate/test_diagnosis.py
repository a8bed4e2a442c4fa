"""Diagnosis on a two-model market with closed forms."""

import pytest
from two_models import collection, panel

from dagcast_core.evaluate import diagnose, partial_derivative
from dagcast_core.model import ModelError


def test_diagnosis_separates_own_from_inherited_error():
    """Waits are exact given the true supply: their whole error comes from the bonus model."""
    rows = {row.quantity: row for row in diagnose(collection(), panel()).rows}
    assert rows["supply"].own == pytest.approx(1.0)
    assert rows["supply"].inherited == pytest.approx(0.0)
    assert rows["wait"].own == pytest.approx(0.0, abs=1e-12)
    assert rows["wait"].inherited == pytest.approx(100 / 12 - 100 / 13)


def test_partial_derivative_is_that_of_the_closed_form():
    """d (100 / (10 + 2 s)) / ds at s = 1."""
    found = partial_derivative(collection(), panel(), "wait", "spend")
    assert found.dims == ("region", "hour")
    assert found.tensor.unique().tolist() == pytest.approx([-200 / 144])


def test_partial_derivative_names_the_nearest_quantity():
    """A misspelt outcome."""
    with pytest.raises(ModelError, match="no output 'waits'. Near: 'wait'"):
        partial_derivative(collection(), panel(), "waits", "spend")
