"""Stage 10: what happened, what would have been best, and which model made the difference."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, final

import numpy as np

from dagcast._whole import write_text
from dagcast.errors import ProjectError
from dagcast.figures import listed, share
from dagcast.journal import PlanRecord
from dagcast.plans import (
    Hindsight,
    LeverGap,
    OutcomeGap,
    Outlook,
    PlanSummary,
    Reading,
    RegretShare,
    arrays,
    overall,
)
from dagcast.project import Project
from dagcast.workflow.common._earlier import reference_of, times_of
from dagcast.workflow.common._fits import load_fit
from dagcast.workflow.common._happened import happened_in
from dagcast.workflow.common._horizon import Moments
from dagcast.workflow.common._outlooks import alternatives
from dagcast.workflow.common._plan_files import SOLVED, newest_approved, plan_folder
from dagcast.workflow.common._problem import Setting, make_setting
from dagcast.workflow.common._promised import (
    keep_promises,
    past_promises,
    promised_lifts,
    promised_outcomes,
)
from dagcast.workflow.common._reality import reality_of
from dagcast.workflow.common._result import Progress, Result, ResultTable, plain, silent
from dagcast.workflow.common._session import Session, open_session
from dagcast.workflow.common._shown import adds_up, shown_quantities

if TYPE_CHECKING:
    from dagcast.review import Reality
    from dagcast_core.decide import Retrospective
    from dagcast_core.tensor import Panel

_SHOWN_MISSES = 12
_ATTRIBUTING = "solving with the future known, and attributing the regret"


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
            "Regret",
            ("what", "is"),
            (
                ("regret", f"{found.worth(found.regret)} of {found.objective}"),
                (
                    "share of the attainable gain",
                    f"{found.share:.1%} of {found.worth(found.attainable)}",
                ),
                (
                    "carried out otherwise than planned",
                    found.worth(found.execution_gap, signed=True),
                ),
                *((("caution", found.worth(found.caution, signed=True)),) if found.caution else ()),
                ("guardrails as they came out", found.kept),
                ("page", str(self.page)),
            ),
        )
        shares = ResultTable(
            "Regret by model",
            ("model", "cost", "of the regret"),
            tuple(
                (
                    item.member,
                    found.worth(item.value, signed=True),
                    share(item.value, found.regret),
                )
                for item in found.shares
            ),
            "negative: its errors happened to help"
            + (
                f"; nobody observes what comes out of {listed(found.unobserved)}: errors of it "
                "count with the models behind it"
                if found.unobserved
                else ""
            ),
        )
        outcomes = ResultTable(
            "Planned and happened",
            ("outcome", "planned", "happened", "ex-post plan"),
            (
                *(
                    (
                        found.readings[item.lever].title,
                        *(
                            found.readings[item.lever].figure(value)
                            for value in (item.planned, item.carried_out, item.ex_post)
                        ),
                    )
                    for item in found.levers
                ),
                *(
                    (
                        found.readings[item.quantity].title,
                        *(
                            found.readings[item.quantity].figure(value)
                            for value in (item.planned, item.happened, item.ex_post)
                        ),
                    )
                    for item in found.outcomes
                ),
            ),
        )
        return (*self._promises(), facts, shares, outcomes)

    def _promises(self) -> tuple[ResultTable, ...]:
        """What was promised and what was got, which comes before what could have been."""
        found = self.hindsight
        whole = [item for item in found.promises if not item.row]
        missed = [item for item in found.promises if item.row and not item.held]
        rows = sum(1 for item in found.promises if item.row)
        promised = ResultTable(
            f"{found.plan}: promised and got",
            ("outcome", "promised", "interval", "happened", "interval held"),
            tuple((found.title(item), *found.shown(item)) for item in whole),
            found.kept_words + (f"; row by row {rows - len(missed)} of {rows}" if rows else ""),
        )
        tables = [promised] if whole else []
        if missed:
            tables.append(
                ResultTable(
                    "Outside their intervals",
                    ("row", "outcome", "promised", "interval", "happened", ""),
                    tuple(
                        (item.row, found.title(item), *found.shown(item))
                        for item in missed[:_SHOWN_MISSES]
                    ),
                    f"and {len(missed) - _SHOWN_MISSES} more in the JSON"
                    if len(missed) > _SHOWN_MISSES
                    else "",
                )
            )
        if found.lifts:
            tables.append(
                ResultTable(
                    "Gains, re-estimated with what happened",
                    ("of", "over", "promised", "interval", "re-estimated", "interval held"),
                    tuple(
                        (
                            found.title(item),
                            found.arms.get(item.over, item.over),
                            *found.shown(item),
                        )
                        for item in found.lifts
                    ),
                    "by the models with everything that they did not foresee; nobody observes what "
                    "would have happened otherwise",
                )
            )
        return tuple(tables)

    def next_command(self) -> str:
        return f"dagcast fit --project {self.folder}    (with the hours that have passed)"


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
    from dagcast_core.tensor import Panel

    record = project.journal.find(plan) if plan else newest_approved(project)
    folder = plan_folder(project, record.plan)
    summary, outlook = PlanSummary.load(folder), Outlook.load(folder)
    session = open_session(project)
    times = times_of(summary)
    _require_actuals(session, times, record)
    fitted = load_fit(session, str(summary.provenance["fit"]))
    setting = make_setting(session, times, reference=reference_of(summary))
    executed, actuals = happened_in(session, times)
    solver = project.config.solver
    progress(_ATTRIBUTING, None)
    found = retrospect(
        setting.problem(fitted.model, draws=fitted.draws),
        executed,
        actuals,
        planned=Plan.load(folder / SOLVED),
        options=Options(gap=solver.tolerance * 10, violation=solver.tolerance),
        others={name: Panel(dict(given)) for name, (_, given) in alternatives(setting).items()},
        seed=project.config.seeds.plan,
        progress=lambda solved, of: progress(_ATTRIBUTING, solved / of),
    )
    hindsight = _hindsight(project, summary, outlook, setting, executed, actuals, found)
    outcomes, _ = promised_outcomes(session, record.plan, outlook, actuals)
    hindsight = replace(
        hindsight,
        promises=outcomes,
        lifts=promised_lifts(session, record.plan, outlook, found.ex_post_forecasts),
        arms=outlook.arms,
        readings={**outlook.readings, **hindsight.readings},
        unobserved=tuple(
            name
            for name in fitted.model.members
            if not set(fitted.model.outputs_of(name)) & set(actuals)
        ),
    )
    page = project.reports / f"retro-{record.plan}.html"
    result = RetroResult(project.folder, hindsight, page)
    progress("composing the page", None)
    reality = reality_of(outlook, setting, executed, actuals, found, past_promises(session)[0])
    _write(project, record, result, outlook, reality)
    write_text(project.reports / f"retro-{record.plan}.json", json.dumps(plain(result), indent=1))
    # Lifts of this plan count from now on, which its own figures have just told.
    keep_promises(project, *past_promises(session)[:2])
    project.record(
        "looked back",
        plan=record.plan,
        details={"regret": round(found.regret, 2), "share": round(found.share, 4)},
    )
    return result


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
    outlook: Outlook,
    setting: Setting,
    executed: "Panel",
    actuals: "Panel",
    found: "Retrospective",
) -> Hindsight:
    quantities, axes = setting.quantities, setting.axes
    shown = {item.name: item for item in shown_quantities(setting.session)}
    planned = arrays(found.planned.forecast, shown, axes)
    ex_post = arrays(found.ex_post.forecast, shown, axes)
    # A mean over nothing, such as the ETA of an hour without sessions, weighs nothing.
    happened = {n: np.nan_to_num(v) for n, v in arrays(actuals, shown, axes).items()}
    # What was planned is what was shown: the mean of draws, not what fitted parameters forecast.
    promised = outlook.totals["plan"]
    outcomes = tuple(
        OutcomeGap(
            name,
            promised[name].mid if name in promised else overall(planned, quantities[name], axes),
            overall(happened, quantities[name], axes),
            overall(ex_post, quantities[name], axes),
        )
        for name in shown
        if name in happened and name in planned
    )
    readings = {
        name: Reading.of(quantities[name])
        for name in (*project.config.levers, *(item.quantity for item in outcomes))
    }
    levers = tuple(
        LeverGap(
            name,
            *(
                float(t.tensor.sum() if adds_up(quantities[name]) else t.tensor.mean())
                for t in (
                    found.planned.decisions[name],
                    executed[name],
                    found.ex_post.decisions[name],
                )
            ),
        )
        for name in project.config.levers
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
        levers=levers,
        outcomes=outcomes,
        readings=readings,
        solves=found.solves,
        caution=found.caution,
    )


def _write(
    project: Project,
    record: PlanRecord,
    result: RetroResult,
    outlook: Outlook,
    reality: "Reality",
) -> None:
    from dagcast.review import render, retro_page
    from dagcast.workflow.common._wording import clocks_of, state_in_words

    zone, zones = clocks_of(project)
    page = retro_page(
        result.hindsight,
        outlook,
        reality=reality,
        project=project.config.name,
        state=state_in_words(record, zone),
        zone=zone,
        zones=zones,
    )
    write_text(result.page, render(page))
