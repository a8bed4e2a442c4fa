"""How long a marketplace takes to live: a history with its events, and a week of what-if.

CPU time of one core. Compiling happens once per machine and is counted where it happens.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from _harness import limit, report

from dagcast_simulator import MarketWorlds

REGIONS, WEEKS = 12, 16
# Promised for a history of this size, on one core.
_LIMIT = 20.0


def main() -> int:
    """Measure, print one table, and say whether the target held."""
    rows = []
    for seed, name in ((0, "first, compiling where nothing is cached"), (1, "next")):
        begin = time.process_time()
        world = MarketWorlds().create(REGIONS, WEEKS, seed, {})
        sessions = int(world.history()["sessions"].sum())
        lived = time.process_time() - begin
        with tempfile.TemporaryDirectory() as folder:
            world.write_events(folder)
            size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
        total = time.process_time() - begin
        rows.append(
            limit(
                f"{REGIONS} regions x {WEEKS} weeks, events written ({name})",
                total,
                at_most=_LIMIT,
                unit="s",
                beside={
                    "market alone": f"{lived:.1f} s",
                    "sessions": f"{sessions:,}",
                    "files": f"{size / 1e6:.0f} MB",
                },
            )
        )
    plan = world.operator_decisions()
    begin = time.process_time()
    world.outcome(plan)
    rows.append(limit("a what-if week", time.process_time() - begin, unit="s"))
    return report("Simulator, CPU seconds of one core", rows)


if __name__ == "__main__":
    sys.exit(main())
