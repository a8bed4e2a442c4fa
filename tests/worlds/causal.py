"""Do calibrated models reproduce effects, forecasts and intervals under strong confounding?

Every world has an operator who foresaw demand, so the history alone misleads; experiments run
inside it, and truth comes from replays. Measured in each world:

- **naive**: least squares of rides on bonus spend, all observed region-hours, with fixed effects of
  region x hour of week (and of region only); slope times the dose of `bonus-pause-rides`.
- **held out**: the effect of `bonus-pause-rides` by models fitted to all other experiments. That
  bonuses bring drivers, and what more drivers do to waiting and rides, is measured elsewhere.
- **end to end**: the same effect where no experiment says what waiting does to riders
  (`supply-rides` left out): all models without `bonus-pause-rides`, and with it.
- **left out**: each experiment in turn, predicted by models fitted to the others.
- **slopes**: dETA / d driver hours by hour class, against replays.
- **forecast**: the last week from what was known a week before.

Run it as ``nox -s worlds -- causal --seeds 20``.
"""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from _market import (
    Market,
    Row,
    Spec,
    eta_slopes,
    judged,
    modelled_effect,
    opened,
    options,
    over_worlds,
    report,
    specs_of,
)
from numpy.typing import NDArray

from dagcast.project import open_project
from dagcast.workflow.common._rolling import run_backtest
from dagcast.workflow.common._session import open_session
from dagcast_core.contract import Experiment
from dagcast_core.model import (
    ModelCollection,
    ParameterDraws,
    draws,
    effect_draws,
)
from dagcast_core.model import (
    left_out as expected_without,
)

SCENARIO = {"base": "strong_confounding"}
HELD_OUT = "bonus-pause-rides"
# The only other experiment that says what waiting does to riders.
ABOUT_WAITING = "supply-rides"
FORECASTS = ("sessions", "driver_hours", "rides", "eta")
TEAMS = ("incentives", "driver-hours", "eta", "pricing")
_DRAWS = 60
_DRAWS_BY_TEAM = 30
_REPLICATIONS = 3
_EVERY = 4
# Two-sided 90 and 95 % of a normal distribution.
_Z90, _Z95 = 1.6448536, 1.9599640


@dataclass(frozen=True)
class Interval:
    """A modelled effect beside what is true.

    Attributes:
        effect: according to the models.
        spread: its standard deviation over draws of the parameters.
        truth: by replay.
    """

    effect: float
    spread: float
    truth: float

    @property
    def error(self) -> float:
        """Relative error."""
        return self.effect / self.truth - 1

    @property
    def covered(self) -> bool:
        """Whether the 90 % interval holds the truth."""
        return abs(self.effect - self.truth) <= _Z90 * self.spread


@dataclass(frozen=True)
class LeftOut:
    """An experiment and what models fitted without it expect.

    Attributes:
        experiment: name.
        estimate: as measured.
        effect: expected.
        z: difference in standard errors of expectation and measurement together; where the error
            has few degrees of freedom, the normal deviate that is as unlikely.
    """

    experiment: str
    estimate: float
    effect: float
    z: float


@dataclass(frozen=True)
class EndToEnd:
    """A path effect with and without the experiment that measured it.

    Attributes:
        alone: according to models that were fitted without it.
        joint: with it.
        truth: by replay.
        uncertainty: standard deviation of the effect that each team's own parameters bring.
        movement: change of the effect that each team's move brought.
    """

    alone: float
    joint: float
    truth: float
    uncertainty: Mapping[str, float]
    movement: Mapping[str, float]

    @property
    def certain_moved_least(self) -> bool:
        """Whether the team that was most certain about the effect moved it least."""
        certain = min(self.uncertainty, key=lambda team: self.uncertainty[team])
        moved = {team: abs(move) for team, move in self.movement.items()}
        return moved[certain] == min(moved.values())

    @property
    def uncertain_moved_most(self) -> bool:
        """Whether the team that was least certain about the effect moved it most."""
        uncertain = max(self.uncertainty, key=lambda team: self.uncertainty[team])
        moved = {team: abs(move) for team, move in self.movement.items()}
        return moved[uncertain] == max(moved.values())


@dataclass(frozen=True)
class Findings:
    """What was measured in one world.

    Attributes:
        naive: effect of `HELD_OUT` by a regression with effects of region x hour of week,
        naive_region: and of region only; relative errors.
        held_out: the same by models that do not know it.
        end_to_end: and where nothing else says what waiting does.
        left_out: each experiment in turn.
        slopes: by hour class, modelled and true dETA / d driver hours.
        mase: by quantity, of the last week.
        converged: whether every fit did.
    """

    naive: float
    naive_region: float
    held_out: Interval
    end_to_end: EndToEnd
    left_out: tuple[LeftOut, ...]
    slopes: Mapping[str, Mapping[str, float]]
    mase: Mapping[str, float]
    converged: bool


def measure(spec: Spec, *, thorough: bool = True) -> Findings:
    """Measure everything in one world.

    Args:
        spec: which world.
        thorough: otherwise few draws, and few experiments left out.
    """
    every, count, count_by_team = (_EVERY, _DRAWS, _DRAWS_BY_TEAM) if thorough else (8, 16, 24)
    with opened(spec) as market:
        experiment = market.experiments[HELD_OUT]
        truth = market.world.true_effect(experiment, replications=_REPLICATIONS)
        # The truth is of all regions at once, and has what one region takes from another.
        whole = dataclasses.replace(experiment, together=True)
        full, fitted = market.fit()
        converged = [fitted.converged]
        expected = expected_without(full, market.history, market.experiments)
        left_out = []
        for place, item in enumerate(market.experiments):
            # A quarter of them in each world, all of them in four: a refit takes seconds.
            if item.name != HELD_OUT and (place + spec.seed) % every:
                continue
            known = market.experiments.without(item.name)
            model, refitted = market.fit(known, warm=full)
            converged.append(refitted.converged)
            effect = modelled_effect(market, model, item)
            left_out.append(
                LeftOut(
                    item.name,
                    item.estimate,
                    effect,
                    dataclasses.replace(expected[item.name], effect=effect).z,
                )
            )
            if item.name == HELD_OUT:
                drawn = draws(model, market.history, known, count, seed=spec.seed)
                effects = effect_draws(model, market.history, whole, drawn)
                effect = modelled_effect(market, model, whole)
                held_out = Interval(effect, float(effects.std()), truth)
        return Findings(
            naive=_naive(market, experiment, by_hour_of_week=True) / truth - 1,
            naive_region=_naive(market, experiment, by_hour_of_week=False) / truth - 1,
            held_out=held_out,
            end_to_end=_end_to_end(market, whole, truth, full, count_by_team),
            left_out=tuple(left_out),
            slopes=eta_slopes(market, full, replications=_REPLICATIONS),
            mase=_forecast(market),
            converged=all(converged),
        )


def _naive(market: Market, experiment: Experiment, *, by_hour_of_week: bool) -> float:
    """Slope of rides on bonus spend within groups, times the dose of the experiment."""
    history = market.history
    rides, hour_of_week = (
        history[name].values("region", "hour").numpy() for name in ("rides", "hour_of_week")
    )
    spend = history["incentive_spend"].sum("incentive").values("region", "hour").numpy()
    seen = np.isfinite(rides)
    region = np.broadcast_to(np.arange(len(rides))[:, None], rides.shape)
    group = region * 168 + hour_of_week.astype(int) if by_hour_of_week else region
    within = [_within(values[seen], group[seen]) for values in (spend, rides)]
    slope = float(within[0] @ within[1] / (within[0] @ within[0]))
    doses = [
        sum(change.value for change in arm.changes)
        for arm in (experiment.control, experiment.treatment)
    ]
    return slope * (doses[1] - doses[0])


def _within(values: NDArray[np.float64], group: NDArray[np.int64]) -> NDArray[np.float64]:
    """Deviations from the mean of each group."""
    _, place = np.unique(group, return_inverse=True)
    result: NDArray[np.float64] = values - (np.bincount(place, values) / np.bincount(place))[place]
    return result


def _end_to_end(
    market: Market, experiment: Experiment, truth: float, warm: ModelCollection, count: int
) -> EndToEnd:
    known = market.experiments.without(ABOUT_WAITING)
    before = known.without(HELD_OUT)
    alone, _ = market.fit(before, warm=warm)
    # From the same start, so that a difference is the experiment's and not the optimiser's.
    joint, _ = market.fit(known, warm=alone)
    drawn = draws(alone, market.history, before, count, seed=market.seed)
    effect = modelled_effect(market, alone, experiment)
    uncertainty, movement = {}, {}
    for team in TEAMS:
        names = [name for name in drawn.states if name.startswith(f"_members.{team}.")]
        part = ParameterDraws({name: drawn.states[name] for name in names}, drawn.method, 0)
        uncertainty[team] = float(effect_draws(alone, market.history, experiment, part).std())
        moved = joint.state_dict()
        step = {name: moved[name].unsqueeze(0) for name in names}
        with ParameterDraws(step, "fit", 0).applied_to(alone, 0):
            movement[team] = modelled_effect(market, alone, experiment) - effect
    return EndToEnd(
        effect, modelled_effect(market, joint, experiment), truth, uncertainty, movement
    )


def _forecast(market: Market) -> dict[str, float]:
    flags = {"backtest.origins": "1", "backtest.workers": "1"}
    session = open_session(open_project(market.project.folder, flags=flags, environment={}))
    found = run_backtest(session, quantities=FORECASTS)
    return {row.quantity: row.mase for row in found.rows}


def rows(found: Sequence[Findings]) -> list[Row]:
    """The table: what was promised beside what was measured."""
    naive = [abs(item.naive) for item in found]
    held_out = [item.held_out for item in found]
    ends = [item.end_to_end for item in found]
    errors = {
        kind: statistics.fmean(abs(getattr(item, kind) / item.truth - 1) for item in ends)
        for kind in ("alone", "joint")
    }
    table = [
        judged("naive, region x hour of week: abs. relative error", naive, at_least=0.5),
        judged("naive, region only: abs. relative error", [abs(i.naive_region) for i in found]),
        judged("held out: abs. relative error", [abs(i.error) for i in held_out], at_most=0.1),
        judged("held out: signed relative error", [i.error for i in held_out]),
        judged("held out: spread over truth", [i.spread / i.truth for i in held_out]),
        judged(
            "held out: 90 % interval covers truth",
            [float(i.covered) for i in held_out],
            at_least=0.85,
            at_most=0.95,
            by=statistics.fmean,
            figure="share",
        ),
        judged(
            "end to end, alone: abs. relative error",
            [abs(item.alone / item.truth - 1) for item in ends],
        ),
        judged(
            "end to end, jointly: the same",
            [abs(item.joint / item.truth - 1) for item in ends],
        ),
        judged(
            "end to end: jointly over alone",
            [abs(item.joint - item.truth) / abs(item.alone - item.truth) for item in ends],
            at_most=0.5,
            by=lambda _: errors["joint"] / errors["alone"],
            figure="of mean errors",
        ),
        judged(
            "end to end: the most certain team moved it least",
            [float(item.certain_moved_least) for item in ends],
            at_least=0.9,
            by=statistics.fmean,
            figure="share",
        ),
        judged(
            "end to end: the least certain team moved it most",
            [float(item.uncertain_moved_most) for item in ends],
            at_least=0.9,
            by=statistics.fmean,
            figure="share",
        ),
        judged(
            "left out: 95 % intervals cover the estimate",
            [statistics.fmean(abs(i.z) <= _Z95 for i in item.left_out) for item in found],
            at_least=0.9,
            at_most=0.99,
            by=statistics.fmean,
            figure="share",
        ),
    ]
    for label in found[0].slopes:
        relative = [item.slopes[label]["model"] / item.slopes[label]["truth"] - 1 for item in found]
        table.append(
            judged(
                f"dETA/dhours, {label} hours: relative error",
                relative,
                at_least=-0.15,
                at_most=0.15,
            )
        )
    for quantity in FORECASTS:
        values = [item.mase[quantity] for item in found]
        table.append(judged(f"one week ahead: MASE of {quantity}", values, at_most=0.8))
    table.append(
        judged(
            "fits that converged",
            [float(item.converged) for item in found],
            at_least=1.0,
            by=min,
            figure="least",
        )
    )
    return table


def left_out_table(found: Sequence[Findings]) -> str:
    """z of every experiment left out, over worlds."""
    names = dict.fromkeys(item.experiment for world in found for item in world.left_out)
    lines = [f"  {'experiment left out':<22}{'mean z':>8}{'sd of z':>9}{'covered':>9}{'n':>4}"]
    for name in names:
        z = [item.z for world in found for item in world.left_out if item.experiment == name]
        spread = statistics.stdev(z) if len(z) > 1 else math.nan
        covered = statistics.fmean(abs(value) <= _Z95 for value in z)
        lines.append(
            f"  {name:<22}{statistics.fmean(z):>+8.2f}{spread:>9.2f}{covered:>9.2f}{len(z):>4}"
        )
    return "\n".join(lines)


def _read(path: Path) -> dict[str, Findings]:
    """Figures of worlds that an earlier run has measured."""
    if not path.is_file():
        return {}
    return {
        name: Findings(
            **{
                **item,
                "held_out": Interval(**item["held_out"]),
                "end_to_end": EndToEnd(**item["end_to_end"]),
                "left_out": tuple(LeftOut(**left) for left in item["left_out"]),
            }
        )
        for name, item in json.loads(path.read_text()).items()
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, and say whether all targets held."""
    parser = options(__doc__)
    parser.add_argument(
        "--json", type=Path, help="keep each world's figures here, and go on from what is there"
    )
    chosen = parser.parse_args(arguments)
    specs = specs_of(chosen, SCENARIO)
    known = _read(chosen.json) if chosen.json else {}

    def keep(spec: Spec, result: Findings) -> None:
        known[spec.name] = result
        if chosen.json:
            document = {name: asdict(item) for name, item in known.items()}
            chosen.json.write_text(json.dumps(document, indent=1))

    open_worlds = [spec for spec in specs if spec.name not in known]
    over_worlds(measure, open_worlds, processes=chosen.processes, keep=keep)
    found = [known[spec.name] for spec in specs]
    title = f"{chosen.regions} regions x {chosen.weeks} weeks, {len(specs)} worlds, {SCENARIO}"
    code = report(title, rows(found))
    print(left_out_table(found))
    return code


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main())
