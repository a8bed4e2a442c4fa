"""The weeks that multiples of recent weeks refer to.

They end before the first plan that was carried out. Limits that follow what the last plan did would
move by themselves: four fifths of what was spent, week after week, ends at nothing.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dagcast.workflow.common._horizon import HOUR, Moments, observed_span
from dagcast.workflow.common._session import Session

if TYPE_CHECKING:
    from dagcast_core.tensor import IndexTensor, Panel


def reference_weeks(
    session: Session, times: Moments, names: Sequence[str], reference: pd.Timestamp | None
) -> "tuple[Panel, pd.Timestamp]":
    """Quantities over the weeks that limits refer to, and the first hour after those weeks.

    Labels of which nothing was observed then, such as a region that opened later, have their own
    most recent weeks.

    Args:
        session: the project's models and data.
        times: of the round.
        names: quantities to read.
        reference: first hour after the weeks; as the settings and the log say by default.
    """
    from dagcast_core.tensor import Panel

    until = reference if reference is not None else _until(session, times)
    weeks = pd.Timedelta(weeks=session.project.config.recent_weeks)
    end = times.last + HOUR
    begin = observed_span(session.project, session.store).start
    until = min(until, end)
    if until <= begin:
        until = end

    # Weeks before a plan are read as that plan knew them: what arrived later moves no limit. A
    # moment that somebody set need not be one at which anything was known.
    named = session.project.config.recent_until is not None
    known = times.as_of if named else min(times.as_of, until)

    def read(last: pd.Timestamp, as_of: pd.Timestamp) -> "Panel":
        return session.store.read(
            list(names), start=max(begin, last - weeks), end=last - HOUR, as_of=as_of
        )

    if until == end:
        return read(end, times.as_of), until
    then, now = read(until, known), read(end, times.as_of)
    return Panel([_completed(then[name], now[name]) for name in then]), until


def _until(session: Session, times: Moments) -> pd.Timestamp:
    """First hour that a plan decided, or what the settings say; else the hour after the history."""
    config = session.project.config
    if config.recent_until is not None:
        return pd.Timestamp(config.recent_until)
    carried_out = [
        pd.Timestamp(record.horizon_start)
        for record in session.project.journal.plans().values()
        if record.state == "approved"
    ]
    return min((start for start in carried_out if start <= times.last), default=times.last + HOUR)


def _completed(then: "IndexTensor", now: "IndexTensor") -> "IndexTensor":
    """A tensor with the labels that it knows nothing of taken from another one's last hours."""
    import torch

    others = [dim for dim in now.dims if dim != "hour"]
    dims = (*others, "hour")
    if not then.dtype.is_floating_point:
        return then
    # A label that nobody knew of then is one of which nothing was observed.
    then = then.reindex({dim: now.index(dim) for dim in others}, fill=float("nan"))
    values = then.values(*dims)
    unknown = torch.isnan(values).all(-1)
    if not bool(unknown.any()):
        return then
    newer = now.values(*dims)
    # The week is repeated where the later window is the shorter one.
    places = np.arange(-values.shape[-1], 0) % newer.shape[-1]
    filled = torch.where(unknown.unsqueeze(-1), newer[..., places], values)
    return then.with_tensor(filled.permute(*(dims.index(dim) for dim in then.dims)))
