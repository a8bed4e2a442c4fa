import numpy as np
import pytest

from dagcast_simulator._environment import make_environment
from dagcast_simulator._regions import make_regions
from dagcast_simulator._scenario import Scenario


@pytest.fixture(scope="module")
def env():
    scenario = Scenario()
    return make_environment(scenario, make_regions(scenario, 9, 16, 0), 16, 0)


def _row(env, name):
    return [region.name for region in env.regions].index(name)


def test_hour_of_week_is_local_and_monday_midnight_is_zero(env):
    for name, zone in (("NYC", "America/New_York"), ("PHX", "America/Phoenix")):
        local = env.hours.tz_convert(zone)
        expected = local.day_of_week * 24 + local.hour
        assert (env.hour_of_week[_row(env, name)] == expected).all()


def test_a_change_of_clocks_skips_one_local_hour_and_no_instant(env):
    def steps(name):
        return np.diff(env.hour_of_week[_row(env, name)]) % 168

    assert (steps("NYC") == 2).sum() == 1
    assert (steps("PHX") == 1).all()
    assert (np.diff(env.hours.asi8) == 3_600_000_000).all()


def test_a_holiday_is_a_local_day_of_24_hours(env):
    for i, region in enumerate(env.regions):
        days = env.hours.tz_convert(region.zone)[env.holiday[i] > 0]
        dates = {str(day) for day in days.date}
        assert dates == {"2026-01-19", "2026-02-16", "2026-04-03"}
        assert len(days) == 72


def test_neighbours_share_their_weather_and_others_do_not(env):
    assert env.regions[0].neighbours == ("OAK",)
    assert np.array_equal(env.precipitation[0], env.precipitation[1])
    assert not np.array_equal(env.precipitation[0], env.precipitation[2])


def test_a_shorter_history_sees_the_same_weather_and_shocks(env):
    scenario = Scenario()
    short = make_environment(scenario, make_regions(scenario, 3, 8, 0), 8, 0)
    assert np.array_equal(short.temperature, env.temperature[:3, : 9 * 168])


def test_the_late_region_is_closed_before_it_opens(env):
    late = env.regions[-1]
    assert late.opened_hour == 168 * 11
    assert env.sessions[-1, : late.opened_hour].max() == 0
    assert env.sessions[-1, late.opened_hour :].min() > 0


def test_the_forecast_errs_more_at_the_end_of_the_week(env):
    error = np.abs(env.temperature_forecast - env.temperature).reshape(9, -1, 168)
    assert error[:, :, 120:].mean() > 1.5 * error[:, :, :24].mean() > 0


def test_the_unforeseen_event_is_not_in_the_calendar_and_not_foreseen():
    regions = make_regions(Scenario(), 2, 4, 0)
    with_event = make_environment(Scenario(), regions, 4, 0)
    without = make_environment(Scenario(unforeseen_hours=0), regions, 4, 0)
    hit = with_event.unforeseen > 0
    assert hit.sum() == 24
    assert np.allclose(with_event.sessions[hit], 1.7 * without.sessions[hit])
    assert np.array_equal(with_event.foreseen, without.foreseen)
    assert np.array_equal(with_event.local_event, without.local_event)


def test_rain_raises_sessions_by_the_stated_law():
    scenario = Scenario(cold_on_sessions=0.0, heat_on_sessions=0.0)
    dry = Scenario(cold_on_sessions=0.0, heat_on_sessions=0.0, rain_on_sessions=0.0)
    regions = make_regions(scenario, 1, 4, 0)
    wet_world = make_environment(scenario, regions, 4, 0)
    dry_world = make_environment(dry, regions, 4, 0)
    quiet = wet_world.local_event == 0
    ratio = (wet_world.sessions / dry_world.sessions)[quiet]
    assert np.allclose(ratio, (1 + wet_world.precipitation[quiet] / 0.6) ** 0.17)
    assert ratio.max() > 1.1
