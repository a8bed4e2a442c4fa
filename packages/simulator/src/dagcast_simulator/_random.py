"""Random numbers that belong to an entity, not to the order in which a run asks for them.

Common random numbers need the same rider, driver and minute to draw the same number in every
counterfactual, whatever the plan changed before. A sequential generator cannot promise that: one
extra rider shifts all later draws. So the event loop uses a counter-based generator: a draw is a
hash of (stream key, entity, moment, number of the draw). The hash is the finaliser of splitmix64
(Steele, Lea & Flood 2014, doi:10.1145/2660193.2660195), applied once per coordinate.

What does not depend on a plan (weather, calendar, demand shocks, the operator's rule) is drawn by
numpy's Philox generator, one stream per purpose and region, so that adding a region to a world
leaves the others as they were.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

SESSION_STREAM = 1
DRIVER_STREAM = 2
REPORTING_STREAM = 3
EXECUTION_STREAM = 4
THRESHOLD_STREAM = 5

_GOLDEN = 0x9E3779B97F4A7C15


def stream_key(seed: int, stream: int, replication: int = 0) -> np.uint64:
    """A 64-bit key for one stream of a world; ``replication`` 0 is the world that happened."""
    state = np.random.SeedSequence([seed, stream, replication]).generate_state(1, np.uint64)
    return np.uint64(state[0])


def generator(seed: int, purpose: str, region: int = 0) -> np.random.Generator:
    """A numpy generator for one purpose and region, for draws that no plan can influence."""
    words = [seed, region, *purpose.encode()]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(words)))


@njit(cache=True)
def mix(x: np.uint64) -> np.uint64:
    """The splitmix64 finaliser: a bijection of 64-bit words that passes for random."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit(cache=True)
def entity(key: np.uint64, a: int, b: int, c: int) -> np.uint64:
    """The hash of an entity's coordinates; draws are taken from it by ``uniform``."""
    x = mix(key + np.uint64(a) * np.uint64(_GOLDEN))
    x = mix(x + np.uint64(b) * np.uint64(_GOLDEN))
    return mix(x + np.uint64(c) * np.uint64(_GOLDEN))


@njit(cache=True)
def uniform(word: np.uint64, number: int) -> float:
    """Draw ``number`` of an entity, in the open interval (0, 1)."""
    x = mix(word + np.uint64(number + 1) * np.uint64(_GOLDEN))
    return (np.float64(x >> np.uint64(11)) + 0.5) * (1.0 / 9007199254740992.0)


def uniforms(key: np.uint64, ids: NDArray[np.int64], number: int) -> NDArray[np.float64]:
    """Vectorised draws by entity id, for what happens after the event loop (reporting delays)."""
    with np.errstate(over="ignore"):
        x = ids.astype(np.uint64) * np.uint64(_GOLDEN) + key
        x = _mix_array(x) + np.uint64(number + 1) * np.uint64(_GOLDEN)
        x = _mix_array(x)
    return ((x >> np.uint64(11)).astype(np.float64) + 0.5) / 9007199254740992.0


def _mix_array(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
