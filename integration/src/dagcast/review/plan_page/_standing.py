"""On what the effects behind a plan stand, which comes before every figure."""

from dagcast.plans import EVIDENCE_COLUMNS, PlanSummary, evidence_rows
from dagcast.review._content import Block, Column, Section, Table, Text

# Columns that hold words; the others hold figures.
_WORDS = ("effect of", "stands on", "fresh trials")


def standing(summary: PlanSummary) -> Section | None:
    """Which share of the money goes where an effect was measured; none for earlier plans."""
    found = summary.evidence
    if not found.lines:
        return None
    text = found.words(summary.readings)
    blocks: list[Block] = [
        Text(f"{warning[:1].upper()}{warning[1:]}.") for warning in found.warnings(summary.readings)
    ]
    blocks.append(
        Table(
            tuple(
                Column(name[:1].upper() + name[1:], numeric=name not in _WORDS)
                for name in EVIDENCE_COLUMNS
            ),
            evidence_rows(found.lines, summary.readings),
            visible=12,
        )
    )
    return Section(
        "standing",
        "What the effects stand on",
        f"{text[:1].upper()}{text[1:]}. Measured: a fresh trial gave such doses. History: only the "
        "past shows them, and what it shows holds if nothing moved with them that the models leave "
        "out. Prior: nobody ever saw such a dose.",
        tuple(blocks),
        short="Evidence",
    )
