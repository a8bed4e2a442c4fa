"""What an ingestion did, in counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from dagcast_core.data._sql import CONFLICT


@dataclass(frozen=True, slots=True)
class Hole:
    """Hours in which a table has no rows for a label although there should be some.

    Attributes:
        table: the event table.
        labels: dim -> label.
        start: first hour, ISO UTC.
        end: last hour, ISO UTC, inclusive.
        hours: how many hours lack rows.
        why: what says that there should be some.
    """

    table: str
    labels: Mapping[str, str] = field(default_factory=dict)
    start: str = ""
    end: str = ""
    hours: int = 0
    why: str = ""

    def __str__(self) -> str:
        names = ", ".join(self.labels.values())
        return (
            f"{self.table} has no rows for {names} in {self.hours:,} hours from {self.start} to "
            f"{self.end}: {self.why}."
        )

    def to_json(self) -> dict[str, Any]:
        """The hole as plain JSON values."""
        names = ("table", "start", "end", "hours", "why")
        return {**{name: getattr(self, name) for name in names}, "labels": dict(self.labels)}


@dataclass(frozen=True, slots=True)
class IngestReport:
    """Counts of one source. ``read == accepted + duplicates + sum(quarantined.values())``.

    Attributes:
        table: the event table.
        read: rows in the source.
        accepted: rows that entered the ledger, late ones included.
        duplicates: rows whose key was accepted before, here or in an earlier source, and that say
            the same; kept in quarantine.
        late: accepted rows known longer than the table's allowance after their time.
        quarantined: reason -> rows kept out, the first reason that applies to each.
        gaps: hours between the first and the last accepted one without a row for any label.
        ambiguous: accepted rows whose local time occurs twice; the first occurrence was taken.
        nonexistent: accepted rows whose local time does not exist; read with the offset in force
            before the change.
        remarks: rule -> accepted rows that break it; see ``EventTable.remarks``.
        unchanged: whether the store held this very source already, so that nothing was done.
        source_sha256: of the source's content.
        notes: findings in words, one sentence each.
        new_labels: dim -> label -> rows set aside until the label is accepted; see
            ``MetricStore.accept``.
        holes: hours without rows where there should be some, by label; see ``Hole``.
        dialect: of a CSV file, as found or declared, with what is odd about its lines.
    """

    table: str
    read: int
    accepted: int
    duplicates: int = 0
    late: int = 0
    quarantined: Mapping[str, int] = field(default_factory=dict)
    gaps: int = 0
    ambiguous: int = 0
    nonexistent: int = 0
    remarks: Mapping[str, int] = field(default_factory=dict)
    unchanged: bool = False
    source_sha256: str = ""
    notes: tuple[str, ...] = ()
    dialect: str = ""
    new_labels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    holes: tuple[Hole, ...] = ()

    @property
    def conflicts(self) -> int:
        """Rows set aside because another row of their key says something else."""
        return self.quarantined.get(CONFLICT, 0)

    @property
    def failure(self) -> str | None:
        """One sentence with the commonest reason where rows were read and none is in the store."""
        if not self.read or self.accepted or self.duplicates:
            return None
        reason, count = max(self.quarantined.items(), key=lambda entry: (entry[1], entry[0]))
        return (
            f"None of the {self.read:,} rows of {self.table} could be used; {count:,} of them "
            f"because: {reason}."
        )

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        # Not `asdict`, which copies every text of every report of the store.
        return {
            **{entry.name: getattr(self, entry.name) for entry in fields(self)},
            "quarantined": dict(self.quarantined),
            "remarks": dict(self.remarks),
            "new_labels": {dim: dict(found) for dim, found in self.new_labels.items()},
            "notes": list(self.notes),
            "holes": [hole.to_json() for hole in self.holes],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> IngestReport:
        """Reads what :meth:`to_json` wrote."""
        holes = tuple(Hole(**entry) for entry in document["holes"])
        return cls(**{**document, "notes": tuple(document["notes"]), "holes": holes})

    def with_notes(self, *notes: str) -> IngestReport:
        """The same report with further findings."""
        return replace(self, notes=(*self.notes, *notes))
