"""Experiments move the models on their path as Bayes says."""

import math
from dataclasses import replace

import numpy as np
import pytest

from dagcast_core.contract import Arm, Change, Contract, Dim, ExperimentSet, Quantity
from dagcast_core.dims import HOUR
from dagcast_core.model import (
    ExperimentAgreement,
    Model,
    ModelCollection,
    Ridge,
    Widening,
    effect_of,
    fit,
)
from dagcast_core.tensor import IndexTensor

REGION = Dim("region")
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
