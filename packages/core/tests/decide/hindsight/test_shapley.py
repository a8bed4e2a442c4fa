"""Shapley values of known games."""

import pytest

from dagcast_core.decide import shapley_values


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
