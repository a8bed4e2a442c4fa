"""Stage 10: what happened, what would have been best, and which model made the difference."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import pandas as pd

from dagcast.errors import ProjectError
from dagcast.figures import figure, money, share, signed_money, title, total_unit
from dagcast.journal import PlanRecord
from dagcast.plans import Hindsight, OutcomeGap, Outlook, PlanSummary, RegretShare, overall
from dagcast.project import Project, write_text
from dagcast.workflow.common._fits import load_fit
from dagcast.workflow.common._happened import happened_in
from dagcast.workflow.common._horizon import Moments
from dagcast.workflow.common._plan_files import SOLVED, newest_approved, plan_folder
from dagcast.workflow.common._problem import Setting, make_setting
from dagcast.workflow.common._result import Progress, Result, ResultTable, plain, silent
from dagcast.workflow.common._session import Session, open_session

if TYPE_CHECKING:
    from dagcast_core.decide import Retrospective
    from dagcast_core.tensor import Panel


@final
@dataclass(frozen=True)
class RetroResult(Result):
    """A carried-out plan in hindsight.

    Attributes:
        folder: the project.
        hindsight: regret, its attribution, and what happened.
        page: the page that was written.
    """

    folder: Path
    hindsight: Hindsight
    page: Path

    @property
    def regret(self) -> float:
        """What the ex-post plan would have added, in the objective's unit."""
        return self.hindsight.regret

    def tables(self) -> tuple[ResultTable, ...]:
        found = self.hindsight
        facts = ResultTable(
            f"{found.plan} in hindsight",
            ("what", "is"),
            (
                ("regret", f"{money(found.regret)} of {found.objective}"),
                ("share of the attainable gain", f"{found.share:.1%} of {money(found.attainable)}"),
                ("carried out otherwise than planned", signed_money(found.execution_gap)),
                *((("caution", signed_money(found.caution)),) if found.caution else ()),
                ("guardrails as they came out", _violation(found.violation, found.priced)),
                ("page", str(self.page)),
            ),
        )
        shares = ResultTable(
            "Regret by model",
            ("model", "cost", "of the regret"),
            tuple(
                (
                    item.member,
                    signed_money(item.value),
                    share(item.value, found.regret),
                )
                for item in found.shares
            ),
            "negative: its errors happened to help; a model whose output nobody observes shows in "
            "the next",
        )
        outcomes = ResultTable(
            "Planned and happened",
            ("outcome", "planned", "happened", "ex-post plan"),
            (
                ("Spend", *(money(value) for value in found.spent)),
                *(
                    (
                        title(item.quantity),
                        figure(item.planned, item.unit),
                        figure(item.happened, item.unit),
                        figure(item.ex_post, item.unit),
                    )
                    for item in found.outcomes
                ),
            ),
        )
        return (facts, shares, outcomes)

    def next_command(self) -> str:
        return f"dagcast fit --project {self.folder}    (with the week that has passed)"


def retro(project: Project, plan: str | None = None, *, progress: Progress = silent) -> RetroResult:
    """Compare a carried-out plan with what would have been best.

    Args:
        project: whose store holds what happened.
        plan: which plan; the approved one with the latest horizon by default.
        progress: told what is going on.

    Raises:
        ProjectError: no plan is approved, or its hours are not in the store yet.
        UsageError: no plan has that name.
    """
    from dagcast_core.decide import Options, Plan, retrospect

    record = project.journal.find(plan) if plan else newest_approved(project)
    folder = plan_folder(project, record.plan)
    summary, outlook = PlanSummary.load(folder), Outlook.load(folder)
    session = open_session(project)
    times = _times(summary)
    _require_actuals(session, times, record)
    fitted = load_fit(session, str(summary.provenance["fit"]))
    setting = make_setting(session, times)
    executed, actuals = happened_in(session, times)
    solver = project.config.solver
    progress("solving with the future known, and attributing the regret", None)
    found = retrospect(
        setting.problem(fitted.model, draws=fitted.draws),
        executed,
        actuals,
        planned=Plan.load(folder / SOLVED),
        options=Options(gap=solver.tolerance * 10, violation=solver.tolerance),
        seed=project.config.seeds.plan,
    )
    hindsight = _hindsight(project, summary, setting, executed, actuals, found)
    page = project.reports / f"retro-{record.plan}.html"
    result = RetroResult(project.folder, hindsight, page)
    progress("composing the page", None)
    _write(project, record, result, outlook, actuals, found)
    write_text(project.reports / f"retro-{record.plan}.json", json.dumps(plain(result), indent=1))
    project.record(
        "looked back",
        plan=record.plan,
        details={"regret": round(found.regret, 2), "share": round(found.share, 4)},
    )
    return result


def _times(summary: PlanSummary) -> Moments:
    was = summary.provenance
    first, last = (pd.Timestamp(moment) for moment in was["history"])
    start, end = (pd.Timestamp(moment) for moment in was["horizon"])
    return Moments(pd.Timestamp(was["data_moment"]), first, last, start, end)


def _require_actuals(session: Session, times: Moments, record: PlanRecord) -> None:
    if session.times.last < times.end:
        raise ProjectError(
            f"what happened until {times.end:%Y-%m-%d %H:%M} UTC, the end of {record.plan}",
            f"a store that ends with {session.times.last:%Y-%m-%d %H:%M}",
            f"Ingest the events of those hours with `dagcast ingest --project "
            f"{session.project.folder}` (simulated ones: `dagcast simulate --play`).",
        )


def _hindsight(
    project: Project,
    summary: PlanSummary,
    setting: Setting,
    executed: "Panel",
    actuals: "Panel",
    found: "Retrospective",
) -> Hindsight:
    lever = next(iter(project.config.levers))
    quantities = setting.quantities
    shown = ("sessions", "driver_hours", "eta", "prime_time", "rides", "profit")
    planned = _arrays(found.planned.forecast, quantities)
    ex_post = _arrays(found.ex_post.forecast, quantities)
    happened = _arrays(actuals, quantities)
    outcomes = tuple(
        OutcomeGap(
            name,
            overall(planned, quantities[name]),
            overall(_observed(happened), quantities[name]),
            overall(ex_post, quantities[name]),
            total_unit(quantities[name].unit),
        )
        for name in shown
        if name in happened and name in planned
    )
    return Hindsight(
        plan=summary.plan,
        objective=summary.objective,
        unit=found.unit,
        regret=found.regret,
        share=found.share,
        attainable=found.attainable,
        execution_gap=found.execution_gap,
        shares=tuple(
            RegretShare(item.member, item.value, item.standard_error) for item in found.attribution
        ),
        violation=found.violation,
        priced=found.priced,
        spent=(
            float(found.planned.decisions[lever].tensor.sum()),
            float(executed[lever].tensor.sum()),
            float(found.ex_post.decisions[lever].tensor.sum()),
        ),
        outcomes=outcomes,
        solves=found.solves,
        caution=found.caution,
    )


def _arrays(panel: "Panel", quantities: Mapping[str, Any]) -> dict[str, Any]:
    import numpy as np

    return {
        name: panel[name].values("region", "hour").detach().numpy().astype(np.float64)
        for name in panel
        if name in quantities and set(panel[name].dims) == {"region", "hour"}
    }


def _observed(arrays: Mapping[str, Any]) -> dict[str, Any]:
    # A mean over nothing, such as the ETA of an hour without sessions, weighs nothing.
    import numpy as np

    return {name: np.nan_to_num(values) for name, values in arrays.items()}


def _violation(violation: float, priced: float) -> str:
    if violation <= 1e-6:
        return "all kept"
    return f"missed by up to {violation:.1%}, worth {money(priced)} at the ex-post prices"


def _write(
    project: Project,
    record: PlanRecord,
    result: RetroResult,
    outlook: Outlook,
    actuals: "Panel",
    found: "Retrospective",
) -> None:
    from dagcast.review import render, retro_page
    from dagcast.workflow.common._wording import state_in_words, zone_of

    lever = next(iter(project.config.levers))
    difference = found.decision_difference[lever]
    dims = ("incentive", "region", "hour")
    layers = dict(
        zip(
            [str(label) for label in difference.index("incentive")],
            difference.values(*dims).detach().numpy(),
            strict=True,
        )
    )
    page = retro_page(
        result.hindsight,
        outlook,
        happened=_by_outlook(actuals, outlook),
        ex_post=_by_outlook(found.ex_post.forecast, outlook),
        decision_difference=layers,
        project=project.config.name,
        state=state_in_words(record),
        zone=zone_of(project),
    )
    write_text(result.page, render(page))


def _by_outlook(panel: "Panel", outlook: Outlook) -> dict[str, Any]:
    """Arrays (region, hour) in the outlook's order of regions."""
    found = {}
    for name in panel:
        if name in outlook.paths["plan"] and set(panel[name].dims) == {"region", "hour"}:
            chosen = panel[name].sel(region=list(outlook.regions))
            found[name] = chosen.values("region", "hour").detach().numpy()
    return found
