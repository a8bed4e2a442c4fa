"""Why to believe the models behind a plan, and where it comes from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from dagcast.figures import number
from dagcast.plans import PlanSummary
from dagcast.review._content import Block, Column, Forest, Interval, Section, Table, Text


@final
@dataclass(frozen=True)
class PlanEvidence:
    """What speaks for the models behind a plan, each part only if its stage was run.

    Attributes:
        effects: measured against modelled effects.
        accuracy: backtest rows: quantity, MASE, seasonal naive, hour-of-week mean, unit.
        notes: of the two.
    """

    effects: tuple[Interval, ...] = ()
    accuracy: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()


def believed(summary: PlanSummary, evidence: PlanEvidence) -> Section:
    blocks: list[Block] = []
    if evidence.effects:
        blocks.append(
            Forest(
                evidence.effects,
                "What an experiment measured beside what own data and all other experiments "
                "lead to expect; an experiment says little where it could not contradict that. "
                "Each row has its own scale; the thin line marks no effect. Intervals are 95 %.",
            )
        )
    else:
        blocks.append(Text("Validity against experiments was not computed: run dagcast validate."))
    if evidence.accuracy:
        columns = ("Quantity", "MASE", "Seasonal naive", "Hour-of-week mean")
        blocks.append(
            Table(
                (Column(columns[0], numeric=False), *(Column(name) for name in columns[1:])),
                evidence.accuracy,
                caption="Backtest, one week ahead: below 1 beats repeating last week",
            )
        )
    else:
        blocks.append(Text("The models were not backtested: run dagcast backtest."))
    blocks += [Text(note) for note in evidence.notes]
    return Section(
        "evidence",
        "Why to believe it",
        "Measured effects of experiments beside what the models say, and how the models would have "
        "forecast past weeks.",
        tuple(blocks),
        short="Models",
    )


def provenance(summary: PlanSummary) -> Section:
    rows: list[tuple[str, str]] = [("optimisation", summary.certificate)]
    for name, value in summary.provenance.items():
        rows.append((name.replace("_", " "), _plain(value)))
    rows.append(("solver time", f"{summary.seconds:.1f} s"))
    if summary.message:
        rows.append(("solver message", summary.message))
    return Section(
        "provenance",
        "Where it comes from",
        "With these, dagcast plan --replay makes the same plan again.",
        (Table((Column("", numeric=False), Column("", numeric=False)), tuple(rows), visible=30),),
        short="Source",
    )


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {item}" for name, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " to ".join(str(item) for item in value)
    return str(value) if not isinstance(value, float) else number(value)
