import dataclasses

import pytest

from dagcast_simulator import Scenario, ScenarioError, load_scenario, scenario_names


def test_every_parameter_states_meaning_and_source():
    for row in Scenario.describe():
        assert row["meaning"], row["name"]
        assert row["source"], row["name"]


def test_every_number_has_a_range_that_holds_its_default():
    for field in dataclasses.fields(Scenario):
        if isinstance(field.default, float):
            low, high = field.metadata["low"], field.metadata["high"]
            assert low is not None, field.name
            assert low <= field.default <= high, field.name


def test_an_unknown_parameter_is_refused_with_the_nearest_name():
    with pytest.raises(ScenarioError, match=r"no parameter 'confouding'. Nearest: 'confounding'"):
        Scenario.from_mapping({"confouding": 1.0})


@pytest.mark.parametrize("value", [-0.1, 7.0, float("nan")])
def test_a_value_out_of_range_is_refused(value):
    with pytest.raises(ScenarioError, match="'confounding' must lie in"):
        Scenario.from_mapping({"confounding": value})


@pytest.mark.parametrize(("name", "value"), [("trend", "fast"), ("new_region", 1), ("stint", True)])
def test_a_value_of_the_wrong_type_is_refused(name, value):
    with pytest.raises(ScenarioError, match=f"'{name}' takes"):
        Scenario.from_mapping({name: value})


def test_shipped_scenarios_load_under_their_own_names():
    assert {"default", "calm", "strong_confounding", "tight"} <= set(scenario_names())
    for name in scenario_names():
        assert load_scenario(name).name == name
    assert load_scenario("default") == Scenario()


def test_a_mapping_can_start_from_a_shipped_scenario():
    scenario = Scenario.from_mapping({"base": "calm", "trend": 0.01})
    assert (scenario.late_share, scenario.trend) == (0.0, 0.01)


def test_a_mapping_survives_a_round_trip():
    scenario = load_scenario("tight")
    assert Scenario.from_mapping(scenario.to_mapping()) == scenario


def test_a_file_that_is_no_scenario_is_refused(tmp_path):
    with pytest.raises(ScenarioError, match="neither a file nor one of borders, calm"):
        load_scenario(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("trend = = 1", "utf-8")
    with pytest.raises(ScenarioError, match="not valid TOML"):
        load_scenario(broken)


def test_a_start_that_is_no_monday_is_refused():
    with pytest.raises(ScenarioError, match="Monday"):
        Scenario.from_mapping({"start": "2026-01-13"})
    with pytest.raises(ScenarioError, match="Monday"):
        Scenario.from_mapping({"start": "soon"})
