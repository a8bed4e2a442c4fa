"""Settings: what is refused, where, and with which advice."""

import os
import time

import pytest

from dagcast.config import (
    Budget,
    Config,
    Fallback,
    Guardrail,
    Lever,
    Risk,
    config_text,
    load_config,
)
from dagcast.errors import ConfigError


@pytest.fixture
def write(tmp_path):
    def _write(text):
        path = tmp_path / "dagcast.toml"
        path.write_text(text)
        return path

    return _write


def test_text_of_a_config_reads_back_as_the_same_config(write):
    config = Config(
        name='the "north"',
        levers={"incentive_spend": Lever(upper=400.0)},
        budgets=(
            Budget(limit=5e4),
            Budget(of_recent=1.1, by=("region",), where={"incentive": ("a",)}),
            Budget(limit=9.0, by=("region",), groups={"region": {"SFO": "bay"}}),
        ),
        guardrails=(Guardrail(quantity="eta", of_recent=1.05, by=("region",), weight="sessions"),),
        serving={"eta": "dagcast-eta"},
        risk=Risk(measure="cvar", tail=0.2),
        fallbacks=(Fallback(quantity="rides", width=1.5, share=0.8),),
        data={"as_of": "2026-03-02T00:00:00Z"},
    )
    assert load_config(write(config_text(config))) == config


def test_draws_are_weighed_only_where_something_asks_for_them():
    assert not Config().weighs_draws
    assert Config(risk=Risk(measure="mean")).weighs_draws
    assert Config(fallbacks=(Fallback(lever="spend", quantity="rides"),)).weighs_draws
    sure = Guardrail(quantity="eta", limit=6.0, chance=0.9)
    assert Config(guardrails=(sure,)).weighs_draws


def test_empty_file_is_the_default(write):
    assert load_config(write("")) == Config()


def test_unknown_key_names_line_allowed_keys_and_nearest(write):
    path = write('name = "x"\n\n[backtest]\n# how many\norgins = 4\n')
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value) == (
        "expected a key of [backtest] (horizon_hours, origins, quantities, step_hours, workers); "
        "found 'orgins' at dagcast.toml line 5. Did you mean 'origins'?"
    )


def test_unknown_key_inside_a_list_of_tables_names_its_own_line(write):
    path = write("[[budgets]]\nlimit = 1.0\n[[budgets]]\nlimit = 2.0\nlimt = 3\n")
    with pytest.raises(ConfigError, match=r"'limt' at dagcast.toml line 5. Did you mean 'limit'"):
        load_config(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[backtest]\norigins = 0\n",
            "origins to be greater than or equal to 1; found 0 at dagcast.toml line 2",
        ),
        ('[backtest]\norigins = "eight"\n', "found 'eight' at dagcast.toml line 2"),
        ("[[budgets]]\nlimit = -5.0\n", "found -5.0 at dagcast.toml line 2"),
        (
            '[[guardrails]]\nquantity = "eta"\nlimit = 6\nsense = "<"\n',
            "'<=' or '>='; found '<' at dagcast.toml line 4",
        ),
        ("[horizon]\nstart = 2026-03-02T00:30:00Z\n", "the start of an hour"),
        ("[horizon]\nstart = 2026-03-02T00:00:00\n", "a time with a zone"),
        ('[risk]\nmeasure = "worst"\n', "found 'worst' at dagcast.toml line 2"),
        (
            '[[budgets]]\nlimit = 5.0\ngroups = { region = { SFO = "bay" } }\n',
            "groups of a dim in by, such as by = ['region']",
        ),
        ("[risk]\ntail = 0\n", "found 0 at dagcast.toml line 2"),
        ('[[fallbacks]]\nquantity = "rides"\nwidth = -1.0\n', "found -1.0 at dagcast.toml line 3"),
        ('[[guardrails]]\nquantity = "eta"\nlimit = 6\nchance = 2\n', "found 2 at dagcast.toml"),
        ("[[budgets]]\nlimit = 5.0\nof_recent = 1.0\n", "either limit or of_recent"),
        ("[levers.incentive_spend]\nlower = 5\nupper = 4\n", "lower <= upper"),
        ("[objective]\nweights = { rides = 0.0 }\n", "a weight other than 0"),
        ("name = \n", "at line 1"),
    ],
)
def test_bad_value_says_expected_found_and_place(write, text, message):
    with pytest.raises(ConfigError) as caught:
        load_config(write(text))
    assert message in str(caught.value)


def test_the_only_lever_is_meant_where_none_is_named(write):
    text = "[levers.spend]\nupper = 9\n[[budgets]]\nlimit = 1\n[[ramps]]\nlimit = 2\n"
    config = load_config(write(text))
    assert (config.budgets[0].lever, config.ramps[0].lever) == ("spend", "spend")
    with pytest.raises(ConfigError) as caught:
        load_config(write("[levers.fare]\nupper = 9\n" + text))
    assert str(caught.value).startswith(
        "expected a lever in every [[budgets]], out of fare, spend; found none at dagcast.toml."
    )
    with pytest.raises(ConfigError, match=r"a lever in every \[\[ramps\]\], out of none so far"):
        load_config(write("[[ramps]]\nlimit = 2\n"))


def test_a_purse_over_several_levers_names_two_or_more(write):
    purse = "[[budgets]]\nlevers = {}\nlimit = 5.0\n"
    config = load_config(write(purse.format('["spend", "coupons"]')))
    assert (config.budgets[0].lever, config.budgets[0].levers) == ("", ("spend", "coupons"))
    for wrong in ('["spend"]', '["spend", "coupons"]\nlever = "spend"'):
        with pytest.raises(ConfigError, match="either lever or levers, of which there are two"):
            load_config(write(purse.format(wrong)))


def test_nothing_is_named_that_no_package_and_nobody_named(write):
    """An empty project is valid, and its file says what to add."""
    config = Config()
    assert (config.objective.weights, config.levers, config.backtest.quantities) == ({}, {}, ())
    text = config_text(config)
    assert load_config(write(text)) == config
    for line in ("# [levers.QUANTITY]", "# [[budgets]]", "# weights = { QUANTITY = 1.0 }"):
        assert line in text


def test_all_problems_are_reported_at_once(write):
    with pytest.raises(ConfigError) as caught:
        load_config(write("[backtest]\norigins = 0\nfolds = 2\n"))
    assert "line 2" in str(caught.value)
    assert "line 3" in str(caught.value)


def test_flag_wins_over_environment_over_file_over_default(write):
    path = write("[backtest]\norigins = 2\n")
    environment = {"DAGCAST_BACKTEST__ORIGINS": "3", "DAGCAST_PROJECT": "elsewhere"}
    assert load_config(path).backtest.origins == 2
    assert load_config(path, environment=environment).backtest.origins == 3
    flags = {"backtest.origins": "5"}
    assert load_config(path, environment=environment, flags=flags).backtest.origins == 5
    assert load_config(path).backtest.step_hours == 168


def test_variables_set_what_stands_at_the_top_too(write):
    environment = {"DAGCAST_NAME": "south", "DAGCAST_RECENT_WEEKS": "6", "DAGCAST_USER": "ana"}
    found = load_config(write("name = 'north'"), environment=environment)
    assert (found.name, found.recent_weeks) == ("south", 6)


@pytest.mark.parametrize(
    ("name", "value", "near"),
    [
        ("DAGCAST_RECENT_WEEK", "6", "recent_weeks"),
        ("DAGCAST_PROJCT", "north", ""),
        ("DAGCAST_HORIZON", "48", ""),
        ("DAGCAST_RECENT_WEEKS", "many", ""),
        ("DAGCAST_BACKTEST__ORIGIN", "3", "origins"),
    ],
)
def test_variable_that_sets_nothing_is_named(write, name, value, near):
    with pytest.raises(ConfigError, match=f"environment variable {name}") as caught:
        load_config(write(""), environment={name: value})
    assert near in str(caught.value)


def test_variables_of_other_uses_are_left_alone(write):
    environment = {"DAGCAST_PROJECT": "p", "DAGCAST_TEST_FUZZ": "9", "DAGCAST_REAL_DATA": "x"}
    assert load_config(write(""), environment=environment) == load_config(write(""))


def test_bad_environment_value_is_blamed_on_the_variable(write):
    with pytest.raises(ConfigError, match="environment variable DAGCAST_BACKTEST__ORIGINS"):
        load_config(write(""), environment={"DAGCAST_BACKTEST__ORIGINS": "none"})
    with pytest.raises(ConfigError, match=r"--set backtest.orgins"):
        load_config(write(""), flags={"backtest.orgins": "3"})


def test_settings_that_are_a_pipe_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "dagcast.toml")
    with pytest.raises(ConfigError, match="a pipe or device"):
        load_config(tmp_path / "dagcast.toml", environment={})


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("[horizon]\nhours = true", "horizon.hours"),
        ("[horizon]\nstart = false", "horizon.start"),
        ("[week]\nmax_change = true", "week.max_change"),
        ("[objective]\nweights = {profit = true}", "objective.weights"),
        ("[seeds]\nplan = true", "seeds.plan"),
        ("[[budgets]]\nlever = 'spend'\nlimit = true", "budgets.0.limit"),
        ("disable = [true]", "disable"),
    ],
)
def test_true_is_no_number(write, text, name):
    with pytest.raises(ConfigError, match=f"{name} to be a value of its own kind, not true or"):
        load_config(write(text))


@pytest.mark.parametrize("zone", ["Mars", "", "../../etc/passwd"])
def test_zone_that_is_none_is_refused(write, zone):
    for table in (f"zone = '{zone}'", f"zones = {{SFO = '{zone}'}}"):
        with pytest.raises(ConfigError, match="an IANA name of a zone"):
            load_config(write(f"[labels.region]\n{table}"))


def test_true_is_what_a_flag_is(write):
    assert load_config(write("[week]\napprove = true\nmax_change = 0.5")).week.approve
    assert load_config(write("[models.eta]\nnested = true")).models["eta"]["nested"] is True


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (".".join(["a"] * 20_000) + " = 1", "parts at line 1"),
        ("\n[" + ".".join(["'a b'"] * 20_000) + "]", "parts at line 2"),
        ("# " + "a" * 900_000 + "\nb", "found Expected '='"),
        ("#" * 1_000_001, "more than 1,000,000 bytes"),
        ("\n".join(f"a{n} = 1" for n in range(20_000)), "19,980 more"),
    ],
)
def test_settings_that_nobody_writes_are_refused_in_seconds(write, text, found):
    begun = time.process_time()
    with pytest.raises(ConfigError, match=found):
        load_config(write(text))
    assert time.process_time() - begun < 5
