"""Slopes out of all proportion."""

from dagcast_core.decide import Budget, DecisionProblem, Lever, Objective, solve


def test_exploding_gradient_names_model_quantity_and_cell(make):
    class Steep(make.Eta):
        contract = make.Eta.contract

        def forward(self, supply, sessions):
            # A root whose slope at the unspent supply is finite and absurd.
            spare = (supply - sessions * 0.7).clamp(min=0.0)
            return super().forward(supply, sessions) - 1e-3 * (spare + 1e-24).sqrt()

    problem = DecisionProblem(
        make.market(eta=Steep()),
        [Lever("spend", 0.0, 60.0)],
        Objective("rides"),
        [Budget("spend", 900.0, by=("region",))],
        make.context(),
    )
    plan = solve(problem)
    found = [line for line in plan.warnings if "explodes" in line]
    assert len(found) == 1
    assert "'eta' of 'eta-model'" in found[0]
    assert "spend[" in found[0]


def test_gentle_gradient_is_not_called_exploding(problem):
    assert solve(problem).warnings == ()
