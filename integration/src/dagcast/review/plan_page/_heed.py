"""What people should know before they rely on a plan."""

from dagcast.plans import PlanSummary
from dagcast.review._content import Block, Column, Section, Table, Text
from dagcast.review.plan_page._words import whole


def heed(summary: PlanSummary) -> Section | None:
    """What people should know first; none where there is nothing."""
    blocks: list[Block] = []
    limits = summary.broken if summary.by_people else summary.conflicts
    if limits:
        caption = "Limits that it breaks" if summary.by_people else "Limits that cannot all be kept"
        rows = tuple((text,) for text in limits)
        blocks.append(Table((Column("Limit", numeric=False),), rows, caption=caption))
    blocks += [Text(f"{text[:1].upper()}{text[1:]}.") for text in summary.warnings]
    if summary.flagged:
        blocks.append(
            Table(
                (Column("Cells", numeric=False), Column("Decided by", numeric=False)),
                summary.flagged,
                caption="Not decided by the optimiser",
                visible=8,
            )
        )
    if summary.stability is not None:
        found = summary.stability
        blocks.append(
            Table(
                (
                    Column("Of", numeric=False),
                    Column("This plan"),
                    Column("Least"),
                    Column("Most"),
                ),
                tuple(
                    (
                        f"{summary.titles[row.lever]} {row.label}".strip()
                        if len(summary.readings) > 1
                        else row.label,
                        *(
                            whole(summary.readings[row.lever], value)
                            for value in (row.planned, row.low, row.high)
                        ),
                    )
                    for row in found.rows
                ),
                caption=f"How far the plan moves: {found.words(summary.titles)}",
                visible=12,
            )
        )
    if not blocks:
        return None
    return Section(
        "heed",
        "Before you rely on it",
        "What the optimiser was not sure of, or did not decide.",
        tuple(blocks),
        short="Heed",
    )
