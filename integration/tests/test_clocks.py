"""A quantity that follows from a label's own clock needs no table, in the past or ahead."""

import pandas as pd
import pytest

from dagcast.workflow.common._horizon import Clocks, Moments, read_context, read_history
from dagcast_core.contract import Calendar, Dim, Quantity
from dagcast_core.data import Column, EventTable, MetricSpec, MetricStore
from dagcast_core.dims import HOUR

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
LOCAL = Quantity("local_hour", (Dim("site"), HOUR), "1", dtype="int64")
ZONES = {"east": "America/New_York", "west": "America/Denver"}
TIMES = Moments(
    as_of=START + pd.Timedelta(hours=5),
    first=START,
    last=START + pd.Timedelta(hours=4),
    start=START + pd.Timedelta(hours=5),
    end=START + pd.Timedelta(hours=7),
)


def clocks(zones=ZONES):
    calendar = Calendar("local_hour", lambda hours, zone: hours.tz_convert(zone).hour.to_numpy())
    return Clocks({"local_hour": calendar}, {"local_hour": LOCAL}, {"site": zones})


@pytest.fixture
def store(tmp_path):
    rows = [(site, START + pd.Timedelta(hours=hour)) for site in ZONES for hour in range(5)]
    made = MetricStore(tmp_path / "store")
    made.ingest(ORDERS, pd.DataFrame(rows, columns=["site", "at"]))
    return made


def test_history_and_horizon_have_it_by_every_labels_clock(store):
    history = read_history(store, TIMES, ["local_hour", "orders"], (LOCAL,), clocks())
    # Midnight UTC is 19:00 in New York and 17:00 in Denver.
    assert history["local_hour"].values("site", "hour").tolist() == [
        [19, 20, 21, 22, 23],
        [17, 18, 19, 20, 21],
    ]
    assert history["orders"].values("site", "hour").sum() == 10
    context, assumed = read_context(store, TIMES, ["local_hour"], clocks=clocks())
    assert context["local_hour"].values("site", "hour").tolist() == [[0, 1, 2], [22, 23, 0]]
    assert context["local_hour"].tensor.dtype == history["local_hour"].tensor.dtype
    assert assumed == ()


def test_where_a_label_has_no_clock_nothing_is_made_up(store):
    partly = clocks({"east": "America/New_York"})
    assert "local_hour" not in read_history(
        store, TIMES, ["local_hour", "orders"], (LOCAL,), partly
    )
    context, _ = read_context(store, TIMES, ["local_hour"], clocks=partly)
    assert "local_hour" not in context


def test_what_follows_from_a_country_needs_one_of_every_label(store):
    def local(hours, zone, country):
        return (hours.tz_convert(zone).hour + len(country)).to_numpy()

    calendars = {"local_hour": Calendar("local_hour", local, by_country=True)}

    def asked(countries):
        return Clocks(calendars, {"local_hour": LOCAL}, {"site": ZONES}, {"site": countries})

    partly, whole = asked({"east": "US"}), asked({"east": "US", "west": "US-CO"})
    assert not partly.gives("local_hour", store.labels())
    assert partly.read(store, "local_hour", START, START) is None
    assert whole.gives("local_hour", store.labels())
    read = whole.read(store, "local_hour", START, START)
    assert read.values("site", "hour").tolist() == [[21], [22]]
