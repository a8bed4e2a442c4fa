"""A folder of event files of any declared tables: a warehouse has neither regions nor sessions."""

import numpy as np
import pandas as pd
import pytest

from dagcast.ingest import ingest_events
from dagcast_core.contract import LabelSet
from dagcast_core.data import (
    Column,
    EventTable,
    LinearMetric,
    MetricSpec,
    MetricStore,
    SourceError,
    Sum,
)

START = pd.Timestamp("2025-01-06T00:00Z").as_unit("us")
ORDERS = EventTable(
    name="orders",
    columns=(Column("site", "text"), Column("at", "instant")),
    time="at",
    dims={"site": "site"},
    empty="zero",
    sums=(),
    metrics=(MetricSpec("orders", "n", "order/h"),),
)
COSTS = EventTable(
    name="costs",
    columns=(Column("site", "text"), Column("at", "instant"), Column("eur", "number")),
    time="at",
    dims={"site": "site"},
    empty="zero",
    like="orders",
    sums=(Sum("eur", "eur"),),
    metrics=(MetricSpec("costs", "eur", "EUR/h"),),
)
NOISE = EventTable(
    name="noise",
    columns=(Column("site", "text"), Column("at", "instant"), Column("level", "number")),
    time="at",
    dims={"site": "site"},
    revision="latest",
    sums=(Sum("level", "level"),),
    metrics=(MetricSpec("noise", "level", "dB"),),
)
TABLES = (COSTS, NOISE, ORDERS)
MARGIN = LinearMetric("margin", "EUR/h", {"costs": -1.0})
SITES = {
    "site": LabelSet("site", ("east", "west"), since={"west": "2025-01-06T02:00+00:00"}),
}


def at(*hours):
    return [START + pd.Timedelta(hours=hour) for hour in hours]


@pytest.fixture
def events(tmp_path):
    folder = tmp_path / "events"
    folder.mkdir()
    orders = {"site": ["east", "west", "west", "moon"], "at": at(0, 1, 3, 3)}
    costs = {"site": ["east"], "at": at(1), "eur": [5.0]}
    noise = {"site": ["west", "west"], "at": at(0, 3), "level": [40.0, 60.0]}
    pd.DataFrame(orders).to_parquet(folder / "orders.parquet", index=False)
    pd.DataFrame(costs).to_csv(folder / "costs.csv", index=False)
    pd.DataFrame(noise).to_parquet(folder / "noise.parquet", index=False)
    (folder / "readme.txt").write_text("not a table")
    return folder


@pytest.fixture
def store(tmp_path):
    return MetricStore(tmp_path / "store")


def read(store, name):
    window = {"start": START, "end": at(3)[0], "as_of": "2025-02-01"}
    return store.read([name], **window)[name].values("site", "hour").numpy()


def test_every_table_with_a_file_is_read_by_the_labels_there_are(store, events):
    reports, _ = ingest_events(store.folder, events, TABLES, metrics=(MARGIN,), labels=SITES)
    # In the order declared, but after the table whose hours count.
    assert [report.table for report in reports] == ["orders", "costs", "noise"]
    assert reports[0].quarantined == {"unknown site": 1, "before the site opened": 1}
    nan = np.nan
    np.testing.assert_equal(read(store, "orders"), [[1, 0, 0, 0], [nan, nan, 0, 1]])
    # No cost was logged in hours with orders: there was none.
    np.testing.assert_equal(read(store, "costs"), [[0, 5, 0, 0], [nan, nan, 0, 0]])
    np.testing.assert_equal(read(store, "margin"), [[0, -5, 0, 0], [nan, nan, 0, 0]])
    # What replaces itself reaches back before the opening.
    np.testing.assert_equal(read(store, "noise"), [[nan] * 4, [40, nan, nan, 60]])
    assert all(
        item.unchanged for item in ingest_events(store.folder, events, TABLES, labels=SITES)[0]
    )


def test_without_labels_every_label_is_accepted(store, events):
    ingest_events(store.folder, events, TABLES)
    assert store.labels()["site"] == ("east", "moon", "west")


def test_a_sum_waits_for_all_its_terms(store, events):
    (events / "costs.csv").rename(events / "later.csv")
    ingest_events(store.folder, events, TABLES, metrics=(MARGIN,))
    assert "margin" not in store.metrics()
    (events / "later.csv").rename(events / "costs.csv")
    ingest_events(store.folder, events, TABLES, metrics=(MARGIN,))
    assert "margin" in store.metrics()


def test_where_nothing_is_found_every_table_is_listed(store, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError) as caught:
        ingest_events(store.folder, tmp_path / "empty", TABLES)
    assert (
        "expected orders.parquet or .csv (site, at); costs.parquet or .csv (site, at, eur); "
        "noise.parquet or .csv (site, at, level); found none of them."
    ) in str(caught.value)
    assert not store.folder.exists()
