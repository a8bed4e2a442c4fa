"""Limits, what they cost, and what the objective reacts to."""

from dagcast.figures import amount, words
from dagcast.plans import LimitRow, PlanSummary
from dagcast.review._content import Bar, Block, Column, Section, Table, Text
from dagcast.review.plan_page._words import missed


def standing_of(row: LimitRow) -> str:
    """How a plan stands to a limit: its price, by how much it is missed, or that it is far."""
    if row.binding:
        return row.words
    return f"missed by {row.figure(missed(row))}" if missed(row) else "not binding"


def limits(summary: PlanSummary) -> Section:
    blocks: list[Block] = []
    ordered = sorted(summary.budgets, key=lambda row: (bool(row.label), not row.binding))
    bars = tuple(
        Bar(
            _budget_name(row, several=len(summary.readings) > 1),
            row.used,
            row.limit,
            row.unit,
            row.binding,
            row.words if row.binding else "",
        )
        for row in ordered
    )
    if bars:
        blocks.append(bars)
    rails = sorted(summary.guardrails, key=lambda row: (not missed(row), not row.binding))
    if rails:
        blocks.append(
            Table(
                (
                    Column("Guardrail", numeric=False),
                    Column("For", numeric=False),
                    Column("Expected"),
                    Column("Limit"),
                    *((Column("Kept in draws"),) if summary.risk else ()),
                    Column("Price of the limit", numeric=False),
                ),
                tuple(
                    (
                        row.title,
                        row.label or "all together",
                        row.figure(row.used),
                        f"{'≤' if row.sense == '<=' else '≥'} {row.figure(row.limit)}",
                        *((_kept(row),) if summary.risk else ()),
                        standing_of(row),
                    )
                    for row in rails
                ),
                caption="Guardrails",
                marked=frozenset(n for n, row in enumerate(rails) if row.binding or missed(row)),
            )
        )
    if summary.sensitivities:
        blocks.append(
            Table(
                (
                    Column("If this is 1 % higher", numeric=False),
                    Column("Objective"),
                    Column("In words", numeric=False),
                ),
                tuple(
                    (
                        item.title,
                        amount(item.effect, summary.objective_unit, signed=True),
                        item.words,
                    )
                    for item in sorted(summary.sensitivities, key=lambda i: -abs(i.effect))
                ),
                caption="Sensitivities",
                visible=8,
            )
        )
    return Section(
        "limits",
        "Limits and their prices",
        "A limit that binds has a price: what one more unit of it would be worth.",
        tuple(blocks) or (Text("This plan has no limits."),),
        short="Limits",
    )


def _kept(row: LimitRow) -> str:
    return "" if row.kept is None else f"{row.kept:.0%}"


def _budget_name(row: LimitRow, *, several: bool) -> str:
    """``Budget SFO``; with several levers also of what."""
    what = f"Budget of {words(row.title)}" if several else "Budget"
    return f"{what} {row.label}" if row.label else f"{what}, all together"
