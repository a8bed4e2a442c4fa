"""Fits recover the truth, stay causal across models, and report honestly."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from dagcast_core.contract import Arm, Change, Contract, Dim, ExperimentSet, Quantity
from dagcast_core.dims import HOUR
from dagcast_core.model import (
    ExperimentAgreement,
    ExperimentError,
    Model,
    ModelCollection,
    ModelError,
    NonFiniteError,
    OptimizerSpec,
    Poisson,
    Ridge,
    SquaredError,
    Widening,
    effect_of,
    fit,
)
from dagcast_core.model._warm import copy_values
from dagcast_core.tensor import IndexTensor, Panel

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
    assert abs(row.z) < 1


def test_data_of_one_model_do_not_move_anothers_parameters(kit, history):
    models = kit.collection()
    fit(models, history)
    # Nothing but its prior speaks about the gain: driver hours must not.
    np.testing.assert_allclose(models.leaves["bonus"].gain.value().tensor.detach(), 3.0, atol=1e-6)


def test_term_that_reaches_through_a_latent_moves_its_model(kit, history):
    class Reaching(kit.Supply):
        contract = kit.Supply.contract

        def forward(self, hour_of_week, extra_hours):
            return super().forward(hour_of_week, extra_hours)

        def loss_terms(self):
            return (
                SquaredError(kit.HOURS, through=("extra_hours",)),
                Ridge(self.profile, weight=1.0),
            )

    models = kit.collection().replace("supply", Reaching())
    report = fit(models, history)
    assert report.members["bonus"].fitted_with == ("bonus", "supply")
    gain = models.leaves["bonus"].gain.value().tensor.detach()
    assert float((gain - 3.0).abs().max()) > 0.5


def test_term_reaching_through_what_nobody_predicts_is_refused(kit, history):
    class Reaching(kit.Demand):
        contract = kit.Demand.contract

        def forward(self, hour_of_week):
            return super().forward(hour_of_week)

        def loss_terms(self):
            return (Poisson(kit.SESSIONS, through=("weather",)),)

    with pytest.raises(ModelError, match="reaches through 'weather'"):
        fit(Reaching(), history)


STEP = Quantity("step", (REGION, HOUR), "1")
MIDDLE = Quantity("middle", (REGION, HOUR), "1")
END = Quantity("end", (REGION, HOUR), "1")


class Scaled(Model):
    contract = Contract("scaled", inputs=(STEP,), outputs=(END,))

    def __init__(self, start=1.0, sd=0.5):
        super().__init__()
        self.slope = self.parameter(start=start)
        self.sd = sd

    def forward(self, step):
        return self.slope * step

    def loss_terms(self):
        return (Ridge(self.slope, toward=1.0, weight=self.sd**-2),)


def step_history(kit):
    return kit.market(weeks=2).assign(
        step=IndexTensor.ones(
            {"region": list(kit.REGIONS), "hour": kit.market(weeks=2).index("hour")}
        )
    )


def experiment_on_step(kit, **changes):
    return replace(
        kit.spend_experiment(),
        **{
            "name": "step",
            "levers": ("step",),
            "outcome": "end",
            "control": Arm("control", (Change("step", "set", 0.0),)),
            "treatment": Arm("treatment", (Change("step", "set", 1.0),)),
            **changes,
        },
    )


def product_of_links(first_sd, second_sd):
    """Two slopes in a row: the effect of a step is their product."""

    def made(name, source, target, sd):
        class Slope(Model):
            contract = Contract(name, inputs=(source,), outputs=(target,))

            def __init__(self):
                super().__init__()
                self.slope = self.parameter(start=0.0)

            def forward(self, **inputs):
                # A log slope makes the effect linear in the sum of the two parameters' logs.
                return self.slope.value().exp() * inputs[source.name]

            def loss_terms(self):
                return (Ridge(self.slope, toward=0.0, weight=sd**-2),)

        return Slope()

    return ModelCollection(
        [made("one", STEP, MIDDLE, first_sd), made("two", MIDDLE, END, second_sd)]
    )


def test_path_experiment_moves_each_link_by_its_variance(kit):
    models = product_of_links(0.4, 0.1)
    estimate, error = 1.3, 1e-4
    report = fit(
        models,
        step_history(kit),
        [experiment_on_step(kit, estimate=estimate, standard_error=error)],
        widening=Widening.none(),
    )
    one, two = (models.leaves[name].slope.value().item() for name in ("one", "two"))
    # With a sharp experiment the logs share ln(1.3) in proportion to their prior variances.
    total, share = math.log(estimate), 0.16 / 0.17
    assert one == pytest.approx(total * share, rel=1e-3)
    assert two == pytest.approx(total * (1 - share), rel=1e-3)
    assert effect_of(models, step_history(kit), experiment_on_step(kit)).item() == pytest.approx(
        estimate, abs=1e-3
    )
    moved = report.members["one"].movement["slope"].largest
    assert moved == pytest.approx(one / 0.4, rel=1e-2)
    assert report.members["two"].movement["slope"].largest < moved


def test_single_link_with_an_experiment_is_the_normal_posterior(kit):
    model = Scaled()
    fit(
        model,
        step_history(kit),
        [experiment_on_step(kit, estimate=2.0, standard_error=0.25)],
        widening=Widening.none(),
    )
    weight = 0.25**-2 / (0.25**-2 + 0.5**-2)
    assert model.slope.value().item() == pytest.approx(1 + weight, abs=0.01)


def test_correlated_experiments_count_as_their_covariance_says(kit):
    model = Scaled()
    first = experiment_on_step(kit, name="a", estimate=2.0, standard_error=0.2, group="same")
    second = experiment_on_step(kit, name="b", estimate=2.4, standard_error=0.4, group="same")
    matrix = np.array([[0.04, 0.02], [0.02, 0.16]])
    measured = ExperimentSet((first, second), {"same": tuple(map(tuple, matrix))})
    fit(model, step_history(kit), measured, widening=Widening.none())
    inverse = np.linalg.inv(matrix)
    precision = inverse.sum() + 4.0
    expected = (inverse.sum(axis=0) @ [2.0, 2.4] + 4.0 * 1.0) / precision
    assert model.slope.value().item() == pytest.approx(expected, abs=0.01)


def test_weight_of_a_model_overrides_and_zero_leaves_out(kit):
    class Ignoring(Scaled):
        contract = Scaled.contract

        def forward(self, step):
            return self.slope * step

        def loss_terms(self):
            return (*super().loss_terms(), ExperimentAgreement("step", weight=0.0))

    model = Ignoring()
    report = fit(model, step_history(kit), [experiment_on_step(kit, estimate=2.0)])
    assert model.slope.value().item() == pytest.approx(1.0)
    assert report.experiments == ()
    assert "weight 0" in report.notes[0]


def test_missing_experiment_is_noted(kit):
    class Asking(Scaled):
        contract = Scaled.contract

        def forward(self, step):
            return self.slope * step

        def loss_terms(self):
            return (*super().loss_terms(), ExperimentAgreement("elsewhere"))

    report = fit(Asking(), step_history(kit))
    assert report.notes == ("a model asks for the experiment elsewhere, which was not given",)


def test_contradictory_experiments_are_in_the_report(kit):
    report = fit(
        Scaled(),
        step_history(kit),
        [
            experiment_on_step(kit, name="a", estimate=2.0, standard_error=0.1),
            experiment_on_step(kit, name="b", estimate=4.0, standard_error=0.1),
        ],
    )
    assert [(c.first, c.second) for c in report.conflicts] == [("a", "b")]


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


def test_missing_cells_are_left_out_and_inputs_filled(kit, history):
    rng = np.random.default_rng(1)
    gaps = {}
    for name in ("sessions", "eta", "driver_hours", "spend"):
        values = history[name].tensor.clone()
        values[torch.tensor(rng.random(tuple(values.shape)) < 0.1)] = float("nan")
        gaps[name] = history[name].with_tensor(values)
    models = kit.collection()
    report = fit(models, history.assign(gaps))
    assert report.converged
    np.testing.assert_allclose(
        models.leaves["pickup"].elasticity.value().tensor.detach().numpy(), 0.5, atol=0.05
    )


def test_region_without_data_follows_the_pool(kit, history):
    values = history["eta"].tensor.clone()
    values[3] = float("nan")
    models = kit.collection()
    fit(models, history.assign(eta=history["eta"].with_tensor(values)))
    elasticity = models.leaves["pickup"].elasticity.value().tensor.detach()
    assert elasticity[3].item() == pytest.approx(elasticity[:3].mean().item(), abs=1e-3)


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
