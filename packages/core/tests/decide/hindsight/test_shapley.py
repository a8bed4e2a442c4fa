"""Shapley values of known games."""

import pytest

from dagcast_core.decide import shapley_values
from dagcast_core.decide.hindsight._shapley import shapley_coefficients


def test_shapley_values_of_a_known_game():
    """Weighted majority: player a has a veto, b and c are interchangeable."""

    def worth(inside):
        return 1.0 if "a" in inside and len(inside) > 1 else 0.0

    values = shapley_values(("a", "b", "c"), worth)
    assert values["a"][0] == pytest.approx(2 / 3)
    assert values["b"][0] == pytest.approx(1 / 6)
    assert values["c"][0] == pytest.approx(1 / 6)


def test_sampled_shapley_values_sum_and_have_errors():
    players = tuple("abcdefghij")
    weight = {p: float(k) for k, p in enumerate(players)}

    def worth(inside):
        return sum(weight[p] for p in inside) + 3.0 * len(inside) ** 2

    values = shapley_values(players, worth, samples=40, seed=1)
    total = sum(value for value, _ in values.values())
    assert total == pytest.approx(worth(frozenset(players)) - worth(frozenset()))
    for player in players:
        value, error = values[player]
        # The symmetric part is shared evenly: 3 * 100 / 10.
        assert abs(value - (weight[player] + 30.0)) <= 5 * error + 1e-6


@pytest.mark.parametrize("players", ["abc", "abcdefghij"])
def test_values_are_linear_in_worths_with_these_coefficients(players):
    def worth(inside):
        return sum(ord(p) for p in inside) ** 1.3 + 7.0 * ("b" in inside and "c" in inside)

    values = shapley_values(tuple(players), worth, samples=12, seed=3)
    counted = shapley_coefficients(tuple(players), samples=12, seed=3)
    for player, (value, _) in values.items():
        found = sum(weight * worth(inside) for inside, weight in counted[player].items())
        assert found == pytest.approx(value)
