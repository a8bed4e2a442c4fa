"""How pages name a plan: its state in words, and the clock of its hours."""

from dagcast.journal import PlanRecord
from dagcast.project import Project
from dagcast.workflow.common._horizon import zones_of


def zone_of(project: Project) -> str:
    """The zone of all labels that have a clock if they share one, else UTC."""
    zones = set(zones_of(project).values())
    return zones.pop() if len(zones) == 1 else "UTC"


def state_in_words(record: PlanRecord) -> str:
    """Where a plan stands, who brought it there and why."""
    text = f"{record.state} by {record.entry.who}, {record.entry.at:%-d %b %Y %H:%M} UTC"
    return f"{text}: {record.entry.why}" if record.entry.why else text
