"""What trials and the past tested of the levers of a round, and on what decisions stand."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import pandas as pd

from dagcast.plans import BudgetLimit
from dagcast.workflow.common._horizon import HOUR, Moments
from dagcast.workflow.common._session import Session
from dagcast.workflow.common._shown import downstream

if TYPE_CHECKING:
    from dagcast_core.contract import Quantity
    from dagcast_core.evaluate import EvidenceRow, KnownDoses
    from dagcast_core.tensor import IndexTensor, Panel


@final
@dataclass(frozen=True)
class Doses:
    """What is known of every lever, label by label.

    Attributes:
        tested: by lever.
        rows: dim of the rows of pages, such as regions; empty where there is none.
    """

    tested: "Mapping[str, tuple[KnownDoses, ...]]"
    rows: str

    def evidence(self, decided: "Mapping[str, IndexTensor]") -> "tuple[EvidenceRow, ...]":
        """On what decisions stand, by lever and label."""
        from dagcast_core.evaluate import evidence_of

        return tuple(
            row
            for name, items in self.tested.items()
            for row in evidence_of(decided[name], items, rows=self.rows)
        )

    def within(self, like: "IndexTensor", upper: "float | IndexTensor") -> "IndexTensor":
        """An upper bound that keeps labels with a fresh trial to doses such as it gave."""
        import torch

        cap = torch.full_like(like.tensor, math.inf)
        for item in self.tested[str(like.name)]:
            if not item.trials:
                continue
            place: list[Any] = [slice(None)] * len(like.dims)
            for dim, label in item.labels.items():
                known = [str(one) for one in like.index(dim)]
                place[like.dims.index(dim)] = known.index(label)
            cap[tuple(place)] = item.cap
        bound = upper if isinstance(upper, float | int) else upper.values(*like.dims)
        return like.with_tensor(torch.minimum(cap, torch.as_tensor(bound, dtype=cap.dtype)))

    def budgets_of_untested(
        self, budgets: Sequence[BudgetLimit], share: float | None
    ) -> Iterator[tuple[str, Mapping[str, tuple[str, ...]], float]]:
        """Lever, labels and limit where at most a share of a whole budget may go untested.

        Only levers with one further dim and a budget over all labels have such a limit; whatever
        else is untested is weighed when the plan is approved.
        """
        if share is None:
            return
        for name, items in self.tested.items():
            dims = {dim for item in items for dim in item.labels}
            untested = [item for item in items if not item.trials]
            own = [item for item in budgets if item.levers == (name,)]
            whole = [item.limits[""] for item in own if not item.by and not item.where]
            if not untested or not whole or len(dims) > 1:
                continue
            where = {dim: tuple(item.labels[dim] for item in untested) for dim in dims}
            yield name, where, share * min(whole)


def doses_of(session: Session, times: Moments, quantities: "Mapping[str, Quantity]") -> Doses:
    """Work out what was tested by a moment, from the experiments and the levers' own past."""
    from dagcast_core.evaluate import known_doses

    config = session.project.config
    levers = list(config.levers)
    past: Panel = session.store.read(levers, start=times.first, end=times.last, as_of=times.as_of)
    experiments = tuple(session.known_experiments(times))
    outcomes = downstream(session)
    shown = [d.name for q in quantities.values() for d in q.dims if d.kind != "time"]
    rows = max(dict.fromkeys(shown), key=shown.count, default="")
    now = times.last + HOUR
    return Doses(
        {
            name: known_doses(
                past[name],
                experiments,
                outcomes=outcomes,
                rows=rows,
                time="hour",
                now=pd.Timestamp(now),
                fresh_weeks=config.evidence.fresh_weeks,
            )
            for name in levers
        },
        rows,
    )
