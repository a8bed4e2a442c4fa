"""The parameters of a world, each with unit and source.

A scenario file (TOML) or mapping names the fields it changes; everything else keeps its default.
``Scenario.describe()`` lists every field with unit, meaning and source.
"""

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any

_ASSUMED = "assumed"
_CALIBRATED = "calibrated so that markets are about 60 % utilised and tight at peaks"
_VOT = "Goldszmidt et al. (2020), NBER working paper 28208: 19.38 USD/h"
_SUPPLY = "Angrist, Caldwell & Hall (2021), doi:10.1257/app.20190173: about 1.2"
_SPATIAL = "nearest of n uniform points: mean distance falls as n**-1/2 (Larson & Odoni 1981)"
_SURGE = "magnitudes as in Cohen et al. (2016), NBER working paper 22627"


class ScenarioError(ValueError):
    """A scenario names an unknown parameter or gives a value out of range."""


def _p(
    default: Any,
    unit: str,
    meaning: str,
    source: str = _ASSUMED,
    low: float | None = None,
    high: float | None = None,
) -> Any:
    metadata = {"unit": unit, "meaning": meaning, "source": source, "low": low, "high": high}
    return dataclasses.field(default=default, metadata=metadata)


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
                near = get_close_matches(name, fields, n=1)
                hint = f" Nearest: {near[0]!r}." if near else ""
                raise ScenarioError(
                    f"a scenario has no parameter {name!r}.{hint} "
                    "Scenario.describe() lists all of them with units."
                )
            _check(fields[name], value)
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


def _check(field: "dataclasses.Field[Any]", value: Any) -> None:
    # The defaults carry the types: bool before int, because True is an int in Python.
    kind = type(field.default)
    allowed = (int, float) if kind is float else (kind,)
    if not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool):
        raise ScenarioError(
            f"scenario parameter {field.name!r} takes {kind.__name__}; "
            f"got {value!r} ({type(value).__name__})."
        )
    low, high = field.metadata["low"], field.metadata["high"]
    outside = (low is not None and not value >= low) or (high is not None and not value <= high)
    if outside:
        raise ScenarioError(
            f"scenario parameter {field.name!r} must lie in [{low}, {high}] "
            f"{field.metadata['unit']}; got {value!r}."
        )
