"""Compiled inner loop for cells that a ramp ties into chains.

The proximal step of a chain is a dynamic programme over piecewise-linear derivatives, whose cost is
linear in the chain's length.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from dagcast_core.solver.kernels._layout import Layout

__all__ = ["chain_pass", "solve_chain"]

_TIE = 1e-12
_REST = 1e-8


@njit(cache=True)
def _carried(multiplier: float, change: float, limit: float) -> float:
    """The part of a link's multiplier whose sign its activity allows."""
    tie = _TIE * (1.0 + limit)
    if change >= limit - tie and (multiplier > 0.0 or change <= -limit + tie):
        return multiplier
    if change <= -limit + tie and multiplier < 0.0:
        return multiplier
    return 0.0


@njit(cache=True)
def _misplaced(rho: float, pinned: bool, x: float, lower: float, upper: float) -> bool:
    """Whether a reduced gradient has a sign that the cell's bound cannot explain."""
    if not pinned or upper <= lower:
        return False
    middle = 0.5 * (lower + upper) if np.isfinite(upper) else lower + 1.0
    return (rho > 0.0) if x > middle else (rho < 0.0)


@njit(cache=True, error_model="numpy")
def solve_chain(
    z: np.ndarray,
    metric: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    limit: np.ndarray,
    length: int,
    x: np.ndarray,
    segment: np.ndarray,
    pinned: np.ndarray,
    link: np.ndarray,
    work: np.ndarray,
) -> None:
    """Minimise sum D/2 (x - z)^2 over bounds and |x_t - x_{t-1}| <= limit_t, exactly.

    Dynamic programme over t. The derivative of the value function is piecewise linear; its knots
    lie on two stacks left and right of its minimiser, each with one lazy offset, so a step moves
    only the knots between the old and the new minimiser. A knot is (position - offset, jump of
    slope, jump of value), read outwards.

    Args:
        z: unconstrained minimiser.
        metric: positive curvature.
        lower: tightened along the chain.
        upper: tightened along the chain.
        limit: limit[t] belongs to the link between t-1 and t; limit[0] is ignored.
        length: number of cells.
        x: out; the minimiser.
        segment: out; cells joined by links with a multiplier share the index of their first cell.
        pinned: out; the cell is held by its own bound.
        link: out; the multiplier of the link (t-1, t), positive where x_t is held down to x_{t-1} +
            limit.
        work: scratch of shape (7, 2 * length + 4).
    """
    left_pos, left_slope, left_jump = work[0], work[1], work[2]
    right_pos, right_slope, right_jump = work[3], work[4], work[5]
    best = work[6]
    n_left = 0
    n_right = 0
    off_left = 0.0
    off_right = 0.0
    low = lower[0]
    high = upper[0]
    centre_low = -np.inf
    centre_high = np.inf
    for t in range(length):
        if t > 0:
            r = limit[t]
            off_left -= r
            off_right += r
            centre_low = best[t - 1] - r
            centre_high = best[t - 1] + r
            low = max(low - r, lower[t])
            high = min(high + r, upper[t])
            if low > high:
                # Bounds were tightened along the chain before: only rounding comes here.
                low = high = 0.5 * (low + high)
        d = metric[t]
        zt = z[t]
        # Unconstrained minimiser: walk from the flat centre towards z.
        slope_l = d
        slope_r = d
        value_l = 0.0
        value_r = 0.0
        if zt > centre_high:
            c = centre_high
            value = d * (c - zt)
            slope = d
            while True:
                root = c - value / slope
                if n_right == 0 or root <= right_pos[n_right - 1] + off_right:
                    m = root
                    slope_l = slope
                    slope_r = slope
                    break
                n_right -= 1
                q = right_pos[n_right] + off_right
                before = value + slope * (q - c)
                slope_before = slope
                value = before + right_jump[n_right]
                slope = slope_before + right_slope[n_right]
                c = q
                if value >= 0.0:
                    m = q
                    value_l = before
                    slope_l = slope_before
                    value_r = value
                    slope_r = slope
                    break
                left_pos[n_left] = q - off_left
                left_slope[n_left] = -right_slope[n_right]
                left_jump[n_left] = right_jump[n_right]
                n_left += 1
        elif zt < centre_low:
            c = centre_low
            value = d * (c - zt)
            slope = d
            while True:
                root = c - value / slope
                if n_left == 0 or root >= left_pos[n_left - 1] + off_left:
                    m = root
                    slope_l = slope
                    slope_r = slope
                    break
                n_left -= 1
                q = left_pos[n_left] + off_left
                before = value + slope * (q - c)
                slope_before = slope
                value = before - left_jump[n_left]
                slope = slope_before + left_slope[n_left]
                c = q
                if value <= 0.0:
                    m = q
                    value_r = before
                    slope_r = slope_before
                    value_l = value
                    slope_l = slope
                    break
                right_pos[n_right] = q - off_right
                right_slope[n_right] = -left_slope[n_left]
                right_jump[n_right] = left_jump[n_left]
                n_right += 1
        else:
            m = zt
        # The domain's ends: walk back to the end that cuts the minimiser off, to know the
        # derivative there.
        if m >= high:
            c = m
            value = value_l
            slope = slope_l
            while n_left > 0 and left_pos[n_left - 1] + off_left >= high:
                n_left -= 1
                q = left_pos[n_left] + off_left
                value = value + slope * (q - c) - left_jump[n_left]
                slope = slope + left_slope[n_left]
                c = q
            value_l = value + slope * (high - c)
            slope_l = slope
            m = high
            n_right = 0
            value_r = 0.0
            slope_r = 0.0
        if m <= low:
            c = m
            value = value_r
            slope = slope_r
            while n_right > 0 and right_pos[n_right - 1] + off_right <= low:
                n_right -= 1
                q = right_pos[n_right] + off_right
                value = value + slope * (q - c) + right_jump[n_right]
                slope = slope + right_slope[n_right]
                c = q
            value_r = value + slope * (low - c)
            slope_r = slope
            m = low
            n_left = 0
            value_l = 0.0
            slope_l = 0.0
        best[t] = m
        left_pos[n_left] = m - off_left
        left_slope[n_left] = slope_l
        left_jump[n_left] = -min(value_l, 0.0)
        n_left += 1
        right_pos[n_right] = m - off_right
        right_slope[n_right] = slope_r
        right_jump[n_right] = max(value_r, 0.0)
        n_right += 1
    # Backtrack. A link carries a multiplier where the clamp cuts, or where the cells behind it are
    # free and yet not at rest: then the minimiser sat on a kink that a neighbour's bound had made.
    x[length - 1] = best[length - 1]
    force = 0.0
    effort = 0.0
    held = False
    for t in range(length - 1, -1, -1):
        tie = _TIE * (1.0 + abs(x[t]))
        pinned[t] = x[t] >= upper[t] - tie or x[t] <= lower[t] + tie
        held = held or pinned[t]
        push = metric[t] * (x[t] - z[t])
        force += push
        effort += abs(push) + metric[t] * tie
        if t == 0:
            break
        r = limit[t]
        previous = best[t - 1]
        if previous > x[t] + r:
            glued = previous > x[t] + r + tie
            previous = x[t] + r
        elif previous < x[t] - r:
            glued = previous < x[t] - r - tie
            previous = x[t] - r
        else:
            glued = False
        glued = glued or (not held and abs(force) > _REST * effort)
        x[t - 1] = previous
        segment[t] = 0 if glued else 1
        if not glued:
            force = 0.0
            effort = 0.0
            held = False
    segment[0] = 1
    # Multipliers of the links: partial sums of D (x - z) from the free ends of a segment to its
    # pinned cell.
    start = 0
    while start < length:
        end = start + 1
        while end < length and segment[end] == 0:
            end += 1
        first = -1
        last = -1
        for t in range(start, end):
            if pinned[t]:
                if first < 0:
                    first = t
                last = t
        link[start] = 0.0
        total = 0.0
        stop = first if first >= 0 else end - 1
        for t in range(start, stop):
            total += metric[t] * (x[t] - z[t])
            link[t + 1] = total
        if first >= 0:
            total = 0.0
            for t in range(end - 1, last, -1):
                total -= metric[t] * (x[t] - z[t])
                link[t] = total
            for t in range(first + 1, last + 1):
                link[t] = 0.0
        for t in range(start, end):
            segment[t] = start
        start = end
    # Neighbouring bounds share the force between them: pass on what has the wrong sign, right and
    # then left.
    for t in range(length - 1):
        rho = metric[t] * (x[t] - z[t]) + link[t] - link[t + 1]
        if _misplaced(rho, pinned[t], x[t], lower[t], upper[t]) and pinned[t + 1]:
            link[t + 1] = _carried(link[t + 1] + rho, x[t + 1] - x[t], limit[t + 1])
    for t in range(length - 1, 0, -1):
        after = link[t + 1] if t + 1 < length else 0.0
        rho = metric[t] * (x[t] - z[t]) + link[t] - after
        if _misplaced(rho, pinned[t], x[t], lower[t], upper[t]) and pinned[t - 1]:
            link[t] = _carried(link[t] - rho, x[t] - x[t - 1], limit[t])


@njit(cache=True, error_model="numpy")
def chain_pass(
    layout: Layout,
    z: np.ndarray,
    metric: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    limit: np.ndarray,
    coefficients: np.ndarray,
    multipliers: np.ndarray,
    x: np.ndarray,
    row_sums: np.ndarray,
    gram: np.ndarray,
    link: np.ndarray,
    with_gram: bool,
) -> float:
    """As `_box.box_pass` with links |x_t - x_{t-1}| <= limit inside every chain.

    Cells are sorted by block, chain, time; ``lower`` and ``upper`` must be tightened along the
    chains. A segment of linked cells moves as one: its weight in the dual Hessian is 1 / sum of D,
    or 0 where a bound holds any of its cells.

    Returns:
        sum of D / 2 * (x - z)^2.
    """
    layers = coefficients.shape[1]
    row_sums[:] = 0.0
    if with_gram:
        gram[:] = 0.0
    cells, pattern, pattern_rows = layout.cells, layout.pattern, layout.pattern_rows
    slot, longest, largest = layout.slot, layout.longest, layout.largest
    work = np.empty((7, 2 * longest + 4))
    zc = np.empty(longest)
    dc = np.empty(longest)
    lc = np.empty(longest)
    uc = np.empty(longest)
    rc = np.empty(longest)
    xc = np.empty(longest)
    kc = np.empty(longest)
    segment = np.empty(longest, dtype=np.int64)
    pinned = np.empty(longest, dtype=np.bool_)
    weight = np.zeros(largest)
    touched = np.empty(largest, dtype=np.int64)
    # Neighbouring cells belong to the same rows: their prices and sums are kept at hand.
    price = np.empty(layers)
    sums = np.zeros(layers)
    priced = -1
    summed = -1
    value = 0.0
    for b in range(layout.block_group.size - 1):
        size = layout.block_size[b]
        base = layout.gram_start[b]
        for c in range(layout.block_group[b], layout.block_group[b + 1]):
            begin = layout.group_start[c]
            length = layout.group_start[c + 1] - begin
            for t in range(length):
                i = cells[begin + t]
                g = pattern[i]
                if g != priced:
                    priced = g
                    for k in range(layers):
                        price[k] = multipliers[pattern_rows[g, k]]
                pull = 0.0
                for k in range(layers):
                    pull += coefficients[i, k] * price[k]
                zc[t] = z[i] - pull / metric[i]
                dc[t] = metric[i]
                lc[t] = lower[i]
                uc[t] = upper[i]
                rc[t] = limit[i]
            if length == 1:
                xc[0] = min(max(zc[0], lc[0]), uc[0])
                pinned[0] = xc[0] >= uc[0] or xc[0] <= lc[0]
                segment[0] = 0
                kc[0] = 0.0
            else:
                solve_chain(zc, dc, lc, uc, rc, length, xc, segment, pinned, kc, work)
            t = 0
            while t < length:
                end = t
                total = 0.0
                held = False
                while end < length and segment[end] == segment[t]:
                    i = cells[begin + end]
                    g = pattern[i]
                    x[i] = xc[end]
                    link[i] = kc[end]
                    step = xc[end] - z[i]
                    value += 0.5 * dc[end] * step * step
                    total += dc[end]
                    held = held or pinned[end]
                    if g != summed:
                        if summed >= 0:
                            for k in range(layers):
                                row_sums[pattern_rows[summed, k]] += sums[k]
                        summed = g
                        sums[:] = 0.0
                    for k in range(layers):
                        sums[k] += coefficients[i, k] * xc[end]
                    end += 1
                if with_gram and not held and end == t + 1:
                    # The usual case: a cell alone, whose rows are distinct.
                    i = cells[begin + t]
                    g = pattern[i]
                    for j in range(layers):
                        w = coefficients[i, j] / total
                        if w == 0.0:
                            continue
                        row = base + slot[g, j] * size
                        for k in range(layers):
                            if coefficients[i, k] != 0.0:
                                gram[row + slot[g, k]] += w * coefficients[i, k]
                elif with_gram and not held:
                    count = 0
                    for p in range(t, end):
                        i = cells[begin + p]
                        g = pattern[i]
                        for k in range(layers):
                            a = coefficients[i, k]
                            if a == 0.0:
                                continue
                            s = slot[g, k]
                            known = False
                            # Rows of a single cell are distinct.
                            if p > t:
                                for j in range(count):
                                    if touched[j] == s:
                                        known = True
                                        break
                            if not known:
                                touched[count] = s
                                weight[s] = 0.0
                                count += 1
                            weight[s] += a
                    for j in range(count):
                        w = weight[touched[j]] / total
                        for k in range(count):
                            gram[base + touched[j] * size + touched[k]] += w * weight[touched[k]]
                t = end
    if summed >= 0:
        for k in range(layers):
            row_sums[pattern_rows[summed, k]] += sums[k]
    return value
