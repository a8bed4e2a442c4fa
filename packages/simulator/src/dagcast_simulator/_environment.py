"""What surrounds the market and no plan can change: calendar, weather, demand, regular supply.

Arrays have dims (region, hour) over the history and the weeks that can be planned.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.tseries.holiday import (
    AbstractHolidayCalendar,
    GoodFriday,
    USFederalHolidayCalendar,
)

from dagcast_simulator._random import generator
from dagcast_simulator._regions import Region
from dagcast_simulator._scenario import Scenario

Array = NDArray[np.float64]

_CLIMATE = {  # mean temperature of the year and half the distance of summer and winter, degC
    "America/Los_Angeles": (15.0, 5.0),
    "America/New_York": (12.0, 12.0),
    "America/Chicago": (10.5, 13.0),
    "America/Denver": (10.0, 12.0),
    "America/Phoenix": (23.0, 10.0),
}


@dataclass(frozen=True)
class Environment:
    """Everything exogenous of one world; arrays are (region, hour), float64.

    Args:
        regions: in the order of the arrays.
        hours: UTC starts of the hours, history and planning weeks.
        hour_of_week: local, Monday 00:00 is 0.
        holiday: 1 on a holiday in local time.
        local_event: expected attendance in 10,000, known in advance.
        temperature: degC.
        precipitation: mm/h.
        temperature_forecast: degC, as issued before the week.
        precipitation_forecast: mm/h, as issued before the week.
        sessions: expected session/h before coupons and price memory.
        foreseen: standardised demand shock that the operator and drivers foresee.
        supply: drivers online that regular starts aim at.
        supply_next: the same an hour later, which starts of this hour prepare.
        supply_reference: (region,) its mean, the scale of bonus offers.
        slowdown: factor on driving times.
        open: 1 where the region is open.
        unforeseen: 1 in the cells of the unforeseen event.
        settled: hours from whose figures the operator's habits come: the history with which the
            world began and the weeks that were to be planned then.
    """

    regions: tuple[Region, ...]
    hours: pd.DatetimeIndex
    hour_of_week: NDArray[np.int64]
    holiday: Array
    local_event: Array
    temperature: Array
    precipitation: Array
    temperature_forecast: Array
    precipitation_forecast: Array
    sessions: Array
    foreseen: Array
    supply: Array
    supply_next: Array
    supply_reference: Array
    slowdown: Array
    open: Array
    unforeseen: Array
    settled: int

    def listed(self, hour: int) -> NDArray[np.int64]:
        """Positions of the regions that have opened by ``hour``: those that anybody knows."""
        opened = np.array([region.opened_hour for region in self.regions])
        return np.flatnonzero(opened <= hour)


class _Holidays(AbstractHolidayCalendar):
    rules = [*USFederalHolidayCalendar.rules, GoodFriday]  # noqa: RUF012 - pandas asks for a list


def make_environment(
    scenario: Scenario, regions: tuple[Region, ...], weeks: int, seed: int, further: int = 0
) -> Environment:
    """Draw the environment of a world of ``weeks`` weeks and the weeks to plan.

    Args:
        scenario: parameters.
        regions: of the world.
        weeks: of the history with which it begins.
        seed: of the world.
        further: weeks that it went on since; what came before them stays as it was, bit by bit.
    """
    settled = 168 * (weeks + scenario.horizon_weeks)
    count = settled + 168 * further
    hours = pd.date_range(scenario.start, periods=count, freq="h", tz="UTC", unit="us")
    local = [hours.tz_convert(region.zone) for region in regions]
    hour_of_week = np.stack([(t.day_of_week * 24 + t.hour).to_numpy() for t in local]).astype(
        np.int64
    )
    holiday = _holiday(local)
    opened = np.array([region.opened_hour for region in regions])[:, None]
    since = np.arange(count)[None, :] - opened
    is_open = (since >= 0).astype(np.float64)
    event, attendance = _events(regions, local, seed)
    temperature, precipitation, *forecasts = _weather(scenario, regions, local, seed)
    shock = _shock(scenario, regions, count, seed)
    unforeseen = _unforeseen(scenario, regions, weeks, count)

    size = np.array([region.size for region in regions])[:, None]
    shape = np.stack([_demand_shape(seed, i)[hour_of_week[i]] for i in range(len(regions))])
    growth = scenario.trend * np.arange(count)[None, :] / 168 + 0.03 * np.sin(
        2 * np.pi * (np.arange(count)[None, :] / 8766 + 0.1)
    )
    rank = np.array([generator(seed, "growth", i).normal() for i in range(len(regions))])
    growth = growth + scenario.growth_spread * rank[:, None] * np.arange(count)[None, :] / 168
    # A new market opens at a third of its size and fills up within some weeks.
    ramp = np.where(opened > 0, 1 - 0.65 * np.exp(-np.maximum(since, 0) / 250), 1.0)
    day = ((hour_of_week % 24 >= 6) & (hour_of_week % 24 < 19)).astype(np.float64)
    noise = np.stack(
        [generator(seed, "overdispersion", i).normal(size=count) for i in range(len(regions))]
    )
    weather = _weather_effect(scenario, temperature, precipitation)
    calendar = scenario.holiday_on_sessions * holiday * (1.3 * day - 0.3)
    log_rate = growth + weather + calendar + shock + scenario.overdispersion_sd * noise
    sessions = size * (shape * np.exp(log_rate) + scenario.event_on_sessions * attendance)
    sessions *= ramp * is_open * np.where(unforeseen > 0, scenario.unforeseen_demand, 1.0)

    # What the operator sees coming, in standard deviations: the shock, the events, the weather.
    usual = _first(weather, settled).mean()
    ahead = shock + weather - usual + 0.5 * scenario.event_on_sessions * attendance / shape
    foreseen = ahead / max(float(_first(ahead, settled).std()), 1e-9)

    regular, reference = _supply(scenario, regions, hour_of_week, seed)
    rain = np.log1p(precipitation / 0.6)
    supply_noise = _autoregression(
        np.stack([generator(seed, "supply", i).normal(size=count) for i in range(len(regions))]),
        scenario.supply_shock_half_life,
    )
    log_supply = (
        growth
        + scenario.rain_on_drivers * rain
        + scenario.holiday_on_drivers * holiday
        + scenario.supply_shock_sd * supply_noise
        + scenario.driver_foresight * shock
    )
    supply = regular * np.exp(log_supply) * ramp * is_open
    supply_next = np.concatenate([supply[:, 1:], supply[:, -1:]], axis=1)
    # A world is drawn week by week from here on, and nobody can look beyond what is drawn.
    last = np.arange(settled - 1, count, 168)
    supply_next[:, last] = supply[:, last]
    rush = shape / shape.max(axis=1, keepdims=True)
    slowdown = 1 + scenario.rush_slowdown * rush**2 + 0.04 * np.minimum(precipitation, 4)
    slowdown *= np.where(unforeseen > 0, 1.15, 1.0)
    return Environment(
        regions=regions,
        hours=hours,
        hour_of_week=hour_of_week,
        holiday=holiday,
        local_event=event,
        temperature=temperature,
        precipitation=precipitation,
        temperature_forecast=forecasts[0],
        precipitation_forecast=forecasts[1],
        sessions=sessions,
        foreseen=foreseen,
        supply=supply,
        supply_next=supply_next,
        supply_reference=reference,
        slowdown=slowdown,
        open=is_open,
        unforeseen=unforeseen,
        settled=settled,
    )


def _first(values: Array, hours: int) -> Array:
    # A copy, because sums over a view are taken in another order and differ in the last bit.
    return np.ascontiguousarray(values[:, :hours])


def _autoregression(noise: Array, half_life: float) -> Array:
    # Unit variance from the first hour on.
    keep = 0.5 ** (1 / half_life)
    result = np.empty_like(noise)
    state = noise[:, 0]
    result[:, 0] = state
    scale = np.sqrt(1 - keep**2)
    for t in range(1, noise.shape[1]):
        state = keep * state + scale * noise[:, t]
        result[:, t] = state
    return result


def _shock(scenario: Scenario, regions: tuple[Region, ...], count: int, seed: int) -> Array:
    def draw(purpose: str) -> Array:
        return np.stack(
            [generator(seed, purpose, i).normal(size=count) for i in range(len(regions))]
        )

    short = _autoregression(draw("shock"), scenario.shock_half_life)
    slow = _autoregression(draw("drift"), scenario.drift_half_life)
    return scenario.shock_sd * short + scenario.drift_sd * slow


def _holiday(local: list[pd.DatetimeIndex]) -> Array:
    first, last = local[0][0].tz_localize(None), local[0][-1].tz_localize(None)
    margin = pd.Timedelta(days=2)
    days = set(_Holidays().holidays((first - margin).normalize(), last + margin).date)
    return np.stack([np.array([d in days for d in t.date], dtype=np.float64) for t in local])


def _events(
    regions: tuple[Region, ...], local: list[pd.DatetimeIndex], seed: int
) -> tuple[Array, Array]:
    """Expected attendance (calendar) and the visitors who came, both in 10,000."""
    expected = np.zeros((len(regions), len(local[0])))
    came = np.zeros_like(expected)
    profile = {18: 0.35, 19: 0.7, 20: 0.5, 21: 0.8, 22: 1.0}
    for i in range(len(regions)):
        rng = generator(seed, "events", i)
        stadium = rng.random() < 0.75
        days = pd.Index(local[i].date)
        for day in days.unique():
            here, crowd, turnout = rng.random(), rng.uniform(0.8, 4.5), rng.normal()
            if not stadium or here > (0.26 if day.weekday() >= 4 else 0.12):
                continue
            for position in np.flatnonzero(days == day):
                share = profile.get(int(local[i][int(position)].hour), 0.0)
                expected[i, position] = round(crowd * share, 2)
                came[i, position] = crowd * share * np.exp(0.15 * turnout)
    return expected, came


def _weather(
    scenario: Scenario, regions: tuple[Region, ...], local: list[pd.DatetimeIndex], seed: int
) -> tuple[Array, Array, Array, Array]:
    count = len(local[0])
    climates = [region.climate for region in regions]

    def draw(purpose: str, half_life: float) -> Array:
        return _autoregression(
            np.stack([generator(seed, purpose, c).normal(size=count) for c in climates]), half_life
        )

    means = np.array([_CLIMATE[region.zone] for region in regions])
    year = np.stack([t.day_of_year.to_numpy() for t in local])
    hour = np.stack([t.hour.to_numpy() for t in local])
    season = means[:, :1] - means[:, 1:] * np.cos(2 * np.pi * (year - 20) / 365.25)
    daily = -4.0 * np.cos(2 * np.pi * (hour - 4) / 24)
    warm = draw("temperature", 40.0)
    wet = draw("rain", 5.0)
    threshold = np.where(means[:, :1] > 20, 1.9, 1.0)
    temperature = season + daily + 4.0 * warm
    precipitation = np.maximum(wet - threshold, 0) * 2.4

    # Issued before each week: the error grows with the days ahead.
    lead = (np.arange(count) % 168)[None, :] / 168
    error = scenario.forecast_error * np.sqrt(lead + 0.02)
    off_warm, off_wet = draw("temperature forecast", 30.0), draw("rain forecast", 6.0)
    seen = np.sqrt(np.maximum(1 - error**2, 0))
    wet_forecast = seen * wet + error * off_wet
    return (
        np.round(temperature, 1),
        np.round(precipitation, 1),
        np.round(season + daily + 4.0 * (seen * warm + error * off_warm), 1),
        np.round(np.maximum(wet_forecast - threshold, 0) * 2.4, 1),
    )


def _weather_effect(scenario: Scenario, temperature: Array, precipitation: Array) -> Array:
    return (
        scenario.rain_on_sessions * np.log1p(precipitation / 0.6)
        + scenario.cold_on_sessions * np.maximum(14 - temperature, 0)
        + scenario.heat_on_sessions * np.maximum(temperature - 24, 0)
    )


def _unforeseen(scenario: Scenario, regions: tuple[Region, ...], weeks: int, count: int) -> Array:
    """A strike of public transport: a working day, in the first region and its neighbours."""
    cells = np.zeros((len(regions), count))
    if scenario.unforeseen_hours and weeks >= 2:
        start = 168 * max(1, int(0.68 * weeks)) + 24 * 2 + 13
        for i, region in enumerate(regions):
            if i == 0 or regions[0].name in region.neighbours:
                cells[i, start : start + scenario.unforeseen_hours] = 1.0
    return cells


def _bump(hour: Array, centre: float, width: float) -> Array:
    distance = (hour - centre + 12) % 24 - 12
    return np.exp(-0.5 * (distance / width) ** 2)


def _demand_shape(seed: int, region: int) -> Array:
    """Sessions by local hour of week, mean 1; regions differ in their mix of purposes."""
    mix = np.exp(generator(seed, "shape", region).normal(0, 0.15, size=5))
    hour = np.arange(168.0)
    day, clock = hour // 24, hour % 24
    working = day < 5
    # A night out belongs to the evening on which it began.
    night_of = ((hour - 6) // 24) % 7
    night = np.isin(night_of, (4, 5)).astype(float) + 0.35 * (night_of == 3)
    shape = (
        0.22
        + working
        * (mix[0] * 0.95 * _bump(clock, 8.3, 1.4) + mix[1] * 1.0 * _bump(clock, 17.8, 2.2))
        + mix[2] * (0.5 + 0.2 * (day >= 5)) * _bump(clock, 13.5, 3.5)
        + mix[3] * 0.45 * _bump(clock, 20.5, 2.5)
        + mix[4] * 1.15 * night * _bump(clock, 23.7, 2.3)
    )
    scaled: Array = shape / shape.mean()
    return scaled


def _supply(
    scenario: Scenario, regions: tuple[Region, ...], hour_of_week: NDArray[np.int64], seed: int
) -> tuple[Array, Array]:
    regular, reference = [], []
    for i, region in enumerate(regions):
        shape = _demand_shape(seed, i) ** scenario.supply_exponent
        clock = np.arange(168) % 24
        # Few like to drive in the small hours, so nights out are tight.
        shape = shape * np.where((clock >= 23) | (clock < 4), 0.88, 1.0)
        # Drivers do not know the hour exactly: their habit is smoother than demand.
        shape = 0.25 * np.roll(shape, 1) + 0.5 * shape + 0.25 * np.roll(shape, -1)
        mean = scenario.supply_ratio * region.size
        level = mean * float(np.exp(0.05 * generator(seed, "level", i).normal()))
        regular.append(level * (shape / shape.mean())[hour_of_week[i]])
        reference.append(mean)
    return np.stack(regular), np.array(reference)
