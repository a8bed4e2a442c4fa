"""LaGuardia's trips of 2025 through the teams' models, and what stands for what is not recorded.

The source holds completed trips only. What the models read and nobody recorded is put in so:

- ``sessions``: trips over a usual conversion of 0.6. Riders whom price or waiting sent away are
  not in it, so demand is censored: how riders answer to price cannot come from these figures at
  all, and is left to the experiment.
- ``driver_hours``: a standing pool, the same at every hour: engaged hours of the busiest hours of
  the week (the 95th percentile of the means by hour of week, known at the origin) over the share
  of online time in which a driver is engaged (58 %, the Taxi and Limousine Commission's rate).
  Drivers wait at the airport for the next bank of flights. Engaged hours themselves cannot stand
  for supply: they are trips times their length, so more trips would mean more drivers.
- ``base_fare`` and ``prime_time``: the price index is fare over usual fare. Its 5th percentile is
  the price without a surcharge; what is above it is the surcharge.

Everything is read as of the origin. Errors count in hours with 20 trips or more: below that, a
mean ETA is noise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from _declared import declared_clocks, ingest_declared
from numpy.typing import NDArray

from dagcast.workflow.common._horizon import Clocks, Moments, read_context
from dagcast_core import IndexTensor, Model, ModelCollection, Panel, fit
from dagcast_core.contract import (
    Arm,
    Cells,
    Change,
    Contract,
    Effect,
    Experiment,
)
from dagcast_core.data import MetricStore
from dagcast_core.evaluate import BacktestReport, backtest, rolling_origins
from dagcast_core.model import effect_of
from dagcast_eta.model import (
    EtaHyperparameters,
    PickupStretch,
    StretchedEta,
    StretchHyperparameters,
)
from dagcast_pricing import pricing_collection
from dagcast_pricing.contract import APPEAL_CONTRACT
from dagcast_sessions import sessions_collection

Values = NDArray[np.float64]

REGION = "LaGuardia"
ENOUGH = 20
CONVERSION = 0.6
ENGAGED = 0.58
WEEK = 168
_HOUR = pd.Timedelta(hours=1)
_CLOCK = ("hour_of_week", "holiday")
_READ = (
    "rides", "eta", "price_index", "revenue", "driver_pay", "driver_hours",
    "temperature", "precipitation",
)  # fmt: skip
# Chosen on the eight weeks before those that are reported: here, neighbouring hours differ more
# than on a street (flights come in banks) and the profile of the week is steep.
AIRPORT = EtaHyperparameters(roughness=0.2, traffic_spread=0.5)
# A mean trip from here takes 33 minutes (engaged hours less waits, per trip). The pool of waiting
# drivers is no answer to the ETA, so the history may say how the pickup stretches.
FROM_HERE = StretchHyperparameters(trip_time=33.0)

PRICE_EXPERIMENT = (-0.54, 0.15)


@dataclass(frozen=True)
class Elasticity:
    """An elasticity by least squares, with its usual standard error."""

    value: float
    error: float


@dataclass(frozen=True)
class EtaErrors:
    """MASE of ETA given trips and hour of week, in hours with 20 trips or more.

    Attributes:
        model: of the ETA team's form, refitted at each origin.
        log_linear: log ETA on log trips and 168 hours of the week, refitted at each origin.
        log_linear_once: the same, fitted once before the first origin.
        seasonal_naive: of repeating the week before.
        model_strict: of the model, scaled by the same hours only in place of all hours.
        log_linear_strict: of the log-linear fit, likewise.
        exponent: of idle drivers, as last fitted.
    """

    model: float
    log_linear: float
    log_linear_once: float
    seasonal_naive: float
    model_strict: float
    log_linear_strict: float
    exponent: float


@dataclass(frozen=True)
class PriceErrors:
    """Trips forecast a week ahead under three answers to price.

    Attributes:
        elasticity: of trips to the price, of the model with the experiment, in the last fit.
        calibrated: MASE with the experiment.
        uncalibrated: MASE of the same models with no experiment: priors alone.
        naive: MASE with the price answer that the history suggests in place of the signed one.
        told_calibrated: MASE with the experiment if the price of each future hour were known.
        told_naive: MASE with the history's answer, likewise.
        seasonal_naive: of repeating the week before.
        four_week_mean: of the mean of the last four weeks by hour of week.
    """

    elasticity: float
    calibrated: float
    uncalibrated: float
    naive: float
    told_calibrated: float
    told_naive: float
    seasonal_naive: float
    four_week_mean: float


@dataclass(frozen=True)
class LaGuardia:
    """The store, and hourly figures with NaN where nothing was observed."""

    store: MetricStore
    clocks: Clocks
    first: pd.Timestamp
    last: pd.Timestamp

    @classmethod
    def read(cls, folder: Path | str, data: Path) -> LaGuardia:
        """Ingest the records as declared, into a project in a new folder."""
        project = Path(folder) / "project"
        store, _ = ingest_declared("laguardia", project, data)
        span = store.spans()["laguardia"]
        return cls(store, declared_clocks(project), span.start, span.end)

    def panel(self, start: pd.Timestamp, end: pd.Timestamp, as_of: pd.Timestamp) -> Panel:
        """The figures as they were known at ``as_of``."""
        known = self.store.read(list(_READ), start=start, end=end, as_of=as_of)
        clock = {name: self.clocks.read(self.store, name, start, end) for name in _CLOCK}
        return known.assign(clock)

    def happened(self) -> Panel:
        """Everything, as known after the end."""
        return self.panel(self.first, self.last, self.last + 2 * _HOUR)

    def origins(self, count: int) -> tuple[pd.Timestamp, ...]:
        """Weekly origins, the last a week before the end."""
        return rolling_origins(self.last, count=count)


@dataclass(frozen=True)
class Units:
    """What the stand-ins are measured in, read off the history before an origin.

    Attributes:
        pool: standing driver-hour/h.
        floor: price index without a surcharge.
        fare: USD per trip at a price index of 1.
    """

    pool: float
    floor: float
    fare: float

    @classmethod
    def of(cls, known: Panel) -> Units:
        """Read them off what is known."""
        trips, price, fares, engaged, clock = (
            _row(known[n])
            for n in ("rides", "price_index", "revenue", "driver_hours", "hour_of_week")
        )
        busy = (trips >= ENOUGH) & np.isfinite(price)
        by_hour = [np.nanmean(engaged[clock == hour]) for hour in range(WEEK)]
        return cls(
            pool=float(np.quantile(by_hour, 0.95)) / ENGAGED,
            floor=float(np.quantile(price[busy], 0.05)),
            fare=float(fares[busy].sum() / (trips * price)[busy].sum()),
        )


def stand_ins(panel: Panel, units: Units) -> Panel:
    """Recorded figures, and what stands for those that were not recorded."""
    trips = panel["rides"]
    surcharge = (panel["price_index"] / units.floor - 1.0).clamp(min=0.0)
    return panel.drop("price_index").assign(
        sessions=(trips / CONVERSION).named("sessions"),
        driver_hours=trips.with_tensor(torch.full_like(trips.tensor, units.pool)).named(
            "driver_hours"
        ),
        prime_time=surcharge.named("prime_time"),
        base_fare=trips.with_tensor(torch.full_like(trips.tensor, units.fare * units.floor)).named(
            "base_fare"
        ),
    )


# The naive regressions


def naive_elasticities(happened: Panel) -> tuple[Elasticity, Elasticity]:
    """Log trips on log price: alone, and with effects of hour of week and month.

    Args:
        happened: rides, price_index, hour_of_week.
    """
    trips, price, clock = (_row(happened[n]) for n in ("rides", "price_index", "hour_of_week"))
    month = pd.DatetimeIndex(happened["rides"].index("hour")).tz_convert("America/New_York").month
    seen = (trips >= ENOUGH) & np.isfinite(price)
    effect = np.log(price[seen])[:, None]
    weekly = _dummies(clock[seen].astype(int))
    monthly = _dummies(np.asarray(month)[seen])[:, 1:]
    constant = np.ones((int(seen.sum()), 1))
    outcome = np.log(trips[seen])
    return (
        _least_squares(np.hstack([effect, constant]), outcome),
        _least_squares(np.hstack([effect, weekly, monthly]), outcome),
    )


def _dummies(codes: NDArray[np.int64]) -> Values:
    levels, places = np.unique(codes, return_inverse=True)
    return np.eye(len(levels))[places]


def _least_squares(design: Values, outcome: Values) -> Elasticity:
    solved, _, rank, _ = np.linalg.lstsq(design, outcome, rcond=None)
    rest = outcome - design @ solved
    variance = rest @ rest / (len(outcome) - rank)
    covariance = variance * np.linalg.inv(design.T @ design)
    return Elasticity(float(solved[0]), math.sqrt(covariance[0, 0]))


# ETA given trips and hour of week


def eta_errors(source: LaGuardia, *, origins: int = 8) -> EtaErrors:
    """Backtest the ETA team's form, told the trips of each hour, beside a log-linear fit."""
    happened = source.happened()
    minutes, trips = (_row(happened[name]) for name in ("eta", "rides"))
    starts = source.origins(origins)
    busy = trips >= ENOUGH
    forecasts: dict[str, Values] = {
        name: np.full(len(trips), np.nan) for name in ("model", "linear", "once", "naive")
    }
    hours = pd.DatetimeIndex(happened["eta"].index("hour"))
    model = airport_eta()
    for origin in starts:
        place = hours.get_loc(origin)
        ahead = slice(place, place + WEEK)
        known = source.panel(source.first, origin - _HOUR, origin)
        units = Units.of(known)
        model = airport_eta()
        fit(model, stand_ins(known, units)).raise_unconverged()
        told = stand_ins(happened.between(origin, hours[ahead][-1]), units)
        with torch.no_grad():
            forecasts["model"][ahead] = _row(model.predict(told)["eta"])
        forecasts["linear"][ahead] = _log_linear(happened, place, ahead)
        forecasts["once"][ahead] = _log_linear(happened, hours.get_loc(starts[0]), ahead)
        forecasts["naive"][ahead] = minutes[place - WEEK : place]
    first = hours.get_loc(starts[0])
    all_hours = _scale(minutes[:first])
    same_hours = _scale(np.where(busy, minutes, np.nan)[:first])
    error = {
        name: float(np.nanmean(np.where(busy, np.abs(forecast - minutes), np.nan)[first:]))
        for name, forecast in forecasts.items()
    }
    return EtaErrors(
        model=error["model"] / all_hours,
        log_linear=error["linear"] / all_hours,
        log_linear_once=error["once"] / all_hours,
        seasonal_naive=error["naive"] / all_hours,
        model_strict=error["model"] / same_hours,
        log_linear_strict=error["linear"] / same_hours,
        exponent=model.members["pickup-stretch"].exponent.value().tensor.item(),
    )


def _log_linear(happened: Panel, until: int, ahead: slice) -> Values:
    """ETA by log trips and hour of week, fitted before position ``until``."""
    minutes, trips, clock = (_row(happened[n]) for n in ("eta", "rides", "hour_of_week"))
    weekly = np.eye(WEEK)[clock.astype(int)]
    design = np.hstack([weekly, np.log(np.maximum(trips, 1.0))[:, None]])
    used = np.flatnonzero((trips >= ENOUGH) & np.isfinite(minutes))
    used = used[used < until]
    solved, *_ = np.linalg.lstsq(design[used], np.log(minutes[used]), rcond=None)
    return np.exp(design[ahead] @ solved)


def _scale(train: Values) -> float:
    """Mean absolute error of repeating the week before, inside the training part."""
    return float(np.nanmean(np.abs(train[WEEK:] - train[:-WEEK])))


# Trips forecast a week ahead, and how they answer to price


class HistoryAppeal(Model):
    """The appeal of a quote with the price answer that the history suggests: its sign is wrong.

    Args:
        elasticity: of trips to price, as regressed.
        signed: the fitted model that it replaces; waiting counts as there.
    """

    contract = Contract(
        "quote-appeal",
        inputs=APPEAL_CONTRACT.inputs,
        outputs=APPEAL_CONTRACT.outputs,
        effects=tuple(
            Effect(item.name, "quote_appeal", sign="?") for item in APPEAL_CONTRACT.inputs
        ),
    )

    def __init__(self, elasticity: float, signed: Model) -> None:
        super().__init__()
        self.slope = elasticity / (1.0 - CONVERSION)
        self._signed = [signed]

    def forward(
        self, prime_time: IndexTensor, eta: IndexTensor, base_fare: IndexTensor
    ) -> IndexTensor:
        """Log odds; dims (region, hour)."""
        (signed,) = self._signed
        usual = base_fare.full_like(signed.usual_price)
        waiting = signed(prime_time * 0.0, eta, usual)
        paid = base_fare * (1.0 + prime_time.clamp(min=0.0))
        return waiting + self.slope * (paid / signed.usual_price).log()


def price_experiment(known: Panel) -> Experiment:
    """The stated prior: trips answer to price with an elasticity of -0.54, SE 0.15."""
    hours = known["rides"].index("hour")[-4 * WEEK :]
    # The longest stretch of the last four weeks without an hour that was not observed.
    gaps = np.flatnonzero(np.isnan(_row(known["rides"])[-4 * WEEK :]))
    edges = np.concatenate([[-1], gaps, [len(hours)]])
    longest = int(np.argmax(np.diff(edges)))
    first, last = edges[longest] + 1, edges[longest + 1] - 1
    estimate, error = PRICE_EXPERIMENT
    return Experiment(
        "price-prior",
        ("base_fare",),
        "rides",
        design="prior",
        cells=Cells((REGION,), hours[first].isoformat(), hours[last].isoformat(), dim="region"),
        treatment=Arm("dearer", (Change("base_fare", "scale", 1.1),)),
        estimate=estimate,
        standard_error=error,
        scale="elasticity",
        reduce="sum",
        provenance="requests within six hours; Cohen, Hahn, Hall, Levitt & Metcalfe (2016)",
    )


def price_errors(source: LaGuardia, *, origins: int = 8) -> PriceErrors:
    """Backtest trips under the experiment, without it, and with the history's price answer."""
    happened = source.happened()
    starts = source.origins(origins)
    forecasts: dict[str, dict[pd.Timestamp, Panel]] = {}
    elasticity = math.nan
    for origin in starts:
        known = source.panel(source.first, origin - _HOUR, origin)
        units = Units.of(known)
        past = stand_ins(known, units)
        (_, regressed) = naive_elasticities(known)
        plain = market()
        fit(plain, past).raise_unconverged()
        calibrated = market()
        experiment = price_experiment(past)
        fit(calibrated, past, [experiment], warm=plain).raise_unconverged()
        with torch.no_grad():
            elasticity = float(effect_of(calibrated, past, experiment))
        signed = calibrated.leaves["quote-appeal"]
        naive = calibrated.replace("quote-appeal", HistoryAppeal(regressed.value, signed))
        context = _context(source, origin, units)
        told = {
            "prime-time": stand_ins(happened.between(origin, origin + WEEK * _HOUR - _HOUR), units)
        }
        made = {
            "calibrated": calibrated.predict(context),
            "told_calibrated": calibrated.predict(context, actuals=told),
            "uncalibrated": plain.predict(context),
        }
        # What share of sessions rides is usual is fitted again under the other answer.
        fit(naive, past, only=("conversion", "rides")).raise_unconverged()
        made["naive"] = naive.predict(context)
        made["told_naive"] = naive.predict(context, actuals=told)
        for name, panel in made.items():
            forecasts.setdefault(name, {})[origin] = panel.select("rides").detach()
    reports = {name: _judged(by_origin, happened, starts) for name, by_origin in forecasts.items()}
    row = reports["calibrated"].row("rides")
    return PriceErrors(
        elasticity=elasticity,
        **{name: report.row("rides").mase for name, report in reports.items()},
        seasonal_naive=row.seasonal_naive,
        four_week_mean=row.hour_of_week_mean,
    )


def airport_eta() -> ModelCollection:
    """The ETA team's models with what is known of the place."""
    return ModelCollection(
        [
            PickupStretch((REGION,), FROM_HERE),
            StretchedEta((REGION,), AIRPORT, learn_stretch=True),
        ],
        name="eta",
    )


def market() -> ModelCollection:
    """The teams' models for which these records hold something; nobody paid bonuses here."""
    return ModelCollection(
        [
            sessions_collection((REGION,)),
            airport_eta(),
            pricing_collection((REGION,)),
        ],
        name="laguardia",
    )


def _judged(
    forecasts: Mapping[pd.Timestamp, Panel], happened: Panel, starts: tuple[pd.Timestamp, ...]
) -> BacktestReport:
    return backtest(forecasts.__getitem__, happened, origins=starts, quantities=("rides",))


def _context(source: LaGuardia, origin: pd.Timestamp, units: Units) -> Panel:
    """Calendar, the usual weather of the hour of day, the standing pool, the usual fare."""
    end = origin + (WEEK - 1) * _HOUR
    times = Moments(origin, source.first, origin - _HOUR, origin, end)
    names = ("hour_of_week", "holiday", "temperature", "precipitation")
    context, _ = read_context(source.store, times, names, clocks=source.clocks)
    like = context["temperature"]
    return context.assign(
        driver_hours=like.with_tensor(torch.full_like(like.tensor, units.pool)).named(
            "driver_hours"
        ),
        base_fare=like.with_tensor(torch.full_like(like.tensor, units.fare * units.floor)).named(
            "base_fare"
        ),
    )


def _row(tensor: IndexTensor) -> Values:
    """The one region's values by hour."""
    return tensor.values("region", "hour")[0].detach().numpy().astype(np.float64)
