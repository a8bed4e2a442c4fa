"""Plans of past weeks in hindsight: what would have been planned, and what that would have cost.

At every origin the models are refitted on what was known by then, the following week is planned as
it would have been planned, and hindsight, which knows how the week came out under the decisions
that were really taken, says how much better the best plan would have been.

Hindsight speaks through a model, too: between what was done and what was not, somebody has to say
what another spend would have brought. A model that believes in no effect never regrets anything.
Candidates are therefore judged by the hindsight of every candidate, each plan by the same judges,
and their regrets are compared week by week.
"""

import itertools
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import pandas as pd

from dagcast.project import Project
from dagcast.workflow.common._fits import draw_parameters, fit_collection
from dagcast.workflow.common._happened import happened_in
from dagcast.workflow.common._horizon import at_origin
from dagcast.workflow.common._problem import make_setting
from dagcast.workflow.common._regret_result import CandidateRegret, WeekRegret
from dagcast.workflow.common._result import Progress, silent
from dagcast.workflow.common._rolling import origins_of
from dagcast.workflow.common._session import Session, open_session

if TYPE_CHECKING:
    from dagcast_core.decide import Plan
    from dagcast_core.tensor import Panel

# What it cost that a plan hedged, beside what the members cost.
_CAUTION = "caution"


def measure_regret(
    session: Session, candidates: Mapping[str, Project], *, progress: Progress = silent
) -> tuple[CandidateRegret, ...]:
    """Plan past weeks with every candidate, and judge every plan by every hindsight.

    Args:
        session: the project's models and data.
        candidates: variants of the project, by name.
        progress: told which origin is done.

    Raises:
        ProjectError: the history is too short for the origins.
        ConfigError: no lever is declared.
    """
    from dagcast_core.evaluate import map_panels

    settings = session.project.config
    origins = origins_of(session, horizon=settings.horizon.hours)
    finished = 0

    def done(key: str) -> None:
        nonlocal finished
        finished += 1
        progress(f"regret, {finished} of {len(origins)} weeks", finished / len(origins))

    progress(f"regret, {len(origins)} weeks", 0.0)
    keys = {f"{origin:%Y%m%dT%H%MZ}": origin for origin in origins}
    with session.project.scratch("regret") as temporary:
        plans = temporary / "plans"
        task = _Week(session.project, tuple(candidates.items()), plans)
        found = map_panels(
            task,
            keys,
            folder=temporary / "weeks",
            workers=min(settings.backtest.workers, len(origins)),
            done=done,
        )
        return tuple(
            CandidateRegret(
                name,
                tuple(_week(name, keys[key], panel, plans / key) for key, panel in found.items()),
                _moved([plans / key / name_of(number) for key in keys]),
            )
            for number, name in enumerate(candidates)
        )


def name_of(number: int) -> str:
    """Names the folder of a candidate's plan; what candidates are called is no file name."""
    return f"candidate-{number}"


@final
@dataclass(frozen=True)
class _Week:
    """Plans one past week with every candidate; it travels to worker processes.

    Attributes:
        project: whose store is read.
        candidates: name and project of each.
        plans: folder for the plans, by week and candidate.
    """

    project: Project
    candidates: tuple[tuple[str, Project], ...]
    plans: Path

    def __call__(self, origin: pd.Timestamp) -> "Panel":
        import torch

        from dagcast_core.decide import Options, retrospect, solve
        from dagcast_core.tensor import IndexTensor, Panel

        config = self.project.config
        options = Options(
            gap=config.solver.tolerance * 10,
            violation=config.solver.tolerance,
            time_limit=config.solver.seconds,
            seed=config.seeds.plan,
        )
        target = self.plans / f"{origin:%Y%m%dT%H%MZ}"
        # What a killed worker left.
        shutil.rmtree(target, ignore_errors=True)
        problems, planned = [], {}
        for number, (name, project) in enumerate(self.candidates):
            session = open_session(project)
            past = at_origin(session.times, origin, config.horizon.hours, session.weeks)
            # Every origin starts from scratch: a fit that knows later weeks would be no fair start.
            model, _ = fit_collection(session, past)
            # Plans that weigh draws are planned with draws, as they would have been.
            draws = draw_parameters(session, model, past) if config.weighs_draws else None
            problem = make_setting(session, past).problem(model, draws=draws)
            planned[name] = solve(problem, options=options)
            if planned[name].message == "interrupted":
                raise KeyboardInterrupt("interrupted while past weeks were planned")
            planned[name].save(target / name_of(number))
            problems.append(problem)
        executed, actuals = happened_in(session, past)
        names = list(planned)
        decisions = {name: item.decisions for name, item in planned.items()}
        looked = [
            retrospect(
                problem,
                executed,
                actuals,
                planned=planned[name],
                others=decisions,
                options=options,
                seed=config.seeds.plan,
            )
            for name, problem in zip(names, problems, strict=True)
        ]
        parts = [{s.member: s.value for s in found.attribution} for found in looked]
        if config.weighs_draws:
            parts = [
                {**part, _CAUTION: found.caution} for part, found in zip(parts, looked, strict=True)
            ]
        members = list(dict.fromkeys(name for part in parts for name in part))

        def table(rows: Any, dims: Mapping[str, list[str]], name: str) -> "IndexTensor":
            return IndexTensor(torch.tensor(rows, dtype=torch.float64), dims, name)

        regrets = [[found.regrets[name] for found in looked] for name in names]
        shares = [[part.get(member, 0.0) for member in members] for part in parts]
        return Panel(
            {
                "regret": table(regrets, {"candidate": names, "judge": names}, "regret"),
                "attainable": table(
                    [found.attainable for found in looked], {"candidate": names}, "attainable"
                ),
                "share": table(shares, {"candidate": names, "member": members}, "share"),
            }
        )


def _week(name: str, origin: pd.Timestamp, panel: "Panel", plans: Path) -> WeekRegret:
    from dagcast_core.decide import Plan

    regret, share = panel["regret"].sel(candidate=name), panel["share"].sel(candidate=name)
    judges, members = list(regret.index("judge")), list(share.index("member"))
    number = list(panel["regret"].index("candidate")).index(name)
    return WeekRegret(
        origin.isoformat(),
        Plan.load(plans / name_of(number)).status,
        dict(zip(judges, regret.values("judge").tolist(), strict=True)),
        float(panel["attainable"].sel(candidate=name).tensor),
        dict(zip(members, share.values("member").tolist(), strict=True)),
    )


def _moved(folders: Sequence[Path]) -> dict[str, float]:
    """How far the plans of successive weeks differ, hour of the week by hour of the week."""
    from dagcast_core.decide import Plan, stability

    plans = [Plan.load(folder) for folder in folders]
    if len(plans) < 2:
        return {}
    steps = [
        stability(first, [_laid_on(second, first)]) for first, second in itertools.pairwise(plans)
    ]
    return {
        lever: float(pd.Series([step.typical(lever) for step in steps]).median())
        for lever in plans[0].decisions
    }


def _laid_on(plan: "Plan", other: "Plan") -> "Plan":
    """A plan with the hours of another week."""
    from dataclasses import replace

    from dagcast_core.tensor import IndexTensor, Panel

    moved = {}
    for lever, tensor in plan.decisions.items():
        indexes = {dim: tensor.index(dim) for dim in tensor.dims}
        indexes["hour"] = other.decisions[lever].index("hour")
        moved[lever] = IndexTensor(tensor.tensor, indexes, lever)
    return replace(plan, decisions=Panel(moved))
