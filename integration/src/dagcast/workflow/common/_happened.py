"""What happened in a past horizon: the levers as carried out, and everything else."""

from typing import TYPE_CHECKING

from dagcast.workflow.common._horizon import HOUR, Moments, filled, known_metrics
from dagcast.workflow.common._session import Session

if TYPE_CHECKING:
    from dagcast_core.tensor import Panel


def happened_in(session: Session, times: Moments) -> "tuple[Panel, Panel]":
    """The levers as they were carried out, and everything else as it came out."""
    latest = max(span.known_until for span in session.store.spans().values()) + HOUR
    levers = tuple(session.project.config.levers)
    spent = session.store.read(list(levers), start=times.start, end=times.end, as_of=latest)
    declared = {quantity.name: quantity for quantity in session.quantities}
    executed = spent.map(lambda tensor: filled(tensor, declared[str(tensor.name)]))
    # Whole numbers are labels, such as hours of the week: nothing happened to them.
    names = [
        name
        for name in known_metrics(session.store, session.names)
        if name not in levers and declared[name].dtype.startswith("float")
    ]
    return executed, session.store.read(names, start=times.start, end=times.end, as_of=latest)
