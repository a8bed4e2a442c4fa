"""Where a project stands in its week: which step comes next, or what it waits for.

Nothing is kept for this but the log: every step leaves a line there when it is done, and a step is
due where no line says that it was done on what there is now. So a command that was killed goes on
where it was, and one that is run again finds nothing to do.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, final

import pandas as pd

from dagcast.figures import listed
from dagcast.journal import PROPOSALS, Entry, PlanRecord
from dagcast.project import Project
from dagcast.workflow.common._declared_limits import week_limits
from dagcast.workflow.common._gates import failed_gates
from dagcast.workflow.common._horizon import HOUR, moments, open_store, require_logged
from dagcast.workflow.common._newness import inputs_of, settings_of
from dagcast.workflow.common._session import open_session

if TYPE_CHECKING:
    from dagcast.workflow.common._horizon import Moments
    from dagcast_core.data import MetricStore

# Lines of the log that steps without a line of their own leave.
WEEK = "week"

Step = Literal[
    "ingest", "quality", "promises", "fit", "validate", "backtest", "gates", "plan", "review",
    "approve",
]  # fmt: skip
STEPS: tuple[Step, ...] = (
    "ingest", "quality", "promises", "fit", "validate", "backtest", "gates", "plan", "review",
    "approve",
)  # fmt: skip
State = Literal[
    "due", "stale", "refused", "infeasible", "waiting", "rejected", "approved", "running", "failed",
    "busy",
]  # fmt: skip
# What each state ends a command with; see `dagcast --help`.
CODES: Mapping[State, int] = {
    "due": 0,
    "approved": 0,
    "running": 0,
    "failed": 1,
    "busy": 1,
    "stale": 3,
    "refused": 3,
    "infeasible": 4,
    "waiting": 5,
    "rejected": 5,
}


@final
@dataclass(frozen=True)
class Position:
    """Where a project stands in its week.

    Attributes:
        state: ``due`` where a step can be taken, else why none can.
        step: that is due, or at which the week stands.
        why: in words.
        week: first hour to decide about, ISO UTC; None before anything was ingested.
        known: the hour after the last that was observed, ISO UTC.
        fit: the newest, where the week got so far.
        plan: the plan that is open or decided for these hours, if any.
        subject: plans that the step is about.
    """

    state: State
    step: Step
    why: str
    week: str | None = None
    known: str | None = None
    fit: str | None = None
    plan: str | None = None
    subject: tuple[str, ...] = ()

    @property
    def code(self) -> int:
        """The exit code that says so."""
        return CODES[self.state]


def position(
    project: Project, *, now: pd.Timestamp | None = None, ingested: bool = True
) -> Position:
    """Find the step that comes next; nothing is changed.

    Args:
        project: the project.
        now: the moment by which data are judged to be stale; the clock by default.
        ingested: whether what lies among the events was read just now.

    Raises:
        ProjectError: nothing was ingested, or the store is not what the log tells of.
    """
    if not ingested or not _holds_data(project):
        return Position("due", "ingest", "event files and declared sources may hold news")
    store = open_store(project)
    times = moments(project, store)
    at = _At(project, store, times, project.journal.entries())
    for found in at.steps(now or pd.Timestamp.now("UTC")):
        if found is not None:
            return found
    raise AssertionError("the last step always says where it stands")


@final
@dataclass(frozen=True)
class _At:
    """What the questions of all steps are answered from."""

    project: Project
    store: "MetricStore"
    times: "Moments"
    entries: tuple[Entry, ...]

    def steps(self, now: pd.Timestamp) -> Iterator[Position | None]:
        """Each step's answer, in their order: None where it is done."""
        yield self.stale(now)
        yield self.under_way()
        yield self.quality()
        yield self.promises()
        session = open_session(self.project)
        yield self.fit(inputs_of(session))
        fit = self.project.newest_fit()
        yield self.validate(fit)
        yield self.backtest()
        yield self.gates(fit)
        yield self.plan(fit, now)

    def found(self, state: State, step: Step, why: str, **more: Any) -> Position:
        start, known = self.times.start, self.times.last + HOUR
        return Position(state, step, why, start.isoformat(), known.isoformat(), **more)

    def stale(self, now: pd.Timestamp) -> Position | None:
        """Data that stopped coming: all of them, or one table beside the others."""
        settings = self.project.config.week
        spans, tables = self.store.spans(), self.store.tables()
        seen = {name: span for name, span in spans.items() if not tables[name].foreseeable}
        newest = max((span.end for span in seen.values()), default=self.times.last)
        if settings.max_age_hours is not None:
            age = (now - newest - HOUR) / HOUR
            if age > settings.max_age_hours:
                why = (
                    f"the newest data are of {newest:%Y-%m-%d %H:%M} UTC, {age:,.0f} hours ago; "
                    f"max_age_hours of [week] is {settings.max_age_hours:g}"
                )
                return self.found("stale", "ingest", why)
        behind = [
            f"{name} ends {span.end:%Y-%m-%d %H:%M} UTC"
            for name, span in seen.items()
            if (newest - span.end) / HOUR > settings.max_lag_hours
        ]
        if behind:
            why = (
                f"{listed(behind)}, other data {newest:%Y-%m-%d %H:%M}; max_lag_hours of [week] "
                f"is {settings.max_lag_hours:g}"
            )
            return self.found("stale", "ingest", why)
        return None

    def under_way(self) -> Position | None:
        """An approved plan for the hours to come: until they are over nothing is to be decided."""
        for record in self.project.journal.plans().values():
            start = pd.Timestamp(record.horizon_start)
            if record.state != "approved" or not start <= self.times.start < self._end(record):
                continue
            state: State = "approved" if start == self.times.start else "running"
            why = (
                f"{record.plan} is approved for the hours from {start:%Y-%m-%d %H:%M} to "
                f"{self._end(record):%Y-%m-%d %H:%M} UTC by {record.entry.who}"
            )
            return self.found(state, "approve", why, plan=record.plan)
        return None

    def quality(self) -> Position | None:
        """Whether the store was judged as it is, and rows that could not be used."""
        line = self._line("quality", store=self.store.manifest_id)
        if line is None:
            return self.found("due", "quality", "the data have not been judged as they are now")
        limit = self.project.config.week.max_set_aside
        if line.details.get("limit", limit) != limit:
            return self.found("due", "quality", "the data were refused under another limit")
        if line.details.get("refused"):
            return self.found("refused", "quality", str(line.details["refused"]))
        return None

    def promises(self) -> Position | None:
        """Whether past plans were looked back at."""
        over = [
            record.plan
            for record in self.project.journal.plans().values()
            if record.state == "approved" and self._end(record) <= self.times.last + HOUR
        ]
        if not over or self._line("promises", store=self.store.manifest_id) is not None:
            return None
        back = {entry.plan for entry in self.entries if entry.event == "looked back"}
        unseen = tuple(plan for plan in over if plan not in back)
        why = f"the hours of {listed(unseen)} are over" if unseen else "more is known of past weeks"
        return self.found("due", "promises", why, subject=unseen)

    def fit(self, inputs: str) -> Position | None:
        """Whether the newest fit follows from what there is now."""
        fits = list(self.project.journal.fits().values())
        if not fits:
            return self.found("due", "fit", "nothing was fitted yet")
        if fits[-1].details.get("inputs") != inputs:
            why = "data, experiments, packages or settings are news to the newest fit"
            return self.found("due", "fit", why)
        return None

    def validate(self, fit: str) -> Position | None:
        """Whether the newest fit was held against the experiments."""
        last = self._last("validated")
        if last is None or last.details.get("fit") != fit:
            return self.found("due", "validate", f"{fit} was not validated", fit=fit)
        return None

    def backtest(self) -> Position | None:
        """Whether the past was forecast since the newest fit."""
        events = [entry.event for entry in self.entries]
        fitted = len(events) - events[::-1].index("fitted")
        if "backtested" not in events[fitted:]:
            why = "the newest week was not forecast as of its own past"
            return self.found("due", "backtest", why, fit=self.project.newest_fit())
        return None

    def gates(self, fit: str) -> Position | None:
        """What the fit was put through and did not pass."""
        failed = failed_gates(self.project, fit)
        return self.found("refused", "gates", "; ".join(failed), fit=fit) if failed else None

    def plan(self, fit: str, now: pd.Timestamp) -> Position:
        """What there is for the hours to decide about, and what may be done with it."""
        mine = [
            record
            for record in self.project.journal.plans().values()
            if pd.Timestamp(record.horizon_start) == self.times.start
            and record.state != "superseded"
        ]
        # A rejected edit leaves its parent open, which then is what there is to decide.
        open_ones = [record for record in mine if record.state == "proposed"]
        record = next(iter([*reversed(open_ones), *reversed(mine)]), None)
        if record is None or not self._answers(record, fit):
            why = "nothing is planned for these hours by this fit under these settings"
            return self.found("due", "plan", why, fit=fit)
        end = self.project.rules.end_of(record)
        if record.state == "proposed" and end is not None and end <= now:
            why = f"{record.plan} expired at {end:%Y-%m-%d %H:%M} UTC, undecided"
            return self.found("due", "plan", why, fit=fit)
        known: dict[str, Any] = {"fit": fit, "plan": record.plan}
        proposal = self.project.journal.proposal(record.plan)
        assert proposal is not None
        if record.state == "rejected":
            why = (
                f"{record.entry.who} rejected {record.plan}"
                f"{f': {record.entry.why}' if record.entry.why else ''}; change the settings, or "
                "propose another plan by hand"
            )
            return self.found("rejected", "approve", why, **known)
        page = self.project.reports / f"review-{record.plan}.html"
        if not page.is_file() or not self._reviewed(record.plan):
            why = f"{record.plan} has no page to be decided by"
            return self.found("due", "review", why, **known, subject=(record.plan,))
        if proposal.details.get("status") == "infeasible":
            why = f"no plan keeps all limits; {record.plan} comes closest"
            return self.found("infeasible", "plan", why, **known)
        if not self.project.config.week.approve:
            return self.found("waiting", "approve", f"{record.plan} is to be decided", **known)
        weighed = self._line("approve", plan=record.plan, settings=week_limits(self.project))
        if weighed is None:
            why = f"{record.plan} is to be weighed by the limits of [week]"
            return self.found("due", "approve", why, **known, subject=(record.plan,))
        why = f"{record.plan} is to be decided by a person: {weighed.details['beyond']}"
        return self.found("waiting", "approve", why, **known)

    def _answers(self, record: PlanRecord, fit: str) -> bool:
        """Whether a plan was made on this store, by this fit, under these settings."""
        proposal = self.project.journal.proposal(record.plan)
        if proposal is None:
            return False
        details = proposal.details
        made_on = (details.get("store"), details.get("fit"), details.get("settings"))
        return made_on == (self.store.manifest_id, fit, settings_of(self.project.config))

    def _reviewed(self, plan: str) -> bool:
        events = [entry.event for entry in self.entries if entry.plan == plan]
        made = max(k for k, event in enumerate(events) if event in PROPOSALS)
        return "reviewed" in events[made:]

    def _line(self, step: Step, **given: str) -> Entry | None:
        """The newest line that says what a step found of what is given."""
        for entry in reversed(self.entries):
            details = entry.details
            if entry.event != WEEK or details.get("step") != step:
                continue
            if all(details.get(name) == value for name, value in given.items()):
                return entry
        return None

    def _last(self, event: str) -> Entry | None:
        return next((entry for entry in reversed(self.entries) if entry.event == event), None)

    def _end(self, record: PlanRecord) -> pd.Timestamp:
        """The hour after a plan's last."""
        proposal = self.project.journal.proposal(record.plan)
        hours = self.project.config.horizon.hours
        if proposal is not None:
            hours = int(proposal.details.get("hours", hours))
        return pd.Timestamp(record.horizon_start) + hours * HOUR


def _holds_data(project: Project) -> bool:
    """Whether anything was ingested, and the log knows of it."""
    from dagcast_core.data import MetricStore

    if not any(project.store.glob("[!.]*")):
        return False
    store = MetricStore(project.store)
    require_logged(project, store)
    return bool(store.spans())
