"""Fits recover the truth, stay causal across models, and report honestly."""

import math

import numpy as np
import pytest
import torch

from dagcast_core.contract import Dim
from dagcast_core.model import (
    ExperimentError,
    ModelCollection,
    ModelError,
    NonFiniteError,
    OptimizerSpec,
    Widening,
    fit,
)
from dagcast_core.model._warm import copy_values
from dagcast_core.tensor import Panel

REGION = Dim("region")


@pytest.fixture(scope="module")
def fitted(kit, history):
    models = kit.collection()
    true = 6.0 * math.log1p(1.5)
    report = fit(
        models,
        history,
        [kit.spend_experiment(estimate=true, standard_error=0.05)],
        widening=Widening.none(),
    )
    return models, report


def test_elasticity_of_eta_is_recovered(fitted):
    models, _ = fitted
    np.testing.assert_allclose(
        models.leaves["pickup"].elasticity.value().tensor.detach().numpy(), 0.5, atol=0.03
    )


def test_report_says_what_was_reached(fitted):
    _, report = fitted
    assert report.status == "converged"
    report.raise_unconverged()
    for member in report.members.values():
        assert member.loss <= member.loss_start + 1e-6
    assert "bonus-hours: measured" in str(report)
    assert report.to_json()["members"][0]["name"] == "bonus"


def test_experiment_gives_the_gain_that_confounded_data_hide(kit, history, fitted):
    models, report = fitted
    # Spend follows demand, and so do drivers: regression on history is far off.
    spend = np.log1p(history["spend"].numpy()[0] / 20).ravel()
    hours = history["driver_hours"].numpy().ravel()
    naive = np.polyfit(spend, hours, 1)[0]
    assert abs(naive / 6.0 - 1) > 0.5
    gain = models.leaves["bonus"].gain.value().tensor[0].item()
    assert gain == pytest.approx(6.0, rel=0.02)
    (row,) = report.experiments
    assert row.path == ("bonus", "supply")
    assert abs(row.in_sample_z) < 1
    # Without it there is the prior alone, seen along the tangent at the fit.
    assert row.left_out.effect == pytest.approx(3 * np.log1p(1.5), rel=0.06)


def test_data_of_one_model_do_not_move_anothers_parameters(kit, history):
    models = kit.collection()
    fit(models, history)
    # Nothing but its prior speaks about the gain: driver hours must not.
    np.testing.assert_allclose(models.leaves["bonus"].gain.value().tensor.detach(), 3.0, atol=1e-6)


def test_wrong_experiment_stops_before_anything_is_fitted(kit, history):
    models = kit.collection()
    before = {name: value.clone() for name, value in models.state_dict().items()}
    with pytest.raises(ExperimentError):
        fit(models, history, [kit.spend_experiment(outcome="sessions")])
    assert all(torch.equal(before[name], value) for name, value in models.state_dict().items())


def test_frozen_member_keeps_its_parameters(kit, history):
    models = kit.collection()
    models.freeze("demand")
    report = fit(models, history)
    assert models.leaves["demand"].level.value().tolist() == pytest.approx([4.0] * 4)
    assert report.members["demand"].frozen
    assert not report.members["pickup"].frozen


def test_only_named_members_are_fitted(kit, history):
    models = kit.collection()
    report = fit(models, history, only=["demand"])
    assert not report.members["demand"].frozen
    assert report.members["pickup"].iterations == 0
    assert models.leaves["pickup"].elasticity.value().tolist() == pytest.approx([0.3] * 4)


def test_warm_start_needs_next_to_nothing(kit, history, fitted):
    models, _ = fitted
    again = kit.collection()
    report = fit(again, history, warm=models, joint=False)
    assert report.converged
    assert report.members["demand"].iterations <= 1
    assert report.members["pickup"].iterations <= 1


def test_warm_start_gives_new_regions_the_pooled_value(kit, history, fitted):
    models, _ = fitted
    wider = kit.Demand((*kit.REGIONS, "JFK"))
    copy_values(ModelCollection([wider]), models)
    known = models.leaves["demand"].level.raw.detach()
    assert wider.level.raw[-1].item() == pytest.approx(known.mean().item())


def test_state_of_another_model_is_refused(kit, history):
    with pytest.raises(ModelError, match="cannot start from this state"):
        fit(kit.collection(), history, warm=kit.Demand().state_dict())


def test_unconverged_fit_is_not_called_good(kit, history):
    class Hasty(kit.Demand):
        contract = kit.Demand.contract

        def forward(self, hour_of_week):
            return super().forward(hour_of_week)

        def optimizer(self):
            return OptimizerSpec(max_iterations=1)

    report = fit(Hasty(), history)
    assert report.status == "unconverged"
    with pytest.raises(ModelError, match="demand stopped after 1 iterations with"):
        report.raise_unconverged()


def test_value_that_is_no_number_is_traced_to_model_and_cell(kit, history):
    class Broken(kit.Demand):
        contract = kit.Demand.contract

        def forward(self, hour_of_week):
            good = super().forward(hour_of_week)
            bad = good.tensor.clone()
            bad[1, 5] = float("inf")
            return good.with_tensor(bad)

    with pytest.raises(NonFiniteError) as caught:
        fit(Broken(), history)
    assert caught.value.member == "demand"
    assert "'sessions' is not finite in 1 of" in caught.value.where
    assert "(region='LAX', hour=2025-01-06 05:00)" in caught.value.where


def test_history_without_a_target_is_an_error(kit, history):
    with pytest.raises(ModelError, match="history has no 'sessions'"):
        fit(kit.Demand(), history.drop("sessions"))


def test_progress_is_told(kit, history):
    seen = []
    fit(kit.Demand(), history, progress=lambda *event: seen.append(event))
    assert {name for name, _, _ in seen} == {"demand"}


def test_warm_start_hook_sees_predicted_latents(kit, history):
    seen = {}

    class Curious(kit.Supply):
        contract = kit.Supply.contract

        def forward(self, hour_of_week, extra_hours):
            return super().forward(hour_of_week, extra_hours)

        def warm_start(self, panel: Panel):
            seen.update(panel)

    fit(kit.collection().replace("supply", Curious()), history)
    assert "extra_hours" in seen
    assert torch.equal(seen["driver_hours"].tensor, history["driver_hours"].tensor)
