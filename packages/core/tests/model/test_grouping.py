"""Models whose terms reach through a latent quantity are fitted together."""

import pytest

from dagcast_core.model import ModelError, Poisson, Ridge, SquaredError, fit


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
