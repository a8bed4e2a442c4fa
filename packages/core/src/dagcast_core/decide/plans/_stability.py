"""How far decisions move where the data or the parameters behind them might have been others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

import pandas as pd
import torch

from dagcast_core.decide.declare import DecisionProblem, label_text
from dagcast_core.decide.plans._interrupted import unless_interrupted
from dagcast_core.decide.plans._plan import Plan
from dagcast_core.decide.plans._solve import solve
from dagcast_core.model import Model, ParameterDraws
from dagcast_core.solver import DecisionError, Options
from dagcast_core.tensor import IndexTensor, Panel

__all__ = ["LabelRange", "Stability", "solve_again", "stability"]


@final
@dataclass(frozen=True)
class LabelRange:
    """Total of a lever for one label, over several plans of the same problem.

    Attributes:
        lever: what is summed.
        dim: of the label.
        label: such as a region.
        planned: in the plan itself.
        low: least over the plans.
        high: greatest over the plans.
    """

    lever: str
    dim: str
    label: str
    planned: float
    low: float
    high: float


@final
@dataclass(frozen=True)
class Stability:
    """How far other plans of the same decisions differ from one.

    Attributes:
        plans: number of other plans.
        moved: by lever and plan, share of what both spend that they spend in different cells: 0 is
            the same plan, 1 nothing in common.
        ranges: totals by label of every dim but time.
        spread: by lever, standard deviation of every cell over all plans.
        objective: least and greatest of the plans' own objectives.
        words: in one sentence.
    """

    plans: int
    moved: Mapping[str, tuple[float, ...]]
    ranges: tuple[LabelRange, ...]
    spread: Panel
    objective: tuple[float, float]
    words: str

    def typical(self, lever: str) -> float:
        """Median share that moves."""
        return float(pd.Series(self.moved[lever]).median())


def stability(plan: Plan, others: Sequence[Plan]) -> Stability:
    """Compare plans that answer the same question with other parameters.

    Args:
        plan: the one to be judged.
        others: of the same levers and labels, such as from `solve_again`, or solved with models
            that were fitted at earlier moments.

    Raises:
        DecisionError: there are no others, or their levers or labels differ.
    """
    if not others:
        raise DecisionError("the stability of a plan needs other plans to compare it with.")
    moved: dict[str, tuple[float, ...]] = {}
    spread: dict[str, IndexTensor] = {}
    ranges: list[LabelRange] = []
    for lever, own in plan.decisions.items():
        values = torch.stack([_aligned(own, other, lever) for other in (plan, *others)])
        first = values[0]
        apart = [
            float((given - first).abs().sum() / (given.abs().sum() + first.abs().sum()))
            if float(given.abs().sum() + first.abs().sum()) > 0
            else 0.0
            for given in values[1:]
        ]
        moved[lever] = tuple(apart)
        spread[lever] = own.with_tensor(values.std(0))
        for axis, dim in enumerate(own.dims):
            if own.index(dim).dtype.kind == "M":
                continue
            others_of = [k + 1 for k in range(own.ndim) if k != axis]
            totals = values.sum(others_of) if others_of else values
            ranges += [
                LabelRange(
                    lever,
                    dim,
                    label_text(label),
                    float(totals[0, k]),
                    float(totals[:, k].min()),
                    float(totals[:, k].max()),
                )
                for k, label in enumerate(own.index(dim))
            ]
    objectives = [other.objective for other in (plan, *others)]
    parts = ", ".join(
        f"{pd.Series(shares).median():.0%} of {lever} (at most {max(shares):.0%})"
        for lever, shares in moved.items()
    )
    words = f"{len(others)} plans with other parameters place {parts} elsewhere."
    return Stability(
        len(others),
        moved,
        tuple(ranges),
        Panel(spread),
        (min(objectives), max(objectives)),
        words,
    )


def solve_again(
    problem: DecisionProblem,
    plan: Plan,
    others: ParameterDraws | Sequence[Model | tuple[Model, ParameterDraws]],
    *,
    count: int = 8,
    options: Options | None = None,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> tuple[Plan, ...]:
    """Solve a problem with other parameters, each time starting from its plan.

    Args:
        problem: that the plan answers.
        plan: where each solve starts.
        others: draws, of which ``count`` take the place of the fitted parameters in turn (for a
            problem that itself weighs draws: resamples of its draws take their place); or models,
            such as fitted at earlier moments, which do. A problem that weighs draws needs draws of
            each: pairs of model and draws, whose chances and fallback rules are then theirs too.
            With models alone it is solved without draws.
        count: of draws.
        options: of every solve.
        seed: of the resamples.
        progress: told how many are done.

    Raises:
        DecisionError: fewer draws than asked for, or draws of another model.
        KeyboardInterrupt: interrupted; half the plans would say too little.
    """
    options = options or Options(gap=1e-4)
    found: list[Plan] = []
    if not isinstance(others, ParameterDraws):
        for other in others:
            if isinstance(other, Model):
                part = replace(problem.certain(), model=other)
            else:
                part = replace(problem, model=other[0], draws=other[1])
            found.append(_solved(part, plan, options))
            if progress is not None:
                progress(len(found))
        return tuple(found)
    if len(others) < count:
        raise DecisionError(f"{count} draws are asked for, and there are {len(others)}.")
    generator = torch.Generator().manual_seed(seed)
    for k in range(count):
        if problem.draws is not None:
            chosen = torch.randint(0, len(others), (len(others),), generator=generator)
            states = {name: values[chosen] for name, values in others.states.items()}
            part = replace(problem, draws=replace(others, states=states))
            found.append(_solved(part, plan, options))
        else:
            with others.applied_to(problem.model, k):
                found.append(_solved(problem, plan, options))
        if progress is not None:
            progress(len(found))
    return tuple(found)


def _solved(problem: DecisionProblem, plan: Plan, options: Options) -> Plan:
    again = solve(problem, plan, options=options, starts=0)
    return unless_interrupted(again, "the problem was solved with other parameters")


def _aligned(own: IndexTensor, other: Plan, lever: str) -> torch.Tensor:
    if lever not in other.decisions:
        raise DecisionError(f"a plan to compare with has no lever {lever!r}.")
    given = other.decisions[lever]
    for dim in own.dims:
        if dim not in given.dims or len(own.index(dim).symmetric_difference(given.index(dim))):
            raise DecisionError(
                f"a plan to compare with decides about other labels along {dim!r} of {lever!r}. "
                "Solve the same problem with other parameters."
            )
    wanted = {dim: own.index(dim) for dim in own.dims}
    return given.double().reindex(wanted, fill=0.0).values(*own.dims).detach()
