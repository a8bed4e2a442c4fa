"""Raw rows of trials, taken to effects."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from dagcast_core.estimate import (
    EstimationError,
    RawTrial,
    difference_in_differences,
    fixed_effects_difference,
    measure_rows,
    split_ratio,
)

SWITCHBACK = RawTrial(
    "switchback", "hours", "treated", ("region", "window"), pairs=("region", "pair"),
    groups=("region", "window"), since="since", washout=3.0,
)  # fmt: skip


@pytest.fixture
def switchback():
    """Four regions, six windows of eight hours; what a window's change does builds up in 3 h."""
    rng = np.random.default_rng(2)
    rows = []
    for region in range(4):
        for pair in range(3):
            first = rng.random() < 0.5
            for half in range(2):
                arm = float(first == (half == 0))
                for hour in range(8):
                    effect = 2.0 * arm * min(hour / 3, 1.0)
                    y = 10 + region + pair + effect + 0.3 * rng.normal()
                    rows.append((region, 2 * pair + half, pair, hour, arm, y))
    columns = ["region", "window", "pair", "since", "treated", "hours"]
    return pd.DataFrame(rows, columns=columns)


def test_switchback_discards_what_carry_over_reaches(switchback):
    found = measure_rows(switchback, SWITCHBACK)
    assert found.discarded == 4 * 6 * 3
    assert found.rows + found.discarded == len(switchback)
    assert found.estimate == pytest.approx(2.0, abs=3 * found.standard_error)
    late = switchback[switchback["since"] >= 3]
    pair = late["region"] * 10 + late["pair"]
    same = fixed_effects_difference(
        late["hours"], late["treated"], groups=(late["region"], late["window"]), clusters=pair
    )
    assert (found.estimate, found.standard_error, found.degrees_of_freedom, found.clusters) == (
        same.estimate, same.standard_error, same.degrees_of_freedom, 12,
    )  # fmt: skip
    assert (found.test.exact, found.test.assignments <= 2**12) == (True, True)
    assert found.test.p_value < 0.01
    assert "first 3 h after a change discarded" in found.method
    # With them the effect is understated.
    whole = measure_rows(switchback, replace(SWITCHBACK, washout=0.0))
    assert whole.estimate < found.estimate - 0.3


def test_ratio_is_that_of_the_arms(switchback):
    absolute = measure_rows(switchback, SWITCHBACK)
    ratio = measure_rows(switchback, replace(SWITCHBACK, scale="ratio"))
    control = switchback[switchback["since"] >= 3]["hours"].mean() - absolute.estimate / 2
    assert ratio.estimate == pytest.approx(absolute.estimate / control, rel=1e-6)
    assert ratio.scale == "ratio"


def test_geo_test_compares_changes():
    rng = np.random.default_rng(4)
    regions = pd.DataFrame({"region": range(8), "treated": [0, 1] * 4, "level": rng.normal(size=8)})
    rows = regions.merge(pd.DataFrame({"day": range(20)}), how="cross")
    rows["before"] = (rows["day"] < 10).astype(int)
    rows["rides"] = 5 * rows["level"] + rng.normal(size=len(rows))
    rows["rides"] += 1.5 * rows["treated"] * (1 - rows["before"])
    found = measure_rows(rows, RawTrial("geo", "rides", "treated", ("region",), before="before"))
    means = rows.groupby(["region", "before"])["rides"].mean().unstack()
    same = difference_in_differences(means[1], means[0], regions["treated"])
    assert found.estimate == pytest.approx(same.estimate)
    assert found.standard_error == pytest.approx(same.standard_error)
    assert (found.test.exact, found.test.assignments) == (True, 70)


def test_user_split_is_a_ratio_of_rates():
    rng = np.random.default_rng(6)
    cells = [(day, arm) for day in range(20) for arm in (0, 1)]
    rows = pd.DataFrame(cells, columns=["day", "treated"]).assign(sessions=1000)
    rows["rides"] = rng.binomial(1000, 0.5 - 0.05 * rows["treated"])
    trial = RawTrial("user_split", "rides", "treated", ("day",), denominator="sessions")
    found = measure_rows(rows, trial)
    log, influence = split_ratio(rows["rides"], rows["sessions"], rows["treated"], rows["day"])
    assert found.estimate == pytest.approx(np.exp(log) - 1)
    assert found.standard_error == pytest.approx(np.exp(log) * np.sqrt(influence @ influence))
    assert (found.scale, found.clusters, found.test) == ("ratio", 20, None)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"outcome": "ours"}, "no column 'ours'; they have region"),
        ({"units": ()}, "columns of units"),
        ({"since": None}, "a column since for the washout"),
        ({"design": "geo"}, "a column before for a geo test"),
        ({"denominator": "hours"}, "a column denominator for a user split"),
        ({"design": "coin"}, "found 'coin'"),
        ({"scale": "elasticity"}, "a scale of absolute or ratio"),
        ({"washout": 100.0}, "no row is left"),
    ],
)
def test_wrong_declaration_is_one_sentence(switchback, change, words):
    with pytest.raises(EstimationError, match=words):
        measure_rows(switchback, replace(SWITCHBACK, **change))


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("hours", np.nan, "'hours' lacks 1 figures of 192 rows"),
        ("hours", "many", "'hours' holds no figures"),
        ("treated", 2.0, "other values than 0 and 1"),
    ],
)
def test_wrong_rows_are_one_sentence(switchback, column, value, words):
    switchback[column] = switchback[column].astype(object)
    switchback.loc[3, column] = value
    with pytest.raises(EstimationError, match=words):
        measure_rows(switchback, SWITCHBACK)
