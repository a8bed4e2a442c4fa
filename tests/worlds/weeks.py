"""Do weeks that follow one another close the way to what the truth would have allowed?

    python tests/worlds/weeks.py --results DIR [--laws unchanged,tiring] [--seeds 8 --weeks 12]

In every world `dagcast loop` does what a company would: each week is planned by `dagcast week`,
approved where the gate of approval lets it pass, lived through, and then planned again on what came
of it. Beside the plan stand the operator's rule, the first plan repeated, no spend, and the best
that a search finds which may ask the truth, all by replay.

With --results each world's project is kept, and a run that was stopped goes on with the week that
it was at.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from _market import Row, Spec, judged, over_worlds, report

from dagcast import workflow
from dagcast.workflow import LoopWeek

# From this week on promises and worth are judged; before it the loop knows only the history.
SETTLED = 3
LAST = 4
LAWS = {
    "unchanged": {},
    **{name: {"base": name} for name in ("tiring", "thresholds", "retention", "reacting")},
}


def measure(
    spec: Spec, *, weeks: int, evaluations: int, folder: Path | None = None
) -> tuple[LoopWeek, ...]:
    """The weeks of one world.

    Args:
        spec: the world.
        weeks: to live through.
        evaluations: plans a week that the search which knows the truth may try.
        folder: for projects, to keep; none keeps nothing.
    """
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        result = workflow.loop(
            (folder or Path(temporary)).absolute() / spec.name,
            weeks=weeks,
            regions=spec.regions,
            history=spec.weeks,
            seed=spec.seed,
            scenario=dict(spec.scenario),
            evaluations=evaluations,
            flags={"backtest.workers": "1"},
        )
    return result.weeks


def rows(worlds: Sequence[Sequence[LoopWeek]]) -> list[Row]:
    """The table: one value a world, of the weeks that are judged.

    Args:
        worlds: the weeks of each.
    """
    settled = [[week for week in weeks[SETTLED:] or weeks if week.promised] for weeks in worlds]
    settled = [weeks for weeks in settled if weeks]

    def true(week: LoopWeek) -> float:
        return week.worth["plan"] - week.worth["none"]

    ratios = [
        statistics.fmean(week.promised[0] / true(week) for week in weeks if week.promised)
        for weeks in settled
    ]
    inside = [
        statistics.fmean(
            week.promised[1] <= true(week) <= week.promised[2] for week in weeks if week.promised
        )
        for weeks in settled
    ]
    closed = [
        statistics.fmean(found)
        for weeks in worlds
        if (found := [week.closed for week in weeks[-LAST:] if week.closed is not None])
    ]
    kept = [
        sum(week.kept[0] for week in weeks if week.kept)
        / max(sum(week.kept[1] for week in weeks if week.kept), 1)
        for weeks in worlds
    ]
    mean, by = statistics.fmean, "mean"
    return [
        judged(f"way closed, last {LAST} weeks", closed, at_least=0.8, by=mean, figure=by),
        judged("promised over true lift", ratios, at_least=0.9, at_most=1.1, by=mean, figure=by),
        judged("true lifts inside intervals", inside, at_least=0.85, at_most=0.98, by=mean,
               figure=by),
        judged("outcomes inside intervals", kept, at_least=0.85, at_most=0.98, by=mean, figure=by),
        judged("weeks without an approved plan",
               [statistics.fmean(week.lived != "plan" for week in weeks) for weeks in worlds]),
    ]  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--laws", default=",".join(LAWS), help="of the worlds")
    parser.add_argument("--seeds", type=int, default=8, help="worlds a law")
    parser.add_argument("--first-seed", type=int, default=200)
    parser.add_argument("--regions", type=int, default=4)
    parser.add_argument("--history", type=int, default=12, help="weeks before the first")
    parser.add_argument("--weeks", type=int, default=12, help="weeks that are lived through")
    parser.add_argument("--evaluations", type=int, default=300)
    parser.add_argument("--results", type=Path, help="folder of the projects, to go on from")
    parser.add_argument("--processes", type=int, default=2)
    chosen = parser.parse_args(arguments)
    task = partial(
        measure, weeks=chosen.weeks, evaluations=chosen.evaluations, folder=chosen.results
    )
    codes = []
    for law in chosen.laws.split(","):
        specs = [
            Spec(chosen.first_seed + k, chosen.regions, chosen.history, tuple(LAWS[law].items()))
            for k in range(chosen.seeds)
        ]
        found = over_worlds(task, specs, processes=chosen.processes)
        size = f"{chosen.regions} regions x {chosen.history} + {chosen.weeks} weeks"
        codes.append(report(f"{law}, {size}, {len(specs)} worlds", rows(found)))
    return max(codes, default=0)


if __name__ == "__main__":
    sys.exit(main())
