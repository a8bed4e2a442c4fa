"""Compiled inner loop for cells that several ramps tie together.

One ramp makes chains, for which a dynamic programme is exact (`_chain.solve_chain`). A
second one over the same cells, such as hour to hour and day to day, closes cycles; then each
connected net of cells is a quadratic programme with a banded matrix, because ramps link cells at
few fixed distances. The limits that held it last time are tried first (`_net_segments.guess_net`).
Where they lead nowhere it is solved by a primal-dual interior point method with banded Cholesky
factors, about fifteen of them per net, down to rounding.

Source: Mehrotra (1992), doi:10.1137/0802028; Wright (1997), Primal-Dual Interior-Point Methods.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from dagcast_core.solver.kernels._banded import linked, substitute
from dagcast_core.solver.kernels._layout import Layout
from dagcast_core.solver.kernels._net_segments import Net, guess_net, polish

__all__ = ["net_pass", "solve_net"]

_NARROW = 1e-12
# Mean of slack times price below which steps are taken only while they still improve something.
_NEAR = 1e-14
_ITERATIONS = 60


class _Pairs(NamedTuple):
    """Of lower and upper bounds and of both sides of the links: (4, .) each.

    Attributes:
        slack: room left.
        price: multiplier.
        weight: price / slack.
        off: room left at the point, less slack.
    """

    slack: np.ndarray
    price: np.ndarray
    weight: np.ndarray
    off: np.ndarray


@njit(cache=True)
def _push(
    net: Net,
    share: float,
    u: np.ndarray,
    d: np.ndarray,
    target: np.ndarray,
    pairs: _Pairs,
    du: np.ndarray,
) -> None:
    """Right-hand side of the Newton step towards slack times price = ``share``."""
    slack, price, weight, off = pairs
    left, right = net.left, net.right
    for i in range(net.z.size):
        push = share / slack[0, i] - weight[0, i] * off[0, i]
        if price[1, i] > 0.0:
            push -= share / slack[1, i] - weight[1, i] * off[1, i]
        du[i] = push - d[i] * (u[i] - target[i])
    for e in range(left.size):
        push = share / slack[2, e] - weight[2, e] * off[2, e]
        push -= share / slack[3, e] - weight[3, e] * off[3, e]
        du[left[e]] += push
        du[right[e]] -= push


@njit(cache=True)
def _slack_steps(net: Net, share: float, du: np.ndarray, pairs: _Pairs, ds: np.ndarray) -> float:
    """Changes of the slacks for a step, and the share of it that keeps all pairs positive."""
    slack, price, weight, off = pairs
    n, links, left, right = net.z.size, net.left.size, net.left, net.right
    for i in range(n):
        ds[0, i] = off[0, i] + du[i]
        ds[1, i] = off[1, i] - du[i]
    for e in range(links):
        change = du[right[e]] - du[left[e]]
        ds[2, e] = off[2, e] - change
        ds[3, e] = off[3, e] + change
    step = 1.0
    for side in range(4):
        for k in range(n if side < 2 else links):
            p, s = price[side, k], slack[side, k]
            if p == 0.0:
                continue
            dp = share / s - p - weight[side, k] * ds[side, k]
            # Compared without dividing: divisions are what an iteration would wait for.
            if ds[side, k] < 0.0 and s < -step * ds[side, k]:
                step = -s / ds[side, k]
            if dp < 0.0 and p < -step * dp:
                step = -p / dp
    return step


@njit(cache=True)
def solve_net(
    net: Net,
    width: int,
    x: np.ndarray,
    band: np.ndarray,
    work: np.ndarray,
    segment: np.ndarray,
    pull: np.ndarray,
    glued: np.ndarray,
    held: np.ndarray,
) -> None:
    """Solve a net by interior points.

    Args:
        net: the net.
        width: largest distance right - left.
        x: out; (n,) the minimiser.
        band: scratch of shape (>= n, width + 1).
        work: scratch of shape (37, max(n, links)).
        segment: out; (2, n) the first cell of each cell's segment, and 1 where a bound holds it.
        pull: out; (links,) multiplier of each link, positive where the later cell is held down.
        glued: out; (links,) 1 or -1 where a link is at its limit.
        held: out; (n,) 1 or -1 where a bound holds a cell.
    """
    z, metric, lower, upper, left, right, limit = net
    n, links = z.size, left.size
    # In units of the net's width and of the largest force, so that one tolerance fits all.
    origin = lower[0]
    for i in range(1, n):
        origin = min(origin, lower[i])
    size = 0.0
    for i in range(n):
        if np.isfinite(upper[i]):
            size = max(size, upper[i] - origin)
        else:
            size = max(size, abs(z[i] - origin), lower[i] - origin)
    if size <= 0.0:
        size = 1.0
    d, target, u, du = work[0], work[1], work[2], work[3]
    low, high, gap, room = work[4], work[5], work[6], work[7]
    slack, price, weight = work[8:12], work[12:16], work[16:20]
    off, ds = work[20:24], work[24:28]
    pairs = _Pairs(slack, price, weight, off)
    last_u, last_slack, last_price = work[28], work[29:33], work[33:37]
    force = 0.0
    for i in range(n):
        target[i] = (z[i] - origin) / size
        low[i] = (lower[i] - origin) / size
        high[i] = max((upper[i] - origin) / size, low[i] + _NARROW)
        beyond = max(low[i] - target[i], target[i] - high[i], 0.0)
        d[i] = metric[i] * size * size
        force = max(force, d[i] * max(1.0, beyond))
    for i in range(n):
        d[i] /= force
        margin = 0.1 * min(high[i] - low[i], 1.0)
        u[i] = min(max(target[i], low[i] + margin), high[i] - margin)
    count = n + 2 * links
    for i in range(n):
        slack[0, i] = max(u[i] - low[i], 1e-2)
        price[0, i] = 1e-2
        bounded = np.isfinite(high[i])
        slack[1, i] = max(high[i] - u[i], 1e-2) if bounded else 1.0
        price[1, i] = 1e-2 if bounded else 0.0
        count += bounded
    for e in range(links):
        room[e] = max(limit[e] / size, _NARROW)
        move = u[right[e]] - u[left[e]]
        slack[2, e] = max(room[e] - move, 1e-2)
        slack[3, e] = max(room[e] + move, 1e-2)
        price[2, e] = 1e-2
        price[3, e] = 1e-2
    before = np.inf
    for _ in range(_ITERATIONS):
        # Residuals of slacks and of stationarity decide, with mu, when to stop.
        mu = 0.0
        worst = 0.0
        for i in range(n):
            mu += slack[0, i] * price[0, i] + slack[1, i] * price[1, i]
            weight[0, i] = price[0, i] / slack[0, i]
            weight[1, i] = price[1, i] / slack[1, i]
            off[0, i] = u[i] - low[i] - slack[0, i]
            off[1, i] = high[i] - u[i] - slack[1, i] if price[1, i] > 0.0 else 0.0
            worst = max(worst, abs(off[0, i]), abs(off[1, i]))
            gap[i] = d[i] * (u[i] - target[i]) - price[0, i] + price[1, i]
        for e in range(links):
            mu += slack[2, e] * price[2, e] + slack[3, e] * price[3, e]
            weight[2, e] = price[2, e] / slack[2, e]
            weight[3, e] = price[3, e] / slack[3, e]
            move = u[right[e]] - u[left[e]]
            off[2, e] = room[e] - move - slack[2, e]
            off[3, e] = room[e] + move - slack[3, e]
            worst = max(worst, abs(off[2, e]), abs(off[3, e]))
            both = price[2, e] - price[3, e]
            gap[right[e]] += both
            gap[left[e]] -= both
        mu /= count
        for i in range(n):
            worst = max(worst, abs(gap[i]))
        if before < np.inf and mu <= _NEAR and worst > before:
            # The matrix had become too stiff: the last step led away.
            u[:], slack[:], price[:] = last_u, last_slack, last_price
            break
        if mu <= _NEAR and (mu <= 1e-16 or worst >= 0.5 * before):
            break
        if mu <= _NEAR:
            last_u[:], last_slack[:], last_price[:] = u, slack, price
            before = worst
        linked(
            band,
            d[:n] + weight[0, :n] + weight[1, :n],
            weight[2, :links] + weight[3, :links],
            width,
            left,
            right,
        )
        # A look at the step without centring says how much of mu the real step should keep.
        share = 0.0
        step = 1.0
        for look in range(2):
            _push(net, share, u, d, target, pairs, du)
            substitute(band, n, width, du)
            if not np.isfinite(du[:n].sum()):
                break
            step = _slack_steps(net, share, du, pairs, ds)
            if look == 0:
                share = mu * max((1.0 - step) ** 3, 1e-3)
        if not np.isfinite(du[:n].sum()):
            # The matrix has become too stiff to be factorised: this is as near as it gets.
            break
        length = min(1.0, 0.995 * step)
        for side in range(4):
            for k in range(n if side < 2 else links):
                s, p = slack[side, k], price[side, k]
                if p == 0.0:
                    continue
                dp = share / s - p - weight[side, k] * ds[side, k]
                s, p = s + length * ds[side, k], p + length * dp
                # A pair far below the others would be stuck at its end of the path.
                s = max(s, 1e-3 * share / max(p, 1e-3))
                slack[side, k] = s
                price[side, k] = max(p, 1e-3 * share / s)
        for i in range(n):
            u[i] += length * du[i]
    for i in range(n):
        x[i] = min(max(origin + size * u[i], lower[i]), upper[i])
    for e in range(links):
        pull[e] = (price[2, e] - price[3, e]) * force / size
    polish(net, slack, price, size, x, segment, glued, held)


@njit(cache=True)
def net_pass(
    layout: Layout,
    z: np.ndarray,
    metric: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    coefficients: np.ndarray,
    link_start: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    limit: np.ndarray,
    width: int,
    multipliers: np.ndarray,
    x: np.ndarray,
    row_sums: np.ndarray,
    gram: np.ndarray,
    link: np.ndarray,
    glued: np.ndarray,
    held: np.ndarray,
    with_gram: bool,
) -> float:
    """As `_box.box_pass` with nets of links; cells sorted by block, net, place.

    ``left``, ``right``, ``limit``, ``link`` and ``glued`` are those of `Net` and `solve_net`, net
    after net from ``link_start``; ``held`` is by place.

    Returns:
        sum of D / 2 * (x - z)^2.
    """
    layers = coefficients.shape[1]
    row_sums[:] = 0.0
    if with_gram:
        gram[:] = 0.0
    cells, pattern, pattern_rows = layout.cells, layout.pattern, layout.pattern_rows
    slot, largest = layout.slot, layout.largest
    longest = layout.longest
    for c in range(link_start.size - 1):
        longest = max(longest, link_start[c + 1] - link_start[c])
    work = np.zeros((37, longest))
    band = np.zeros((longest, width + 1))
    zc, dc = np.empty(longest), np.empty(longest)
    lc, uc, xc = np.empty(longest), np.empty(longest), np.empty(longest)
    weight = np.empty(largest)
    segment = np.zeros((2, longest), dtype=np.int64)
    touched = np.empty(largest, dtype=np.int64)
    known = np.full(largest, -1, dtype=np.int64)
    value: float = 0.0
    for b in range(layout.block_group.size - 1):
        size = layout.block_size[b]
        base = layout.gram_start[b]
        for c in range(layout.block_group[b], layout.block_group[b + 1]):
            begin = layout.group_start[c]
            n = layout.group_start[c + 1] - begin
            count = 0
            for t in range(n):
                i = cells[begin + t]
                pull = 0.0
                for k in range(layers):
                    a = coefficients[i, k]
                    if a != 0.0:
                        pull += a * multipliers[pattern_rows[pattern[i], k]]
                        s = slot[pattern[i], k]
                        if known[s] < 0:
                            known[s] = count
                            touched[count] = s
                            count += 1
                zc[t] = z[i] - pull / metric[i]
                dc[t] = metric[i]
                lc[t] = lower[i]
                uc[t] = upper[i]
            first = link_start[c]
            links = link_start[c + 1] - first
            if links == 0:
                for t in range(n):
                    xc[t] = min(max(zc[t], lc[t]), uc[t])
                    segment[0, t] = t
                    segment[1, t] = 1 if xc[t] <= lc[t] or xc[t] >= uc[t] else 0
            else:
                own = slice(first, first + links)
                net = Net(zc[:n], dc[:n], lc[:n], uc[:n], left[own], right[own], limit[own])
                ties, holds = glued[own], held[begin : begin + n]
                if not guess_net(net, width, xc, band, segment, link[own], ties, holds):
                    solve_net(net, width, xc, band, work, segment, link[own], ties, holds)
            for t in range(n):
                i = cells[begin + t]
                x[i] = xc[t]
                step = xc[t] - z[i]
                value += 0.5 * metric[i] * step * step
                for k in range(layers):
                    row_sums[pattern_rows[pattern[i], k]] += coefficients[i, k] * xc[t]
            if with_gram:
                # A segment moves as one: sum of a over sum of D, and not at all where held.
                for root in range(n):
                    if segment[0, root] != root or segment[1, root] == 1:
                        continue
                    for p in range(count):
                        weight[p] = 0.0
                    mass = 0.0
                    for t in range(root, n):
                        if segment[0, t] != root:
                            continue
                        mass += dc[t]
                        i = cells[begin + t]
                        for k in range(layers):
                            a = coefficients[i, k]
                            if a != 0.0:
                                weight[known[slot[pattern[i], k]]] += a
                    for p in range(count):
                        for q in range(count):
                            gram[base + touched[p] * size + touched[q]] += (
                                weight[p] * weight[q] / mass
                            )
            for p in range(count):
                known[touched[p]] = -1
    return value
