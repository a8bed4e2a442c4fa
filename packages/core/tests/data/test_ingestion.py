"""What enters a store, what is kept out, and what is said about it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dagcast_core.data import (
    Check,
    Column,
    DeclarationError,
    EventTable,
    Ingestion,
    IngestReport,
    LinearMetric,
    MetricSpec,
    MetricStore,
    SourceError,
    Sum,
    UnknownMetricError,
)

DAY = {"start": "2025-01-06T00:00Z", "end": "2025-01-06T03:00Z", "as_of": "2025-01-10"}


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def balanced(report: IngestReport) -> bool:
    return report.read == report.accepted + report.duplicates + sum(report.quarantined.values())


def test_bad_rows_are_kept_with_their_reason(store, rides_table, make_rides):
    rides = make_rides(
        (1, "SFO", 5, 20, 10.0, 4.0),
        (2, "SFO", 5, 20, -1.0, 4.0),
        (3, "SFO", 5, 20, 0.0, 4.0),
        (4, "sfo", 5, 20, 1.0, 4.0),
        (5, "SFO", 5, -20, 1.0, 4.0),
        (6, None, 5, 20, 1.0, 4.0),
        (7, "SFO", 5, 20, None, 4.0),
        (8, "SFO", 5, 20, 1e16, 4.0),
        (9, "SFO", 5, 20, 1.0, -4.0),
        (10, "SFO", 5, 60 * 48, 2.0, 4.0),
    )
    report = store.ingest(rides_table, rides, labels={"region": ["SFO"]})
    assert balanced(report)
    assert (report.read, report.accepted, report.late) == (10, 2, 1)
    assert report.quarantined == {
        "fare below 0": 1,
        "fare is missing": 1,
        "fare is out of range": 1,
        "free ride": 1,
        "known before at": 1,
        "region is missing": 1,
        "unknown region": 1,
        "wait below 0": 1,
    }
    kept = store.quarantine("rides")
    assert kept.set_index("id")["reason"].to_dict() == {
        2: "fare below 0",
        3: "free ride",
        4: "unknown region",
        5: "known before at",
        6: "region is missing",
        7: "fare is missing",
        8: "fare is out of range",
        9: "wait below 0",
    }
    # Nothing is lost: a row in quarantine is the row that came.
    assert kept.set_index("id").loc[2, "fare"] == -1.0


def test_a_row_with_a_key_seen_before_is_a_duplicate(store, rides_table, make_rides):
    first = make_rides((1, "SFO", 5, 20, 10.0, 1), (1, "SFO", 5, 90, 10.0, 1))
    report = store.ingest(rides_table, first)
    assert (report.accepted, report.duplicates) == (1, 1)
    # The report known first counts, wherever it stands in the file.
    assert store.read(["revenue"], **DAY)["revenue"].tensor[0, 0] == 10.0
    again = make_rides((1, "SFO", 5, 20, 10.0, 1), (2, "SFO", 6, 20, 1.0, 1))
    report = store.ingest(rides_table, again)
    assert (report.accepted, report.duplicates, balanced(report)) == (1, 1, True)
    assert store.read(["revenue"], **DAY)["revenue"].tensor[0, 0] == 11.0
    assert store.quarantine("rides")["reason"].tolist() == ["duplicate", "duplicate"]


def test_a_bad_row_does_not_bar_its_correction(store, rides_table, make_rides):
    store.ingest(rides_table, make_rides((1, "SFO", 5, 20, -10.0, 1)))
    report = store.ingest(rides_table, make_rides((1, "SFO", 5, 20, 10.0, 1)))
    assert (report.accepted, report.duplicates) == (1, 0)


def test_the_same_source_twice_changes_nothing(store, rides_table, make_rides):
    rides = make_rides((1, "SFO", 5, 20, 10.0, 1), (2, "SFO", 5, 20, -1.0, 1))
    first = store.ingest(rides_table, rides)
    before = contents(store.folder)
    again = store.ingest(rides_table, rides)
    assert contents(store.folder) == before
    assert (first.unchanged, again.unchanged) == (False, True)
    assert replace(again, unchanged=False) == first


def test_a_source_is_known_by_content_not_by_name(store, rides_table, make_rides, tmp_path):
    rides = make_rides((1, "SFO", 5, 20, 10.0, 1))
    rides.to_parquet(tmp_path / "a.parquet")
    rides.to_parquet(tmp_path / "b.parquet")
    store.ingest(rides_table, tmp_path / "a.parquet")
    assert store.ingest(rides_table, tmp_path / "b.parquet").unchanged


def test_equal_sources_give_equal_bytes(tmp_path, rides_table, make_rides):
    rides = make_rides(*((i, "SFO", i % 200, i % 90, i / 7, 1) for i in range(500)))
    stores = [MetricStore(tmp_path / name) for name in ("one", "two")]
    for store in stores:
        store.ingest(rides_table, rides)
    assert contents(stores[0].folder) == contents(stores[1].folder)
    assert stores[0].manifest_id == stores[1].manifest_id


def test_csv_gives_what_parquet_gives(tmp_path, rides_table, make_rides):
    rides = make_rides((1, "SFO", 5, 20, 10.25, 4.0), (2, "NA", 50, 20, 20.0, None))
    rides.to_parquet(tmp_path / "rides.parquet")
    rides.to_csv(tmp_path / "rides.csv", index=False)
    found = []
    for suffix in ("parquet", "csv"):
        store = MetricStore(tmp_path / suffix)
        report = store.ingest(rides_table, tmp_path / f"rides.{suffix}")
        assert report.accepted == 2
        panel = store.read(["rides", "revenue", "wait"], **DAY)
        found.append({name: panel[name].tensor.numpy() for name in panel})
    # A region called "NA" is a region.
    assert store.labels()["region"] == ("NA", "SFO")
    for name in found[0]:
        np.testing.assert_array_equal(found[0][name], found[1][name])


def test_csv_cells_that_cannot_be_read_are_bad_rows(store, rides_table, tmp_path):
    (tmp_path / "rides.csv").write_text(
        "id,region,at,known_at,fare,wait\n"
        "1,SFO,2025-01-06T00:05:00Z,2025-01-06 00:10,10,\n"
        "2,SFO,2025-01-06T00:05:00+02:00,2025-01-06 00:10,10,1\n"
        "x,SFO,2025-01-06T00:05:00Z,2025-01-06 00:10,10,1\n"
        "4.5,SFO,2025-01-06T00:05:00Z,2025-01-06 00:10,10,1\n"
        "5,SFO,yesterday,2025-01-06 00:10,10,1\n"
        "6,SFO,2025-01-06T00:05:00Z,2025-01-06 00:10,ten,1\n"
        "7,SFO,1899-12-31T00:05:00Z,2025-01-06 00:10,10,1\n"
        "8,SFO,2025-01-06T00:05:00Z,2025-01-06 00:10,inf,1\n"
    )
    report = store.ingest(rides_table, tmp_path / "rides.csv")
    assert balanced(report)
    assert report.accepted == 2
    assert report.quarantined == {
        "at is not a time": 1,
        "at is outside the years 1990-2099": 1,
        "fare is not a number": 1,
        "fare is not finite": 1,
        "id is not an integer": 2,
    }
    # 00:05 at +02:00 belongs to the last hour but one of the day before.
    early = store.read(
        ["rides"], start="2025-01-05T22:00Z", end="2025-01-05T22:00Z", as_of="2025-01-10"
    )
    assert early["rides"].tensor.tolist() == [[1.0]]


def test_remarks_are_counted_and_accepted(store, rides_table, make_rides):
    table = replace(rides_table, remarks=(Check("dear", "fare > 100"), Check("never", "fare < 0")))
    rides = make_rides((1, "SFO", 5, 20, 10.0, 1), (2, "SFO", 5, 20, 101.0, 1))
    report = store.ingest(table, rides)
    assert (report.accepted, report.remarks) == (2, {"dear": 1})


def test_intervals_that_cannot_be_are_bad_rows(store, shifts_table):
    on = pd.Timestamp("2025-01-06", tz="UTC")
    shifts = pd.DataFrame(
        {
            "region": "SFO",
            "on_at": [on] * 3,
            "off_at": [on - pd.Timedelta(hours=1), on + pd.Timedelta(hours=49), None],
            "known_at": on + pd.Timedelta(hours=60),
        }
    )
    report = store.ingest(shifts_table, shifts)
    assert report.quarantined == {
        "longer than 48 hours": 1,
        "off_at before on_at": 1,
        "off_at is missing": 1,
    }
    assert store.spans() == {}
    assert balanced(report)


def test_all_sources_enter_or_none(store, rides_table, shifts_table, make_rides, tmp_path):
    wrong = tmp_path / "shifts.parquet"
    wrong.write_bytes(b"not parquet at all")
    items = [
        Ingestion(rides_table, make_rides((1, "SFO", 5, 20, 10.0, 1))),
        Ingestion(shifts_table, wrong),
    ]
    with pytest.raises(SourceError):
        store.ingest_all(items)
    assert not store.folder.exists()


def test_a_source_may_cover_the_hours_of_another(store, rides_table, make_rides):
    coupons = EventTable(
        name="coupons",
        columns=(Column("region", "text"), Column("hour", "instant"), Column("usd", "number")),
        time="hour",
        dims={"region": "region"},
        empty="zero",
        sums=(Sum("usd", "usd"),),
        metrics=(MetricSpec("coupons", "usd", "USD/h"),),
    )
    rides = make_rides((1, "SFO", 5, 5, 1, 1), (2, "OAK", 65, 5, 1, 1), (3, "SFO", 125, 5, 1, 1))
    hour = pd.Timestamp("2025-01-06T01:00Z")
    given = pd.DataFrame({"region": ["SFO"], "hour": [hour], "usd": [5.0]})
    regions = {"region": ["OAK", "SFO"]}
    items = [
        Ingestion(rides_table, rides, regions),
        Ingestion(coupons, given, regions, like="rides"),
    ]
    margin = LinearMetric("margin", "USD/h", {"revenue": 1.0, "coupons": -1.0})
    store.ingest_all(items, derived=[margin])
    panel = store.read(["coupons", "margin"], **DAY)
    np.testing.assert_equal(panel["coupons"].tensor.numpy(), [[0, 0, 0, np.nan], [0, 5, 0, np.nan]])
    np.testing.assert_equal(panel["margin"].tensor.numpy(), [[0, 1, 0, np.nan], [1, -5, 1, np.nan]])
    assert all(report.unchanged for report in store.ingest_all(items, derived=[margin]))
    # As of an earlier moment, hours that had not ended then are not known to be without coupons.
    early = store.read(["coupons"], **{**DAY, "as_of": "2025-01-06T01:00Z"})["coupons"].tensor
    np.testing.assert_equal(early.numpy(), [[0, np.nan, np.nan, np.nan]] * 2)


def test_new_metrics_of_an_old_table_need_no_new_ledger(store, rides_table, make_rides):
    rides = make_rides((1, "SFO", 5, 20, 10.0, 1))
    store.ingest(rides_table, rides)
    extra = MetricSpec("mean_fare", "fare", "USD/ride", per="n")
    more = replace(rides_table, metrics=(*rides_table.metrics, extra))
    assert store.ingest(more, rides).unchanged
    assert store.read(["mean_fare"], **DAY)["mean_fare"].tensor[0, 0] == 10.0


def test_another_layout_of_a_table_is_refused(store, rides_table, make_rides):
    rides = make_rides((1, "SFO", 5, 20, 10.0, 1))
    store.ingest(rides_table, rides)
    before = contents(store.folder)
    with pytest.raises(DeclarationError) as caught:
        store.ingest(replace(rides_table, empty="missing"), rides)
    assert str(caught.value) == (
        "cannot ingest into 'rides': expected the declaration the store was built with; found "
        "another empty. Ingest into a new store, or give the table another name."
    )
    with pytest.raises(DeclarationError, match="found it in 'rides' already"):
        store.ingest(replace(rides_table, name="trips"), rides)
    assert contents(store.folder) == before


def test_components_from_elsewhere_enter_as_they_are(tmp_path, rides_table, make_rides):
    """What `ledger_sql` yields in a warehouse gives the store that the events give."""
    import duckdb

    from dagcast_core.data import ledger_sql

    rides = make_rides(
        (1, "SFO", 5, 20, 10.0, 4.0),
        (1, "SFO", 5, 30, 10.0, 4.0),
        (2, "SFO", 50, 20, 20.0, None),
        (3, "OAK", 10, 2000, 5.0, 2.0),
        (4, "OAK", 10, 2000, -5.0, 2.0),
    )
    from_events = MetricStore(tmp_path / "events")
    from_events.ingest(rides_table, rides)
    plain = rides.assign(
        at=rides["at"].dt.tz_localize(None), known_at=rides["known_at"].dt.tz_localize(None)
    )
    with duckdb.connect() as warehouse:
        warehouse.register("rides", plain)
        components = warehouse.execute(ledger_sql(rides_table)).fetchdf()
    aggregated = MetricStore(tmp_path / "components")
    report = aggregated.append_components(rides_table, components)
    assert report.accepted == len(components) == 3
    assert aggregated.append_components(rides_table, components).unchanged
    for cut in ("2025-01-06T01:00Z", "2025-01-06T02:00Z", "2025-01-10"):
        one, two = (
            store.read(["rides", "wait", "revenue"], **{**DAY, "as_of": cut})
            for store in (from_events, aggregated)
        )
        for name in one:
            np.testing.assert_array_equal(one[name].tensor, two[name].tensor)
    with pytest.raises(SourceError, match="1 rows where n is missing"):
        aggregated.append_components(
            rides_table, components.assign(n=pd.array([1, 1, None], "Int64"))
        )


def test_reports_survive_in_the_store(store, rides_table, make_rides):
    report = store.ingest(rides_table, make_rides((1, "SFO", 5, 20, -10.0, 1)))
    assert MetricStore(store.folder).reports() == (report,)
    assert IngestReport.from_json(report.to_json()) == report
    with pytest.raises(UnknownMetricError, match="no event table 'ride'"):
        store.quarantine("ride")


def test_spans_tell_what_is_there(filled):
    span = filled.spans()["rides"]
    assert (str(span.start), str(span.end)) == (
        "2025-01-06 00:00:00+00:00",
        "2025-01-06 03:00:00+00:00",
    )
    assert str(span.known_until) == "2025-01-07 07:00:00+00:00"


SPEND = EventTable(
    name="spend",
    columns=(
        Column("region", "text"),
        Column("hour", "instant"),
        Column("known_at", "instant"),
        Column("incentive", "text"),
        Column("usd", "number"),
    ),
    time="hour",
    known_at="known_at",
    key=("incentive", "region", "hour", "known_at"),
    dims={"incentive": "incentive", "region": "region"},
    empty="zero",
    foreseeable=True,
    sums=(Sum("usd", "usd"),),
    metrics=(MetricSpec("spend", "usd", "USD/h", dims=("incentive", "region", "hour")),),
)


def spend(*amounts: float, known: str = "2026-01-06 00:00") -> pd.DataFrame:
    """One cell's spend, said several times, and two other hours' that nobody contradicts."""
    rows = [("NYC", "2026-01-05 00:00", known, "boost", usd) for usd in amounts]
    for hour in ("2026-01-04 23:00", "2026-01-05 02:00"):
        rows.append(("NYC", hour, known, "boost", 1.0))
    return pd.DataFrame(rows, columns=["region", "hour", "known_at", "incentive", "usd"])


def spent(store) -> list[float]:
    hours = {"start": "2026-01-05T00:00Z", "end": "2026-01-05T02:00Z", "as_of": "2026-02-01"}
    return store.read(["spend"], **hours)["spend"].tensor[0, 0].tolist()


@pytest.mark.parametrize("amounts", [(5, 12), (12, 5), (5, 12, 5), (0, 5), (5, 5.01)])
def test_rows_that_contradict_each_other_are_set_aside(store, amounts):
    report = store.ingest(SPEND, spend(*amounts))
    assert (report.accepted, report.duplicates) == (2, 0)
    assert report.conflicts == len(amounts)
    assert balanced(report)
    # Whatever was spent, nobody knows that it was nothing.
    np.testing.assert_equal(spent(store), [np.nan, 0.0, 1.0])
    both = store.conflicts("spend")
    assert set(both["usd"]) == set(amounts)
    assert set(both["row"]) == {"set aside"}


@pytest.mark.parametrize(("amounts", "total"), [((5, 12), 17), ((5, 5, 12), 17), ((5, 0), 5)])
def test_rows_of_one_key_add_up_where_the_table_says_so(store, amounts, total):
    table = replace(SPEND, same_key="add")
    report = store.ingest(table, spend(*amounts))
    assert (report.conflicts, report.duplicates) == (0, len(amounts) - len(set(amounts)))
    assert spent(store) == [total, 0, 1]
    again = store.ingest(table, spend(*amounts, 100))
    assert (again.accepted, again.duplicates, again.conflicts) == (1, len(amounts) + 2, 0)
    assert spent(store) == [total + 100, 0, 1]


def test_a_row_said_again_is_a_duplicate_whenever_it_is_known(store, rides_table, make_rides):
    rides = make_rides((1, "SFO", 5, 20, 10.0, None), (1, "SFO", 5, 500, 10.0, None))
    report = store.ingest(rides_table, rides)
    assert (report.accepted, report.duplicates, report.conflicts) == (1, 1, 0)
    report = store.ingest(rides_table, make_rides((1, "SFO", 5, 900, 10.0, None)))
    assert (report.accepted, report.duplicates, report.conflicts) == (0, 1, 0)


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("count", [3, 30])
def test_ids_that_start_again_are_conflicts(store, rides_table, make_rides, apart, count):
    first = make_rides(*((n, "SFO", n, 20, 10.0 + n, 1.0) for n in range(count)))
    second = make_rides(*((n, "SFO", 180 + n, 20, 20.0 + n, 1.0) for n in range(count + 1)))
    if apart:
        store.ingest(rides_table, first)
        report = store.ingest(rides_table, second)
    else:
        report = store.ingest(rides_table, pd.concat([first, second]))
    assert (report.duplicates, report.conflicts) == (0, count)
    assert balanced(report)
    both = store.conflicts("rides")
    assert both["row"].tolist() == ["accepted", "set aside"] * count
    assert both["id"].tolist() == [n for n in range(count) for _ in range(2)]
    assert (both["fare"] % 10).tolist() == [n % 10 for n in range(count) for _ in range(2)]


def test_a_table_without_conflicts_shows_none(filled):
    assert filled.conflicts("rides").empty
    with pytest.raises(UnknownMetricError, match="no event table 'ride'"):
        filled.conflicts("ride")
