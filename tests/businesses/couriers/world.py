"""Couriers who follow a law: writes the event files of hours, whoever decided the premium."""

import numpy as np
import pandas as pd

VEHICLES = ("bike", "van")
# Couriers on the road, and those that a premium could bring at most; parcels per hour.
USUAL = {"bike": 8.0, "van": 14.0}
MOST = {"bike": 20.0, "van": 4.0}
BOOKED = {"bike": 40.0, "van": 50.0}
HALFWAY, PACE = 50.0, 3.0


def booked(vehicle, hours):
    """Parcels per hour: a day of two shifts."""
    return np.round(BOOKED[vehicle] * (1 + 0.5 * np.sin(2 * np.pi * (hours.hour - 9) / 24)))


def carried(vehicle, parcels, premium):
    """Parcels per hour that get where they should."""
    couriers = USUAL[vehicle] + MOST[vehicle] * premium / (HALFWAY + premium)
    return parcels * PACE * couriers / (PACE * couriers + parcels)


def premium_until_now(vehicle, hours):
    """USD per hour: more where more was booked, the same for every vehicle."""
    return np.round(0.1 * booked(vehicle, hours), 2)


def write_events(folder, hours, premium, *, booked_until):
    """Write what happened in ``hours`` under a premium by vehicle, and what is booked ahead."""
    ahead = pd.date_range(hours[0], booked_until, freq="h", unit="us")
    random = np.random.default_rng([11, len(hours), int(hours[0].timestamp())])
    tables = {"bookings": [], "deliveries": [], "premiums": []}
    for vehicle in VEHICLES:
        noise = np.exp(0.05 * random.standard_normal(len(hours)))
        parcels = carried(vehicle, booked(vehicle, hours), premium[vehicle]) * noise
        early, late = hours[0] - pd.Timedelta(days=1), hours + pd.Timedelta(hours=1)
        for name, column, when, known_at, values in (
            ("bookings", "parcels", ahead, early, booked(vehicle, ahead)),
            ("deliveries", "parcels", hours, late, parcels),
            ("premiums", "usd", hours, early, premium[vehicle]),
        ):
            cells = {"vehicle": vehicle, "hour": when, "known_at": known_at, column: values}
            tables[name].append(pd.DataFrame(cells))
    for name, parts in tables.items():
        pd.concat(parts).to_parquet(folder / f"{name}.parquet")
