"""Depots that follow a law: writes the event files that a real chain of depots would export.

python world.py history FOLDER              six weeks, the roster of a seventh, experiments
python world.py week FOLDER DECISIONS       the seventh week under decided overtime pay
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

ZONES = {"HAM": "Europe/Berlin", "LIS": "Europe/Lisbon", "MAD": "Europe/Madrid"}
START = pd.Timestamp("2026-02-23T00:00Z")  # clocks change in its fifth week
WEEKS = 6
HOURS = pd.date_range(START, periods=168 * (WEEKS + 1), freq="h", unit="us")

# The law: orders per hour, orders per worker hour, minutes, worker hours per hour, EUR/h.
USUAL = {"HAM": 24.0, "LIS": 12.0, "MAD": 18.0}
SPEED = {"HAM": 6.0, "LIS": 5.0, "MAD": 7.0}
QUICKEST = {"HAM": 25.0, "LIS": 35.0, "MAD": 30.0}
MOST = {"HAM": 7.0, "LIS": 6.0, "MAD": 6.5}
HALF = 50.0


def shape_of_week(depot):
    """Factor on the usual orders by local hour."""
    local = HOURS.tz_convert(ZONES[depot])
    day = np.sin(2 * np.pi * (local.hour.to_numpy() // 3 - 2.5) / 8)
    weekend = np.where(local.day_of_week.to_numpy() >= 5, -0.4, 0.1)
    return np.exp(0.6 * day + weekend)


def roster(depot):
    """Workers on shift: two at night, more by day."""
    local = HOURS.tz_convert(ZONES[depot]).hour.to_numpy()
    return np.where((local >= 6) & (local < 22), 4, 2)


def extra_hours(depot, pay):
    """Worker hours that overtime pay brings."""
    return MOST[depot] * pay / (HALF + pay)


def sent_in_time(depot, orders, hands):
    """Orders per hour that so many hands send in time."""
    capacity = SPEED[depot] * hands
    return orders * capacity / (capacity + orders)


def usual_pay(depot):
    """What was paid until now: more where more orders were expected."""
    return np.round(20.0 * shape_of_week(depot), 2)


def order_rows(pay, chosen, first_id):
    """One row per order within the hours ``chosen``, by depot in ``pay``."""
    frames = []
    for place, depot in enumerate(ZONES):
        random = np.random.default_rng([7, place, int(chosen[0])])
        rate = USUAL[depot] * shape_of_week(depot)[chosen]
        count = random.poisson(rate * np.exp(0.1 * random.standard_normal(len(chosen))))
        hands = roster(depot)[chosen] + extra_hours(depot, pay[depot])
        load = count / (SPEED[depot] * hands)
        row = np.repeat(np.arange(len(chosen)), count)
        seconds = random.integers(0, 3600, len(row))
        placed = HOURS[chosen][row] + pd.to_timedelta(seconds, unit="s").as_unit("us")
        wait = QUICKEST[depot] * (1 + load[row]) * random.gamma(4.0, 0.25, len(row))
        frames.append(
            pd.DataFrame(
                {
                    "depot": depot,
                    "placed_at": placed,
                    "known_at": placed + pd.Timedelta(minutes=1),
                    "wait_min": wait,
                    "in_time": random.uniform(size=len(row)) < 1 / (1 + load[row]),
                }
            )
        )
    rows = pd.concat(frames, ignore_index=True)
    return rows.assign(order_id=first_id + np.arange(len(rows)))


def overtime_rows(pay, chosen, known_at):
    """What was paid, one row per depot and hour."""
    return pd.concat(
        pd.DataFrame(
            {"depot": depot, "hour": HOURS[chosen], "eur": pay[depot], "known_at": known_at}
        )
        for depot in ZONES
    )


def shift_rows():
    """The roster until the end of the seventh week, hour by hour, known before it began."""
    cells = [
        (depot, hour)
        for depot in ZONES
        for hour, workers in zip(HOURS, roster(depot), strict=True)
        for _ in range(workers)
    ]
    rows = pd.DataFrame(cells, columns=["depot", "starts_at"])
    return rows.assign(
        shift_id=np.arange(len(rows)),
        ends_at=rows["starts_at"] + pd.Timedelta(hours=1),
        known_at=START - pd.Timedelta(days=1),
    )


def experiment(depot, first_week):
    """Two weeks with and without 60 EUR/h, as the law has it, off by half a standard error."""
    chosen = np.arange(168 * first_week, 168 * (first_week + 2))
    orders, hands = USUAL[depot] * shape_of_week(depot)[chosen], roster(depot)[chosen]
    treated = sent_in_time(depot, orders, hands + extra_hours(depot, 60.0)).mean()
    effect = treated - sent_in_time(depot, orders, hands).mean()
    return {
        "name": f"overtime-{depot}",
        "levers": ["overtime_pay"],
        "outcome": "sent_in_time",
        "cells": {
            "dim": "depot",
            "labels": [depot],
            "start": HOURS[chosen[0]].isoformat(),
            "end": HOURS[chosen[-1]].isoformat(),
        },
        "control": {
            "name": "none",
            "changes": [{"quantity": "overtime_pay", "how": "set", "value": 0.0}],
        },
        "treatment": {
            "name": "60 euros",
            "changes": [{"quantity": "overtime_pay", "how": "set", "value": 60.0}],
        },
        "estimate": 1.03 * effect,
        "standard_error": 0.06 * effect,
    }


def write_history(folder):
    """Six weeks that have passed."""
    chosen = np.arange(168 * WEEKS)
    pay = {depot: usual_pay(depot)[chosen] for depot in ZONES}
    order_rows(pay, chosen, 0).to_parquet(folder / "orders.parquet")
    overtime_rows(pay, chosen, START).to_parquet(folder / "overtime.parquet")
    shift_rows().to_parquet(folder / "shifts.parquet")
    (folder / "depots.json").write_text(json.dumps(ZONES))
    (folder / "experiments.json").write_text(json.dumps([experiment(d, 2) for d in ZONES]))


def write_week(folder, decisions):
    """The seventh week, in which overtime is paid as decided."""
    chosen = np.arange(168 * WEEKS, 168 * (WEEKS + 1))
    decided = pd.read_parquet(decisions).pivot_table("value", "hour", "depot")
    paid = {depot: decided.loc[HOURS[chosen], depot].to_numpy() for depot in ZONES}
    order_rows(paid, chosen, 10**6).to_parquet(folder / "orders.parquet")
    known_at = HOURS[chosen[0]] - pd.Timedelta(hours=1)
    overtime_rows(paid, chosen, known_at).to_parquet(folder / "overtime.parquet")
    (folder / "depots.json").write_text(json.dumps(ZONES))


if __name__ == "__main__":
    what, target, *more = sys.argv[1:]
    Path(target).mkdir(parents=True, exist_ok=True)
    if what == "history":
        write_history(Path(target))
    else:
        write_week(Path(target), *more)
