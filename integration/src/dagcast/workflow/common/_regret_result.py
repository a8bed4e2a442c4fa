"""Regret of the plans of past weeks: by candidate, paired, and as tables."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

from dagcast.figures import amount
from dagcast.workflow.common._result import Result, ResultTable

if TYPE_CHECKING:
    pass


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
        unit: of the objective.
    """

    candidate: str
    against: str
    difference: float
    low: float
    high: float
    by_judge: Mapping[str, float]
    verdict: str
    unit: str

    @property
    def words(self) -> str:
        """The verdict in a sentence."""
        low, high = (amount(end, self.unit, signed=True) for end in (self.low, self.high))
        interval = f"{low} to {high}"
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
        unit: of the objective.
        pairs: every further candidate against the first.
    """

    folder: Path
    candidates: tuple[CandidateRegret, ...]
    unit: str
    pairs: tuple[PairedRegret, ...] = ()

    def tables(self) -> tuple[ResultTable, ...]:
        tables = regret_tables(self.candidates, self.unit)
        return (*tables, verdict_table(self.pairs)) if self.pairs else tables

    def next_command(self) -> str:
        if not self.pairs:
            return f"dagcast plan --project {self.folder}"
        return f"edit [serving] in {self.folder / 'dagcast.toml'} to choose one"

    def exit_code(self) -> int:
        return 3 if any(item.verdict == "worse" for item in self.pairs) else 0


def paired(candidate: CandidateRegret, first: CandidateRegret, unit: str) -> PairedRegret:
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
    return PairedRegret(
        candidate.candidate, first.candidate, mean, low, high, by_judge, verdict, unit
    )


def regret_tables(found: Sequence[CandidateRegret], unit: str) -> tuple[ResultTable, ...]:
    """Regret by candidate, by week and by member."""
    weeks = len(found[0].weeks)
    judged = " and of every other candidate" if len(found) > 1 else ""
    summary = ResultTable(
        "Regret of the plans of past weeks",
        ("candidate", "mean of a week", "of the attainable gain", "plans move by"),
        tuple(
            (
                item.candidate,
                amount(item.mean, unit),
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
                *(
                    amount(item.weeks[n].regret, unit) + _remark(item.weeks[n].status)
                    for item in found
                ),
            )
            for n, week in enumerate(found[0].weeks)
        ),
    )
    members = dict.fromkeys(name for item in found for name in item.shares)
    by_member = ResultTable(
        "Regret by model, mean of a week",
        ("model", *(item.candidate for item in found)),
        tuple(
            (name, *(amount(item.shares.get(name, 0.0), unit, signed=True) for item in found))
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
                amount(item.difference, item.unit, signed=True),
                item.words,
                *(amount(value, item.unit, signed=True) for value in item.by_judge.values()),
            )
            for item in pairs
        ),
        "paired over weeks, 95 % interval; negative is better",
    )


def _judges(names: Iterable[str]) -> tuple[str, ...]:
    """Columns that are no wider than they need: the distribution alone."""
    return tuple(f"by {name.partition('=')[2] or name}" for name in names)


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
