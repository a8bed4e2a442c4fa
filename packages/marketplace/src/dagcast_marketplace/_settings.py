"""First settings of a marketplace's project, before anybody typed a number.

Limits are multiples of recent weeks: less money than the operator spent, waits and prices close to
what riders know.
"""

from collections.abc import Mapping
from typing import Any

SETTINGS: Mapping[str, Any] = {
    "name": "marketplace",
    # Every opening of the app is logged; other tables may pause.
    "data": {"heartbeat": "sessions"},
    "levers": {"incentive_spend": {"lower": 0.0, "upper_of_recent": 2.0}},
    "budgets": [
        {"lever": "incentive_spend", "of_recent": 0.8},
        {"lever": "incentive_spend", "of_recent": 1.2, "by": ["region"]},
    ],
    "guardrails": [
        {"quantity": "eta", "of_recent": 1.05, "by": ["region"], "weight": "sessions"},
        {"quantity": "prime_time", "of_recent": 1.15, "by": ["region"], "weight": "sessions"},
        {"quantity": "profit", "sense": ">=", "of_recent": 0.9, "reduce": "sum"},
    ],
    "ramps": [{"lever": "incentive_spend", "step": 24, "of_upper": 0.5}],
    # A ride is worth more than its profit of today: its rider comes back.
    "objective": {"weights": {"profit": 1.0, "rides": 4.0}, "unit": "USD"},
    "display": {"first": ["profit", "rides", "eta", "prime_time", "sessions", "driver_hours"]},
    "backtest": {"quantities": ["sessions", "driver_hours", "eta", "rides"]},
}
