"""What is expected of an experiment without it, and the verdict."""

import math
from dataclasses import replace

import pytest

from dagcast_core.contract import ExperimentSet
from dagcast_core.model import Widening, draws, effect_draws, fit, left_out


@pytest.mark.again
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
    report = fit(models, history, experiments)
    found = left_out(models, history, experiments)
    assert list(found) == ["sum", "path", "again"]
    for item in experiments:
        rest = experiments.without(item.name)
        refitted = kit.collection()
        fit(refitted, history, rest, warm=models)
        sample = draws(refitted, history, rest, 400)
        drawn = effect_draws(refitted, history, item, sample)
        # Draws are of an effect to come, which scatters about what the models can say.
        scatter = report.dispersion * found[item.name].effect
        expected = math.hypot(found[item.name].spread, scatter)
        assert drawn.std().item() == pytest.approx(expected, rel=0.25)
        assert found[item.name].effect == pytest.approx(drawn.mean().item(), rel=0.1)
    # Alone in its errors, an estimate adds its own variance, widened; never less than that.
    again = found["again"]
    assert again.difference > math.hypot(again.spread, errors[2])
    assert left_out(models, history, ()) == {}


@pytest.mark.again
def test_verdicts(kit, history):
    """Four trials expect 5.5; a fifth says so, says 14, or says anything."""
    known = [kit.spend_experiment(f"trial-{i}", estimate=5.5, standard_error=0.3) for i in range(4)]
    verdicts = {}
    for name, estimate, error in (("same", 5.6, 0.3), ("other", 14.0, 0.3), ("noisy", 9.0, 20.0)):
        item = kit.spend_experiment(name, estimate=estimate, standard_error=error)
        models = kit.collection()
        report = fit(models, history, [*known, item])
        found = left_out(models, history, [*known, item])[name]
        assert report.experiments[-1].left_out.verdict == found.verdict
        assert report.experiments[-1].z == pytest.approx(found.z, abs=0.05)
        verdicts[name] = found.verdict
        if name == "other":
            (contradiction,) = report.contradicting
            text = str(contradiction)
            assert text.startswith("other measured 14; everything else leads to expect ")
            assert "The fit takes it for a mistake: it moved nothing." in text
            assert abs(report.experiments[-1].in_sample_z) < abs(found.z)
    assert verdicts == {"same": "agrees", "other": "contradicts", "noisy": "says little"}


@pytest.mark.again
@pytest.mark.parametrize("freedom", [4.0, None])
def test_a_lost_sign_says_nothing_of_the_others(kit, history, freedom):
    trials = [
        kit.spend_experiment(f"trial-{i}", estimate=5.5, standard_error=0.3) for i in range(4)
    ]
    item = kit.spend_experiment("lost", estimate=-5.5, standard_error=0.1)
    lost = replace(item, degrees_of_freedom=freedom)
    report = fit(kit.collection(), history, [*trials, lost])
    verdicts = {row.name: row.left_out.verdict for row in report.experiments}
    assert verdicts == {"lost": "contradicts", **{trial.name: "agrees" for trial in trials}}
    (said,) = report.contradicting
    assert "with the other sign" in str(said)
    assert report.dispersion < 0.15


@pytest.mark.again
def test_what_a_contradiction_moved_is_said_where_it_is_believed(kit, history):
    known = [kit.spend_experiment(f"trial-{i}", estimate=5.5, standard_error=0.6) for i in range(4)]
    item = kit.spend_experiment("other", estimate=8.0, standard_error=0.6)
    report = fit(kit.collection(), history, [*known, item], widening=Widening(form=0.01))
    (contradiction,) = report.contradicting
    assert "It moved " in str(contradiction)
    assert " sd" in str(contradiction)
