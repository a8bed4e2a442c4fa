"""What a decided plan leads to: forecast, figures, files, and the line in the log."""

import itertools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagcast.config import Config
from dagcast.figures import money, title, total_unit
from dagcast.plans import (
    LimitRow,
    Outlook,
    PlanStability,
    PlanSummary,
    Sensitivity,
    make_outlook,
    price_words,
)
from dagcast.project import staged
from dagcast.workflow.common._fits import Fitted
from dagcast.workflow.common._plan_files import DECISIONS, MARGINALS, PREFIX, SOLVED, seal
from dagcast.workflow.common._plan_result import PlanResult
from dagcast.workflow.common._problem import Setting
from dagcast.workflow.common._result import Progress, silent

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
