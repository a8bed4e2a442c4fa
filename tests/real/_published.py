"""Published estimates, computed again from the figures that they were computed from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from readers import read_congestion_panel, read_ebay_paid_search

from dagcast_core.estimate import RawTrial, fixed_effects_difference, measure_rows

# Blake, Nosko & Tadelis (2015), as recomputed by difference in differences over 210 markets.
EBAY = (-0.0066, 0.0056)


def ebay_effect(data: Path) -> tuple[float, float]:
    """Log effect of switching paid search off, and its standard error, from the raw rows.

    A geo test: each market's mean log revenue after less before, compared between markets in which
    search was switched off and those in which it stayed on.
    """
    frame = read_ebay_paid_search(data)
    rows = frame.assign(
        log=np.log(frame["revenue"]),
        off=1 - frame["search_stays_on"].astype(int),
        before=1 - frame["treatment_period"].astype(int),
    )
    trial = RawTrial("geo", "log", "off", ("market",), before="before")
    found = measure_rows(rows, trial)
    return found.estimate, found.standard_error


def congestion_effect(data: Path) -> tuple[float, float]:
    """Log effect of the congestion fee on trips into its zone, and the author's own figure."""
    panel, published = read_congestion_panel(data)
    after = panel["date"] >= published["treatment_date"]
    found = fixed_effects_difference(
        np.log(panel["trips"]),
        (panel["unit"] == "cbd_bound") & after,
        groups=(panel["unit"], panel["date"].astype(str)),
        clusters=panel["date"].astype(str),
    )
    return found.estimate, float(published["headline"]["coef"])
