"""As-of reads against a recount, whatever the order and the split of the rows."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagcast_core.data import Column, EventTable, MetricSpec, MetricStore, Sum

START = pd.Timestamp("2025-01-06", tz="UTC").as_unit("us")
HOURS = 6
REGIONS = ("A", "B")

TABLE = EventTable(
    name="rides",
    columns=(
        Column("id", "integer"),
        Column("region", "text"),
        Column("at", "instant"),
        Column("known_at", "instant"),
        Column("fare", "number"),
    ),
    time="at",
    known_at="known_at",
    key=("id",),
    dims={"region": "region"},
    labels={"region": "any"},
    empty="missing",
    sums=(Sum("fare", "fare"),),
    metrics=(
        MetricSpec("rides", "n", "ride/h"),
        MetricSpec("revenue", "fare", "USD/h"),
        MetricSpec("fare", "fare", "USD/ride", per="n"),
    ),
)

SHIFTS = EventTable(
    name="shifts",
    columns=(
        Column("region", "text"),
        Column("on", "instant"),
        Column("off", "instant"),
    ),
    time="on",
    until="off",
    dims={"region": "region"},
    labels={"region": "any"},
    sums=(Sum("online", "microseconds"),),
    metrics=(MetricSpec("driver_hours", "online", "driver-hour/h", divisor=3.6e9),),
)

ROWS = st.lists(
    st.tuples(
        st.sampled_from(REGIONS),
        st.integers(0, HOURS * 3600 - 1),  # seconds after START
        st.integers(0, 12 * 3600),  # seconds until known
        st.integers(-5000, 5000),  # cents; corrections may be negative
    ),
    min_size=1,
    max_size=40,
)
QUICK = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


def events(rows) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["region", "at", "lag", "fare"])
    frame.insert(0, "id", range(len(frame)))
    frame["at"] = START + pd.to_timedelta(frame["at"], unit="s")
    frame["known_at"] = frame["at"] + pd.to_timedelta(frame.pop("lag"), unit="s")
    frame["fare"] = frame["fare"] / 100
    return frame


def read(store: MetricStore, names, as_of) -> dict[str, np.ndarray]:
    end = START + pd.Timedelta(hours=HOURS - 1)
    panel = store.read(names, start=START, end=end, as_of=as_of, cache=False)
    return {name: panel[name].tensor.numpy() for name in names}


def recount(frame: pd.DataFrame, regions, cut: pd.Timestamp) -> dict[str, np.ndarray]:
    """The same by pandas, from the events themselves."""
    known = frame[frame["known_at"] <= cut]
    grouped = known.groupby(["region", known["at"].dt.floor("h")])["fare"]
    hours = pd.date_range(START, periods=HOURS, freq="h")
    cells = pd.MultiIndex.from_product([regions, hours])
    shape = (len(regions), HOURS)
    return {
        "rides": grouped.size().reindex(cells).to_numpy(float).reshape(shape),
        "revenue": grouped.sum().reindex(cells).to_numpy(float).reshape(shape),
        "fare": grouped.mean().reindex(cells).to_numpy(float).reshape(shape),
    }


@QUICK
@given(rows=ROWS, hour=st.integers(0, 18))
def test_read_equals_a_recount_of_what_was_known(rows, hour):
    frame = events(rows)
    cut = START + pd.Timedelta(hours=hour)
    with tempfile.TemporaryDirectory() as folder:
        store = MetricStore(folder)
        store.ingest(TABLE, frame)
        found = read(store, ["rides", "revenue", "fare"], cut)
        expected = recount(frame, store.labels()["region"], cut)
    np.testing.assert_array_equal(found["rides"], expected["rides"])
    np.testing.assert_allclose(found["revenue"], expected["revenue"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(found["fare"], expected["fare"], rtol=0, atol=1e-9)


@QUICK
@given(rows=ROWS, data=st.data())
def test_order_and_split_of_rows_change_no_bit(rows, data):
    frame = events(rows)
    order = data.draw(st.permutations(range(len(frame))))
    split = data.draw(st.integers(0, len(frame)))
    parts = [frame.iloc[list(order[:split])], frame.iloc[list(order[split:])]]
    hour = data.draw(st.integers(0, 18))
    cut = START + pd.Timedelta(hours=hour)
    with tempfile.TemporaryDirectory() as folder:
        whole, pieces, turned = (MetricStore(Path(folder) / name) for name in "abc")
        whole.ingest(TABLE, frame)
        for part in parts:
            if len(part):
                pieces.ingest(TABLE, part)
        for part in reversed(parts):
            if len(part):
                turned.ingest(TABLE, part)
        names = ["rides", "revenue", "fare"]
        found = [read(store, names, cut) for store in (whole, pieces, turned)]
        assert pieces.manifest_id == turned.manifest_id
    for other in found[1:]:
        for name in names:
            assert found[0][name].tobytes() == other[name].tobytes()


@QUICK
@given(rows=ROWS, first=st.integers(0, 18), second=st.integers(0, 18))
def test_what_becomes_known_adds_up(rows, first, second):
    # Sums as of a later moment are the earlier ones plus the rows that came in between.
    early, late = sorted((first, second))
    frame = events(rows)
    cuts = [START + pd.Timedelta(hours=hour) for hour in (early, late)]
    between = frame[(frame["known_at"] > cuts[0]) & (frame["known_at"] <= cuts[1])]
    with tempfile.TemporaryDirectory() as folder:
        store, rest = MetricStore(Path(folder) / "all"), MetricStore(Path(folder) / "rest")
        store.ingest(TABLE, frame)
        before, after = (np.nan_to_num(read(store, ["revenue"], cut)["revenue"]) for cut in cuts)
        added = np.zeros_like(after)
        if len(between):
            rest.ingest(TABLE, between)
            found = np.nan_to_num(read(rest, ["revenue"], cuts[1])["revenue"])
            rows_of = [store.labels()["region"].index(r) for r in rest.labels()["region"]]
            added[rows_of] = found
    np.testing.assert_allclose(after - before, added, rtol=0, atol=1e-9)


WEATHER = EventTable(
    name="weather",
    columns=(
        Column("region", "text"),
        Column("hour", "instant"),
        Column("known_at", "instant"),
        Column("temperature", "number", nullable=True),
    ),
    time="hour",
    known_at="known_at",
    dims={"region": "region"},
    labels={"region": "any"},
    revision="latest",
    foreseeable=True,
    sums=(Sum("temperature", "temperature"),),
    metrics=(MetricSpec("temperature", "temperature", "degC"),),
)


@QUICK
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(REGIONS),
            st.integers(0, HOURS - 1),
            st.integers(-300, 300),  # minutes from the hour to its being known
            st.one_of(st.none(), st.floats(-50, 50)),
        ),
        min_size=1,
        max_size=30,
        unique_by=lambda row: row[:3],
    ),
    data=st.data(),
)
def test_the_value_known_last_counts_whatever_the_order(rows, data):
    frame = pd.DataFrame(rows, columns=["region", "hour", "lag", "temperature"])
    frame["hour"] = START + pd.to_timedelta(frame["hour"], unit="h")
    frame["known_at"] = frame["hour"] + pd.to_timedelta(frame.pop("lag"), unit="min")
    frame["temperature"] = frame["temperature"].astype("float64")
    cut = START + pd.Timedelta(hours=data.draw(st.integers(-6, 12)))
    split = data.draw(st.integers(0, len(frame)))
    mixed = frame.sample(frac=1, random_state=data.draw(st.integers(0, 9)))
    known = frame[frame["known_at"] <= cut].sort_values("known_at")
    last = known.groupby(["region", "hour"])["temperature"].agg(lambda values: values.iloc[-1])
    with tempfile.TemporaryDirectory() as folder:
        store = MetricStore(folder)
        for part in (mixed.iloc[split:], mixed.iloc[:split]):
            if len(part):
                store.ingest(WEATHER, part)
        found = read(store, ["temperature"], cut)["temperature"]
        hours = pd.date_range(START, periods=HOURS, freq="h")
        cells = pd.MultiIndex.from_product([store.labels()["region"], hours])
    expected = last.reindex(cells).to_numpy(float).reshape(found.shape)
    np.testing.assert_array_equal(found, expected)


@QUICK
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(REGIONS),
            st.integers(0, (HOURS - 3) * 3600),
            st.integers(0, 3 * 3600 - 1),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_intervals_keep_their_length(rows):
    frame = pd.DataFrame(rows, columns=["region", "on", "lasts"])
    frame["on"] = START + pd.to_timedelta(frame["on"], unit="s")
    frame["off"] = frame["on"] + pd.to_timedelta(frame["lasts"], unit="s")
    minutes = np.zeros((len(set(frame["region"])), HOURS))
    names = sorted(set(frame["region"]))
    for row in frame.itertuples():
        for hour in range(HOURS):
            begin = START + pd.Timedelta(hours=hour)
            overlap = min(row.off, begin + pd.Timedelta(hours=1)) - max(row.on, begin)
            minutes[names.index(row.region), hour] += max(overlap.total_seconds(), 0)
    with tempfile.TemporaryDirectory() as folder:
        store = MetricStore(folder)
        store.ingest(SHIFTS, frame.drop(columns="lasts"))
        if not store.labels()["region"]:
            assert frame["lasts"].sum() == 0
            return
        end = START + pd.Timedelta(hours=HOURS - 1)
        panel = store.read(["driver_hours"], start=START, end=end, as_of="2026-01-01", cache=False)
        found = np.nan_to_num(panel["driver_hours"].tensor.numpy())
        kept = [names.index(name) for name in store.labels()["region"]]
    np.testing.assert_allclose(found, minutes[kept] / 3600, rtol=0, atol=1e-12)
    assert minutes.sum() == frame["lasts"].sum()
