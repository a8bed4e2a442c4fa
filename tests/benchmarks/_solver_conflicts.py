"""Whether infeasible problems name the limits that were spoilt, over many drawn problems."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from _harness import Row

from dagcast_core.decide import solve

sys.path.insert(0, str(Path(__file__).parents[2] / "packages" / "core" / "tests" / "decide"))

from planted import plant

_OTHERS = 2


def rows(problems: int = 30) -> list[Row]:
    """One row: problems with one to three planted conflicts whose diagnosis names them.

    Args:
        problems: how many to draw.
    """
    begun = time.process_time()
    failed: list[str] = []
    most = 0
    for seed in range(problems):
        planted = plant(seed)
        plan = solve(planted.problem)
        named = [
            any(f" {quantity} {region} " in line for line in plan.conflicts)
            for quantity, region in planted.rows
        ]
        others = len(plan.conflicts) - sum(named)
        most = max(most, others)
        if plan.status != "infeasible" or not all(named) or others > _OTHERS:
            failed.append(f"seed {seed}: {plan.status}, {sum(named)} of {len(named)} named")
    seconds = time.process_time() - begun
    found = f"{problems - len(failed)} of {problems}, at most {most} others ({seconds:.1f} s)"
    if failed:
        found += "; " + "; ".join(failed[:3])
    return [
        Row(
            f"infeasible, {problems} problems with 1 to 3 planted conflicts",
            "every planted row named, at most 2 others",
            found,
            not failed,
        )
    ]
