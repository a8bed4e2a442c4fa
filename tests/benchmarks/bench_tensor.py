"""IndexTensor against raw torch with positions worked out beforehand, and against xarray.

Run it alone: ``python tests/benchmarks/bench_tensor.py``, or ``nox -s bench -- tensor``. The names
of its parts (``aligned``, ``joins``, ...) as arguments run only those.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from _harness import Row, against, keep_memory, limit, report, seconds

from dagcast_core.tensor import IndexTensor

torch.set_num_threads(1)
GENERATOR = np.random.default_rng(7)


def values(*shape: int) -> torch.Tensor:
    return torch.from_numpy(GENERATOR.uniform(0.5, 1.5, shape))


def labels(count: int, first: int = 0) -> list[str]:
    return [f"region-{first + number:03d}" for number in range(count)]


def hours(count: int) -> pd.DatetimeIndex:
    return pd.date_range("2024-01-01", periods=count, freq="h", tz="UTC")


def aligned() -> list[Row]:
    x, y = values(10, 10), values(10, 10)
    rows = []
    for what, index in (("text", list("abcdefghij")), ("hours", hours(10))):
        a = IndexTensor(x, {"region": labels(10), "hour": index}, "a")
        same = IndexTensor(y, a.indexes, "b")
        fresh = pd.Index(list(index)) if what == "text" else hours(10)
        equal = IndexTensor(y, {"region": labels(10), "hour": fresh}, "b")
        xa, xb = a.to_xarray(), same.to_xarray()
        rows += [
            against(
                f"aligned add 10x10, {kind} indexes, {what}",
                lambda a=a, b=b: a + b,
                lambda: x + y,
                at_most=1.30,
                beside={"xarray": lambda xa=xa, xb=xb: xa + xb},
            )
            for kind, b in (("same", same), ("equal", equal))
        ]
    return rows


def broadcast() -> list[Row]:
    x, y = values(10, 10), values(10)
    a = IndexTensor(x, {"region": labels(10), "hour": hours(10)}, "a")
    b = IndexTensor(y, {"region": labels(10)}, "b")
    c = IndexTensor(y, {"hour": hours(10)}, "c")
    d = IndexTensor(y, {"incentive": labels(10)}, "d")
    xa, xb = a.to_xarray(), b.to_xarray()
    return [
        against(
            "broadcast add (region, hour) + (region)",
            lambda: a + b,
            lambda: x + y.unsqueeze(1),
            at_most=1.25,
            beside={"xarray": lambda: xa + xb},
        ),
        against(
            "broadcast add (region, hour) + (incentive)",
            lambda: a + d,
            lambda: x.unsqueeze(2) + y,
            at_most=1.25,
        ),
        against(
            "broadcast add (region, hour) + (hour), which torch does alone",
            lambda: a + c,
            lambda: x + y,
            at_most=1.25,
        ),
    ]


def joins() -> list[Row]:
    names = labels(13)
    left, right = names[:10], list(GENERATOR.permutation(names[3:]))
    x, y = values(10, 10), values(10, 10)
    a = IndexTensor(x, {"region": left, "hour": hours(10)}, "a")
    b = IndexTensor(y, {"region": right, "hour": hours(10)}, "b")
    keep = torch.tensor([i for i, name in enumerate(left) if name in right])
    take = torch.tensor([right.index(name) for name in left if name in right])
    xa, xb = a.to_xarray(), b.to_xarray()
    rows = [
        against(
            "inner join 10x10, 7 of 10 shared, shuffled, warm",
            lambda: a + b,
            lambda: x.index_select(0, keep) + y.index_select(0, take),
            at_most=1.15,
            beside={"xarray": lambda: xa + xb},
        ),
    ]
    regions = labels(400)
    big_left, big_right = regions[:300], list(GENERATOR.permutation(regions[100:]))
    big_x, big_y = values(300, 1344, 4), values(300, 1344, 4)
    axes = {"hour": hours(1344), "incentive": labels(4)}
    big_a = IndexTensor(big_x, {"region": big_left, **axes}, "a")
    big_b = IndexTensor(big_y, {"region": big_right, **axes}, "b")
    big_keep = torch.tensor([i for i, name in enumerate(big_left) if name in set(big_right)])
    big_take = torch.tensor([big_right.index(big_left[i]) for i in big_keep.tolist()])
    big_xa, big_xb = big_a.to_xarray(), big_b.to_xarray()
    rows.append(
        against(
            "inner join 300x1344x4, 200 of 300 shared, warm",
            lambda: big_a + big_b,
            lambda: big_x.index_select(0, big_keep) + big_y.index_select(0, big_take),
            at_most=1.02,
            beside={"xarray": lambda: big_xa + big_xb},
            rounds=40,
        )
    )
    rows.append(unseen(x, y, left, right, keep, take))
    return rows


def unseen(
    x: torch.Tensor,
    y: torch.Tensor,
    left: list[str],
    right: list[str],
    keep: torch.Tensor,
    take: torch.Tensor,
) -> Row:
    """Two index objects that nobody has seen, and labels that nobody has joined, in each run."""
    shared = hours(10)
    number = iter(range(10**9))

    def ours() -> IndexTensor:
        n = next(number)
        first = pd.Index([f"{name}{n}" for name in left])
        second = pd.Index([f"{name}{n}" for name in right])
        a = IndexTensor(x, {"region": first, "hour": shared}, "a")
        b = IndexTensor(y, {"region": second, "hour": shared}, "b")
        return a + b

    def raw() -> tuple[Any, ...]:
        # Making the index objects is not the algebra's work, so it is done here too.
        n = next(number)
        first = pd.Index([f"{name}{n}" for name in left])
        second = pd.Index([f"{name}{n}" for name in right])
        return first, second, x[keep] + y[take]

    def plain() -> torch.Tensor:
        return x[keep] + y[take]

    mine, making, bare = seconds([ours, raw, plain], rounds=200, quantile=0.1)
    extra = mine - making
    allowed = 2 * bare + 2 * 50e-6
    return Row(
        "inner join 10x10, two unseen index objects",
        "2x + 50 us per index",
        f"{(extra + bare) * 1e6:.0f} us of {allowed * 1e6:.0f} us",
        extra + bare <= allowed,
        {"ours": f"{(extra + bare) * 1e6:.3g} us", "plain": f"{bare * 1e6:.3g} us"},
    )


def selection() -> list[Row]:
    x = values(10, 10)
    names = labels(10)
    a = IndexTensor(x, {"hour": hours(10), "region": names}, "a")
    first = IndexTensor(x, {"region": names, "hour": hours(10)}, "a")
    xa = a.to_xarray()
    picked, index = [names[7], names[2], names[4]], torch.tensor([7, 2, 4])
    one, span = names[3], slice(names[2], names[6])
    rows = [
        against(
            "select one label",
            lambda: a.sel(region=one),
            lambda: x[:, 3],
            at_most=1.4,
            beside={"xarray": lambda: xa.sel(region=one)},
        ),
        against(
            "select a slice",
            lambda: a.sel(region=span),
            lambda: x[:, 2:7],
            at_most=1.8,
            beside={"xarray": lambda: xa.sel(region=span)},
        ),
        against(
            "select a list",
            lambda: a.sel(region=picked),
            lambda: x.index_select(1, index),
            at_most=1.1,
            beside={"xarray": lambda: xa.sel(region=picked)},
        ),
        against(
            "mean over a named dim",
            lambda: a.mean("region"),
            lambda: x.mean(1),
            at_most=1.1,
            beside={"xarray": lambda: xa.mean("region")},
        ),
    ]
    return [
        *rows,
        against(
            "select one label of the first dim",
            lambda: first.sel(region=one),
            lambda: x[3],
            at_most=1.4,
        ),
        against(
            "select a slice of the first dim",
            lambda: first.sel(region=span),
            lambda: x[2:7],
            at_most=1.8,
        ),
    ]


def chain(a: Any, b: Any) -> Any:
    """Twenty operations, as a model's forward would do; raw or labelled."""
    out = a
    for _ in range(4):
        out = (out * b + a).exp()
        out = out / (out + b)
    return out


def chains() -> list[Row]:
    rows = []
    for size, shape, plain, with_grad in (
        ("small 10x10", (10, 10), 1.35, 1.15),
        ("300x1344x4", (300, 1344, 4), 1.02, 1.02),
    ):
        x, y = values(*shape), values(*shape)
        axes = dict(zip(("region", "hour", "incentive"), map(labels, shape), strict=False))
        a, b = IndexTensor(x, axes, "a"), IndexTensor(y, axes, "b")
        xa, xb = a.to_xarray(), b.to_xarray()
        rounds = 60 if len(shape) == 2 else 24
        rows.append(
            against(
                f"chain of 20 operations, {size}",
                lambda a=a, b=b: chain(a, b),
                lambda x=x, y=y: chain(x, y),
                at_most=plain,
                beside={"xarray": lambda xa=xa, xb=xb: chain_xarray(xa, xb)},
                rounds=rounds,
            )
        )
        leaf = x.clone().requires_grad_()
        labelled = IndexTensor(leaf, axes, "a")

        def ours(a: IndexTensor = labelled, b: IndexTensor = b) -> None:
            a.tensor.grad = None
            chain(a, b).sum().backward()

        def raw(x: torch.Tensor = leaf, y: torch.Tensor = y) -> None:
            x.grad = None
            chain(x, y).sum().backward()

        rows.append(
            against(f"the same with gradient, {size}", ours, raw, at_most=with_grad, rounds=rounds)
        )
    return rows


def chain_xarray(a: xr.DataArray, b: xr.DataArray) -> xr.DataArray:
    out = a
    for _ in range(4):
        out = np.exp(out * b + a)
        out = out / (out + b)
    return out


def compiled() -> list[Row]:
    if not any(map(shutil.which, ("c++", "g++", "clang++"))):
        return [Row("large chain under torch.compile", "0.6x", "needs a C++ compiler", None)]
    shape = (300, 1344, 4)
    x, y = values(*shape), values(*shape)
    axes = dict(zip(("region", "hour", "incentive"), map(labels, shape), strict=True))
    a, b = IndexTensor(x, axes, "a"), IndexTensor(y, axes, "b")
    fast: Callable[..., IndexTensor] = torch.compile(chain, fullgraph=True)
    torch.testing.assert_close(fast(a, b).tensor, chain(x, y))
    return [
        against(
            "large chain under torch.compile, against eager raw torch",
            lambda: fast(a, b),
            lambda: chain(x, y),
            at_most=0.6,
            rounds=15,
        )
    ]


def gathered() -> list[Row]:
    regions, count = 300, 26_280
    parameters = values(regions, 168)
    week = torch.arange(count).remainder(168)
    index = (week + torch.arange(regions).unsqueeze(1)).remainder(168).contiguous()
    leaf = parameters.clone().requires_grad_()
    base = IndexTensor(leaf, {"region": labels(regions), "hour_of_week": range(168)}, "base")
    when = IndexTensor(index, {"region": labels(regions), "hour": hours(count)}, "hour_of_week")
    weights = values(regions, count)

    def ours() -> None:
        leaf.grad = None
        base.sel(hour_of_week=when).tensor.backward(weights)

    def raw() -> None:
        leaf.grad = None
        leaf.gather(1, index).backward(weights)

    ours()
    got = leaf.grad
    raw()
    torch.testing.assert_close(got, leaf.grad)
    return [
        against(
            "hour-of-week parameters to 300 x 26,280 hours, forward and backward",
            ours,
            raw,
            at_most=1.05,
            rounds=9,
        )
    ]


def peak_of(what: str) -> None:
    """Print how far the large chain with gradient raises this process's peak memory, in MiB."""
    shape = (300, 1344, 4)
    axes = dict(zip(("region", "hour", "incentive"), map(labels, shape), strict=True))
    x, y = values(*shape).requires_grad_(), values(*shape)
    a, b = IndexTensor(x, axes, "a"), IndexTensor(y, axes, "b")
    small = {dim: index[:2] for dim, index in a.indexes.items()}
    warm = IndexTensor(torch.ones(2, 2, 2).requires_grad_(), small)
    chain(warm, warm).sum().backward()
    before = high_water()
    chain(*((a, b) if what == "ours" else (x, y))).sum().backward()
    print((high_water() - before) / 1024)


def high_water() -> int:
    """Largest resident size of this process so far, in KiB.

    ``resource.getrusage`` will not do: its figure is inherited from the parent process.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0])


def memory() -> list[Row]:
    if not Path("/proc/self/status").exists():
        return [Row("peak memory of the large chain", "1.05x", "needs Linux", None)]
    # Large arrays go straight back to the system, or the peak is the allocator's habit.
    environment = {name: v for name, v in os.environ.items() if not name.startswith("MALLOC_")}
    environment["MALLOC_MMAP_THRESHOLD_"] = "1000000"
    peaks = {}
    for what in ("ours", "raw"):
        command = [sys.executable, __file__, "--peak", what]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        peaks[what] = float(done.stdout)
    shown = {"ours": f"{peaks['ours']:.0f} MiB", "plain": f"{peaks['raw']:.0f} MiB"}
    return [
        limit(
            "peak memory of the large chain with gradient, against raw torch",
            peaks["ours"] / peaks["raw"],
            at_most=1.05,
            unit="x",
            beside=shown,
        )
    ]


def main() -> int:
    parts = (aligned, broadcast, joins, selection, chains, compiled, gathered, memory)
    wanted = sys.argv[1:] or [part.__name__ for part in parts]
    rows = [row for part in parts if part.__name__ in wanted for row in part()]
    return report("IndexTensor against raw torch (CPU, 1 thread, float64)", rows)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peak"]:
        peak_of(sys.argv[2])
    else:
        keep_memory()
        raise SystemExit(main())
