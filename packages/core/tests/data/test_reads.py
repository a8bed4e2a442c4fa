"""Reading a store: what was known, what is zero, what is missing."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch

from dagcast_core.data import (
    Column,
    Coverage,
    DataError,
    DeclarationError,
    EventTable,
    Ingestion,
    LinearMetric,
    MetricSpec,
    MissingCellsError,
    StoreError,
    UnknownMetricError,
)

DAY = {"start": "2025-01-06T00:00Z", "end": "2025-01-06T03:00Z"}
LATER = "2025-01-10"
NAN = math.nan


def values(store, name, **options):
    return store.read([name], **{**DAY, "as_of": LATER, **options})[name].tensor.tolist()


def test_read_counts_sums_and_averages_per_cell(filled):
    assert filled.labels() == {"region": ("OAK", "SFO")}
    np.testing.assert_equal(values(filled, "rides"), [[1, 0, NAN, 0], [2, 1, NAN, 1]])
    np.testing.assert_equal(values(filled, "revenue"), [[5, 0, NAN, 0], [30, 7.5, NAN, 9]])
    # The second ride of hour 0 has no wait: the mean is over the waits there are.
    np.testing.assert_equal(values(filled, "wait"), [[2, NAN, NAN, NAN], [4, 6, NAN, 1]])


def test_read_is_a_labelled_panel_in_utc(filled):
    panel = filled.read(["wait", "rides"], **DAY, as_of=LATER)
    assert list(panel) == ["wait", "rides"]
    hours = panel["rides"].indexes["hour"]
    assert panel["rides"].dims == ("region", "hour")
    assert panel["rides"].tensor.dtype == torch.float64
    assert hours.equals(pd.date_range("2025-01-06", periods=4, freq="h", tz="UTC").as_unit("us"))


def test_read_leaves_out_what_was_not_known_yet(filled):
    # At 01:00 only the first ride is known; at 02:00 all but the late one.
    np.testing.assert_equal(
        values(filled, "rides", as_of="2025-01-06T01:00Z"), [[0, NAN, NAN, NAN], [1] + [NAN] * 3]
    )
    np.testing.assert_equal(values(filled, "rides", as_of="2025-01-06T02:00Z")[1], [2, 1, NAN, NAN])
    assert values(filled, "rides", as_of="2025-01-07T06:00Z")[0][0] == 0
    assert values(filled, "rides", as_of="2025-01-07T07:00Z")[0][0] == 1


def test_a_moment_within_an_hour_sees_less_not_more(filled):
    assert values(filled, "rides", as_of="2025-01-07T06:59Z")[0][0] == 0


def test_an_hour_that_is_not_over_is_not_a_zero(filled):
    assert math.isnan(values(filled, "rides", as_of="2025-01-06T03:30Z")[0][3])


def test_an_hour_without_any_row_is_a_gap_not_a_zero(filled):
    assert filled.reports()[0].gaps == 1
    assert np.isnan(np.array(values(filled, "rides"))[:, 2]).all()


def test_hours_outside_the_source_are_missing(filled):
    found = values(filled, "rides", start="2025-01-05T23:00Z", end="2025-01-06T05:00Z")
    np.testing.assert_equal(found[1], [NAN, 2, 1, NAN, 1, NAN, NAN])


def test_regions_are_missing_before_they_open(store, rides_table, make_rides):
    coverage = Coverage(
        "2025-01-06T00:00Z",
        "2025-01-06T02:00Z",
        {"region": ("NEW", "SFO")},
        since={"NEW": "2025-01-06T01:00Z"},
        begins="region",
    )
    rides = make_rides((1, "SFO", 1, 1, 1, 1), (2, "SFO", 61, 1, 1, 1), (3, "SFO", 121, 1, 1, 1))
    store.ingest(rides_table, rides, coverage=coverage)
    np.testing.assert_equal(values(store, "rides"), [[NAN, 0, 0, NAN], [1, 1, 1, NAN]])


def test_rows_before_a_region_opens_are_set_aside(store, rides_table, make_rides):
    rides = make_rides((1, "SFO", 1, 1, 1, 1), (2, "NEW", 20, 1, 1, 1), (3, "NEW", 61, 1, 1, 1))
    item = Ingestion(rides_table, rides, since={"NEW": "2025-01-06T01:30Z"}, begins="region")
    (report,) = store.ingest_all([item])
    # The hour in which it opens is its first cell.
    assert report.quarantined == {"before the region opened": 1}
    np.testing.assert_equal(values(store, "rides"), [[NAN, 1, NAN, NAN], [1, 0, NAN, NAN]])
    with pytest.raises(DeclarationError, match="expected a moment for every label in since"):
        store.ingest_all([Ingestion(rides_table, rides, since={"NEW": "soon"}, begins="region")])
    with pytest.raises(DeclarationError, match="Name it in begins, one of region"):
        store.ingest_all([Ingestion(rides_table, rides, since={"NEW": "2025-01-06T01:30Z"})])


def test_labels_of_any_dim_may_open_late(store):
    table = EventTable(
        name="orders",
        columns=(Column("site", "text"), Column("at", "instant")),
        time="at",
        dims={"site": "site"},
        empty="zero",
        sums=(),
        metrics=(MetricSpec("orders", "n", "order/h"),),
    )
    assert table.metrics[0].dims == ("site", "hour")
    hours = pd.date_range("2025-01-06T00:00Z", periods=3, freq="h", unit="us")
    rows = pd.DataFrame({"site": ["east", "west", "east"], "at": hours})
    opening = {"west": "2025-01-06T02:00Z"}
    item = Ingestion(table, rows, {"site": ("east", "west")}, since=opening, begins="site")
    (report,) = store.ingest_all([item])
    assert report.quarantined == {"before the site opened": 1}
    panel = store.read(["orders"], start=hours[0], end=hours[-1], as_of=LATER)
    np.testing.assert_equal(panel["orders"].tensor.numpy(), [[1, 0, 1], [NAN, NAN, 0]])
    (again,) = store.ingest_all([item])
    assert again.unchanged


def test_how_a_table_is_read_is_no_part_of_its_ledger(store, rides_table, make_rides):
    """Whether rows are decisions, and whose hours they cover, changes no stored row."""
    rides = make_rides((1, "SFO", 1, 1, 1, 1))
    store.ingest(rides_table, rides)
    told = replace(rides_table, decided=True, like="rides")
    assert EventTable.from_json(told.to_json()) == told
    assert store.ingest(told, rides).unchanged


def test_a_weighted_sum_has_the_dims_that_its_terms_share(store, rides_table, make_rides):
    store.ingest(rides_table, make_rides((1, "SFO", 1, 1, 8, 1)))
    store.define(LinearMetric("margin", "USD/h", {"revenue": 0.25}))
    assert values(store, "margin")[-1][0] == 2.0


def test_regions_are_read_in_the_order_asked_for(filled):
    panel = filled.read(["rides"], **DAY, as_of=LATER, labels={"region": ["SFO", "OAK"]})
    assert list(panel["rides"].indexes["region"]) == ["SFO", "OAK"]
    assert panel["rides"].tensor[0, 0] == 2


def test_counts_say_how_many_rows_stand_behind_a_cell(filled):
    counts = filled.counts(["wait"], **DAY, as_of=LATER)["wait"].tensor.tolist()
    np.testing.assert_equal(counts, [[1, 0, NAN, 0], [2, 1, NAN, 1]])


def test_latest_value_replaces_the_earlier_one(store, weather_table):
    hour = pd.Timestamp("2025-01-06T00:00Z")
    rows = [
        ("SFO", hour, hour - pd.Timedelta(hours=6), 10.0, 1),  # forecast
        ("SFO", hour, hour + pd.Timedelta(hours=1), 12.0, 1),  # observation
        ("SFO", hour, hour + pd.Timedelta(minutes=40), 11.0, 1),  # known in the same hour, before
        ("SFO", hour + pd.Timedelta(hours=1), hour, None, 1),
    ]
    names = ["region", "hour", "known_at", "temperature", "day"]
    store.ingest(weather_table, pd.DataFrame(rows, columns=names))
    assert values(store, "temperature", as_of=hour - pd.Timedelta(hours=1))[0][0] == 10.0
    assert values(store, "temperature", as_of=LATER)[0][0] == 12.0
    assert np.isnan(values(store, "temperature", as_of="2025-01-05T17:00Z")[0]).all()
    assert np.isnan(values(store, "temperature", as_of=LATER)[0][1:]).all()


def test_integer_metric_keeps_its_dtype_and_refuses_missing_cells(store, weather_table):
    hour = pd.Timestamp("2025-01-06T00:00Z")
    row = ("SFO", hour, hour, 1.0, 3)
    names = ["region", "hour", "known_at", "temperature", "day"]
    store.ingest(weather_table, pd.DataFrame([row], columns=names))
    read = store.read(["day"], start=hour, end=hour, as_of=LATER)["day"].tensor
    assert read.dtype == torch.int64
    assert read.tolist() == [[3]]
    with pytest.raises(MissingCellsError) as caught:
        store.read(["day"], **DAY, as_of=LATER)
    assert str(caught.value) == (
        "cannot read 'day' as integers: 3 of 4 cells are missing, the first at SFO, 2025-01-06 "
        "01:00:00+00:00, and an integer has no value for missing. Read a range that is covered, "
        "or ingest the rows for it."
    )


def test_intervals_are_split_over_hours(store, shifts_table):
    shifts = pd.DataFrame(
        {
            "region": ["SFO", "SFO", "OAK"],
            "on_at": pd.to_datetime(["2025-01-06 00:45", "2025-01-06 01:00", "2025-01-06 01:10"]),
            "off_at": pd.to_datetime(["2025-01-06 02:15", "2025-01-06 02:00", "2025-01-06 01:10"]),
            "known_at": pd.to_datetime(["2025-01-06 02:20"] * 3),
        }
    )
    report = store.ingest(shifts_table, shifts)
    assert (report.read, report.accepted) == (3, 3)
    assert values(store, "driver_hours")[-1][:3] == [0.25, 2.0, 0.25]


def test_derived_metric_sums_out_what_its_terms_do_not_share(filled, rides_table):
    from dagcast_core.data import Column, EventTable, Sum

    spend = EventTable(
        name="spend",
        columns=(
            Column("kind", "text"),
            Column("region", "text"),
            Column("hour", "instant"),
            Column("usd", "number"),
        ),
        time="hour",
        dims={"incentive": "kind", "region": "region"},
        empty="zero",
        sums=(Sum("usd", "usd"),),
        metrics=(MetricSpec("spend", "usd", "USD/h", dims=("incentive", "region", "hour")),),
    )
    rows = [
        (k, r, h, u)
        for k, r, h, u in [("a", "SFO", 0, 1.0), ("b", "SFO", 0, 2.0), ("a", "OAK", 3, 4.0)]
    ]
    frame = pd.DataFrame(rows, columns=["kind", "region", "hour", "usd"])
    frame["hour"] = pd.Timestamp("2025-01-06", tz="UTC") + pd.to_timedelta(frame["hour"], unit="h")
    filled.ingest(spend, frame)
    filled.define(LinearMetric("margin", "USD/h", {"revenue": 1.0, "spend": -1.0}))
    np.testing.assert_equal(values(filled, "margin"), [[5, 0, NAN, -4], [27, 7.5, NAN, 9]])
    assert filled.read(["spend"], **DAY, as_of=LATER)["spend"].dims == (
        "incentive", "region", "hour",
    )  # fmt: skip


def test_rollup_divides_after_adding(filled):
    by = {"region": {"SFO": "bay", "OAK": "bay"}}
    rolled = filled.rollup(
        ["rides", "wait", "revenue"], start="2025-01-06T00:00Z", end="2025-01-06T01:00Z",
        as_of=LATER, by=by,
    )  # fmt: skip
    assert list(rolled["rides"].indexes["region"]) == ["bay"]
    assert rolled["rides"].tensor.tolist() == [[3, 1]]
    assert rolled["wait"].tensor.tolist() == [[3.0, 6.0]]  # (4 + 2) / 2, not a mean of means
    assert rolled["revenue"].tensor.tolist() == [[35.0, 7.5]]


def test_rollup_of_a_group_with_a_missing_cell_is_missing(filled):
    day = {"start": "2025-01-06T00:00Z", "end": "2025-01-06T23:00Z"}
    rolled = filled.rollup(["rides"], **day, as_of=LATER, frequency="D")
    assert rolled["rides"].tensor.isnan().all()


def test_rollup_by_local_day_has_23_hours_when_clocks_go_forward(store, weather_table):
    hours = pd.date_range("2025-03-09T05:00Z", periods=23, freq="h")
    frame = pd.DataFrame({"region": "NYC", "hour": hours, "known_at": hours, "day": 1})
    frame["temperature"] = np.arange(23.0)
    store.ingest(weather_table, frame)
    rolled = store.rollup(
        ["temperature"], start=hours[0], end=hours[-1], as_of=LATER, frequency="D",
        zone="America/New_York",
    )  # fmt: skip
    assert rolled["temperature"].sizes == {"region": 1, "hour": 1}
    assert store.rollup(
        ["temperature"], start=hours[0], end=hours[-1], as_of="2025-04-01", frequency="D",
        zone="America/New_York",
    )["temperature"].tensor.tolist() == [[11.0]]  # fmt: skip


def test_rollup_refuses_half_a_bucket(filled):
    with pytest.raises(DataError, match="found the last one cut in two"):
        filled.rollup(["rides"], **DAY, as_of=LATER, frequency="D")


def test_sums_are_exact_decimals(store, rides_table, make_rides):
    # As floats, 0.1 + 0.2 + 0.3 depends on the order of addition.
    rides = make_rides(*((i, "SFO", 1, 1, 0.1 * (i % 3 + 1), 1) for i in range(3000)))
    store.ingest(rides_table, rides)
    exact = float(sum(Fraction(i % 3 + 1, 10) for i in range(3000)))
    assert values(store, "revenue")[0][0] == exact


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"start": "2025-01-06T00:30Z"},
            "cannot read with start='2025-01-06T00:30Z': expected the start of an hour; found "
            "minutes. Use 2025-01-06T00:00:00+00:00.",
        ),
        (
            {"end": "2025-01-05T00:00Z"},
            "cannot read from 2025-01-06 00:00:00+00:00 to 2025-01-05 00:00:00+00:00: expected an "
            "end at or after the start; found it before. Exchange them.",
        ),
    ],
)
def test_bad_windows_are_refused(filled, options, message):
    with pytest.raises(DataError) as caught:
        values(filled, "rides", **options)
    assert str(caught.value) == message


def test_unknown_names_are_refused_with_the_nearest(filled):
    with pytest.raises(UnknownMetricError) as caught:
        values(filled, "ride")
    assert str(caught.value) == (
        "the store holds no metric 'ride'; it holds 'revenue', 'rides', 'wait'. "
        "Did you mean 'rides'?"
    )
    with pytest.raises(UnknownMetricError, match="no region 'sfo'"):
        values(filled, "rides", labels={"region": ["sfo"]})
    with pytest.raises(UnknownMetricError, match="no dim 'city'; it holds 'region'"):
        values(filled, "rides", labels={"city": ["SFO"]})
    with pytest.raises(TypeError, match="use \\['SFO'\\]"):
        values(filled, "rides", labels={"region": "SFO"})
    with pytest.raises(TypeError, match="use \\['rides'\\]"):
        filled.read("rides", **DAY, as_of=LATER)


def test_an_empty_store_says_what_to_do(store):
    with pytest.raises(UnknownMetricError, match="nothing yet; ingest a source first"):
        values(store, "rides")
    assert not store.folder.exists()


def test_a_pinned_store_reads_one_content_whatever_is_ingested(filled, rides_table, make_rides):
    """A fit during an ingestion is a fit of what was there when it began."""
    day = {"start": "2025-01-06T00:00Z", "end": "2025-01-06T03:00Z", "as_of": "2025-01-10"}
    pinned = filled.pinned()
    before, identity, spans = pinned.read(["revenue"], **day), pinned.manifest_id, pinned.spans()
    filled.ingest(rides_table, make_rides((9, "SFO", 5, 20, 99.0, 1.0)))
    assert filled.manifest_id != identity
    assert pinned.manifest_id == identity
    assert pinned.spans() == spans
    for cache in (True, False):
        found = pinned.read(["revenue"], cache=cache, **day)["revenue"]
        np.testing.assert_array_equal(found.tensor, before["revenue"].tensor)
    later = filled.read(["revenue"], **day)["revenue"]
    assert not np.array_equal(later.tensor, before["revenue"].tensor, equal_nan=True)


def test_a_pinned_store_says_when_an_ingestion_took_its_files(filled, rides_table, make_rides):
    day = {"start": "2025-01-06T00:00Z", "end": "2025-01-06T03:00Z", "as_of": "2025-01-10"}
    rows = make_rides((9, "SFO", 5, 20, 99.0, 1.0), (10, "OAK", 5, 20, 1.0, 1.0))
    filled.ingest(rides_table, rows)
    pinned = filled.pinned()
    # The same source under other options is judged anew, and takes the place of the former.
    filled.ingest(rides_table, rows, labels={"region": ["SFO"]})
    for read in (
        lambda: pinned.read(["revenue"], **day),
        lambda: pinned.counts(["revenue"], **day),
        lambda: pinned.rollup(["revenue"], **day),
        pinned.spans,
    ):
        with pytest.raises(StoreError, match="Run the command again"):
            read()


def test_what_a_pinned_store_does_not_know_is_not_undone_by_it(filled, rides_table, make_rides):
    pinned = filled.pinned()
    filled.ingest(rides_table, make_rides((9, "SFO", 5, 20, 99.0, 1.0)))
    pinned.accept("region", ["SEA"])
    pinned.define(LinearMetric("twice", "USD/h", {"revenue": 2.0}))
    assert len(filled.reports()) == 2
    assert "twice" in filled.metrics()
