"""What a project has so far: data, fit, gates and plans, as the log and the store tell it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

from dagcast.errors import answers_input
from dagcast.figures import counted
from dagcast.journal import Entry, PlanRecord
from dagcast.project import Project
from dagcast.workflow.common._gates import VALIDITY, failed_gates
from dagcast.workflow.common._promised import REPORT
from dagcast.workflow.common._result import ResultTable

# Plans that are shown, the newest first; the log has them all.
_SHOWN = 5
_MINUTE = "%Y-%m-%d %H:%M"


@final
@dataclass(frozen=True)
class Part:
    """One part of a project.

    Attributes:
        part: ``data``, ``fit`` or a gate.
        state: ``ok``, ``refused``, ``failed``, or ``to come``.
        found: in words.
    """

    part: str
    state: str
    found: str


@final
@dataclass(frozen=True)
class PlanLine:
    """One plan as the log has it.

    Attributes:
        plan: its name.
        state: ``proposed``, ``approved``, ``rejected`` or ``superseded``.
        hours: first hour that it decides about, UTC.
        by: who brought it there.
        at: when, UTC.
        why: the reason that was given.
    """

    plan: str
    state: str
    hours: str
    by: str
    at: str
    why: str


@final
@dataclass(frozen=True)
class Standing:
    """What a project has so far.

    Attributes:
        parts: data, fit and gates.
        plans: the newest first.
        more: plans that are older than those.
    """

    parts: tuple[Part, ...]
    plans: tuple[PlanLine, ...]
    more: int

    def tables(self) -> tuple[ResultTable, ...]:
        """Two tables; the second only where there are plans."""
        rows = tuple((item.part, item.state, item.found) for item in self.parts)
        tables = [ResultTable("What there is", ("part", "state", "what"), rows)]
        if self.plans:
            heads = ("plan", "state", "hours from, UTC", "by", "why")
            lines = tuple((p.plan, p.state, p.hours, p.by, p.why) for p in self.plans)
            note = f"and {counted(self.more, 'older plan')}: dagcast log" if self.more else ""
            tables.append(ResultTable("Plans", heads, lines, note))
        return tuple(tables)


def standing_of(project: Project) -> Standing:
    """Look at what there is; nothing is changed, and what cannot be read says so in its place."""
    entries = project.journal.entries()
    parts = tuple(
        _asked(name, look, project, entries)
        for name, look in (
            ("data", _data),
            ("fit", _fit),
            ("validated", _validated),
            ("backtested", _backtested),
            ("promises", _promises),
        )
    )
    records = list(project.journal.plans().values())[::-1]
    lines = tuple(_line(record) for record in records[:_SHOWN])
    return Standing(parts, lines, max(0, len(records) - _SHOWN))


_Look = Callable[[Project, tuple[Entry, ...]], tuple[str, str]]


def _asked(name: str, look: _Look, project: Project, entries: tuple[Entry, ...]) -> Part:
    try:
        return Part(name, *look(project, entries))
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Part(name, "failed", (str(error).splitlines() or [""])[0])
    except Exception as error:
        if not answers_input(error):
            raise
        return Part(name, "failed", getattr(error, "found", "") or str(error))


def _line(record: PlanRecord) -> PlanLine:
    return PlanLine(
        record.plan,
        record.state,
        record.horizon_start[:16].replace("T", " "),
        record.entry.who,
        f"{record.entry.at:{_MINUTE}}",
        record.entry.why,
    )


def _last(entries: tuple[Entry, ...], event: str) -> Entry | None:
    return next((entry for entry in reversed(entries) if entry.event == event), None)


def _data(project: Project, entries: tuple[Entry, ...]) -> tuple[str, str]:
    from dagcast_core.data import MetricStore

    line = _last(entries, "ingested")
    if line is None:
        return "to come", "nothing was ingested yet"
    spans = MetricStore(project.store).spans()
    if not spans:
        return "to come", "the store is empty"
    ends = {f"{span.end:{_MINUTE}}" for span in spans.values()}
    start = min(span.start for span in spans.values())
    upto = f"to {ends.pop()}" if len(ends) == 1 else f"to {min(ends)} or later"
    read, accepted = (sum(pair[k] for pair in line.details["rows"].values()) for k in (0, 1))
    aside = f"; {read - accepted:,} of the last {read:,} rows not taken" if read > accepted else ""
    return "ok", f"{counted(len(spans), 'table')} from {start:{_MINUTE}} {upto} UTC{aside}"


def _fit(project: Project, entries: tuple[Entry, ...]) -> tuple[str, str]:
    line = _last(entries, "fitted")
    if line is None:
        return "to come", "nothing was fitted yet"
    status = line.details.get("status", "converged")
    said = f"{line.details.get('fit')}, {status}, {line.at:{_MINUTE}} UTC by {line.who}"
    return ("ok" if status == "converged" else "refused"), said


def _validated(project: Project, entries: tuple[Entry, ...]) -> tuple[str, str]:
    line, fit = _last(entries, "validated"), _last(entries, "fitted")
    newest = None if fit is None else fit.details.get("fit")
    if line is None or line.details.get("fit") != newest:
        return "to come", f"{newest or 'no fit'} was not held against the experiments"
    failed = failed_gates(project, newest)
    verdicts: dict[str, int] = {}
    try:
        rows = json.loads((project.reports / VALIDITY).read_text(encoding="utf-8"))["rows"]
        for row in rows:
            verdicts[row["verdict"]] = verdicts.get(row["verdict"], 0) + 1
    except (OSError, ValueError, KeyError, TypeError):
        # A report can be lost or of another version; what it found is in the log.
        return ("refused", "; ".join(failed)) if failed else ("ok", f"{newest} passed")
    said = ", ".join(f"{verdict} {count}" for verdict, count in sorted(verdicts.items()))
    said = f"{counted(len(rows), 'experiment')}: {said}"
    return ("refused", f"{said}; {'; '.join(failed)}") if failed else ("ok", said)


def _backtested(project: Project, entries: tuple[Entry, ...]) -> tuple[str, str]:
    line = _last(entries, "backtested")
    if line is None:
        return "to come", "the past was not forecast yet"
    figures: dict[str, Any] = {n: v for n, v in line.details.items() if isinstance(v, float)}
    said = ", ".join(f"{name} {value:.2f}" for name, value in figures.items())
    later = _last(entries, "fitted")
    older = "; before the newest fit" if later is not None and later.at > line.at else ""
    if refused := line.details.get("refused"):
        return "refused", str(refused)
    return "ok", f"MASE {said}{older}" if said else f"{line.at:{_MINUTE}} UTC{older}"


def _promises(project: Project, entries: tuple[Entry, ...]) -> tuple[str, str]:
    from dagcast.plans import Promise
    from dagcast.workflow.common._promised import in_words

    path = project.reports / REPORT
    if not path.is_file():
        return "to come", "no week of an approved plan was looked back at"
    items = [Promise(**item) for item in json.loads(path.read_text("utf-8"))["promises"]]
    return ("ok", in_words(items)) if items else ("to come", "no week of a plan is over")
