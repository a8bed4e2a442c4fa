"""The solver on a plan as large as a country's, through the teams' own models.

A small simulated market is fitted as a project would be, and its models are laid out over 300
regions: every region has the fitted parameters of one of the small market's, each moved a little,
and that region's forecast week. The plan pays three bonuses at every hour, within a budget, with
limits on the waits and the prime time of every region and a floor under the profit.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from _harness import Row

from dagcast import workflow
from dagcast.project import open_project
from dagcast.workflow.common._fits import fit_collection
from dagcast.workflow.common._problem import make_setting
from dagcast.workflow.common._session import open_session
from dagcast_core.contract import Weighted
from dagcast_core.decide import (
    Budget,
    DecisionProblem,
    Lever,
    Objective,
    Options,
    OutcomeLimit,
    Plan,
    solve,
)
from dagcast_core.model import LabelledParameter, ModelCollection
from dagcast_core.tensor import IndexTensor, Panel

LEVER = "incentive_spend"
REGIONS, SMALL, WEEKS = 300, 6, 6
# How far a region's parameters differ from those it was laid out from, in unconstrained units.
APART = 0.03


@dataclass(frozen=True)
class Market:
    """Models and forecast week of many regions.

    Attributes:
        model: the teams' collection.
        context: what nobody decides, over the week.
        usual: the operator's spend.
    """

    model: ModelCollection
    context: Panel
    usual: IndexTensor


def country(regions: int, seed: int = 0) -> Market:
    """A market of many regions, laid out from a small one that was simulated and fitted."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "project"
        workflow.simulate(folder, regions=SMALL, weeks=WEEKS, seed=seed)
        workflow.ingest(open_project(folder, environment={}))
        session = open_session(open_project(folder, environment={}))
        small, _ = fit_collection(session)
        setting = make_setting(session)
        labels = {**session.labels, "region": [f"R{number:03d}" for number in range(regions)]}
        large = session.build(labels)
    _lay_out(small, large, seed)
    names = labels["region"]
    context = Panel([_repeated(tensor, names) for tensor in setting.context.values()])
    return Market(large, context, _repeated(setting.current[LEVER], names))


def _lay_out(small: ModelCollection, large: ModelCollection, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    sources = dict(small.named_modules())
    with torch.no_grad():
        for name, target in large.named_modules():
            source = sources[name]
            if isinstance(target, LabelledParameter):
                assert isinstance(source, LabelledParameter)
                values = source.raw
                if "region" in target.dims:
                    axis = target.dims.index("region")
                    values = _cycled(values, axis, target.raw.shape[axis])
                    # One shift per region, not per cell: profiles stay smooth.
                    shape = [-1 if k == axis else 1 for k in range(values.dim())]
                    shift = APART * torch.randn(values.shape[axis], generator=generator)
                    values = values + shift.to(values.dtype).reshape(shape)
                target.raw.copy_(values)
                continue
            for key, buffer in target.named_buffers(recurse=False):
                given = source.get_buffer(key)
                if buffer.shape != given.shape:
                    given = _cycled(given, 0, buffer.shape[0])
                buffer.copy_(given)


def _repeated(tensor: IndexTensor, regions: list[str]) -> IndexTensor:
    if "region" not in tensor.dims:
        return tensor
    axis = tensor.dims.index("region")
    indexes = {dim: tensor.index(dim) for dim in tensor.dims}
    values = _cycled(tensor.tensor, axis, len(regions))
    return IndexTensor(values, {**indexes, "region": regions}, tensor.name)


def _cycled(values: torch.Tensor, axis: int, count: int) -> torch.Tensor:
    return values.index_select(axis, torch.arange(count) % values.shape[axis])


def decision(market: Market) -> DecisionProblem:
    """The plan of the week: four fifths of the operator's money, waits and surcharges bounded.

    Limits are what another plan of as much money leads to, which favours every third region; so a
    plan that keeps them all exists, and those of the favoured regions bind.
    """
    weight = Weighted("sessions")
    regions = market.usual.index("region")
    favour = IndexTensor(
        [1.8 if k % 3 == 0 else 0.6 for k in range(len(regions))], {"region": regions}
    )
    budget = 0.8 * float(market.usual.tensor.sum())
    spent = market.usual * favour
    spent = spent * (budget / float(spent.tensor.sum()))
    with torch.no_grad():
        expected = market.model.predict(market.context.assign({LEVER: spent.named(LEVER)}))
    sessions = expected["sessions"]

    def mean_of(quantity: str) -> dict[object, float]:
        values = (expected[quantity] * sessions).sum("hour") / sessions.sum("hour")
        return dict(zip(values.index("region"), values.values("region").tolist(), strict=True))

    return DecisionProblem(
        market.model,
        [Lever(LEVER, 0.0, 2.0 * float(market.usual.tensor.max()))],
        Objective({"profit": 1.0, "rides": 4.0}),
        [
            Budget(LEVER, budget),
            OutcomeLimit("eta", "<=", mean_of("eta"), by=("region",), reduce=weight),
            OutcomeLimit("prime_time", "<=", mean_of("prime_time"), by=("region",), reduce=weight),
            OutcomeLimit("profit", ">=", float(expected["profit"].tensor.sum()), reduce="sum"),
        ],
        market.context,
        Panel([market.usual.named(LEVER)]),
    )


def rows(regions: int = REGIONS) -> list[Row]:
    """Solve it; seconds are those of one thread, so two cores need no more.

    Returns:
        Time and status, which are judged, and what the plan says, which is not.
    """
    with _one_thread():
        problem = decision(country(regions))
        begun, used = time.perf_counter(), time.process_time()
        plan = solve(problem, options=Options(gap=1e-5))
        wall, used = time.perf_counter() - begun, time.process_time() - used
        seconds_of_pass = _pass(problem, plan)
    cells = plan.decisions[LEVER].tensor.numel()
    counts = plan.provenance
    passes = 0.35 * counts["forward"] + 0.65 * counts["backward"]
    bound = "-" if plan.gap_bound is None else f"{plan.gap_bound / plan.lift:.1e} of the lift"
    sound = plan.status == "optimal" or "best known" in plan.message
    binding = Counter(price.name for price in plan.shadow_prices if price.binding)
    case = f"five teams' models, {cells / 1000:.0f}k cells, {2 * regions + 2} limits"
    return [
        Row(f"{case}: CPU", "<= 60 s", f"{used:.1f} s (wall {wall:.1f} s)", used <= 60),
        Row(f"{case}: status", "optimal or best known", f"{plan.status}: {plan.message}", sound),
        Row(
            f"{case}: violation", "<= 1e-6", f"{plan.worst_violation:.1e}",
            plan.worst_violation <= 1e-6,
        ),
        Row(f"{case}: certified gap", "-", bound, None),
        Row(
            f"{case}: passes", "-",
            f"{passes:.0f} ({counts['forward']} forward, {counts['backward']} backward), "
            f"one {1000 * seconds_of_pass:.0f} ms",
            None,
        ),
        Row(
            f"{case}: limits that bind", "-",
            ", ".join(f"{count} of {name}" for name, count in binding.items()) or "none",
            None,
        ),
    ]  # fmt: skip


def _pass(problem: DecisionProblem, plan: Plan) -> float:
    """CPU seconds of one pass of the models, 0.35 forward and 0.65 backward."""
    spend = plan.decisions[LEVER]
    forward, backward = [], []
    for _ in range(3):
        leaf = spend.with_tensor(spend.tensor.detach().clone().requires_grad_(True))
        used = time.process_time()
        outputs = problem.model.propagate({**problem.context, LEVER: leaf.named(LEVER)})
        total = outputs["profit"].tensor.sum() + 4.0 * outputs["rides"].tensor.sum()
        forward.append(time.process_time() - used)
        used = time.process_time()
        torch.autograd.grad(total, leaf.tensor)
        backward.append(time.process_time() - used)
    return 0.35 * float(np.median(forward)) + 0.65 * float(np.median(backward))


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


if __name__ == "__main__":
    from _harness import report

    size = int(sys.argv[1]) if len(sys.argv) > 1 else REGIONS
    sys.exit(report("decision solver through the teams' models", rows(size)))
