"""Stage 7: the decisions that serve the objective best within the limits."""

import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from dagcast.config import Config
from dagcast.errors import ProjectError
from dagcast.figures import figure, interval, money, signed_money, title, total_unit
from dagcast.plans import (
    LimitRow,
    Outlook,
    PlanStability,
    PlanSummary,
    Sensitivity,
    StabilityRow,
    make_outlook,
    price_words,
)
from dagcast.project import Project, staged
from dagcast.workflow._fit import Fitted, draw_parameters, fit_collection, load_fit
from dagcast.workflow._horizon import HOUR, at_origin
from dagcast.workflow._plan_files import (
    DECISIONS,
    MARGINALS,
    PREFIX,
    SOLVED,
    plan_folder,
    seal,
)
from dagcast.workflow._problem import Setting, make_setting
from dagcast.workflow._result import Progress, Result, ResultTable, silent
from dagcast.workflow._session import Session, open_session

if TYPE_CHECKING:
    from dagcast_core.decide import DecisionProblem, Plan
    from dagcast_core.tensor import IndexTensor, Panel

# Forecast for every plan, besides what the objective and the limits need.
_SHOWN = (
    "sessions",
    "driver_hours",
    "incremental_driver_hours",
    "eta",
    "prime_time",
    "rides",
    "profit",
)
_MARGINAL = ("eta", "prime_time", "incremental_driver_hours")
_STABILITY_UNKNOWN = "interrupted before it was known how far the plan moves with earlier fits"
# Largest difference of a cell, relative to the largest cell, of the same plan made again.
_REPLAYED = 1e-9
_SHOWN_FLAGS = 8
_ARMS = (("none", "no spend"), ("current", "the current plan"))


@final
@dataclass(frozen=True)
class PlanResult(Result):
    """A plan, or a proposal evaluated as one.

    Attributes:
        folder: the project.
        summary: status, certificate, spend, limits and their prices.
        totals: outcome -> arm -> (estimate, low, high) over the horizon.
        differences: outcome -> arm -> (estimate, low, high) of the plan minus that arm.
        units: of the totals.
        kept: whether it was proposed in the log.
        replay_error: largest difference of a replayed cell, relative to the largest cell; None
            where nothing was replayed.
    """

    folder: Path
    summary: PlanSummary
    totals: Mapping[str, Mapping[str, tuple[float, float, float]]]
    differences: Mapping[str, Mapping[str, tuple[float, float, float]]]
    units: Mapping[str, str]
    kept: bool = True
    replay_error: float | None = None

    def tables(self) -> tuple[ResultTable, ...]:
        summary = self.summary
        status = ResultTable(
            summary.plan,
            ("what", "is"),
            (
                ("status", summary.certificate),
                ("maximises", f"{summary.objective}, {summary.objective_unit}"),
                *((("remark", self._remark()),) if summary.message else ()),
                *((("draws", summary.risk),) if summary.risk else ()),
                *(("warning", warning) for warning in summary.warnings),
                *((("stability", summary.stability.words),) if summary.stability else ()),
                *self._replayed(),
            ),
        )
        spend = ResultTable(
            "Spend over the horizon",
            ("incentive", "this plan", "current plan", "change"),
            (
                *(
                    (name, money(plan), money(current), signed_money(plan - current))
                    for name, (plan, current) in summary.spend.items()
                ),
                (
                    "all",
                    money(summary.total),
                    money(summary.current_total),
                    signed_money(summary.total - summary.current_total),
                ),
            ),
        )
        return (
            status,
            *self._conflicts(),
            spend,
            self._outcomes(),
            *self._prices(),
            *self._flagged(),
        )

    def _remark(self) -> str:
        # The conflicts have a table of their own.
        return (
            self.summary.message.partition(": ")[0]
            if self.summary.conflicts
            else (self.summary.message)
        )

    def _conflicts(self) -> tuple[ResultTable, ...]:
        if not self.summary.conflicts:
            return ()
        rows = tuple((text,) for text in self.summary.conflicts)
        return (ResultTable("Limits that cannot all be kept", ("limit",), rows),)

    def _replayed(self) -> tuple[tuple[str, str], ...]:
        if self.replay_error is None:
            return ()
        same = "agrees" if self.replay_error <= _REPLAYED else "does NOT agree"
        return (("replay", f"{same} with the plan: largest difference {self.replay_error:.1e}"),)

    def _flagged(self) -> tuple[ResultTable, ...]:
        if not self.summary.flagged:
            return ()
        rows = self.summary.flagged[:_SHOWN_FLAGS]
        more = len(self.summary.flagged) - len(rows)
        note = f"and {more} more on the review page" if more else ""
        return (ResultTable("Not decided by the optimiser", ("cells", "reason"), rows, note),)

    def _outcomes(self) -> ResultTable:
        rows = []
        for name, arms in self.totals.items():
            unit = self.units[name]
            found, low, high = arms["plan"]
            row = [title(name), figure(found, unit), interval(low, high, unit)]
            for arm, _ in _ARMS:
                row.append(figure(self.differences[name][arm][0], unit, signed=True))
            rows.append(tuple(row))
        columns = ("outcome", "expected", "interval", *(f"vs {words}" for _, words in _ARMS))
        return ResultTable("What is expected", columns, tuple(rows))

    def _prices(self) -> tuple[ResultTable, ...]:
        rows = tuple(
            (
                f"{title(row.name)} {row.label}".strip(),
                f"{row.sense} {figure(row.limit, row.unit)}",
                figure(row.used, row.unit),
                row.words,
                *((("" if row.kept is None else f"{row.kept:.0%}"),) if self.summary.risk else ()),
            )
            for row in (*self.summary.budgets, *self.summary.guardrails)
            if row.binding
        )
        if not rows:
            if self.summary.status == "infeasible":
                return ()
            return (ResultTable("Shadow prices", (), (("No limit binds.",),)),)
        columns = (
            "limit",
            "at",
            "used",
            "price",
            *(("kept in draws",) if self.summary.risk else ()),
        )
        return (ResultTable("Shadow prices", columns, rows),)

    def next_command(self) -> str:
        if not self.kept:
            return f"dagcast plan --project {self.folder}"
        return f"dagcast review --project {self.folder}"

    def exit_code(self) -> int:
        if self.replay_error is not None and self.replay_error > _REPLAYED:
            return 1
        if self.summary.status == "interrupted" and self.summary.message == "interrupted":
            # Ctrl-C; a time limit of the settings is no interruption.
            return 130
        if any(text.startswith("interrupted ") for text in self.summary.warnings):
            return 130
        return 4 if self.summary.status == "infeasible" else 0


def plan(project: Project, *, stability: int = 0, progress: Progress = silent) -> PlanResult:
    """Optimise the levers over the horizon and propose the result.

    Args:
        project: with a fit.
        stability: number of earlier moments, a week apart, at which the models are fitted again to
            see how far the plan moves.
        progress: told what is going on.

    Raises:
        ProjectError: nothing was ingested or fitted yet.
        ConfigError: the settings name no lever, or a limit is wrong.
    """
    from dagcast_core.decide import solve

    session = open_session(project)
    fitted = load_fit(session)
    setting = make_setting(session)
    progress("optimising", None)
    start = time.perf_counter()
    problem = setting.problem(fitted.model, draws=fitted.draws)
    solved = solve(problem, **_options(project, progress))
    seconds = time.perf_counter() - start
    moved = None
    if stability:
        try:
            moved = _stability(setting, problem, solved, stability, progress)
        except KeyboardInterrupt:
            # The plan is there; how far it moves is not known.
            solved = replace(solved, warnings=(*solved.warnings, _STABILITY_UNKNOWN))
    return keep(
        setting,
        fitted,
        solved,
        kind="optimised",
        seconds=seconds,
        stability=moved,
        progress=progress,
    )


def replay(project: Project, name: str, *, progress: Progress = silent) -> PlanResult:
    """Solve the problem of an earlier plan again, on its own data moment and fit; keeps nothing.

    Raises:
        UsageError: no plan has that name.
        ProjectError: a package, the data or the settings changed since.
        KeyboardInterrupt: interrupted before it was solved to its end.
    """
    import pandas as pd

    from dagcast.workflow._horizon import Moments
    from dagcast_core.decide import Options, Plan, solve, what_if

    project.journal.find(name)
    folder = plan_folder(project, name)
    summary = PlanSummary.load(folder)
    session = open_session(project)
    _require_packages(session, summary)
    fitted = load_fit(session, summary.provenance["fit"])
    was = summary.provenance
    first, last = (pd.Timestamp(moment) for moment in was["history"])
    start, end = (pd.Timestamp(moment) for moment in was["horizon"])
    times = Moments(pd.Timestamp(was["data_moment"]), first, last, start, end)
    setting = make_setting(session, times)
    progress("optimising", None)
    begun = time.perf_counter()
    before = Plan.load(folder / SOLVED)
    if before.status == "interrupted":
        raise ProjectError(
            f"{name} to be solved to its end",
            before.message,
            "Where a clock or a person stopped the solver, it stops elsewhere the next time.",
        )
    problem = setting.problem(fitted.model, draws=fitted.draws)
    _require_problem(name, before.provenance, problem)
    if before.provenance["kind"] == "what-if":
        # People's decisions are not solved for: they are judged again.
        solved = what_if(problem, before.decisions)
    else:
        solved = solve(
            problem,
            options=Options(**before.provenance["options"]),
            progress=lambda state: progress(f"optimising, step {state.iteration}", None),
        )
    if solved.status == "interrupted" and solved.message == "interrupted":
        raise KeyboardInterrupt(f"interrupted while {name} was solved again: nothing is compared")
    seconds = time.perf_counter() - begun
    result = keep(
        setting,
        fitted,
        replace(solved, flags=before.flags, reasons=before.reasons),
        kind="replayed",
        seconds=seconds,
        name=name,
        record=False,
        progress=progress,
    )
    return replace(result, replay_error=_difference(before, solved))


def _require_packages(session: Session, summary: PlanSummary) -> None:
    was = summary.provenance
    now = session.provenance()["packages"]
    changed = [
        f"{name} {was['packages'].get(name, 'absent')} -> {now.get(name, 'absent')}"
        for name in sorted({*was["packages"], *now})
        if was["packages"].get(name) != now.get(name)
    ]
    contents = session.contents()
    changed += [
        f"{name} {now.get(name, '')} has other content"
        for name, content in was.get("contents", {}).items()
        if name in contents and contents[name] != content
    ]
    if changed:
        raise ProjectError(
            f"the packages that made {summary.plan}",
            "; ".join(changed),
            "Install those versions again, or make a new plan with `dagcast plan`.",
        )


def _require_problem(name: str, provenance: Mapping[str, Any], problem: "DecisionProblem") -> None:
    """Refuse another problem, saying which part of it changed."""
    from dagcast_core.decide import describe

    was, now = provenance.get("problem"), describe(problem)
    if was is None:
        raise ProjectError(
            f"a record of the problem that {name} solved",
            "none: an earlier release of dagcast made it",
            "Make a new plan with `dagcast plan`.",
        )
    if was["digest"] == now["digest"]:
        return
    parts = {
        "context": "the data known at its moment",
        "current": "the data known at its moment",
        "parameters": "the fitted parameters",
        "model": "the models",
        "draws": "the draws of the parameters",
    }
    # A rule's values depend on the data; everything else about a problem is settings.
    found = [
        parts.get(key, f"the settings: {key}")
        for key in sorted({*was, *now} - {"digest"})
        if was.get(key) != now.get(key)
    ]
    raise ProjectError(
        f"the problem that {name} solved",
        f"other {', '.join(dict.fromkeys(found))}",
        "Restore dagcast.toml, the fit and the store, or make a new plan with `dagcast plan`.",
    )


def _difference(before: "Plan", again: "Plan") -> float:
    """Largest difference of a cell, relative to the largest cell."""
    worst = 0.0
    for name, own in before.decisions.items():
        other = again.decisions[name].reindex({dim: own.index(dim) for dim in own.dims})
        size = max(float(own.tensor.abs().max()), 1e-300)
        worst = max(worst, float((own.tensor - other.values(*own.dims)).abs().max()) / size)
    return worst


def _stability(
    setting: Setting,
    problem: "DecisionProblem",
    solved: "Plan",
    count: int,
    progress: Progress,
) -> PlanStability:
    """Solve again with models that were fitted on what was known at earlier moments.

    Raises:
        ProjectError: the history is too short.
    """
    import pandas as pd

    from dagcast_core.decide import solve_again, stability

    session, times = setting.session, setting.times
    weeks = [pd.Timedelta(weeks=k + 1) for k in range(count)]
    earliest = times.last - weeks[-1] - times.first
    if earliest < pd.Timedelta(weeks=3) - HOUR:
        raise ProjectError(
            f"3 weeks of history before the earliest of {count} moments",
            f"{earliest / pd.Timedelta(weeks=1):.1f} weeks",
            "Ask for the stability over fewer moments, or ingest more history.",
        )
    others = []
    for k, week in enumerate(weeks):
        progress(f"fitting at earlier moments, {k + 1} of {count}", k / count)
        moment = times.last + HOUR - week
        past = at_origin(times, moment, session.project.config.horizon.hours, session.weeks)
        model = fit_collection(session, past)[0]
        # A plan that weighs draws is compared with plans that weigh those of the earlier fits.
        others.append(
            model if problem.draws is None else (model, draw_parameters(session, model, past))
        )
    progress("solving with earlier fits", None)
    found = stability(solved, solve_again(problem, solved, others))
    lever = next(iter(session.project.config.levers))
    return PlanStability(
        tuple((times.last + HOUR - week).isoformat() for week in weeks),
        found.moved[lever],
        tuple(
            StabilityRow(row.label, row.planned, row.low, row.high)
            for row in found.ranges
            if row.lever == lever
        ),
    )


def keep(
    setting: Setting,
    fitted: Fitted,
    solved: "Plan",
    *,
    kind: str,
    seconds: float,
    name: str | None = None,
    parent: str | None = None,
    who: str | None = None,
    why: str = "",
    record: bool = True,
    stability: PlanStability | None = None,
    progress: Progress = silent,
) -> PlanResult:
    """Work out what a solved or evaluated plan leads to, and propose it in the log.

    Args:
        setting: the round.
        fitted: the models behind it.
        solved: the solver's plan.
        kind: ``optimised``, ``edited``, ``proposal`` or ``replayed``.
        seconds: that the solver took.
        name: of the plan; the next free one by default.
        parent: the plan it was edited from.
        who: who proposes it.
        why: the reason, for the log.
        record: whether to keep it under plans/ and in the log.
        stability: against fits at earlier moments, if it was asked for.
        progress: told what is going on.
    """
    project = setting.session.project
    # A plan whose folder is gone keeps its name: the log says what was decided about it.
    name = name or project.next_name(project.plans, PREFIX, project.journal.plans())
    outlook = outlook_of(setting, fitted, solved.decisions, progress=progress)
    if outlook.draws < len(fitted.draws):
        words = (
            f"interrupted while its outcomes were forecast: intervals rest on {outlook.draws} of "
            f"{len(fitted.draws)} draws"
        )
        solved = replace(solved, warnings=(*solved.warnings, words))
    summary = replace(_summary(name, kind, setting, fitted, solved, seconds), stability=stability)
    if record:
        with staged(project.plans / name) as folder:
            solved.save(folder / SOLVED)
            outlook.save(folder)
            summary.save(folder)
            _save_decisions(folder, setting, solved.decisions)
            _save_marginals(folder, solved.marginal_effects)
            sealed = seal(folder)
        project.record(
            "edited" if parent else "proposed",
            plan=name,
            who=who,
            why=why,
            details={
                "horizon_start": setting.times.start.isoformat(),
                "parent": parent,
                "status": summary.status,
                "seal": sealed,
                "spend": round(summary.total, 2),
            },
        )
    shown = [name for name in outlook.totals["plan"] if name in outlook.units]
    return PlanResult(
        project.folder,
        summary,
        {q: {arm: _triple(found[q]) for arm, found in outlook.totals.items()} for q in shown},
        {q: {arm: _triple(found[q]) for arm, found in outlook.differences.items()} for q in shown},
        {q: total_unit(outlook.units[q]) for q in shown},
        record,
    )


def outlook_of(
    setting: Setting, fitted: Fitted, decisions: "Panel", *, progress: Progress = silent
) -> Outlook:
    """Forecast the horizon under a plan, under no spend and under the current plan."""
    import torch

    config = setting.session.project.config
    wanted = dict.fromkeys(
        (
            *_SHOWN,
            *config.objective.weights,
            *(rail.quantity for rail in config.guardrails),
            *(rail.weight for rail in config.guardrails if rail.weight),
        )
    )
    made = {
        q.name for item in setting.session.assembly.registrations for q in item.contract.outputs
    }
    levers = {name: decisions[name] for name in config.levers}
    arms = {
        "plan": setting.context.assign(levers),
        "none": setting.context.assign(
            {name: t.zeros_like().named(name) for name, t in levers.items()}
        ),
        "current": setting.context.assign({name: setting.current[name] for name in levers}),
    }

    def predict(inputs: "Panel", draw: int | None) -> "Panel":
        with torch.no_grad():
            if draw is None:
                return fitted.model.predict(inputs)
            with fitted.draws.applied_to(fitted.model, draw):
                return fitted.model.predict(inputs)

    return make_outlook(
        arms,
        predict,
        draws=len(fitted.draws),
        level=config.uncertainty.level,
        quantities=[setting.quantities[name] for name in wanted if name in made],
        combined={"objective": config.objective.weights},
        progress=progress,
    )


def _options(project: Project, progress: Progress) -> dict[str, Any]:
    from dagcast_core.decide import Options

    solver = project.config.solver
    return {
        "options": Options(
            gap=solver.tolerance,
            violation=solver.tolerance,
            time_limit=solver.seconds,
            seed=project.config.seeds.plan,
        ),
        "progress": lambda state: progress(f"optimising, step {state.iteration}", None),
    }


def _summary(
    name: str, kind: str, setting: Setting, fitted: Fitted, solved: "Plan", seconds: float
) -> PlanSummary:
    session = setting.session
    lever = next(iter(session.project.config.levers))
    planned, current = solved.decisions[lever], setting.current[lever]
    objective = session.project.config.objective
    maximised = " + ".join(
        quantity if weight == 1 else f"{weight:g} {quantity}"
        for quantity, weight in objective.weights.items()
    )
    rows = [_limit(item, maximised) for item in solved.shadow_prices]
    levers = set(session.project.config.levers)
    return PlanSummary(
        plan=name,
        kind=kind,
        status=solved.status,
        message=solved.message,
        kkt_residual=float(solved.kkt_residual),
        worst_violation=float(solved.worst_violation),
        gap_bound=None if solved.gap_bound is None else float(solved.gap_bound),
        objective=maximised,
        objective_unit=objective.unit,
        spend={
            label: (amount, now)
            for label, amount, now in zip(
                _labels(planned), _sums(planned), _sums(current), strict=True
            )
        },
        budgets=tuple(row for row in rows if row.name in levers),
        guardrails=tuple(row for row in rows if row.name not in levers),
        sensitivities=tuple(
            Sensitivity(
                item.name, float(item.effect), _sensitivity_words(item.name, item.effect, maximised)
            )
            for item in solved.sensitivities
        ),
        flagged=_flagged(solved.flags, solved.reasons),
        repeated=setting.assumed,
        provenance={
            **session.provenance(),
            "data_moment": setting.times.as_of.isoformat(),
            "history": [setting.times.first.isoformat(), setting.times.last.isoformat()],
            "horizon": [setting.times.start.isoformat(), setting.times.end.isoformat()],
            "fit": fitted.name,
            "contents": session.contents(),
            "problem": solved.provenance["problem"]["digest"],
        },
        seconds=seconds,
        risk=_risk(session.project.config, len(fitted.draws)),
        warnings=solved.warnings,
        conflicts=solved.conflicts,
    )


def _risk(config: Config, draws: int) -> str:
    """How draws were weighed, in words; empty where they were not."""
    if not config.weighs_draws:
        return ""
    tail = f"{config.risk.tail:.0%}"
    measures = {
        "none": "the mean",
        "mean": "the mean",
        "cvar": f"the mean of the worst {tail}",
        "quantile": f"what all but the worst {tail} reach",
    }
    return f"the objective is {measures[config.risk.measure]} of {draws} draws of the parameters"


def _limit(item: Any, objective: str) -> LimitRow:
    return LimitRow(
        item.name,
        str(item.label or ""),
        item.sense,
        float(item.used),
        float(item.limit),
        item.unit,
        float(item.price),
        price_words(float(item.price), item.sense, item.unit, objective) if item.binding else "",
        bool(item.binding),
        item.kept,
    )


def _labels(lever: "IndexTensor") -> list[str]:
    first = next((dim for dim in lever.dims if dim not in ("region", "hour")), None)
    return [str(label) for label in lever.index(first)] if first else [str(lever.name)]


def _sums(lever: "IndexTensor") -> list[float]:
    dims = (*(dim for dim in lever.dims if dim not in ("region", "hour")), "region", "hour")
    sums = lever.values(*dims).detach().sum((-2, -1)).reshape(-1)
    return [float(value) for value in sums]


def _sensitivity_words(name: str, effect: float, objective: str) -> str:
    verb = "raise" if effect > 0 else "lower"
    return f"1 % more {title(name).lower()} would {verb} {objective} by {money(abs(effect))}"


def _flagged(flags: "Panel", reasons: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Cells that a rule or a person decided, the hours of one incentive and region together."""
    rows: list[tuple[str, str]] = []
    for name in flags:
        tensor = flags[name]
        dims = (*(dim for dim in tensor.dims if dim != "hour"), "hour")
        values = tensor.values(*dims).reshape(-1, tensor.sizes["hour"])
        places = itertools.product(*(tensor.index(dim) for dim in dims[:-1]))
        hours = tensor.index("hour")
        for labels, numbers in zip(places, values, strict=True):
            for number in sorted({int(n) for n in numbers.tolist()} - {0}):
                found = [hours[k] for k, n in enumerate(numbers.tolist()) if int(n) == number]
                which = f"{found[0]:%a %-d %b %H:%M} UTC"
                if len(found) == len(hours):
                    which = "every hour"
                elif len(found) > 1:
                    which = f"{len(found)} hours from {which} to {found[-1]:%a %-d %b %H:%M} UTC"
                rows.append((", ".join([*map(str, labels), which]), reasons[number - 1]))
    return tuple(rows)


def _save_decisions(folder: Path, setting: Setting, decisions: "Panel") -> None:
    lever = next(iter(setting.session.project.config.levers))
    frame = decisions[lever].detach().to_long("usd")
    columns = [name for name in ("incentive", "region", "hour", "usd") if name in frame.columns]
    frame[columns].to_parquet(folder / DECISIONS, index=False)


def _save_marginals(folder: Path, effects: "Mapping[str, IndexTensor]") -> None:
    from safetensors.torch import save_file

    dims = ("incentive", "region", "hour")
    kept = {
        name: effects[name].values(*dims).detach().contiguous()
        for name in (*_MARGINAL, "objective")
        if name in effects and set(effects[name].dims) == set(dims)
    }
    save_file(kept, folder / MARGINALS)


def _triple(found: Any) -> tuple[float, float, float]:
    return (found.mid, found.low, found.high)
