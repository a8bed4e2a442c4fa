import numpy as np
from numba import njit

from dagcast_simulator._random import entity, generator, stream_key, uniform, uniforms


@njit
def _draws(key, count, number):
    result = np.empty(count)
    for i in range(count):
        result[i] = uniform(entity(key, i, 7, 1), number)
    return result


def test_draws_of_entities_are_uniform_and_uncorrelated():
    key = stream_key(0, 1)
    first, second = _draws(key, 20_000, 0), _draws(key, 20_000, 1)
    grid = np.linspace(0.05, 0.95, 19)
    # Kolmogorov's 0.1 % point at this size is 0.0138.
    assert np.abs(np.quantile(first, grid) - grid).max() < 0.0138
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.025
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.025


def test_a_draw_does_not_depend_on_what_was_drawn_before():
    key = stream_key(4, 2)
    assert _draws(key, 10, 3)[9] == uniform(entity(key, 9, 7, 1), 3)


def test_streams_seeds_and_replications_differ():
    keys = {int(stream_key(s, k, r)) for s in range(4) for k in range(4) for r in range(4)}
    assert len(keys) == 64


def test_vectorised_draws_are_uniform():
    draws = uniforms(stream_key(1, 3), np.arange(20_000), 2)
    assert abs(draws.mean() - 0.5) < 0.01
    assert 0 < draws.min() < draws.max() < 1


def test_generators_of_one_purpose_differ_by_region_and_repeat():
    assert generator(1, "weather", 0).random() != generator(1, "weather", 1).random()
    assert generator(1, "weather", 0).random() == generator(1, "weather", 0).random()
