"""How pages name a plan: its state in words, and the clocks of its hours."""

from datetime import datetime
from zoneinfo import ZoneInfo

from dagcast.journal import PlanRecord
from dagcast.project import Project
from dagcast.workflow.common._horizon import zones_of


def clocks_of(project: Project) -> tuple[str, dict[str, str]]:
    """The zone of what concerns all labels, and the zone of each label that has one.

    All labels together are shown by the clock that they share, and in UTC where they share none.
    """
    if project.config.display.clock == "utc":
        return "UTC", {}
    zones = zones_of(project)
    shared = set(zones.values())
    return (shared.pop() if len(shared) == 1 else "UTC"), zones


def moment_in_words(moment: datetime, zone: str) -> str:
    """A moment by a clock, which it names."""
    return f"{moment.astimezone(ZoneInfo(zone)):%-d %b %Y %H:%M %Z}"


def state_in_words(record: PlanRecord, zone: str = "UTC") -> str:
    """Where a plan stands, who brought it there, when by which clock, and why."""
    text = f"{record.state} by {record.entry.who}, {moment_in_words(record.entry.at, zone)}"
    return f"{text}: {record.entry.why}" if record.entry.why else text
