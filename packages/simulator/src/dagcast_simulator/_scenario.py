"""The parameters of a world, each with unit and source.

A scenario file (TOML) or mapping names the fields it changes; everything else keeps its default.
``Scenario.describe()`` lists every field with unit, meaning and source.
"""

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any

from dagcast_simulator._parameter import ScenarioError, check_value
from dagcast_simulator._parameter import parameter as _p

_CALIBRATED = "calibrated so that markets are about 60 % utilised and tight at peaks"
_VOT = "Goldszmidt et al. (2020), NBER working paper 28208: 19.38 USD/h"
_SUPPLY = "Angrist, Caldwell & Hall (2021), doi:10.1257/app.20190173: about 1.2"
_SPATIAL = "nearest of n uniform points: mean distance falls as n**-1/2 (Larson & Odoni 1981)"
_SURGE = "magnitudes as in Cohen et al. (2016), NBER working paper 22627"
_RESERVATION = (
    "reservation wages differ between drivers and are skewed: Chen, Chevalier, Rossi & Oehlsen "
    "(2019), doi:10.1086/702171; log-normal form and magnitudes assumed"
)
_RADIUS = "matching radius: Yang, Qin, Ke & Ye (2020), doi:10.1016/j.trb.2019.11.005"
_VARYING = (
    "elasticities differ by time of day and conditions: Buchholz, Doval, Kastl, Matejka & Salz "
    "(2020), NBER working paper 27087; form and magnitudes assumed"
)
_FRUSTRATION = (
    "riders whom a long wait frustrated come less: Cohen, Fiszer & Kim (2022), "
    "doi:10.1287/mnsc.2021.3991; 5-10 % less after a late trip: Halperin, Ho, List & Muir (2022), "
    "doi:10.1093/ej/ueab062"
)
_WEAR_OUT = (
    "wear-out of a repeated stimulus: Naik, Mantrala & Sawyer (1998), doi:10.1287/mksc.17.3.214"
)
_INTERFERENCE = (
    "drivers follow earnings over borders: Lu, Frazier & Kislev (2018), doi:10.1145/3219166.3219192"
)


@dataclass(frozen=True)
class Scenario:
    """All parameters of a simulated market; units and sources are in the field metadata."""

    name: str = _p("default", "", "name of the scenario")
    start: str = _p("2026-01-12", "", "first day of the history, a Monday 00:00 UTC")
    horizon_weeks: int = _p(1, "week", "weeks that can be planned and played", low=1, high=8)

    # Demand
    sessions_per_hour: float = _p(
        80.0, "session/h", "mean of a typical region", _CALIBRATED, 1.0, 5000.0
    )
    size_spread: float = _p(0.30, "1", "sd of log size between regions", low=0, high=2)
    trend: float = _p(0.004, "1/week", "mean growth of sessions", low=-0.1, high=0.1)
    shock_sd: float = _p(
        0.11, "1", "sd of the log demand shock with the shorter memory", low=0, high=1
    )
    shock_half_life: float = _p(9.0, "h", "half-life of that shock", low=0.5, high=500)
    drift_sd: float = _p(
        0.03, "1", "sd of the log demand shock with the longer memory", low=0, high=1
    )
    drift_half_life: float = _p(120.0, "h", "half-life of that shock", low=1, high=5000)
    overdispersion_sd: float = _p(
        0.05, "1", "sd of an independent log shock per hour", low=0, high=1
    )
    rain_on_sessions: float = _p(
        0.17, "1", "log sessions per log1p(rain / 0.6 mm/h)", low=-1, high=1
    )
    cold_on_sessions: float = _p(
        0.011, "1/degC", "log sessions per degree below 14 degC", low=-0.1, high=0.1
    )
    heat_on_sessions: float = _p(
        0.009, "1/degC", "log sessions per degree above 24 degC", low=-0.1, high=0.1
    )
    holiday_on_sessions: float = _p(
        -0.30, "1", "log sessions in daytime hours of a holiday", low=-3, high=3
    )
    event_on_sessions: float = _p(
        0.20,
        "1",
        "sessions per 10,000 visitors and hour, as a share of the region's mean",
        low=0,
        high=5,
    )
    coupon_effect: float = _p(
        0.16, "1", "share of sessions added at 1 USD of coupons per typical session", low=0, high=2
    )
    coupon_exponent: float = _p(0.65, "1", "exponent of that power law", low=0.1, high=1)
    coupon_payback: float = _p(
        0.10, "1", "share of coupon sessions borrowed from the next 24 h", low=0, high=1
    )
    unforeseen_demand: float = _p(
        1.7, "1", "factor on sessions in the unforeseen event", low=0.05, high=10
    )
    unforeseen_hours: int = _p(
        12, "h", "length of the unforeseen event; 0 for none", low=0, high=96
    )

    # Riders
    base_fare: float = _p(
        17.0, "USD/ride", "fare of a mean trip without prime time", low=1, high=500
    )
    value_of_waiting: float = _p(19.38, "USD/h", "median value of waiting time", _VOT, 0, 500)
    value_of_waiting_sd: float = _p(0.6, "1", "sd of its log between riders", low=0, high=3)
    willingness: float = _p(
        1.2, "1", "log of the median willingness to pay, in base fares", low=-3, high=5
    )
    willingness_sd: float = _p(
        1.5,
        "1",
        "sd of its log between riders; sets the price elasticity "
        "of requests within the hour, about -0.25",
        _SURGE,
        0.1,
        10,
    )
    price_memory: float = _p(
        0.29,
        "1",
        "further elasticity of later sessions to the price of the "
        "last hours: -0.25 at once becomes -0.54 within six hours",
        _SURGE,
        0,
        3,
    )
    price_memory_half_life: float = _p(3.0, "h", "half-life of that memory", low=0.25, high=48)
    patience: float = _p(
        9.0, "min", "scale of the longest pickup time a rider accepts (Weibull)", low=1, high=120
    )
    patience_shape: float = _p(1.5, "1", "shape of that Weibull distribution", low=0.3, high=10)
    cancel_rate: float = _p(0.012, "1/min", "hazard of cancelling while waiting", low=0, high=1)

    # Trips and space
    access_time: float = _p(
        1.1, "min", "part of a pickup that no proximity removes", low=0, high=10
    )
    pickup_scale: float = _p(
        13.0, "min", "pickup time at the edge of a typical region", _SPATIAL, 0.1, 100
    )
    trip_time: float = _p(13.0, "min", "mean trip in free traffic", low=1, high=120)
    trip_sd: float = _p(0.45, "1", "sd of log trip length", low=0, high=2)
    rush_slowdown: float = _p(
        0.22, "1", "longer driving times at the height of the rush", low=0, high=3
    )
    border_reach: float = _p(
        0.10, "1", "share of a neighbour's idle drivers within reach", low=0, high=1
    )
    border_trips: float = _p(0.07, "1", "share of trips that end across the border", low=0, high=1)
    eta_limit: float = _p(25.0, "min", "longest pickup time that is offered", low=5, high=120)

    # Drivers
    supply_ratio: float = _p(
        0.18,
        "driver-hour/session",
        "drivers whom regular starts aim at, per session",
        _CALIBRATED,
        0.01,
        10,
    )
    supply_exponent: float = _p(
        0.55,
        "1",
        "how far regular driver hours follow the demand of the hour of week",
        _CALIBRATED,
        0,
        1.5,
    )
    pool_ratio: float = _p(
        6.0, "driver per driver-hour", "licensed drivers per driver online", low=2, high=50
    )
    stint: float = _p(2.4, "h", "mean time online", low=0.3, high=12)
    fatigue: float = _p(
        3.0, "h", "driving of late that halves the wish to start", low=0.2, high=100
    )
    fatigue_half_life: float = _p(4.0, "h", "half-life of that memory", low=0.5, high=100)
    earnings_elasticity: float = _p(
        0.35,
        "1",
        "elasticity of starts to the region's earnings per hour of the last hours",
        _SUPPLY,
        0,
        3,
    )
    reference_wage: float = _p(
        22.0, "USD/h", "earnings per hour online that leave starts unchanged", low=1, high=200
    )
    supply_shock_sd: float = _p(0.05, "1", "sd of the log shock to starts", low=0, high=1)
    supply_shock_half_life: float = _p(20.0, "h", "half-life of that shock", low=0.5, high=500)
    driver_foresight: float = _p(
        0.25, "1", "share of the demand shock that drivers foresee", low=0, high=2
    )
    rain_on_drivers: float = _p(-0.05, "1", "log starts per log1p(rain / 0.6 mm/h)", low=-1, high=1)
    holiday_on_drivers: float = _p(-0.15, "1", "log starts on a holiday", low=-3, high=3)

    # Bonuses. x is USD per typical driver hour of the region.
    guarantee_effect: float = _p(0.34, "1", "starts: 1 + effect * log1p(x / scale)", _SUPPLY, 0, 5)
    guarantee_scale: float = _p(0.20, "USD/driver-hour", "scale of that law", low=0.05, high=50)
    streak_effect: float = _p(
        0.30,
        "1",
        "time online: 1 + effect * log1p(x / scale), x smoothed over three hours",
        _SUPPLY,
        0,
        5,
    )
    streak_scale: float = _p(0.22, "USD/driver-hour", "scale of that law", low=0.05, high=50)
    boost_effect: float = _p(0.24, "1", "starts: 1 + effect * log1p(x / scale)", _SUPPLY, 0, 5)
    boost_scale: float = _p(0.18, "USD/driver-hour", "scale of that law", low=0.05, high=50)
    boost_pull: float = _p(
        0.10,
        "1/h",
        "hazard that an idle neighbour crosses the border per log1p(x / scale)",
        low=0,
        high=5,
    )

    # Platform
    prime_target: float = _p(
        0.60,
        "1",
        "requests expected in eight minutes per idle driver above which prime time rises",
        low=0.05,
        high=10,
    )
    prime_slope: float = _p(0.15, "1", "prime time per unit of that ratio", low=0, high=5)
    prime_limit: float = _p(1.0, "1", "largest prime time", low=0, high=5)
    driver_share: float = _p(0.55, "1", "drivers' share of the fare", low=0, high=1)
    spend_level: float = _p(
        0.22, "USD/driver-hour", "the operator's mean spend on each bonus", low=0, high=50
    )
    spend_noise: float = _p(0.45, "1", "sd of log spend that has no reason", low=0, high=3)
    confounding: float = _p(
        0.7,
        "1",
        "share of spend added per standard deviation of the foreseen demand shock",
        low=0,
        high=5,
    )
    coupon_level: float = _p(
        0.35, "USD/session", "coupons per typical session in a campaign", low=0, high=20
    )
    execution_noise: float = _p(
        0.02, "1", "sd of log spent over planned in a played week", low=0, high=0.5
    )

    # Reporting
    late_share: float = _p(0.015, "1", "rows known only hours to days later", low=0, high=0.5)
    revised_share: float = _p(0.04, "1", "spend cells revised days later", low=0, high=1)
    duplicate_share: float = _p(0.0005, "1", "rows delivered twice", low=0, high=0.2)
    corrupt_share: float = _p(0.0002, "1", "corrupt rows of each kind", low=0, high=0.2)
    forecast_error: float = _p(
        0.25, "1", "growth of the weather forecast's error, relative", low=0, high=2
    )

    # Structure
    new_region: bool = _p(True, "", "the last region opened late (worlds of 4 regions or more)")
    experiments: bool = _p(True, "", "the operator ran experiments within the history")

    # Laws that are off by default. They combine, and truth under them is asked for as ever.
    threshold_median: float = _p(
        0.0,
        "USD/driver-hour",
        "median over drivers of the offer below which a bonus leaves a driver unmoved; above her "
        "own threshold she answers as by the laws above. 0: everybody answers any offer",
        _RESERVATION,
        0,
        50,
    )
    threshold_sd: float = _p(
        0.5, "1", "sd of the log of that threshold between drivers", _RESERVATION, 0.01, 5
    )
    pickup_exponent: float = _p(
        0.5,
        "1",
        "pickup distances fall as n to minus this power of the idle drivers: 1/2 on a plane, 1 "
        "along a line; distances are those of the plane where five drivers are idle",
        "nearest of n uniform points in 1 / exponent dimensions (Larson & Odoni 1981)",
        0.1,
        2,
    )
    matching_radius: float = _p(
        0.0,
        "min",
        "pickup in free traffic beyond which no driver is offered and the rider sees none; 0: no "
        "limit but eta_limit",
        _RADIUS,
        0,
        120,
    )
    rain_on_willingness: float = _p(
        0.0,
        "1",
        "log willingness to pay per log1p(rain / 0.6 mm/h); positive: less sensitive in the rain",
        _VARYING,
        -3,
        3,
    )
    demand_on_willingness: float = _p(
        0.0,
        "1",
        "log willingness to pay per log of expected sessions over the region's usual mean",
        _VARYING,
        -3,
        3,
    )
    crossing_share: float = _p(
        0.0,
        "1",
        "share of the starts that a guarantee or boost adds which neighbouring regions lose: their "
        "drivers start where it is paid",
        _INTERFERENCE,
        0,
        1,
    )
    crossing_declared: bool = _p(
        True,
        "",
        "those drivers come over the borders that regions.json names; otherwise from the next "
        "region in the order of regions (the last: from the first), which no file tells",
    )
    retention_loss: float = _p(
        0.0,
        "1",
        "share of a region's sessions lost in the next week per share of this week's sessions "
        "that saw a long wait",
        _FRUSTRATION,
        0,
        2,
    )
    retention_wait: float = _p(
        8.0, "min", "shown pickup time beyond which a wait is long", _FRUSTRATION, 0, 120
    )
    retention_half_life: float = _p(3.0, "week", "half-life of that loss", low=0.1, high=100)
    break_week: int = _p(
        0,
        "week",
        "week, counted from the start of the history, from which on drivers' response to bonuses "
        "is broken; it may lie ahead of the history",
        low=0,
        high=520,
    )
    break_loss: float = _p(
        0.0, "1", "share of the response to bonuses that the break takes", low=-2, high=1
    )
    response_trend: float = _p(
        0.0,
        "1/week",
        "drift of the log response to bonuses, from the start of the history",
        _WEAR_OUT,
        -0.2,
        0.2,
    )
    tiring: float = _p(
        0.0,
        "driver-hour/USD",
        "drivers tire of a bonus: the response is divided by 1 + tiring * mean offer of late, by "
        "kind of bonus and region",
        _WEAR_OUT,
        0,
        100,
    )
    tiring_half_life: float = _p(
        336.0, "h", "half-life of that memory of offers", low=1, high=10000
    )
    operator_reaction: float = _p(
        0.0,
        "1",
        "elasticity of the operator's spend to last week's shown pickup time in the region and "
        "six hours of the week, over reaction_wait; at most three times more or less",
        "policy feedback biases learning from logs: e.g. Bottou et al. (2013), JMLR 14; "
        "form assumed",
        -5,
        5,
    )
    reaction_wait: float = _p(
        5.0, "min", "pickup time that leaves the operator's rule as it is", low=0.5, high=60
    )
    growth_spread: float = _p(
        0.0, "1/week", "sd between regions of the growth of sessions and drivers", low=0, high=0.1
    )
    opening_week: int = _p(
        0,
        "week",
        "week, counted from the start of the history, in which the last region opens; it may lie "
        "ahead of the history. 0: as new_region says",
        low=0,
        high=520,
    )
    late_days: float = _p(
        3.8, "day", "longest delay of a late row beyond its first five hours", low=0.1, high=60
    )
    outage_table: str = _p(
        "sessions",
        "",
        "event table that an outage strikes",
        choices=("sessions", "shifts", "spend", "weather"),
    )
    outage_week: int = _p(
        0,
        "week",
        "week, counted from the start of the history, in which it begins",
        low=0,
        high=520,
    )
    outage_hours: int = _p(
        0, "h", "hours in which that table's rows stop coming; 0 for none", low=0, high=2000
    )
    outage_lost: bool = _p(
        False, "", "rows of the outage never come; otherwise all of them when it ends"
    )

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "Scenario":
        """Build a scenario from the fields that differ from the default.

        A key ``base`` names a scenario shipped with the package to start from.

        Raises:
            ScenarioError: an unknown name (with the closest one) or a value out of its range.
        """
        given = dict(values)
        base = given.pop("base", None)
        start = load_scenario(base) if base is not None else cls()
        fields = {field.name: field for field in dataclasses.fields(cls)}
        for name, value in given.items():
            if name not in fields:
                from difflib import get_close_matches

                near = get_close_matches(name, fields, n=1)
                hint = f" Nearest: {near[0]!r}." if near else ""
                raise ScenarioError(
                    f"a scenario has no parameter {name!r}.{hint} "
                    "Scenario.describe() lists all of them with units."
                )
            check_value(fields[name], value)
        _check_start(given.get("start", start.start))
        return dataclasses.replace(start, **given)

    def to_mapping(self) -> dict[str, Any]:
        """All fields by name, for a manifest."""
        return dataclasses.asdict(self)

    @classmethod
    def describe(cls) -> list[dict[str, Any]]:
        """One row per parameter: name, default, unit, meaning, source."""
        return [
            {
                "name": field.name,
                "default": field.default,
                "unit": field.metadata["unit"],
                "meaning": field.metadata["meaning"],
                "source": field.metadata["source"],
            }
            for field in dataclasses.fields(cls)
        ]


def scenario_names() -> tuple[str, ...]:
    """Names of the scenario files shipped with the package."""
    folder = resources.files(__package__) / "scenarios"
    return tuple(
        sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml"))
    )


def load_scenario(name_or_path: str | Path) -> Scenario:
    """Read a scenario shipped with the package by name, or a TOML file by path.

    Raises:
        ScenarioError: no such scenario, or its content is not valid.
    """
    name = str(name_or_path)
    if name in scenario_names():
        text = (resources.files(__package__) / "scenarios" / f"{name}.toml").read_text("utf-8")
    else:
        path = Path(name_or_path)
        if not path.is_file():
            raise ScenarioError(
                f"no scenario {name!r}: it is neither a file nor one of "
                f"{', '.join(scenario_names())}."
            )
        text = path.read_text("utf-8")
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"scenario {name!r} is not valid TOML: {error}") from error
    return Scenario.from_mapping(values)


def _check_start(value: str) -> None:
    try:
        monday = date.fromisoformat(value).weekday() == 0
    except ValueError:
        monday = False
    if not monday:
        raise ScenarioError(
            f"scenario parameter 'start' must be a Monday such as '2026-01-12'; got {value!r}."
        )
