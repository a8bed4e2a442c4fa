"""Stage 7: the decisions that serve the objective best within the limits."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from dagcast.figures import figure, interval, money, signed_money, title, total_unit
from dagcast.plans import (
    LimitRow,
    Outlook,
    PlanSummary,
    Sensitivity,
    make_outlook,
    price_words,
)
from dagcast.project import Project, staged
from dagcast.workflow._fit import Fitted, load_fit
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
from dagcast.workflow._session import open_session

if TYPE_CHECKING:
    from dagcast_core.decide import Plan
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
    """

    folder: Path
    summary: PlanSummary
    totals: Mapping[str, Mapping[str, tuple[float, float, float]]]
    differences: Mapping[str, Mapping[str, tuple[float, float, float]]]
    units: Mapping[str, str]
    kept: bool = True

    def tables(self) -> tuple[ResultTable, ...]:
        summary = self.summary
        status = ResultTable(
            summary.plan,
            ("what", "is"),
            (
                ("status", summary.certificate),
                ("maximises", f"{summary.objective}, {summary.objective_unit}"),
                *((("remark", summary.message),) if summary.message else ()),
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
        return (status, spend, self._outcomes(), *self._prices())

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
            )
            for row in (*self.summary.budgets, *self.summary.guardrails)
            if row.binding
        )
        if not rows:
            return (ResultTable("Shadow prices", (), (("No limit binds.",),)),)
        return (ResultTable("Shadow prices", ("limit", "at", "used", "price"), rows),)

    def next_command(self) -> str:
        if not self.kept:
            return f"dagcast plan --project {self.folder}"
        return f"dagcast review --project {self.folder}"

    def exit_code(self) -> int:
        return 4 if self.summary.status == "infeasible" else 0


def plan(project: Project, *, progress: Progress = silent) -> PlanResult:
    """Optimise the levers over the horizon and propose the result.

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
    solved = solve(setting.problem(fitted.model), **_options(project, progress))
    seconds = time.perf_counter() - start
    return keep(setting, fitted, solved, kind="optimised", seconds=seconds, progress=progress)


def replay(project: Project, name: str, *, progress: Progress = silent) -> PlanResult:
    """Solve the problem of an earlier plan again, on its own data moment and fit; keeps nothing.

    Raises:
        UsageError: no plan has that name.
        ProjectError: a package or the data changed since.
    """
    import pandas as pd

    from dagcast.workflow._horizon import Moments
    from dagcast_core.decide import solve

    project.journal.find(name)
    summary = PlanSummary.load(plan_folder(project, name))
    session = open_session(project)
    fitted = load_fit(session, summary.provenance["fit"])
    was = summary.provenance
    first, last = (pd.Timestamp(moment) for moment in was["history"])
    start, end = (pd.Timestamp(moment) for moment in was["horizon"])
    times = Moments(pd.Timestamp(was["data_moment"]), first, last, start, end)
    setting = make_setting(session, times)
    progress("optimising", None)
    begun = time.perf_counter()
    solved = solve(setting.problem(fitted.model), **_options(project, progress))
    seconds = time.perf_counter() - begun
    return keep(
        setting,
        fitted,
        solved,
        kind="replayed",
        seconds=seconds,
        name=name,
        record=False,
        progress=progress,
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
        progress: told what is going on.
    """
    project = setting.session.project
    name = name or project.next_name(project.plans, PREFIX)
    outlook = outlook_of(setting, fitted, solved.decisions, progress=progress)
    summary = _summary(name, kind, setting, fitted, solved, seconds)
    if record:
        with staged(project.plans / name) as folder:
            solved.save(folder / SOLVED)
            outlook.save(folder)
            summary.save(folder)
            _save_decisions(folder, setting, solved.decisions)
            _save_marginals(folder, solved.marginal_effects)
            seal(folder)
        project.record(
            "edited" if parent else "proposed",
            plan=name,
            who=who,
            why=why,
            details={
                "horizon_start": setting.times.start.isoformat(),
                "parent": parent,
                "status": summary.status,
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
        flagged=_flagged(solved.flags),
        repeated=setting.assumed,
        provenance={
            **session.provenance(),
            "data_moment": setting.times.as_of.isoformat(),
            "history": [setting.times.first.isoformat(), setting.times.last.isoformat()],
            "horizon": [setting.times.start.isoformat(), setting.times.end.isoformat()],
            "fit": fitted.name,
        },
        seconds=seconds,
    )


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


def _flagged(flags: "Panel") -> tuple[tuple[str, str], ...]:
    """Cells that a fallback rule or a person decided, in words."""
    import torch

    rows: list[tuple[str, str]] = []
    for name in flags:
        tensor = flags[name]
        for position in torch.nonzero(tensor.tensor).tolist():
            labels = [tensor.index(dim)[n] for dim, n in zip(tensor.dims, position, strict=True)]
            cell = ", ".join(
                f"{label:%a %-d %b %H:%M} UTC" if hasattr(label, "strftime") else str(label)
                for label in labels
            )
            rows.append((cell, "set by a rule or by a person, not by the optimiser"))
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
