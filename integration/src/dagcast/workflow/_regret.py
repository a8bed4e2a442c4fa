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
import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import pandas as pd

from dagcast.figures import money, signed_money
from dagcast.project import Project, write_text
from dagcast.workflow._backtest import origins_of
from dagcast.workflow._fit import draw_parameters, fit_collection
from dagcast.workflow._horizon import at_origin
from dagcast.workflow._problem import make_setting
from dagcast.workflow._result import Progress, Result, ResultTable, plain, silent
from dagcast.workflow._retro import happened_in
from dagcast.workflow._session import Session, open_session

if TYPE_CHECKING:
    from dagcast_core.decide import Plan
    from dagcast_core.tensor import Panel

REPORT = "regret.json"
_PRESENT = "present models"
# Which distribution serves a quantity, by quantity.
Serving = Mapping[str, str]
# What it cost that a plan hedged, beside what the members cost.
_CAUTION = "caution"
_LEVEL = 0.95
_CENT = 0.005


@final
@dataclass(frozen=True)
class WeekRegret:
    """One candidate's plan of one past week, judged by every candidate's hindsight.

    Attributes:
        origin: first hour of the week, ISO UTC.
        status: of the plan.
        regrets: judge -> what the judge's ex-post plan would have added, in the objective's unit.
        attainable: gain of the candidate's own ex-post plan over spending least.
        shares: member -> its part of the regret in the candidate's own hindsight.
    """

    origin: str
    status: str
    regrets: Mapping[str, float]
    attainable: float
    shares: Mapping[str, float]

    @property
    def regret(self) -> float:
        """Mean over the judges."""
        return sum(self.regrets.values()) / len(self.regrets)


@final
@dataclass(frozen=True)
class CandidateRegret:
    """One candidate over all past weeks.

    Attributes:
        candidate: its name.
        weeks: oldest first.
        moved: by lever, median share of the money that the plans of two successive weeks place in
            different cells of the week; nothing where there is one week only.
    """

    candidate: str
    weeks: tuple[WeekRegret, ...]
    moved: Mapping[str, float]

    @property
    def mean(self) -> float:
        """Mean regret of a week."""
        return sum(week.regret for week in self.weeks) / len(self.weeks)

    @property
    def shares(self) -> dict[str, float]:
        """Mean part of each member in the candidate's own hindsight."""
        names = dict.fromkeys(name for week in self.weeks for name in week.shares)
        count = len(self.weeks)
        return {name: sum(w.shares.get(name, 0.0) for w in self.weeks) / count for name in names}


@final
@dataclass(frozen=True)
class PairedRegret:
    """A candidate against the first, over the same weeks.

    Attributes:
        candidate: which one.
        against: the first.
        difference: mean of the candidate's regret less the first's; negative is better.
        low: lower end of its interval over weeks (95 %, Student's t).
        high: upper end.
        by_judge: the mean difference according to each judge alone.
        verdict: ``better``, ``worse`` or ``undecided``.
    """

    candidate: str
    against: str
    difference: float
    low: float
    high: float
    by_judge: Mapping[str, float]
    verdict: str

    @property
    def words(self) -> str:
        """The verdict in a sentence."""
        interval = f"{signed_money(self.low)} to {signed_money(self.high)}"
        if self.verdict == "undecided":
            return f"no difference that these weeks can tell: {interval}"
        return f"{self.verdict}: its regret differs by {interval} a week"


@final
@dataclass(frozen=True)
class RegretResult(Result):
    """Regret of the plans of past weeks.

    Attributes:
        folder: the project.
        candidates: in the order in which they were named.
        pairs: every further candidate against the first.
    """

    folder: Path
    candidates: tuple[CandidateRegret, ...]
    pairs: tuple[PairedRegret, ...] = ()

    def tables(self) -> tuple[ResultTable, ...]:
        tables = regret_tables(self.candidates)
        return (*tables, verdict_table(self.pairs)) if self.pairs else tables

    def next_command(self) -> str:
        if not self.pairs:
            return f"dagcast plan --project {self.folder}"
        return f"edit [serving] in {self.folder / 'dagcast.toml'} to choose one"

    def exit_code(self) -> int:
        return 3 if any(item.verdict == "worse" for item in self.pairs) else 0


def backtest_regret(project: Project, *, progress: Progress = silent) -> RegretResult:
    """Plan past weeks on what was known by then, and measure what the plans would have cost.

    Args:
        project: with ingested events.
        progress: told which week is done.

    Raises:
        ProjectError: the history is too short for the origins.
        ConfigError: no lever is declared.
    """
    session = open_session(project)
    found = measure_regret(session, {_PRESENT: {}}, progress=progress)
    result = RegretResult(project.folder, found)
    write_text(project.reports / REPORT, json.dumps(plain(result), indent=1))
    project.record("backtested by regret", details={i.candidate: round(i.mean, 2) for i in found})
    return result


def measure_regret(
    session: Session, candidates: Mapping[str, Serving], *, progress: Progress = silent
) -> tuple[CandidateRegret, ...]:
    """Plan past weeks with every candidate, and judge every plan by every hindsight.

    Args:
        session: the project's models and data.
        candidates: by name, what differs from the project's own choices.
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
    with tempfile.TemporaryDirectory() as temporary:
        plans = Path(temporary) / "plans"
        task = _Week(
            session.project, tuple((n, tuple(s.items())) for n, s in candidates.items()), plans
        )
        found = map_panels(
            task,
            keys,
            folder=Path(temporary) / "weeks",
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


def paired(candidate: CandidateRegret, first: CandidateRegret) -> PairedRegret:
    """Compare two candidates week by week.

    Every week's difference is one observation: weeks are far enough apart to be told apart, cells
    are not. With one week there is no interval, and no verdict.
    """
    from dagcast_core.evaluate import mean_interval

    judges = tuple(first.weeks[0].regrets)
    by_judge = {
        judge: _mean([a.regrets[judge] - b.regrets[judge] for a, b in _pairs(candidate, first)])
        for judge in judges
    }
    differences = [a.regret - b.regret for a, b in _pairs(candidate, first)]
    mean, low, high = mean_interval(differences, level=_LEVEL)
    verdict = "undecided"
    # Regrets below a cent are the solver's rounding.
    if low > _CENT:
        verdict = "worse"
    elif high < -_CENT:
        verdict = "better"
    return PairedRegret(candidate.candidate, first.candidate, mean, low, high, by_judge, verdict)


def regret_tables(found: Sequence[CandidateRegret]) -> tuple[ResultTable, ...]:
    """Regret by candidate, by week and by member."""
    weeks = len(found[0].weeks)
    judged = " and of every other candidate" if len(found) > 1 else ""
    summary = ResultTable(
        "Regret of the plans of past weeks",
        ("candidate", "mean of a week", "of the attainable gain", "plans move by"),
        tuple(
            (
                item.candidate,
                money(item.mean),
                f"{_ratio(item):.1%}",
                ", ".join(f"{share:.0%} of {lever}" for lever, share in item.moved.items()) or "-",
            )
            for item in found
        ),
        f"{weeks} weeks, each fitted and planned on what was known by then, judged by the "
        f"hindsight of the candidate itself{judged}; plans move from one week to the next",
    )
    by_week = ResultTable(
        "Week by week",
        ("week from", *(item.candidate for item in found)),
        tuple(
            (
                week.origin[:10],
                *(money(item.weeks[n].regret) + _remark(item.weeks[n].status) for item in found),
            )
            for n, week in enumerate(found[0].weeks)
        ),
    )
    members = dict.fromkeys(name for item in found for name in item.shares)
    by_member = ResultTable(
        "Regret by model, mean of a week",
        ("model", *(item.candidate for item in found)),
        tuple(
            (name, *(signed_money(item.shares.get(name, 0.0)) for item in found))
            for name in members
        ),
        "in each candidate's own hindsight; a model whose output nobody observes shows in the next",
    )
    return (summary, by_week, by_member)


def verdict_table(pairs: Sequence[PairedRegret]) -> ResultTable:
    """The verdicts."""
    return ResultTable(
        f"Against {pairs[0].against}",
        ("candidate", "difference of a week", "verdict", *_judges(pairs[0].by_judge)),
        tuple(
            (
                item.candidate,
                signed_money(item.difference),
                item.words,
                *(signed_money(value) for value in item.by_judge.values()),
            )
            for item in pairs
        ),
        "paired over weeks, 95 % interval; negative is better",
    )


def _judges(names: Iterable[str]) -> tuple[str, ...]:
    """Columns that are no wider than they need: the distribution alone."""
    return tuple(f"by {name.partition('=')[2] or name}" for name in names)


def name_of(number: int) -> str:
    """Names the folder of a candidate's plan; what candidates are called is no file name."""
    return f"candidate-{number}"


@final
@dataclass(frozen=True)
class _Week:
    """Plans one past week with every candidate; it travels to worker processes.

    Attributes:
        project: whose store is read.
        candidates: name and serving of each.
        plans: folder for the plans, by week and candidate.
    """

    project: Project
    candidates: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
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
        for number, (name, serving) in enumerate(self.candidates):
            session = open_session(self.project, serving=dict(serving))
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


def _pairs(
    candidate: CandidateRegret, first: CandidateRegret
) -> list[tuple[WeekRegret, WeekRegret]]:
    return list(zip(candidate.weeks, first.weeks, strict=True))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _ratio(item: CandidateRegret) -> float:
    attainable = _mean([week.attainable for week in item.weeks])
    return item.mean / attainable if attainable > 0 else 0.0


def _remark(status: str) -> str:
    return " (infeasible)" if status == "infeasible" else ""
