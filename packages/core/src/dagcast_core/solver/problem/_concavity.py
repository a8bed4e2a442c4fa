"""Whether what the certificate rests on holds elsewhere than at the optimum.

The bound of the gap is the largest value over the linear set of a linear function that is taken to
lie above the Lagrangian. Its slope is the gradient, which every concave Lagrangian lies below. A
cell that rises, falls or bends upwards from end to end is worth most at an end. Where it stands at
one, pushed against it, and no other limit holds it, it adds nothing to the bound with the slope 0
either, which asks the least of the model: that no other ends are worth more, of it and of its like
together. So a fare that bends upwards is bounded like anything else where it stands at the better
end of its range.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from dagcast_core.solver.problem._linear import LinearSet
from dagcast_core.solver.problem._smooth import SmoothProblem

__all__ = ["is_supported"]

_POINTS = 12
# Shares of their room to which the cells of one part are moved alone.
_LEVELS = (0.0, 0.5, 1.0)
_STEPS = (0.0, 0.125, 0.25, 0.5, 0.75, 1.0)
# Times that each settled cell goes to the better end beside the others.
_ROUNDS = 3
# Shares of them that begin at their other ends.
_DRAWN = (0.5, 0.5, 0.5, 0.5, 0.3, 0.3, 0.3, 0.15, 0.15, 0.8)
_TOLERANCE = 1e-7
# Of its room: a cell so near to a bound stands at it.
_AT = 1e-9


def is_supported(
    problem: SmoothProblem,
    x: Tensor,
    weights: Tensor,
    seed: int,
    parts: Sequence[slice] = (),
) -> bool:
    """Test on points of the box that the Lagrangian lies below the bound's function from ``x``.

    This is what the bound of the gap rests on. It holds everywhere for concave models; one point
    where it fails refutes the bound.

    Args:
        problem: the flat problem.
        x: (cells,) the optimum.
        weights: (rows,) nonnegative, objective unit per unit of outcome.
        seed: of the points.
        parts: cells that belong together, such as those of one lever. Each is moved alone too: a
            fare that bends upwards is not seen where strongly concave bonuses move with it.
    """
    rows = problem.rows
    linear = problem.linear

    def lagrangian(point: Tensor) -> Tensor:
        objective, outcomes = problem.evaluate(point)
        if not rows.limit.numel():
            return objective
        return objective - (weights * rows.sign * (outcomes - rows.limit)).sum()

    def gradient(point: Tensor) -> Tensor:
        leaf = point.detach().clone().requires_grad_(True)
        (found,) = torch.autograd.grad(lagrangian(leaf), leaf)
        return found

    slope = gradient(x)
    with torch.no_grad():
        here = float(lagrangian(x))
    reach = linear.reach()
    room = torch.where(torch.isfinite(reach), reach - linear.lower, 2.0 * (x - linear.lower) + 1.0)
    scale = max(float((slope.abs() * room).sum()), 1e-300)
    settled = _settled(linear, x, slope, room)
    for others in _elsewhere(linear, x, room, seed) if bool(settled.any()) else ():
        for part in parts or (slice(None),):
            settled &= _worth_most_at_an_end(gradient, others, settled, part, linear, room)
    gentlest = torch.where(settled, torch.zeros_like(slope), slope)
    some = bool(settled.any())

    def is_above(point: Tensor, share: float = 1.0) -> bool:
        excess = float(lagrangian(point)) - here - float(gentlest @ (point - x))
        return excess > _TOLERANCE * scale * share

    with torch.no_grad():
        for point, share in _moved(linear, x, room, parts, seed):
            # The others alone too: what settled cells lose would hide what these gain.
            if is_above(point, share) or (some and is_above(torch.where(settled, x, point), share)):
                return False
    ends = _Ends(gradient, settled, x, linear, room)
    for place, others in enumerate(_elsewhere(linear, x, room, seed) if some else ()):
        for point in ends.looked_for(torch.where(settled, x, others), parts, seed + place):
            with torch.no_grad():
                if is_above(point):
                    return False
    return True


def _settled(linear: LinearSet, x: Tensor, slope: Tensor, room: Tensor) -> Tensor:
    """Cells at a bound of their own, pushed against it, that neither budget nor ramp holds."""
    settled = (x - linear.lower <= _AT * room) & (slope < 0)
    settled |= (linear.upper - x <= _AT * room) & (slope > 0)
    for layer in linear.budgets:
        settled &= layer.group < 0
    for chains in linear.all_chains:
        settled[chains.order[chains.order >= 0]] = False
    return settled


def _elsewhere(linear: LinearSet, x: Tensor, room: Tensor, seed: int) -> Iterator[Tensor]:
    """Where the others may be: where they are, and on the way to low, to high and to anywhere."""
    yield x
    generator = torch.Generator().manual_seed(seed + 11)
    anywhere = torch.rand(x.shape, generator=generator, dtype=x.dtype)
    for target in (linear.lower, linear.lower + room, linear.lower + room * anywhere):
        for share in (0.1, 0.5, 1.0):
            yield x + share * (target - x)


def _along(
    gradient: Callable[[Tensor], Tensor],
    base: Tensor,
    mine: Tensor,
    linear: LinearSet,
    room: Tensor,
) -> tuple[Tensor, Tensor]:
    """Levels from end to end, and the slopes there if ``mine`` go through them; (level, cells)."""
    levels = torch.stack([linear.lower + room * step for step in _STEPS])
    return levels, torch.stack([gradient(torch.where(mine, level, base)) for level in levels])


def _of(part: slice, settled: Tensor) -> Tensor:
    mine = torch.zeros_like(settled)
    mine[part] = settled[part]
    return mine


def _worth_most_at_an_end(
    gradient: Callable[[Tensor], Tensor],
    others: Tensor,
    settled: Tensor,
    part: slice,
    linear: LinearSet,
    room: Tensor,
) -> Tensor:
    """Which cells of a part go one way from end to end, or bend upwards; True for all others.

    These are worth most at one of their ends. One that rises and bends down, like a threshold once
    it is passed, may be worth most in between.
    """
    mine = _of(part, settled)
    if not bool(mine.any()):
        return torch.ones_like(settled)
    _, slopes = _along(gradient, others, mine, linear, room)
    rounding = 1e-9 * slopes.abs().amax(dim=0)
    one_way = (slopes > 0).all(dim=0) | (slopes < 0).all(dim=0)
    return ~mine | one_way | (slopes.diff(dim=0) >= -rounding).all(dim=0)


class _Ends:
    """The ends at which settled cells would be worth more together than where they are.

    A cell that is worth most at an end for given others may be worth most at the other end once
    these have changed theirs. So ends are changed, of all, of one part's, of drawn ones, and then
    each cell goes to the end that is better beside the others, some times over.

    Args:
        gradient: slope of the Lagrangian at a point.
        settled: (cells,) which are settled.
        x: (cells,) where they are.
        linear: bounds.
        room: (cells,) from the lower bound to the upper.
    """

    def __init__(
        self,
        gradient: Callable[[Tensor], Tensor],
        settled: Tensor,
        x: Tensor,
        linear: LinearSet,
        room: Tensor,
    ) -> None:
        self.gradient = gradient
        self.settled = settled
        self.linear = linear
        self.room = room
        # The way from where a cell is to its other end, with its sign.
        self.way = torch.where(x - linear.lower > 0.5 * room, -room, room)

    def looked_for(self, base: Tensor, parts: Sequence[slice], seed: int) -> Iterator[Tensor]:
        """Points with other ends, beside the others of ``base``."""
        _, slopes = _along(self.gradient, base, self.settled, self.linear, self.room)
        upwards = torch.tensor(_STEPS, dtype=base.dtype).diff()[:, None]
        mean = (0.5 * (slopes[1:] + slopes[:-1]) * upwards).sum(dim=0)
        there = mean * self.way
        # What a cell's own bend adds to its slope over the whole way.
        bend = there - self.gradient(base) * self.way
        among = there[self.settled]
        tenth = among.kthvalue(max(round(0.9 * len(among)), 1)).values
        generator = torch.Generator().manual_seed(seed + 13)
        starts = [there > 0, there >= tenth, torch.ones_like(self.settled)]
        starts += [_of(part, self.settled) for part in parts]
        starts += [
            torch.rand(base.shape, generator=generator, dtype=base.dtype) < share
            for share in _DRAWN
        ]
        for start in starts:
            changed = self.settled & start
            for _ in range(_ROUNDS):
                if not bool(changed.any()):
                    break
                point = torch.where(changed, base + self.way, base)
                yield point
                step = self.gradient(point) * self.way
                # From here to the other end, or back.
                gain = torch.where(changed, -step, step) + bend
                again = self.settled & (changed ^ (gain > 0))
                if bool((again == changed).all()):
                    break
                changed = again


def _moved(
    linear: LinearSet, x: Tensor, room: Tensor, parts: Sequence[slice], seed: int
) -> Iterator[tuple[Tensor, float]]:
    """Points, and the share of the way to them that was gone: the same for the same seed."""
    for part in parts if len(parts) > 1 else ():
        for level in _LEVELS:
            point = x.clone()
            point[part] = (linear.lower + room * level)[part]
            yield point, 1.0
    generator = torch.Generator().manual_seed(seed + 7)
    for k in range(_POINTS):
        draw = torch.rand(x.shape, generator=generator, dtype=x.dtype)
        if k < 2:
            target = linear.lower + room * (0.0 if k == 0 else 1.0)
        elif k % 2 == 0:
            target = linear.lower + room * draw**3
        else:
            # Few cells moved far: what an all-over draw averages away.
            moved = torch.rand(x.shape, generator=generator, dtype=x.dtype) < 0.1
            target = torch.where(moved, linear.lower + room * draw, x)
        for share in (0.1, 1.0):
            yield x + share * (target - x), share
