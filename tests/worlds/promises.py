"""Do the product's promises hold where nobody tuned them?

    python tests/worlds/promises.py --results DIR [--laws unchanged,borders] [--seeds 6 ...]

In every world the product does what a user would have it do: ingest, fit, plan. What it then says
is held against what is true in the simulator:

- **gain**: the promised gain of the plan over no spend and over the current plan, with interval,
  against the same difference by replay, averaged over riders and drivers nobody has met;
- **effect**: that of `bonus-pause-rides` by models that do not know this experiment;
- **outcomes**: the planned week as it comes out under the plan, by cell, region-week and
  market-week, against the intervals of the plan;
- **warnings**: whether anything was said before the money was spent.

Laws are those of the simulator's scenarios. Without options the whole programme runs: unchanged
laws at three sizes, each changed law at two. With --results each world's figures are kept in a file
of their own, and worlds that have one are not measured again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pandas as pd
import torch
from _coverage import SHIFT, Coverage, coverage, faults
from _market import Market, Row, Spec, judged, modelled_effect, opened, over_worlds, report

from dagcast import workflow
from dagcast.plans import Outlook, arrays, overall, together
from dagcast.workflow.common._plan_files import load_decisions
from dagcast.workflow.common._problem import Setting, make_setting
from dagcast_core.model import draws, effect_draws
from dagcast_core.tensor import IndexTensor

HELD_OUT = "bonus-pause-rides"
LEVER = "incentive_spend"
QUANTITIES = ("sessions", "driver_hours", "eta", "prime_time", "rides", "profit")
# Over so many replications, none of them the week that is played, a gain is averaged.
FRESH = range(1000, 1012)
ARMS = {"none": "no spend", "current": "the current plan"}
UNCHANGED = "unchanged"
_BROKEN = {"break_loss": 0.3}
_DRAWS = 60
_REPLICATIONS = 3
_LEVEL = 0.9
# Share of intervals that hold the truth, by aggregation.
_BANDS = {"cells": (0.87, 0.93), "region-weeks": (0.87, 0.93), "market-weeks": (0.8, 1.0)}
# Sizes from which an effect has to be precise.
_PRECISE = (12, 16)


def laws(weeks: int) -> dict[str, dict[str, Any]]:
    """Scenarios by name; a break lies two weeks back, after the last trial."""
    broken = {**_BROKEN, "break_week": max(1, weeks - 2)}
    named = ("thresholds", "pickup", "prices", "borders", "retention", "reacting", "tiring")
    return {
        UNCHANGED: {},
        **{name: {"base": name} for name in named},
        "break": broken,
        "all": {"base": "changed", **broken},
    }


@dataclass(frozen=True)
class Gain:
    """A promised gain beside the true one, in the objective's unit over the week.

    Attributes:
        promised: the figure.
        low: lower end of its interval.
        high: upper end.
        truth: by replay.
    """

    promised: float
    low: float
    high: float
    truth: float

    @property
    def inside(self) -> bool:
        """Whether the interval holds the truth."""
        return self.low <= self.truth <= self.high


@dataclass(frozen=True)
class Findings:
    """What was promised in one world, and what was true.

    Attributes:
        gains: by arm that the plan was compared with.
        operator: true gain of the plan over the operator's rule.
        effect: of the held-out experiment: promised, with interval, and true; None if not measured.
        z: of that experiment's estimate against the effect that the models expected.
        outcomes: aggregation -> quantity -> coverage of the played week.
        warnings: of the plan and of the fit.
        status: of the plan.
        converged: whether the fit did.
        origins: forecasts of past weeks behind the intervals.
    """

    gains: Mapping[str, Gain]
    operator: float
    effect: Gain | None
    z: float | None
    outcomes: Mapping[str, Mapping[str, Coverage]]
    warnings: tuple[str, ...]
    status: str
    converged: bool
    origins: int | None

    @property
    def held(self) -> bool:
        """Whether every promised gain held."""
        return all(gain.inside for gain in self.gains.values())


def measure(spec: Spec, *, thorough: bool = True, tested: bool = False) -> Findings:
    """Promise and truth in one world.

    Args:
        spec: which world.
        thorough: otherwise no experiment is held out, which saves a fit.
        tested: whether past weeks are forecast before the plan is made, as intervals can use.
    """
    torch.set_num_threads(1)
    with opened(spec) as kept, tempfile.TemporaryDirectory() as temporary:
        # Fits and plans are made in a copy, so that a kept world stays as it was ingested.
        folder = Path(temporary) / "project"
        copytree(kept.project.folder, folder)
        market = Market(folder)
        fitted = workflow.fit(market.project)
        if tested:
            workflow.backtest(market.project)
        planned = workflow.plan(market.project)
        plan = market.project.plans / planned.summary.plan
        outlook = Outlook.load(plan)
        setting = make_setting(market.session)
        decisions = _decisions(load_decisions(market.project, planned.summary.plan))
        operator = market.world.operator_decisions()
        arms = {
            "plan": decisions,
            "none": decisions.assign(usd=0.0),
            "current": setting.current[LEVER].detach().to_long("usd"),
            "operator": operator,
        }
        worth = {arm: _worth(market, frame) for arm, frame in arms.items()}
        gains = {}
        for arm in ARMS:
            found = outlook.differences[arm]["objective"]
            truth = worth["plan"] - worth[arm]
            gains[arm] = Gain(found.mid, found.low, found.high, truth)
        effect, z = _held_out(market, spec.seed) if thorough else (None, None)
        report = fitted.report
        return Findings(
            gains,
            worth["plan"] - worth["operator"],
            effect,
            z,
            outcomes(market, setting, outlook, decisions),
            (*planned.summary.warnings, *map(str, report.conflicts), *report.notes),
            planned.summary.status,
            report.converged,
            outlook.origins,
        )


def _decisions(frame: pd.DataFrame) -> pd.DataFrame:
    """Decisions as the simulator takes them."""
    if "lever" in frame:
        frame = frame[frame["lever"] == LEVER].rename(columns={"value": "usd"})
    frame = frame[["incentive", "region", "hour", "usd"]].reset_index(drop=True)
    # Rounding of the solver may leave a cell below zero by a hair.
    return frame.assign(usd=frame["usd"].clip(lower=0.0))


def _worth(market: Market, decisions: pd.DataFrame) -> float:
    """True objective of decisions, mean over fresh replications."""
    world = market.world
    index = pd.MultiIndex.from_frame(world.operator_decisions()[["incentive", "region", "hour"]])
    spend = decisions.set_index(["incentive", "region", "hour"])["usd"].reindex(index)
    if spend.isna().any():
        raise ValueError("decisions leave out cells of the planning week")
    values = spend.to_numpy().reshape(world.operator_spend().shape)
    return world.objective(dict(market.project.config.objective.weights), values, FRESH)


def _held_out(market: Market, seed: int) -> tuple[Gain | None, float | None]:
    known = market.experiments
    if HELD_OUT not in {item.name for item in known}:
        return None, None
    item = known[HELD_OUT]
    truth = market.world.true_effect(item, replications=_REPLICATIONS)
    others = known.without(HELD_OUT)
    model, _ = market.fit(others)
    drawn = draws(model, market.history, others, _DRAWS, seed=seed)
    # The truth is of all regions at once; the trial compared them.
    whole = replace(item, together=True)
    effects = effect_draws(model, market.history, whole, drawn).numpy()
    low, high = np.quantile(effects, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    promised = modelled_effect(market, model, whole)
    compared = effect_draws(model, market.history, item, drawn).numpy()
    apart = modelled_effect(market, model, item) - item.estimate
    z = apart / float(np.hypot(compared.std(), item.standard_error))
    return Gain(promised, float(low), float(high), truth), z


def outcomes(
    market: Market, setting: Setting, outlook: Outlook, decisions: pd.DataFrame
) -> dict[str, dict[str, Coverage]]:
    """The week as it comes out under the plan against the plan's intervals."""
    happened = market.world.outcome(decisions)
    axes = outlook.axes
    labels = {"region": list(axes.rows), "hour": axes.hours}
    wide = happened.set_index(["region", "hour"]).reindex(
        pd.MultiIndex.from_product(labels.values())
    )
    shape = [len(index) for index in labels.values()]
    shown = {name: q for name, q in setting.quantities.items() if name in outlook.totals["plan"]}
    known = {
        name: IndexTensor(np.nan_to_num(wide[name].to_numpy(float)).reshape(shape), labels, name)
        for name in shown
        if name in wide
    }
    # Nobody looked in a cell without sessions: it has no ETA, and no weight in a mean.
    empty = wide["sessions"].to_numpy().reshape(shape) == 0
    values = arrays(known, {name: shown[name] for name in known}, axes)
    found: dict[str, dict[str, Coverage]] = {kind: {} for kind in _BANDS}
    for name in QUANTITIES:
        if name not in values:
            continue
        path, total = outlook.paths["plan"][name], outlook.totals["plan"][name]
        truth = values[name].copy()
        if name in ("eta", "prime_time"):
            truth[empty] = np.nan
        found["cells"][name] = coverage(
            truth, path.mid[1:], path.low[1:], path.high[1:], outlook.level
        )
        found["market-weeks"][name] = coverage(
            overall(values, shown[name], axes), total.mid, total.low, total.high, outlook.level
        )
        regions = outlook.weeks[name]
        found["region-weeks"][name] = coverage(
            together(values, shown[name], axes.time, -1),
            *([getattr(item, end) for item in regions] for end in ("mid", "low", "high")),
            outlook.level,
        )
    return found


# The table


def rows(found: Sequence[Findings], law: str, size: tuple[int, int]) -> list[Row]:
    """One line per figure of one law at one size."""
    usual = law == UNCHANGED
    table: list[Row] = []
    for arm, words in ARMS.items():
        gains = [item.gains[arm] for item in found]
        table += _gain_rows(gains, words, usual)
    table.append(
        judged(
            "plan's true gain over the operator's rule, USD",
            [item.operator for item in found],
            at_least=0.0,
            by=min,
            figure="lowest",
        )
    )
    table += _effect_rows(found, usual, size)
    table += _outcome_rows(found)
    table += _warning_rows(found)
    return table


def _share(values: Sequence[float]) -> float:
    return statistics.fmean(values) if values else float("nan")


def _gain_rows(gains: Sequence[Gain], words: str, usual: bool) -> list[Row]:
    least, most = (0.85, 0.98) if usual else (0.8, None)
    low, high = (0.85, 1.15) if usual else (0.7, 1.3)
    promised = statistics.fmean(gain.promised for gain in gains)
    truth = statistics.fmean(gain.truth for gain in gains)
    ratio = promised / truth if truth > 0 else float("nan")
    table = [
        judged(
            f"gain over {words}: truth inside the 90 % interval",
            [float(gain.inside) for gain in gains],
            at_least=least,
            at_most=most,
            by=_share,
            figure="share",
        ),
        judged(
            f"gain over {words}: promised / true",
            [gain.promised / gain.truth if gain.truth > 0 else float("nan") for gain in gains],
            at_least=low,
            at_most=high,
            by=lambda _: ratio,
            figure="of means",
        ),
        judged(f"gain over {words}: promised, USD", [gain.promised for gain in gains]),
        judged(f"gain over {words}: true, USD", [gain.truth for gain in gains]),
    ]
    if not usual:
        table.append(
            judged(
                f"gain over {words}: truth below half the promise",
                [float(gain.truth < 0.5 * gain.promised) for gain in gains],
                at_most=0.0,
                by=_share,
                figure="share",
            )
        )
    return table


def _effect_rows(found: Sequence[Findings], usual: bool, size: tuple[int, int]) -> list[Row]:
    effects = [item.effect for item in found if item.effect is not None]
    if not effects:
        return []
    least, most = (0.85, 0.95) if usual else (0.8, None)
    precise = usual and size >= _PRECISE
    errors = [effect.promised / effect.truth - 1 for effect in effects]
    table = [
        judged(
            "held-out effect: 90 % interval covers",
            [float(effect.inside) for effect in effects],
            at_least=least,
            at_most=most,
            by=_share,
            figure="share",
        ),
        judged(
            "held-out effect: abs. relative error",
            [abs(error) for error in errors],
            at_most=0.08 if precise else None,
        ),
        judged(
            "held-out effect: bias",
            errors,
            at_least=-0.03 if precise else None,
            at_most=0.03 if precise else None,
            by=_share,
            figure="mean",
        ),
    ]
    z = [item.z for item in found if item.z is not None]
    if len(z) > 1:
        table.append(
            judged(
                "held-out experiment: sd of z",
                z,
                at_least=0.9,
                at_most=1.1,
                by=statistics.stdev,
                figure="sd",
            )
        )
    return table


def _outcome_rows(found: Sequence[Findings]) -> list[Row]:
    table = []
    for kind, (least, most) in _BANDS.items():
        for name in QUANTITIES:
            covered = [
                item.outcomes[kind][name] for item in found if name in item.outcomes.get(kind, {})
            ]
            if not covered:
                continue
            wrong = faults(covered, at_least=least, at_most=most)
            table.append(
                judged(
                    f"{kind}, {name}: inside 90 %" + (f" ({', '.join(wrong)})" if wrong else ""),
                    [item.inside for item in covered],
                    at_least=least,
                    at_most=most,
                    by=_share,
                    figure="share",
                )
            )
            if kind == "market-weeks":
                table.append(
                    judged(
                        f"{kind}, {name}: (outcome - promise) / sd",
                        [item.shift for item in covered],
                        at_least=-SHIFT,
                        at_most=SHIFT,
                        by=_share,
                        figure="mean",
                    )
                )
    return table


def _warning_rows(found: Sequence[Findings]) -> list[Row]:
    table = []
    for held, words, bounds in (
        (False, "misses", {"at_least": 0.8}),
        (True, "holds", {"at_most": 0.2}),
    ):
        warned = [float(bool(item.warnings)) for item in found if item.held is held]
        if warned:
            by: Callable[[Sequence[float]], float] = _share
            case = f"a warning where the promise {words}"
            table.append(judged(case, warned, by=by, figure="share", **bounds))
    return table


# Many worlds


def result_path(folder: Path, spec: Spec) -> Path:
    """Where a world's figures are kept."""
    return folder / f"{spec.name}.json"


def save(folder: Path, spec: Spec, found: Findings) -> None:
    """Keep a world's figures, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{spec.name}.part"
    part.write_text(json.dumps(asdict(found), indent=1), "utf-8")
    part.replace(result_path(folder, spec))


def load(folder: Path, spec: Spec) -> Findings | None:
    """A world's figures from an earlier run, if there are any."""
    path = result_path(folder, spec)
    if not path.is_file():
        return None
    item = json.loads(path.read_text("utf-8"))
    return Findings(
        **{
            **item,
            "gains": {arm: Gain(**gain) for arm, gain in item["gains"].items()},
            "effect": Gain(**item["effect"]) if item["effect"] is not None else None,
            "outcomes": {
                kind: {name: Coverage(**part) for name, part in parts.items()}
                for kind, parts in item["outcomes"].items()
            },
            "warnings": tuple(item["warnings"]),
        }
    )


def programme(chosen: argparse.Namespace) -> list[tuple[str, int, int, int]]:
    """Law, regions, weeks and number of seeds of every block that is asked for."""
    names = list(laws(12))
    wanted = chosen.laws.split(",") if chosen.laws else names
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise SystemExit(f"no law {unknown[0]!r}; there are {', '.join(names)}")
    blocks = []
    for law in wanted:
        usual = law == UNCHANGED
        sizes = [(4, 12, 20 if usual else 6), (12, 16, 20 if usual else 3)]
        sizes += [(24, 26, 6)] if usual else []
        if chosen.regions or chosen.weeks:
            sizes = [(chosen.regions or 12, chosen.weeks or 16, 20 if usual else 6)]
        blocks += [(law, r, w, chosen.seeds or seeds) for r, w, seeds in sizes]
    return blocks


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print one table for each law and size, and say whether all targets held."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--laws", help="some of them, with commas; all by default")
    parser.add_argument("--regions", type=int, help="one size alone")
    parser.add_argument("--weeks", type=int)
    parser.add_argument("--seeds", type=int, help="worlds of each law and size")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2, help="worlds at a time")
    parser.add_argument("--cache", type=Path, help="keep the worlds' projects in this folder")
    parser.add_argument("--backtest", action="store_true", help="forecast past weeks first")
    parser.add_argument("--results", type=Path, help="keep each world's figures in this folder")
    chosen = parser.parse_args(arguments)
    blocks = [
        (
            law,
            (regions, weeks),
            [
                Spec(
                    chosen.first_seed + i,
                    regions,
                    weeks,
                    tuple(laws(weeks)[law].items()),
                    chosen.cache,
                )
                for i in range(seeds)
            ],
        )
        for law, regions, weeks, seeds in programme(chosen)
    ]
    specs = [spec for *_, block in blocks for spec in block]
    known: dict[str, Findings] = {}
    if chosen.results:
        earlier = {spec.name: load(chosen.results, spec) for spec in specs}
        known = {name: item for name, item in earlier.items() if item is not None}

    def keep(spec: Spec, found: Findings) -> None:
        known[spec.name] = found
        if chosen.results:
            save(chosen.results, spec, found)

    open_worlds = [spec for spec in specs if spec.name not in known]
    task = partial(measure, tested=chosen.backtest)
    over_worlds(task, open_worlds, processes=chosen.processes, keep=keep)
    codes = []
    for law, size, block in blocks:
        found = [known[spec.name] for spec in block]
        title = f"{law}, {size[0]} regions x {size[1]} weeks, {len(block)} worlds"
        codes.append(report(title, rows(found, law, size)))
        for spec in block:
            _print_world(spec, known[spec.name])
    return max(codes, default=0)


def _print_world(spec: Spec, found: Findings) -> None:
    gains = "; ".join(
        f"over {ARMS[arm]} {gain.promised:,.0f} [{gain.low:,.0f}, {gain.high:,.0f}], "
        f"true {gain.truth:,.0f}{'' if gain.inside else ' OUTSIDE'}"
        for arm, gain in found.gains.items()
    )
    effect = found.effect
    held = (
        ""
        if effect is None
        else f"; held-out {effect.promised:.2f} [{effect.low:.2f}, {effect.high:.2f}], "
        f"true {effect.truth:.2f}{'' if effect.inside else ' OUTSIDE'}"
    )
    words = f"; warned: {' | '.join(found.warnings)}" if found.warnings else "; no warning"
    print(f"  seed {spec.seed}: {gains}{held}; {found.status}{words}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main())
