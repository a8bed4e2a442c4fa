"""Compiled inner loop for cells that several ramps tie together.

One ramp makes chains, for which a dynamic programme is exact (`_kernels.solve_chain`). A second one
over the same cells, such as hour to hour and day to day, closes cycles; then each connected net of
cells is a quadratic programme with a banded matrix, because ramps link cells at few fixed
distances. It is solved by a primal-dual interior point method with banded Cholesky factors, about
fifteen of them per net, down to rounding.

Source: Mehrotra (1992), doi:10.1137/0802028; Wright (1997), Primal-Dual Interior-Point Methods.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["net_pass", "solve_net"]

_NARROW = 1e-12
_ITERATIONS = 60


@njit(cache=True)
def _factorise(band: np.ndarray, n: int, width: int) -> None:
    """Cholesky factor of a banded matrix, in place: ``band[i, k]`` is entry (i, i - k)."""
    for i in range(n):
        first = max(0, i - width)
        for j in range(first, i + 1):
            total = band[i, i - j]
            for k in range(max(first, j - width), j):
                total -= band[i, i - k] * band[j, j - k]
            if j < i:
                band[i, i - j] = total / band[j, 0]
            else:
                band[i, 0] = np.sqrt(max(total, 1e-300))


@njit(cache=True)
def _substitute(band: np.ndarray, n: int, width: int, b: np.ndarray) -> None:
    """Solve with the factor, in place."""
    for i in range(n):
        total = b[i]
        for k in range(1, min(width, i) + 1):
            total -= band[i, k] * b[i - k]
        b[i] = total / band[i, 0]
    for i in range(n - 1, -1, -1):
        total = b[i]
        for k in range(1, min(width, n - 1 - i) + 1):
            total -= band[i + k, k] * b[i + k]
        b[i] = total / band[i, 0]


@njit(cache=True)
def _matrix(
    band: np.ndarray,
    d: np.ndarray,
    weight: np.ndarray,
    n: int,
    width: int,
    left: np.ndarray,
    right: np.ndarray,
    links: int,
) -> None:
    """D + G'WG and its factor; ``weight`` (4, .) of lower, upper bounds and both sides of links."""
    for i in range(n):
        band[i, : width + 1] = 0.0
        band[i, 0] = d[i] + weight[0, i] + weight[1, i]
    for e in range(links):
        w = weight[2, e] + weight[3, e]
        i, j = left[e], right[e]
        band[i, 0] += w
        band[j, 0] += w
        band[j, j - i] -= w
    _factorise(band, n, width)


@njit(cache=True)
def solve_net(
    z: np.ndarray,
    metric: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    n: int,
    left: np.ndarray,
    right: np.ndarray,
    limit: np.ndarray,
    links: int,
    width: int,
    x: np.ndarray,
    band: np.ndarray,
    work: np.ndarray,
    segment: np.ndarray,
    pull: np.ndarray,
) -> None:
    """Minimise sum D/2 (x - z)^2 over bounds and |x_right - x_left| <= limit of every link.

    Args:
        z: (n,) unconstrained minimiser.
        metric: (n,) positive curvature.
        lower: (n,).
        upper: (n,), may hold inf.
        n: number of cells.
        left: (links,) the earlier cell of each link.
        right: (links,) the later one, ``right > left``.
        limit: (links,) nonnegative.
        links: number of links.
        width: largest distance right - left.
        x: out; the minimiser.
        band: scratch of shape (n, width + 1).
        work: scratch of shape (20, max(n, links)).
        segment: out, see `_polish`.
        pull: out; (links,) multiplier of each link, positive where the later cell is held down.
    """
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
    low, high = work[4], work[5]
    slack, price = work[6:10], work[10:14]
    weight, gap = work[14:18], work[18]
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
    count = 0
    for i in range(n):
        for side in range(2):
            at = u[i] - low[i] if side == 0 else high[i] - u[i]
            slack[side, i] = max(at, 1e-2)
            price[side, i] = 1e-2
            if side == 1 and not np.isfinite(high[i]):
                price[side, i] = 0.0
                slack[side, i] = 1.0
            else:
                count += 1
    for e in range(links):
        room = max(limit[e] / size, _NARROW)
        move = u[right[e]] - u[left[e]]
        for side in range(2):
            slack[2 + side, e] = max(room - move if side == 0 else room + move, 1e-2)
            price[2 + side, e] = 1e-2
            count += 1
    before = np.inf
    for _ in range(_ITERATIONS):
        mu = 0.0
        worst = 0.0
        for side in range(4):
            for k in range(n if side < 2 else links):
                mu += slack[side, k] * price[side, k]
        mu /= count
        for i in range(n):
            weight[0, i] = price[0, i] / slack[0, i]
            weight[1, i] = price[1, i] / slack[1, i]
        for e in range(links):
            weight[2, e] = price[2, e] / slack[2, e]
            weight[3, e] = price[3, e] / slack[3, e]
        _matrix(band, d, weight, n, width, left, right, links)
        # Residuals of slacks and of stationarity decide, with mu, when to stop.
        for i in range(n):
            gap[i] = d[i] * (u[i] - target[i]) - price[0, i] + price[1, i]
            worst = max(worst, abs(u[i] - low[i] - slack[0, i]))
            if np.isfinite(high[i]):
                worst = max(worst, abs(high[i] - u[i] - slack[1, i]))
        for e in range(links):
            both = price[2, e] - price[3, e]
            gap[right[e]] += both
            gap[left[e]] -= both
            room = max(limit[e] / size, _NARROW)
            move = u[right[e]] - u[left[e]]
            worst = max(worst, abs(room - move - slack[2, e]), abs(room + move - slack[3, e]))
        for i in range(n):
            worst = max(worst, abs(gap[i]))
        if mu <= 1e-14 and (mu <= 1e-16 or worst >= 0.5 * before):
            break
        before = worst
        # A look at the step without centring says how much of mu the real step should keep.
        share = 0.0
        step_p = 1.0
        for look in range(2):
            for i in range(n):
                du[i] = -d[i] * (u[i] - target[i])
            for side in range(4):
                for k in range(n if side < 2 else links):
                    if price[side, k] == 0.0:
                        continue
                    s = slack[side, k]
                    i, j, at = _constraint(side, k, u, low, high, left, right, limit, size)
                    t = share * mu / s
                    push = t - weight[side, k] * (at - s)
                    # G' push: the gradient of h - Gu is -G.
                    if i >= 0:
                        du[i] += push
                    if j >= 0:
                        du[j] -= push
            _substitute(band, n, width, du)
            step_p = 1.0
            for side in range(4):
                for k in range(n if side < 2 else links):
                    if price[side, k] == 0.0:
                        continue
                    s, p = slack[side, k], price[side, k]
                    i, j, at = _constraint(side, k, u, low, high, left, right, limit, size)
                    change = (du[i] if i >= 0 else 0.0) - (du[j] if j >= 0 else 0.0)
                    ds = at - s + change
                    dp = share * mu / s - p - weight[side, k] * ds
                    if ds < 0.0:
                        step_p = min(step_p, -s / ds)
                    if dp < 0.0:
                        step_p = min(step_p, -p / dp)
            if look == 0:
                share = max((1.0 - step_p) ** 3, 1e-3)
        length = min(1.0, 0.995 * step_p)
        for side in range(4):
            for k in range(n if side < 2 else links):
                if price[side, k] == 0.0:
                    continue
                s, p = slack[side, k], price[side, k]
                i, j, at = _constraint(side, k, u, low, high, left, right, limit, size)
                change = (du[i] if i >= 0 else 0.0) - (du[j] if j >= 0 else 0.0)
                ds = at - s + change
                dp = share * mu / s - p - weight[side, k] * ds
                s, p = s + length * ds, p + length * dp
                # A pair far below the others would be stuck at its end of the path.
                s = max(s, 1e-3 * share * mu / max(p, 1e-3))
                slack[side, k] = s
                price[side, k] = max(p, 1e-3 * share * mu / s)
        for i in range(n):
            u[i] += length * du[i]
    for i in range(n):
        x[i] = min(max(origin + size * u[i], lower[i]), upper[i])
    for e in range(links):
        pull[e] = (price[2, e] - price[3, e]) * force / size
    _polish(z, metric, lower, upper, n, left, right, limit, links, slack, price, size, x, segment)


@njit(cache=True)
def _polish(
    z: np.ndarray,
    metric: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    n: int,
    left: np.ndarray,
    right: np.ndarray,
    limit: np.ndarray,
    links: int,
    slack: np.ndarray,
    price: np.ndarray,
    size: float,
    x: np.ndarray,
    segment: np.ndarray,
) -> None:
    """Glue cells along the links that carry a force, and place every segment exactly.

    Interior points know a stiff segment's place only up to rounding of its links' weights; its own
    cells give it in closed form, or a bound that holds one of them. Arguments are those of
    `solve_net` with the slacks and prices of its constraints; ``segment`` (2, n) becomes the number
    of the first cell of each cell's segment, and 1 where a bound holds the segment.
    """
    offset = np.zeros(n)
    stack = np.empty(n, dtype=np.int64)
    segment[0, :n] = -1
    for root in range(n):
        if segment[0, root] >= 0:
            continue
        segment[0, root] = root
        offset[root] = 0.0
        stack[0] = root
        height = 1
        mass = 0.0
        moment = 0.0
        held = 0
        place = 0.0
        strongest = 0.0
        while height > 0:
            height -= 1
            i = stack[height]
            mass += metric[i]
            moment += metric[i] * (z[i] - offset[i])
            for side in range(2):
                if price[side, i] > slack[side, i]:
                    held = 1
                    if price[side, i] > strongest:
                        strongest = price[side, i]
                        place = (lower[i] if side == 0 else upper[i]) - offset[i]
            for e in range(links):
                if left[e] != i and right[e] != i:
                    continue
                j = right[e] if left[e] == i else left[e]
                if segment[0, j] >= 0:
                    continue
                step = 0.0
                if price[2, e] > slack[2, e] and price[2, e] >= price[3, e]:
                    step = limit[e]
                elif price[3, e] > slack[3, e]:
                    step = -limit[e]
                else:
                    continue
                segment[0, j] = root
                offset[j] = offset[i] + (step if right[e] == j else -step)
                stack[height] = j
                height += 1
        if held == 0:
            place = moment / mass
        for i in range(n):
            if segment[0, i] == root:
                segment[1, i] = held
                exact = place + offset[i]
                # Where it is far from what was found, a force was misread: keep what was found.
                if abs(exact - x[i]) <= 1e-5 * size:
                    x[i] = min(max(exact, lower[i]), upper[i])


@njit(cache=True)
def _constraint(
    side: int,
    k: int,
    u: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    limit: np.ndarray,
    size: float,
) -> tuple[int, int, float]:
    """The cell that gives a constraint room, the one that takes it (-1 for none), and its room."""
    if side == 0:
        return k, -1, u[k] - low[k]
    if side == 1:
        return -1, k, high[k] - u[k]
    room = max(limit[k] / size, _NARROW)
    move = u[right[k]] - u[left[k]]
    if side == 2:
        return left[k], right[k], room - move
    return right[k], left[k], room + move


@njit(cache=True)
def net_pass(
    z: np.ndarray,
    metric: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    coefficients: np.ndarray,
    cells: np.ndarray,
    net_start: np.ndarray,
    block_net: np.ndarray,
    link_start: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    limit: np.ndarray,
    pattern: np.ndarray,
    pattern_rows: np.ndarray,
    pattern_slot: np.ndarray,
    gram_start: np.ndarray,
    block_size: np.ndarray,
    multipliers: np.ndarray,
    x: np.ndarray,
    row_sums: np.ndarray,
    gram: np.ndarray,
    link: np.ndarray,
    with_gram: bool,
    largest: int,
    width: int,
) -> float:
    """As `_kernels.box_pass` with nets of links; cells sorted by block, net, place.

    Returns:
        sum of D / 2 * (x - z)^2.
    """
    layers = coefficients.shape[1]
    row_sums[:] = 0.0
    if with_gram:
        gram[:] = 0.0
    longest = 1
    for c in range(net_start.size - 1):
        longest = max(longest, net_start[c + 1] - net_start[c])
        longest = max(longest, link_start[c + 1] - link_start[c])
    work = np.zeros((20, longest))
    band = np.zeros((longest, width + 1))
    zc, dc = np.empty(longest), np.empty(longest)
    lc, uc, xc = np.empty(longest), np.empty(longest), np.empty(longest)
    weight = np.empty(largest)
    segment = np.zeros((2, longest), dtype=np.int64)
    touched = np.empty(largest, dtype=np.int64)
    known = np.full(largest, -1, dtype=np.int64)
    value = 0.0
    for b in range(block_net.size - 1):
        size = block_size[b]
        base = gram_start[b]
        for c in range(block_net[b], block_net[b + 1]):
            begin = net_start[c]
            n = net_start[c + 1] - begin
            count = 0
            for t in range(n):
                i = cells[begin + t]
                pull = 0.0
                for k in range(layers):
                    a = coefficients[i, k]
                    if a != 0.0:
                        pull += a * multipliers[pattern_rows[pattern[i], k]]
                        s = pattern_slot[pattern[i], k]
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
                solve_net(
                    zc,
                    dc,
                    lc,
                    uc,
                    n,
                    left[first : first + links],
                    right[first : first + links],
                    limit[first : first + links],
                    links,
                    width,
                    xc,
                    band,
                    work,
                    segment,
                    link[first : first + links],
                )
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
                                weight[known[pattern_slot[pattern[i], k]]] += a
                    for p in range(count):
                        for q in range(count):
                            gram[base + touched[p] * size + touched[q]] += (
                                weight[p] * weight[q] / mass
                            )
            for p in range(count):
                known[touched[p]] = -1
    return value
