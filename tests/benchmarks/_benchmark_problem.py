"""Generated allocation problems whose optimum can be certified.

The yardstick of the decision solver.

Maximise rides over spend C[type, region, hour] >= 0 (USD/h). Bonus hours saturate in spend with
parameters of their own per cell; ETA and prime time fall and are convex in supply; conversion is
logistic in ETA and price and above one half, where it is concave, so rides are concave in spend and
mean ETA and prime time convex:

    hours = max_hours * C / (C + half),   supply = base + sum over types of hours
    eta = eta0 * (supply / sessions) ** -gamma,   prime_time = softplus(k (balance - supply /
    sessions)) / k rides = sessions * sigmoid(u0 - b_eta * eta - b_price * fare * (1 + prime_time))

Case A: a budget per region and in total, bounds. B: A with mean ETA and mean prime time per region
at most a limit and a profit floor. C: B with |C_t - C_{t-24}| <= limit. Limits are taken at a
witness, so every instance is feasible.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dagcast_core.solver import (
    Chains,
    LinearSet,
    OutcomeRows,
    RowFamily,
    RowLayer,
    SmoothProblem,
    project,
)

HOURS_PER_DAY = 24


@dataclass(frozen=True)
class Market:
    """Parameters of one generated market; every tensor is float64."""

    types: int
    regions: int
    hours: int
    sessions: Tensor  # (region, hour)
    base_supply: Tensor  # (region, hour)
    max_hours: Tensor  # (type, region, hour)
    half: Tensor  # (type, region, hour)
    exponent: float
    eta0: Tensor  # (region, 1)
    gamma: Tensor  # (region, 1)
    balance: Tensor  # (region, 1)
    u0: Tensor  # (region, 1)
    fare: Tensor  # (region, 1)
    leak: float

    @property
    def cells(self) -> int:
        return self.types * self.regions * self.hours

    def outcomes(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Rides, mean ETA by region, mean prime time by region, profit."""
        spend = x.view(self.types, self.regions, self.hours)
        if self.exponent == 1.0:
            hours = self.max_hours * (spend / (spend + self.half))
        else:
            # Hill response; the shift keeps its derivative finite at zero spend.
            power = (spend / self.half + 1e-6) ** self.exponent
            hours = self.max_hours * (power / (power + 1.0))
        gained = hours.sum(0)
        if self.leak > 0.0:
            around = (
                gained.roll(1, 0) + gained.roll(-1, 0) + gained.roll(1, 1) + gained.roll(-1, 1)
            ) / 4
            gained = (1.0 - self.leak) * gained + self.leak * around
        ratio = (self.base_supply + gained) / self.sessions
        eta = self.eta0 * ratio ** (-self.gamma)
        prime = torch.nn.functional.softplus(6.0 * (self.balance - ratio)) / 6.0
        utility = self.u0 - 0.18 * eta - 0.06 * self.fare * (1.0 + prime)
        rides = self.sessions * torch.sigmoid(utility)
        profit = (rides * (0.9 * self.fare)).sum() - x.sum()
        return rides.sum(), eta.mean(1), prime.mean(1), profit


def make_market(
    types: int,
    regions: int,
    hours: int,
    seed: int,
    leak: float = 0.0,
    exponent: float = 1.0,
    drift: float = 0.0,
) -> Market:
    """Draw a market.

    ``drift`` perturbs the response parameters by that relative standard deviation.
    """
    g = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=g, dtype=torch.float64)

    phase = torch.arange(hours, dtype=torch.float64) * (2 * torch.pi / HOURS_PER_DAY)
    size = torch.exp(uniform(2.5, 6.0, regions, 1))
    profile = 1.0 + 0.5 * torch.sin(phase - uniform(0.0, 2.0, regions, 1))
    sessions = size * profile * uniform(0.85, 1.15, regions, hours)
    ratio = uniform(0.55, 0.95, regions, hours)
    max_hours = sessions * uniform(0.05, 0.25, types, regions, hours)
    half = max_hours * uniform(8.0, 30.0, types, regions, hours)
    market = Market(
        types,
        regions,
        hours,
        sessions,
        sessions * ratio,
        max_hours,
        half,
        exponent,
        uniform(3.0, 5.0, regions, 1),
        uniform(0.6, 1.1, regions, 1),
        uniform(0.7, 1.0, regions, 1),
        uniform(3.2, 4.0, regions, 1),
        uniform(9.0, 15.0, regions, 1),
        leak,
    )
    if drift == 0.0:
        return market
    h = torch.Generator().manual_seed(seed + 10_000)

    def moved(value: Tensor) -> Tensor:
        return value * torch.exp(drift * torch.randn(value.shape, generator=h, dtype=torch.float64))

    return Market(
        types,
        regions,
        hours,
        moved(sessions),
        moved(market.base_supply),
        moved(max_hours),
        moved(half),
        exponent,
        market.eta0,
        market.gamma,
        market.balance,
        market.u0,
        market.fare,
        leak,
    )


def benchmark_problem(
    market: Market, case: str, seed: int = 0, limits_from: SmoothProblem | None = None
) -> SmoothProblem:
    """The decision problem of ``case`` "A", "B" or "C" on ``market``.

    Limits may be those of another problem.
    """
    linear, by_region = _linear_set(market, seed)
    probes = torch.zeros(
        market.types, market.types, market.regions * market.hours, dtype=torch.bool
    )
    for k in range(market.types):
        probes[k, k] = True
    probes = probes.view(market.types, -1)
    concave = market.exponent == 1.0
    if case == "A":
        return SmoothProblem(
            lambda x: _only_rides(market, x), linear, probes=probes, concave=concave
        )
    if limits_from is not None:
        linear, rows = limits_from.linear, limits_from.rows
    else:
        linear, rows = _limits(market, linear, by_region, case, seed)
    return SmoothProblem(
        lambda x: _all_outcomes(market, x), linear, rows, probes=probes, concave=concave
    )


def _only_rides(market: Market, x: Tensor) -> tuple[Tensor, Tensor]:
    return market.outcomes(x)[0], x.new_zeros(0)


def _all_outcomes(market: Market, x: Tensor) -> tuple[Tensor, Tensor]:
    rides, eta, prime, profit = market.outcomes(x)
    return rides, torch.cat([eta, prime, profit.reshape(1)])


def _linear_set(market: Market, seed: int) -> tuple[LinearSet, Tensor]:
    g = torch.Generator().manual_seed(seed + 1)
    region = torch.arange(market.regions)[None, :, None].expand(market.types, -1, market.hours)
    by_region = region.reshape(-1).contiguous()
    ones = torch.ones(market.cells, dtype=torch.float64)
    typical = market.half.sum((0, 2))
    share = 0.12 + 0.25 * torch.rand(market.regions, generator=g, dtype=torch.float64)
    budget = share * typical
    linear = LinearSet(
        torch.zeros(market.cells, dtype=torch.float64),
        2.5 * market.half.reshape(-1),
        (
            RowLayer(by_region, ones, budget),
            RowLayer(torch.zeros_like(by_region), ones, (0.85 * budget.sum()).reshape(1)),
        ),
    )
    return linear, by_region


def _limits(
    market: Market, linear: LinearSet, by_region: Tensor, case: str, seed: int
) -> tuple[LinearSet, OutcomeRows]:
    g = torch.Generator().manual_seed(seed + 2)
    witness = _witness(market, linear)
    if case == "C":
        days = market.hours // HOURS_PER_DAY
        daily = witness.view(market.types, market.regions, days, HOURS_PER_DAY)
        witness = daily.mean(2, keepdim=True).expand_as(daily).reshape(-1).contiguous()
        cells = torch.arange(market.cells).view(market.types, market.regions, days, HOURS_PER_DAY)
        order = cells.transpose(2, 3).reshape(-1, days).contiguous()
        change = 0.15 * market.half.reshape(-1)[order]
        upper = linear.upper.view(market.types, market.regions, days, HOURS_PER_DAY)
        # The day mean must keep to every day's own bound.
        witness = torch.minimum(
            witness, upper.amin(2, keepdim=True).expand_as(daily).reshape(-1)
        ).contiguous()
        linear = LinearSet(linear.lower, linear.upper, linear.budgets, Chains(order, change))
    witness = 0.97 * witness
    _, eta, prime, profit = market.outcomes(witness)
    slack = 1.0 + 0.01 * torch.rand(2 * market.regions, generator=g, dtype=torch.float64)
    limit = torch.cat(
        [eta * slack[: market.regions], prime * slack[market.regions :], profit.reshape(1)]
    )
    sign = torch.cat(
        [torch.ones(2 * market.regions, dtype=torch.float64), -torch.ones(1, dtype=torch.float64)]
    )
    regions = market.regions
    families: list[RowFamily] = []
    if market.leak == 0.0:
        families.append(RowFamily(torch.arange(regions), by_region))
        families.append(RowFamily(torch.arange(regions, 2 * regions), by_region + regions))
    else:
        families += _coloured(by_region, regions, 0) + _coloured(by_region, regions, regions)
    families.append(RowFamily(torch.tensor([2 * regions]), torch.full_like(by_region, 2 * regions)))
    return linear, OutcomeRows(limit, sign, limit.abs(), tuple(families))


def _coloured(by_region: Tensor, regions: int, offset: int) -> list[RowFamily]:
    """Rows in colours that touch disjoint cells, although bonus hours leak around a ring."""
    colours = 3 if regions % 3 == 0 else (4 if regions % 4 == 0 else regions)
    out = []
    for c in range(colours):
        rows = torch.arange(c, regions, colours)
        owner = torch.full((regions,), -1)
        for shift in (-1, 0, 1):
            owner[(rows + shift) % regions] = rows + offset
        out.append(RowFamily(rows + offset, owner[by_region]))
    return out


def _witness(market: Market, linear: LinearSet) -> Tensor:
    """A point between best rides and least ETA and prime time.

    A few projected gradient steps are enough.
    """
    x = torch.zeros(linear.size, dtype=torch.float64)
    share = torch.minimum(linear.upper, 0.25 * market.half.reshape(-1))
    metric = None
    for _ in range(8):
        leaf = x.clone().requires_grad_(True)
        rides, eta, prime, _ = market.outcomes(leaf)
        start_eta = eta.detach()
        goal = rides / rides.detach() - 0.3 * (eta / start_eta).mean() - 0.1 * prime.mean()
        (gradient,) = torch.autograd.grad(goal, leaf)
        if metric is None:
            metric = gradient.abs().clamp(min=float(gradient.abs().median()) * 1e-3) / share
        x = project(x + gradient / metric, metric, linear).x
        metric = metric * 1.5
    return x
