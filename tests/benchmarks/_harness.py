"""What the benchmarks share: interleaved timing, and a table that says which targets held.

A benchmark is a script: it measures, prints one table and exits 1 if a target was missed. Two
computations are timed in turns, in many short rounds, and compared by the ratio of their medians,
because a machine that others use too changes its speed from one second to the next. Time is CPU
time of this process, which does not count the moments when another process runs.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

Run = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        case: what was measured.
        target: the promise, as text.
        measured: the figure, as text.
        held: whether the promise was kept; None where there is none to keep.
        beside: further figures by column, such as another library's.
    """

    case: str
    target: str
    measured: str
    held: bool | None
    beside: Mapping[str, str] = field(default_factory=dict)


def seconds(
    runs: Sequence[Run], *, rounds: int = 60, round_time: float = 0.002, quantile: float = 0.5
) -> list[float]:
    """Median CPU seconds of each computation, timed in turns.

    Args:
        runs: computations without arguments; each is run a few times first, to warm up.
        rounds: how often each is timed.
        round_time: shortest length of one timing in seconds; quick computations are repeated.
        quantile: which of the timings to report. The median is right for ratios; an absolute
            time is that of a machine at rest, and a low quantile comes nearer to it.
    """
    counts = []
    for run in runs:
        for _ in range(3):
            run()
        counts.append(_repetitions(run, round_time))
    samples: list[list[float]] = [[] for _ in runs]
    order = list(range(len(runs)))
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for number in range(rounds):
            # The order turns, so that nobody always runs on a cache that another has filled.
            for which in order[number % len(order) :] + order[: number % len(order)]:
                run, count = runs[which], counts[which]
                begin = time.process_time()
                for _ in range(count):
                    run()
                samples[which].append((time.process_time() - begin) / count)
    finally:
        if enabled:
            gc.enable()
    return [sorted(sample)[int(quantile * (len(sample) - 1))] for sample in samples]


def against(
    case: str,
    ours: Run,
    raw: Run,
    *,
    at_most: float,
    slack: float = 0.0,
    beside: Mapping[str, Run] | None = None,
    rounds: int = 60,
    round_time: float = 0.002,
) -> Row:
    """Compare a computation with the same one in plain terms.

    A comparison that misses is made twice more, and the middle one of the three counts.

    Args:
        case: what is measured.
        ours: the computation under test.
        raw: the same without what is tested.
        at_most: largest allowed ratio of medians.
        slack: seconds allowed on top, for a fixed cost.
        beside: other libraries' versions, shown and not judged.
        rounds: how often each is timed.
        round_time: shortest length of one timing in seconds.
    """
    tries = [seconds([ours, raw], rounds=rounds, round_time=round_time)]
    if tries[0][0] > at_most * tries[0][1] + slack:
        # One unlucky moment is no verdict: of three measurements, the middle one.
        for _ in range(2):
            tries.append(seconds([ours, raw], rounds=rounds, round_time=round_time))
        tries.sort(key=lambda pair: pair[0] / pair[1])
    mine, plain = tries[len(tries) // 2]
    columns = {"ours": _time(mine), "plain": _time(plain)}
    for name, run in (beside or {}).items():
        (other,) = seconds([run], rounds=max(3, rounds // 6), round_time=round_time)
        columns[name] = f"{_time(other)} ({other / plain:.1f}x)"
    target = f"{at_most:g}x" + (f" + {_time(slack)}" if slack else "")
    measured = f"{mine / plain:.2f}x" + (
        f" ({_time(mine - at_most * plain)} on top)" if slack else ""
    )
    return Row(case, target, measured, mine <= at_most * plain + slack, columns)


def limit(
    case: str,
    measured: float,
    *,
    at_most: float | None = None,
    at_least: float | None = None,
    unit: str = "",
    beside: Mapping[str, str] | None = None,
) -> Row:
    """Judge one figure by a bound on it.

    Args:
        case: what was measured.
        measured: the figure.
        at_most: upper bound.
        at_least: lower bound.
        unit: unit of all three.
        beside: further figures to show.
    """
    unit = f" {unit}" if unit else ""
    bounds = []
    held: bool | None = None
    if at_most is not None:
        bounds.append(f"<= {at_most:g}{unit}")
        held = measured <= at_most
    if at_least is not None:
        bounds.append(f">= {at_least:g}{unit}")
        held = measured >= at_least and held is not False
    return Row(case, " and ".join(bounds) or "-", f"{measured:.4g}{unit}", held, beside or {})


def keep_memory() -> None:
    """Start this script again with an allocator that keeps what it has been given.

    By default glibc returns large arrays to the system and asks for them again, in turns that
    depend on sizes and order; clearing the pages then costs more than the arithmetic, and two
    equal computations differ by half. Call it first, in a script whose arrays exceed a megabyte.
    """
    wanted = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**36)}
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **wanted})


def report(title: str, rows: Sequence[Row]) -> int:
    """Print the table.

    Returns:
        Exit code: 1 if a target was missed, else 0.
    """
    extra = list(dict.fromkeys(name for row in rows for name in row.beside))
    lines = [["case", "target", "measured", "", *extra]]
    for row in rows:
        verdict = {True: "held", False: "MISSED", None: "-"}[row.held]
        lines.append(
            [row.case, row.target, row.measured, verdict, *(row.beside.get(n, "") for n in extra)]
        )
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    print(title)
    for line in lines:
        print(
            "  " + "  ".join(f"{cell:<{w}}" for cell, w in zip(line, widths, strict=True)).rstrip()
        )
    missed = [row.case for row in rows if row.held is False]
    judged = [row for row in rows if row.held is not None]
    print(f"{len(judged) - len(missed)} of {len(judged)} targets held")
    for case in missed:
        print(f"missed: {case}", file=sys.stderr)
    return 1 if missed else 0


def _repetitions(run: Run, round_time: float) -> int:
    count = 1
    while True:
        begin = time.process_time()
        for _ in range(count):
            run()
        passed = time.process_time() - begin
        if passed >= round_time:
            return count
        count = max(count * 2, int(count * round_time / max(passed, 1e-7)))


def _time(value: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if abs(value) >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"
