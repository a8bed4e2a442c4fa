"""`dagcast data`: what is in the store, how good it is, and what a revision changed."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from dagcast import workflow
from dagcast.config import Config
from dagcast.errors import ProjectError, UsageError
from dagcast.project import create_project
from dagcast.quality import findings
from dagcast.workflow.common._findings import concerning, repeated
from dagcast.workflow.common._horizon import Moments
from dagcast_core.data import CubeQuantity, CubeTable, MetricStore

HOURS = pd.date_range("2025-01-06", periods=8 * 168, freq="h", tz="UTC", unit="us")
CUBE = CubeTable(
    name="counts",
    time="hour",
    dims={"site": "site"},
    quantities=(
        CubeQuantity("parcels", "parcel/h", lower=0),
        CubeQuantity("open", "1/h", dtype="int64"),
    ),
    absent="missing",
    known_at="known_at",
    late_after_hours=1e6,
)  # fmt: skip


def profile():
    """A busy afternoon and a quiet night, a little different each day."""
    at = np.arange(len(HOURS))
    day = 10 + 8 * np.sin(2 * np.pi * (at % 24 - 8) / 24)
    return day * (1 + 0.05 * np.sin(at * 1.7))


def found(values, label="A", **options):
    odd = findings("parcels", np.atleast_2d(values), [label], HOURS, **options)
    return [item.what for item in odd]


def test_an_ordinary_series_has_no_finding():
    assert found(profile()) == []


def test_a_value_that_never_changes_is_a_finding():
    values = profile()
    values[300:400] = 7.0
    (what,) = found(values)
    assert what == "7 without a change from 2025-01-18 12:00 to 2025-01-22 15:00 UTC, 100 hours"
    # A price is meant to stay.
    assert found(np.full(len(HOURS), 2.5)) == []


def test_cents_for_dollars_are_a_finding():
    values = profile()
    values[4 * 168 :] *= 100
    (what,) = found(values)
    assert what == "in the week from 2025-02-03 100 times the week before: another unit?"


@pytest.mark.parametrize(("hours", "word"), [(5, "later"), (-7, "earlier")])
def test_a_shifted_clock_is_a_finding(hours, word):
    values = profile()
    values[3 * 168 : 4 * 168] = np.roll(values[3 * 168 : 4 * 168], hours)
    (what,) = found(values)
    assert what == (
        f"in the week from 2025-01-27 its day lies {abs(hours)} hours {word} than usual: another "
        "clock?"
    )


def test_silence_of_all_labels_and_of_one_are_findings():
    two = np.stack([profile(), profile()])
    two[:, 100:110] = 0.0
    two[1] = np.where(np.arange(len(HOURS)) % 20 == 0, 1.0, 0.0)
    odd = [(f.label, f.what) for f in findings("parcels", two, ["A", "B"], HOURS)]
    assert odd[-1] == ("B", "0 in 95% of its hours")
    assert "0 for every label from 2025-01-10 05:00" in odd[0][1]
    assert not list(findings("warmth", two[1:], ["B"], HOURS, adds=False))
    missing = np.full_like(two, np.nan)
    assert [f.what for f in findings("parcels", missing, ["A", "B"], HOURS)] == [
        "no cell has a value"
    ]


@pytest.fixture
def project(tmp_path):
    made = create_project(tmp_path / "p", Config())
    rows = [
        ("A", 0, "2025-01-10", 1.0), ("A", 1, "2025-01-10", 2.0), ("B", 0, "2025-01-10", 5.0),
        ("A", 1, "2025-02-10", 2.5), ("B", 1, "2025-02-10", 6.0), ("A", 0, "2025-02-10", 1.0),
        ("C", 9, "2025-02-10", -1.0),
    ]  # fmt: skip
    frame = pd.DataFrame(
        [(site, HOURS[at], pd.Timestamp(known, tz="UTC"), n, 1.0) for site, at, known, n in rows],
        columns=["site", "hour", "known_at", "parcels", "open"],
    )
    MetricStore(made.store).ingest(CUBE, frame)
    return made


def test_the_list_says_what_each_table_holds(project):
    (table,) = workflow.data_list(project).held
    assert table.metrics == ("parcels (parcel/h)", "open (1/h)")
    assert (table.labels, table.read, table.accepted, table.set_aside) == ("2 site", 7, 6, 1)
    assert (table.start, table.end) == ("2025-01-06 00:00", "2025-01-06 01:00")


def test_a_metric_is_shown_label_by_label_as_of_a_moment(project):
    first, second = workflow.data_show(project, "parcels").series
    assert (first.label, first.missing, first.mean, first.last) == ("A", 0, 1.75, 2.5)
    assert (second.label, second.missing) == ("B", 0)
    _, then = workflow.data_show(project, "parcels", as_of="2025-01-15").series
    assert (then.missing, then.last) == (1, 5.0)
    with pytest.raises(UsageError, match="Did you mean 'parcels'"):
        workflow.data_show(project, "parcel")
    with pytest.raises(UsageError, match="a moment such as"):
        workflow.data_show(project, "parcels", as_of="soon")


def test_a_diff_lists_the_cells_that_a_revision_changed(project):
    found = workflow.data_diff(project, "2025-01-15", "2025-02-15", ["parcels"])
    # Known at both, of these changed, new, gone.
    assert found.counts == (("parcels", 3, 1, 1, 0),)
    assert found.changes == (("parcels", "A", "2025-01-06 01:00", 2.0, 2.5),)
    # A metric of whole numbers, cells of which are missing, is compared too.
    assert workflow.data_diff(project, "2025-01-15").counts[1] == ("open", 3, 0, 1, 0)


def test_quality_says_what_was_set_aside(project):
    found = workflow.data_quality(project)
    assert found.rows == (("counts", 1, "parcels below 0"),)
    assert "Rows set aside" in str(found)


def test_an_empty_store_is_said_to_be_empty(tmp_path):
    empty = create_project(tmp_path / "p", Config())
    for stage in (workflow.data_list, workflow.data_quality):
        with pytest.raises(ProjectError, match="dagcast ingest"):
            stage(empty)


def test_what_people_decide_may_stand_still_and_pause():
    values = profile()
    values[300:400] = 7.0
    values[500:600] = 0.0
    assert found(values, decided=True) == []
    # A trial pays many times of what was usual; cents for dollars are no trial.
    trial = values.copy()
    trial[4 * 168 : 5 * 168] *= 26
    assert found(trial, decided=True) == []
    assert len(found(trial)) > 1
    for factor in (100, 0.01, 1000):
        scaled = values.copy()
        scaled[4 * 168 :] *= factor
        (what,) = found(scaled, decided=True)
        assert what.endswith("another unit?")


def test_fit_and_plan_repeat_what_concerns_the_hours_that_they_read(tmp_path):
    values = profile()
    values[3 * 168 : 4 * 168] = np.roll(values[3 * 168 : 4 * 168], 5)
    table = CubeTable(
        name="counts", time="hour", dims={"site": "site"}, absent="missing", known_at="known_at",
        quantities=tuple(CubeQuantity(name, "1/h") for name in ("parcels", "spend", "unread")),
        late_after_hours=1e6,
    )  # fmt: skip
    still = np.where(np.arange(len(HOURS)) // 100 % 2, values, 7.0)
    frame = pd.DataFrame(
        {"site": "A", "hour": HOURS, "known_at": HOURS + pd.Timedelta(hours=1),
         "parcels": values, "spend": still, "unread": values}
    )  # fmt: skip
    store = MetricStore(tmp_path / "store")
    store.ingest(table, frame)

    def of(weeks):
        as_of = HOURS[-1] + pd.Timedelta(hours=2)
        times = Moments(as_of, HOURS[weeks * 168], HOURS[-1], as_of, as_of)
        names, decided = ("parcels", "spend"), frozenset({"spend"})
        return SimpleNamespace(store=store, times=times, names=names, decided=decided)

    (found,) = concerning(of(0))
    assert found == (
        "parcels of A: in the week from 2025-01-27 its day lies 5 hours later than usual: another "
        "clock?"
    )
    assert repeated(of(0)) == (f"data: {found}",)
    # A week that the history leaves out concerns nobody.
    assert concerning(of(4)) == ()
