"""Draws, risks and chances that cannot be meant."""

from dataclasses import replace

import pytest

from dagcast_core.decide import DecisionError, Fallback, OutcomeLimit, Risk
from dagcast_core.model import ModelError


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"draws": None, "risk": Risk()}, "risk is measured over draws"),
        ({"risk": Risk("cvar", 0.01)}, "less than one draw. Make at least 100 draws"),
        ({"risk": Risk("cvar", 0.0)}, "the tail is 0; it is a share"),
        ({"risk": Risk("worst")}, "no risk measure 'worst'"),
        ({"constraints": [OutcomeLimit("eta", "<=", 5.0, chance=1.5)]}, "chance is between 0"),
        ({"constraints": [Fallback("spent")]}, "concerns no lever here. Nearest: 'spend'"),
        ({"constraints": [Fallback("spend", "rule")]}, "has the rule 'rule'"),
        ({"constraints": [Fallback("spend", -1.0)]}, "a share is at least 0"),
        ({"constraints": [Fallback("spend", width=0.0)]}, "the width is above 0"),
        ({"constraints": [Fallback("spend")]}, "starts from the current plan, and there is none"),
        (
            {"constraints": [Fallback("spend", "zero", quantity="ride")]},
            "no output. Nearest: 'rides'",
        ),
        ({"constraints": [Fallback("spend", "zero", quantity="calm")]}, "which no lever reaches"),
    ],
)
def test_nonsense_about_draws_is_refused(uncertain, change, message):
    with pytest.raises(DecisionError, match=message):
        replace(uncertain(), **change)


def test_draws_of_another_model_are_refused(make, uncertain):
    problem = uncertain()
    with pytest.raises(DecisionError, match="draws are of another model: market has no parameter"):
        replace(problem, model=make.market())
    wrong = {name: values[..., :1] for name, values in problem.draws.states.items()}
    with pytest.raises(DecisionError, match="of another model"):
        replace(problem, draws=replace(problem.draws, states=wrong))
    hollow = {name: values * float("nan") for name, values in problem.draws.states.items()}
    with pytest.raises(DecisionError, match="are not finite"):
        replace(problem, draws=replace(problem.draws, states=hollow))
    with pytest.raises(ModelError), problem.draws.applied_to(make.market(), 0):
        pass
