"""Published estimates, computed again from the figures that they were computed from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from readers import read_congestion_panel, read_ebay_paid_search

# Blake, Nosko & Tadelis (2015), as recomputed by difference in differences over 210 markets.
EBAY = (-0.0066, 0.0056)


def ebay_effect(data: Path) -> tuple[float, float]:
    """Log effect of switching paid search off, and its standard error.

    Difference in differences over markets: each market's mean log revenue after less before,
    compared between markets in which search was switched off and those in which it stayed on.
    """
    frame = read_ebay_paid_search(data)
    logs = frame.assign(log=np.log(frame["revenue"]))
    means = logs.groupby(["search_stays_on", "market", "treatment_period"])["log"].mean().unstack()
    change = means[True] - means[False]
    off, on = change[False], change[True]
    error = np.sqrt(off.var() / len(off) + on.var() / len(on))
    return float(off.mean() - on.mean()), float(error)


def congestion_effect(data: Path) -> tuple[float, float]:
    """Log effect of the congestion fee on trips into its zone, and the author's own figure."""
    panel, published = read_congestion_panel(data)
    wide = panel.assign(log=np.log(panel["trips"])).pivot(
        index="date", columns="unit", values="log"
    )
    gap = wide["cbd_bound"] - wide["man_control"]
    after = gap.index >= published["treatment_date"]
    return float(gap[after].mean() - gap[~after].mean()), float(published["headline"]["coef"])
