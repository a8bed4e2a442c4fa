"""Whether what the certificate rests on holds elsewhere than at the optimum.

The bound of the gap is the largest value over the linear set of a linear function that is taken to
lie above the Lagrangian. Its slope is the gradient, which every concave Lagrangian lies below. A
cell that rises, falls or bends upwards from end to end is worth most at an end. Where it stands at
one, pushed against it, and no other limit holds it, it adds nothing to the bound with the slope 0
either, which asks the least of the model: that the other end is worth no more. So a fare that bends
upwards is bounded like anything else where it stands at the better end of its range.
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
    for others in _elsewhere(linear, x, room, seed) if some else ():
        for part in parts or (slice(None),):
            for point in _flipped(gradient, others, x, settled, part, linear, room):
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


def _flipped(
    gradient: Callable[[Tensor], Tensor],
    others: Tensor,
    x: Tensor,
    settled: Tensor,
    part: slice,
    linear: LinearSet,
    room: Tensor,
) -> Iterator[Tensor]:
    """Points at which settled cells of a part stand at their other ends.

    Those whose slopes on the way add up to a gain, and the tenth that loses least.
    """
    mine = _of(part, settled)
    if not bool(mine.any()):
        return
    base = torch.where(settled, x, others)
    levels, slopes = _along(gradient, base, mine, linear, room)
    way = (0.5 * (slopes[1:] + slopes[:-1]) * levels.diff(dim=0)).sum(dim=0)
    upper = x - linear.lower > 0.5 * room
    gains = torch.where(upper, -way, way)
    ends = torch.where(upper, levels[0], levels[-1])
    among = gains[mine]
    tenth = among.kthvalue(max(round(0.9 * len(among)), 1)).values
    for chosen in (gains > 0, gains >= tenth):
        if bool((mine & chosen).any()):
            yield torch.where(mine & chosen, ends, base)


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
