"""What a decided plan leads to: forecast, figures, files, and the line in the log."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagcast.journal import Seen
from dagcast.plans import (
    Outlook,
    PlanStability,
)
from dagcast.workflow.common._findings import repeated
from dagcast.workflow.common._fits import Fitted
from dagcast.workflow.common._newness import settings_of
from dagcast.workflow.common._outlooks import outlook_of
from dagcast.workflow.common._plan_files import CURRENT, DECISIONS, MARGINALS, PREFIX, SOLVED
from dagcast.workflow.common._plan_result import PlanResult, was_interrupted
from dagcast.workflow.common._problem import Setting
from dagcast.workflow.common._proposals import as_frame
from dagcast.workflow.common._result import Progress, silent
from dagcast.workflow.common._seal import seal
from dagcast.workflow.common._summaries import summary_of

if TYPE_CHECKING:
    from torch import Tensor

    from dagcast_core.contract import Quantity
    from dagcast_core.decide import Plan


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
    opened: Seen | None = None,
    memory: dict[Any, Any] | None = None,
    stability: PlanStability | None = None,
    whole: bool = False,
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
        opened: what whoever edited its parent had before their eyes.
        memory: keeps what is the same for every plan of this round, for whoever asks of many.
        stability: against fits at earlier moments, if it was asked for.
        whole: nothing is kept where somebody presses Ctrl-C.
        progress: told what is going on.
    """
    project = setting.session.project
    name = name or project.reserve(project.plans, PREFIX)
    outlook = outlook_of(
        setting,
        fitted,
        solved.decisions,
        memory=memory,
        hurried=was_interrupted(solved.status, solved.message, solved.warnings),
        whole=whole,
        progress=progress,
    )
    if outlook.draws < len(fitted.draws):
        words = (
            f"interrupted while its outcomes were forecast: intervals rest on {outlook.draws} of "
            f"{len(fitted.draws)} draws"
        )
        solved = replace(solved, warnings=(*solved.warnings, words))
    # Imported late: reading a kept plan needs no models.
    from dagcast_core.model import interference

    heeded = (
        *solved.warnings,
        *interference(fitted.model),
        # Whoever only tries many hears of the data by the plan that they began from.
        *(repeated(setting.session, setting.times) if record or memory is None else ()),
    )
    solved = replace(solved, warnings=heeded)
    summary = replace(summary_of(name, kind, setting, fitted, solved, seconds), stability=stability)
    if record:
        with project.making(project.plans / name) as folder:
            solved.save(folder / SOLVED)
            outlook.save(folder)
            summary.save(folder)
            as_frame(solved.decisions, setting.quantities).to_parquet(
                folder / DECISIONS, index=False
            )
            _save_marginals(folder, solved, setting.quantities)
            _save_current(folder, setting, solved)
            sealed = seal(folder)
            project.propose(
                "edited" if parent else "proposed",
                plan=name,
                who=who,
                why=why,
                opened=opened,
                details={
                    "horizon_start": setting.times.start.isoformat(),
                    "hours": len(setting.times.hours),
                    "parent": parent,
                    "status": summary.status,
                    "seal": sealed,
                    "store": setting.session.store.manifest_id,
                    "fit": fitted.name,
                    "settings": settings_of(project.config),
                    "spend": {code: round(spent, 2) for code, (spent, _) in summary.spent.items()},
                },
            )
    shown = list(outlook.readings)
    return PlanResult(
        project.folder,
        summary,
        {q: {arm: _triple(found[q]) for arm, found in outlook.totals.items()} for q in shown},
        {q: {arm: _triple(found[q]) for arm, found in outlook.differences.items()} for q in shown},
        outlook.readings,
        outlook.arms,
        record,
        objective=_worth(outlook),
    )


def _worth(outlook: Outlook) -> dict[str, tuple[float, float, float]]:
    """The objective of the plan, and what it has over every other arm."""
    found = {"plan": _triple(outlook.totals["plan"]["objective"])}
    return found | {arm: _triple(items["objective"]) for arm, items in outlook.differences.items()}


def _save_marginals(folder: Path, solved: "Plan", quantities: "Mapping[str, Quantity]") -> None:
    """Effects of one more unit of each lever's cells, by ``outcome/lever``, dims of the lever."""
    kept = {}
    levers = list(solved.decisions)
    for key, tensor in solved.marginal_effects.items():
        outcome, _, lever = key.partition("/")
        # With one lever the solver names the outcome alone.
        lever = lever or levers[0]
        values = tensor.values(*quantities[lever].dim_names)
        kept[f"{outcome}/{lever}"] = values.detach().contiguous()
    _write(folder / MARGINALS, kept)


def _save_current(folder: Path, setting: Setting, solved: "Plan") -> None:
    """The levers as nobody would have changed them, cell by cell of the decisions."""
    kept = {}
    for name, decided in solved.decisions.items():
        own = setting.current[name].reindex({d: decided.index(d) for d in decided.dims})
        kept[name] = own.values(*setting.quantities[name].dim_names).detach().contiguous()
    _write(folder / CURRENT, kept)


def _write(path: Path, tensors: "dict[str, Tensor]") -> None:
    from safetensors.torch import save

    # Not `save_file`, whose files only their owner can read, whatever the umask says.
    path.write_bytes(save(tensors))


def _triple(found: Any) -> tuple[float, float, float]:
    return (found.mid, found.low, found.high)
