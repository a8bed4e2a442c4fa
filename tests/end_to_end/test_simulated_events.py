"""The simulator's event files through ingestion: the store holds exactly what happened."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from dagcast.plugins import load_plugins
from dagcast_core.data import MetricStore
from dagcast_simulator import MarketWorlds

torch.set_num_threads(1)

ADDED = ("sessions", "rides", "revenue", "driver_pay", "driver_hours", "coupon_spend", "profit")
AVERAGED = ("eta", "prime_time")


@pytest.fixture(scope="module")
def market(tmp_path_factory, ingest_folder):
    """A small world, its history ingested, and then the week after it."""
    folder = tmp_path_factory.mktemp("market")
    world = MarketWorlds().create(regions=4, weeks=4, seed=3, scenario={})
    rows = world.write_events(folder / "events")
    store = MetricStore(folder / "store")
    first = ingest_folder(store.folder, folder / "events")
    hours = world.history_hours
    names = [*ADDED, *AVERAGED, "incentive_spend", "temperature", "hour_of_week"]
    window = {"start": hours[0], "end": hours[-1], "as_of": world.now}
    before = {name: store.read([name], **window)[name].tensor.numpy().copy() for name in names}
    world.play(folder / "events" / "week", world.operator_decisions(), world.planning_hours)
    second = ingest_folder(store.folder, folder / "events" / "week")
    return world, folder, store, rows, first, second, window, before


def test_what_was_planted_is_what_is_kept_out(market):
    _, folder, _, rows, first, second, *_ = market
    reports = {report.table: report for report in first}
    assert {f"{name}.parquet": report.read for name, report in reports.items()} == {
        name: count for name, count in rows.items() if name.endswith(".parquet")
    }
    planted = json.loads((folder / "events" / "world.json").read_text())["planted"]
    later = json.loads((folder / "events" / "week" / "played.json").read_text())["planted"]
    for report in second:
        kept = reports[report.table]
        reports[report.table] = (kept, report)

    def both(table, count):
        return sum(count(report) for report in reports[table])

    # A faulty row that is also known late comes with the week after: together they are all.
    assert both("sessions", lambda r: r.duplicates) == (
        planted["duplicate_sessions"] + later["duplicate_sessions"]
    )
    assert both("sessions", lambda r: r.quarantined.get("eta_min below 0", 0)) == (
        planted["negative_eta"] + later["negative_eta"]
    )
    assert both("sessions", lambda r: r.quarantined.get("unknown region", 0)) == (
        planted["unknown_region"] + later["unknown_region"]
    )
    # A shift delivered twice may be one of a driver who passed through before a region opened.
    early = both("shifts", lambda r: r.quarantined.get("before the region opened", 0))
    repeated = both("shifts", lambda r: r.duplicates)
    assert repeated <= planted["duplicate_shifts"] + later["duplicate_shifts"] <= repeated + early
    assert repeated > 0
    assert both("shifts", lambda r: r.quarantined.get("off_at before on_at", 0)) == (
        planted["negative_shift"] + later["negative_shift"]
    )
    assert both("sessions", lambda r: r.late) > 0
    assert planted["negative_eta"] > 0


def test_the_history_is_what_happened(market):
    """Once all late rows are in: counts to the bit, money and hours to rounding."""
    world, _, store, *_, window, _ = market
    truth = world.history()
    late = {**window, "as_of": world.now + pd.Timedelta(days=30)}
    panel = store.read([*ADDED, *AVERAGED, "incentive_spend"], **late)
    since = load_plugins().labels(market[1] / "events")["region"].since
    opened = {region: pd.Timestamp(moment) for region, moment in since.items()}
    for name in (*ADDED, *AVERAGED, "incentive_spend"):
        wide = truth.pivot(index="region", columns="hour", values=name).sort_index()
        found = panel[name].tensor.numpy()
        if name == "incentive_spend":
            found = found.sum(axis=0)
        for row, region in enumerate(wide.index):
            serves = np.asarray(wide.columns >= opened[region])
            if name in AVERAGED:
                serves &= panel["sessions"].tensor[row].numpy() > 0
            np.testing.assert_allclose(
                found[row][serves], wide.to_numpy()[row][serves], rtol=1e-12, atol=1e-8,
                err_msg=f"{name} in {region}",
            )  # fmt: skip
            # Drivers pass through a region before it opens; those shifts are set aside.
            if name not in AVERAGED:
                assert np.isnan(found[row][~serves]).all()


def test_an_old_moment_sees_what_it_saw(market):
    _, _, store, *_, window, before = market
    for name, values in before.items():
        again = store.read([name], **window, cache=False)[name].tensor.numpy()
        assert again.tobytes() == values.tobytes(), name


def test_the_week_ahead_has_a_calendar_and_a_forecast(market):
    world, _, store, *_ = market
    ahead = world.planning_hours
    panel = store.read(
        ["hour_of_week", "temperature", "base_fare", "holiday"],
        start=ahead[0], end=ahead[-1], as_of=world.now,
    )  # fmt: skip
    for name in panel:
        assert not panel[name].tensor.double().isnan().any(), name
    seen = store.read(
        ["temperature"], start=ahead[0], end=ahead[-1], as_of=ahead[-1] + pd.Timedelta(days=1)
    )
    assert (seen["temperature"].tensor != panel["temperature"].tensor).any()
