"""Spreads with an experiment left out."""

import math

import pytest

from dagcast_core.contract import ExperimentSet
from dagcast_core.model import draws, effect_draws, fit, left_out_spreads


def test_spreads_of_what_is_left_out_are_those_of_refits(kit, history):
    errors, correlation = (0.4, 0.3, 0.5), 0.6
    trio = tuple(
        kit.spend_experiment(name, estimate=estimate, standard_error=error, group=group)
        for name, estimate, error, group in zip(
            ("sum", "path", "again"), (5.4, 5.5, 5.6), errors, ("trial", "trial", None), strict=True
        )
    )
    shared = correlation * errors[0] * errors[1]
    matrix = ((errors[0] ** 2, shared), (shared, errors[1] ** 2))
    experiments = ExperimentSet(trio, {"trial": matrix})
    models = kit.collection()
    fit(models, history, experiments)
    found = left_out_spreads(models, history, experiments)
    assert list(found) == ["sum", "path", "again"]
    for item in experiments:
        rest = experiments.without(item.name)
        refitted = kit.collection()
        fit(refitted, history, rest, warm=models)
        sample = draws(refitted, history, rest, 400)
        expected = effect_draws(refitted, history, item, sample).std().item()
        assert found[item.name].effect == pytest.approx(expected, rel=0.15)
    # Alone in its errors, an estimate adds its own variance, widened; never less than that.
    again = found["again"]
    assert again.difference > math.hypot(again.effect, errors[2])
    assert left_out_spreads(models, history, ()) == {}
