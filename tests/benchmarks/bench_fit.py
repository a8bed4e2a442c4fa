"""A full fit at the size of a large marketplace: 300 regions x 26 weeks x 3 incentive types.

Every size is fitted in a process of its own, with one thread, by all installed models and with the
experiments of the market: time is CPU seconds of `fit` alone (what two cores need at most), memory
the peak of the process. Sizes grow along regions and along hours, and the slope of log time over
log size says whether time is linear.

The history is that of a simulated market of 12 regions, repeated: each copy has its own size and
its own noise by hour, so that no region is another's double. Experiments run in the copies of their
regions too, as those of a marketplace of that size would.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from _harness import Row, limit, report

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "worlds"))
from _market import Spec, opened

from dagcast_core import IndexTensor, Panel, fit
from dagcast_core.contract import Experiment

ORIGINAL = 12
WEEKS = 26
FULL = 300
# Between the name of a region and the number of its copy.
COPY = " copy "
REGIONS = (30, 60, 120)
HOURS = (7, 13, 26)
# Quantities that grow with the size of a region; the others are rates, prices and calendars.
EXTENSIVE = frozenset(
    {"sessions", "rides", "driver_hours", "revenue", "driver_pay", "profit", "incentive_spend",
     "coupon_spend"}
)  # fmt: skip
NOISY = frozenset({"sessions", "rides", "driver_hours", "eta"})


def tiled(history: Panel, regions: int, weeks: int) -> Panel:
    """The history over its last weeks, with as many regions as asked for."""
    rng = np.random.default_rng(0)
    names = list(history["sessions"].index("region"))
    copies = -(-regions // len(names))
    labels = [f"{name}{COPY}{copy}" if copy else name for copy in range(copies) for name in names]
    size = np.exp(rng.normal(0.0, 0.3, copies))
    size[0] = 1.0
    last = history["sessions"].index("hour")[-weeks * 168 :]
    made = {}
    for name, tensor in history.items():
        parts = []
        cut = tensor.sel(hour=slice(last[0], last[-1]))
        axis = cut.dims.index("region")
        for copy in range(copies):
            part = cut.tensor.clone()
            if copy and name in EXTENSIVE:
                part = part * size[copy]
            if copy and name in NOISY:
                part = part * torch.tensor(rng.lognormal(0.0, 0.03, tuple(part.shape)))
            if name in ("sessions", "rides"):
                part = part.round()
            parts.append(part)
        joined = torch.cat(parts, dim=axis).narrow(axis, 0, regions)
        indexes = {dim: cut.index(dim) for dim in cut.dims}
        indexes["region"] = labels[:regions]
        made[name] = IndexTensor(joined, indexes, name)
    return Panel(made)


def everywhere(experiment: Experiment, regions: Sequence[str]) -> Experiment:
    """The experiment in all copies of its regions; for the time it takes, not for its estimate."""
    wide = tuple(name for name in regions if name.rsplit(COPY, 1)[0] in experiment.cells.labels)
    return replace(experiment, cells=replace(experiment.cells, labels=wide))


def one(regions: int, weeks: int, cache: Path) -> dict[str, float | str]:
    """Fit one size in this process."""
    with opened(Spec(0, ORIGINAL, WEEKS, cache=cache)) as market:
        history = tiled(market.history, regions, weeks)
        first = history["sessions"].index("hour")[0]
        names = list(history["sessions"].index("region"))
        kept = [
            everywhere(e, names) for e in market.experiments if e.cells.start >= first.isoformat()
        ]
        incentives = history["incentive_spend"].index("incentive")
        labels = {**market.session.labels, "region": names}
        model = market.session.build(labels)
        began = time.process_time()
        done = fit(model, history, kept)
        used = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    return {
        "seconds": used,
        "gigabytes": peak,
        "status": str(done.status),
        "experiments": len(kept),
        "types": len(incentives),
    }


def apart(regions: int, weeks: int, cache: Path) -> dict[str, float | str]:
    """Fit one size in a process of its own."""
    command = [sys.executable, __file__, "--one", str(regions), str(weeks), "--cache", str(cache)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise SystemExit(f"the fit of {regions} regions x {weeks} weeks failed:\n{ran.stderr}")
    found: dict[str, float | str] = json.loads(ran.stdout.splitlines()[-1])
    print(f"{regions} regions x {weeks} weeks: {found}", file=sys.stderr, flush=True)
    return found


def slope(sizes: dict[int, float]) -> float:
    """Power with which time grows, by least squares in logs."""
    return float(np.polyfit(np.log(list(sizes)), np.log(list(sizes.values())), 1)[0])


def _row(case: str, found: dict[str, float | str]) -> Row:
    beside = {
        "memory": f"{float(found['gigabytes']):.2f} GB",
        "status": str(found["status"]),
        "experiments": str(found["experiments"]),
    }
    return limit(case, float(found["seconds"]), unit="s", beside=beside)


def main() -> int:
    """Measure, print the table, and return 1 if a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=2, type=int, metavar=("REGIONS", "WEEKS"))
    parser.add_argument("--cache", type=Path, help="keep the simulated market in this folder")
    parser.add_argument("--quick", action="store_true", help="leave out the full size")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="dagcast-bench-") as folder:
        cache = arguments.cache or Path(folder)
        if arguments.one:
            print(json.dumps(one(*arguments.one, cache)))
            return 0
        rows: list[Row] = []
        times: dict[tuple[int, int], float] = {}
        shapes = [(r, WEEKS) for r in REGIONS] + [(REGIONS[1], w) for w in HOURS[:-1]]
        for shape in shapes:
            found = apart(*shape, cache)
            times[shape] = float(found["seconds"])
            rows.append(_row(f"fit, {shape[0]} regions x {shape[1]} weeks", found))
        if not arguments.quick:
            found = apart(FULL, WEEKS, cache)
            size = f"{FULL} regions x {WEEKS} weeks x {found['types']} types"
            rows += [
                limit(f"fit, {size}", float(found["seconds"]), at_most=300, unit="s",
                      beside=_row("", found).beside),
                limit(f"memory, {size}", float(found["gigabytes"]), at_most=8, unit="GB"),
                Row(f"status, {size}", "converged", str(found["status"]),
                    found["status"] == "converged"),
            ]  # fmt: skip
            times[FULL, WEEKS] = float(found["seconds"])
    by_regions = {r: t for (r, w), t in times.items() if w == WEEKS}
    by_weeks = {w: t for (r, w), t in times.items() if r == REGIONS[1]}
    rows += [
        limit("power of time in regions", slope(by_regions), at_most=1.15),
        limit("power of time in hours", slope(by_weeks), at_most=1.15),
    ]
    return report("Full fit, one thread", rows)


if __name__ == "__main__":
    sys.exit(main())
