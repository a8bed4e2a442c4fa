"""Declared sources: a few lines of toml, and one clear sentence where they are wrong."""

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from dagcast.config import config_text, load_config
from dagcast.errors import ConfigError
from dagcast.sources import declared, source_items
from dagcast_core.contract import Dim, Quantity
from dagcast_core.data import Column, EventTable, MetricSpec, MetricStore, Sum
from dagcast_core.dims import HOUR

SITE, KIND = Dim("site"), Dim("kind")
PARCELS = Quantity(
    "parcels", dims=(SITE, HOUR), unit="parcel/h", bounds=(0, None),
    aggregation={"site": "sum", "hour": "sum"},
)  # fmt: skip
WAIT = Quantity("wait", dims=(SITE, HOUR), unit="min")
BONUS = Quantity("bonus", dims=(KIND, SITE, HOUR), unit="EUR/h")
QUANTITIES = {item.name: item for item in (PARCELS, WAIT, BONUS)}
SCANS = EventTable(
    name="scans",
    columns=(
        Column("scan_id", "integer"),
        Column("site", "text"),
        Column("at", "instant"),
        Column("known_at", "instant"),
        Column("minutes", "number", lower=0),
        Column("note", "text", nullable=True),
    ),
    time="at",
    known_at="known_at",
    key=("scan_id",),
    dims={"site": "site"},
    empty="zero",
    sums=(Sum("minutes", "minutes"),),
    metrics=(MetricSpec("scans", "n", "scan/h"), MetricSpec("wait", "minutes", "min", per="n")),
)
TABLES = {"scans": SCANS}
DAY = {"start": "2025-03-09T04:00Z", "end": "2025-03-09T08:00Z", "as_of": "2025-06-01"}
NAN = float("nan")
HEAD = 'zone = "America/New_York"\nknown = "final"\n'
CELLS = f'[sources.counts]\nfiles = "counts.csv"\ntime = "local_hour"\nabsent = "missing"\n{HEAD}'


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def read(project):
    """Declares, ingests and reads: label -> values of a metric of one dim."""

    def _read(toml, *names, window=DAY):
        store = MetricStore(project / "store")
        reports = ingest(project, toml, store)
        panel = store.read(list(names), **window)
        values = {
            name: dict(zip(store.labels()["site"], panel[name].tensor.tolist(), strict=True))
            for name in names
        }
        return reports, values

    return _read


def resolved(project, toml):
    (project / "dagcast.toml").write_text(toml)
    config = load_config(project / "dagcast.toml")
    return declared(config.sources, QUANTITIES, TABLES, project)


def ingest(project, toml, store):
    found = source_items(project, resolved(project, toml))
    return store.ingest_all(found.items)


def write(project, name, text):
    (project / name).parent.mkdir(parents=True, exist_ok=True)
    (project / name).write_text(text)


def test_a_cube_takes_eight_lines_and_units_from_the_models(project, read):
    write(project, "counts.csv", "local_hour,city,n\n2025-03-09 00:00,A,3\n2025-03-09 01:00,A,\n"
                                 "2025-03-09 03:00,A,5\n2025-03-09 03:00,B,0\n")  # fmt: skip
    toml = CELLS + 'dims = { site = "city" }\nquantities = { parcels = "n" }\n'
    (report,), values = read(toml, "parcels")
    assert (report.read, report.accepted) == (4, 4)
    # 03:00 follows 01:00 that night; an empty cell is missing, and a zero is one.
    np.testing.assert_equal(
        values["parcels"], {"A": [NAN, 3, NAN, 5, NAN], "B": [NAN, NAN, NAN, 0, NAN]}
    )
    store = MetricStore(project / "store")
    assert store.metrics()["parcels"].unit == "parcel/h"
    assert store.metrics()["parcels"].across == "sum"
    assert ingest(project, toml, store)[0].unchanged


def test_bounds_are_those_of_the_models(project, read):
    write(project, "counts.csv", "local_hour,city,n\n2025-03-09 00:00,A,-3\n2025-03-09 01:00,A,1\n")
    toml = CELLS + 'dims = { site = "city" }\nquantities = { parcels = "n" }\n'
    (report,), _ = read(toml, "parcels")
    assert report.quarantined == {"parcels below 0": 1}


def test_a_corrected_declaration_is_read_anew(project, read):
    write(project, "counts.csv", "local_hour,city,n\n2025-03-09 00:00,A,3\n")
    toml = CELLS + 'dims = { site = "city" }\nquantities = { parcels = "n" }\n'
    read(toml, "parcels")
    _, values = read(toml.replace("America/New_York", "America/Chicago"), "parcels")
    np.testing.assert_equal(values["parcels"], {"A": [NAN, NAN, 3, NAN, NAN]})
    more = toml.replace('{ parcels = "n" }', '{ parcels = "n", wait = { sql = "n / 60" } }')
    _, values = read(more, "parcels", "wait")
    np.testing.assert_equal(values["wait"], {"A": [NAN, 0.05, NAN, NAN, NAN]})


def test_long_cubes_and_labels_as_columns(project, read):
    write(project, "counts.csv", "local_hour,city,what,v\n2025-03-09 00:00,A,n,3\n"
                                 "2025-03-09 00:00,A,w,2.5\n2025-03-09 00:00,A,x,1\n")  # fmt: skip
    toml = CELLS + (
        'dims = { site = "city" }\nlong = { names = "what", value = "v" }\n'
        'quantities = { parcels = "n", wait = "w" }\n'
    )
    (report,), values = read(toml, "parcels", "wait")
    assert report.quarantined == {"unknown quantity": 1}
    np.testing.assert_equal(values["wait"], {"A": [NAN, 2.5, NAN, NAN, NAN]})
    write(project, "wide.csv", "local_hour,A,B\n2025-03-09 00:00,3,\n")
    wide = (
        CELLS.replace("counts", "wide")
        + 'dims = { site = { columns = "*" } }\nquantities = { parcels = {} }\n'
    )
    wide = wide.replace("parcels = {}", 'boxes = { unit = "box/h" }')
    (report,), values = read(wide, "boxes")
    # The labels of a second source are news.
    assert (report.read, report.accepted, report.new_labels) == (2, 1, {"site": {"B": 1}})
    np.testing.assert_equal(values["boxes"], {"A": [NAN, 3, NAN, NAN, NAN]})


def test_labels_are_looked_up_by_a_table(project, read):
    write(project, "counts.csv", "local_hour,zone,n\n2025-03-09 00:00,7,3\n2025-03-09 00:00,8,4\n")
    write(project, "zones.csv", "id,borough\n7,Queens\n")
    looked = '{ column = "zone", lookup = "zones.csv", key = "id", label = "borough" }'
    toml = CELLS + f"dims = {{ site = {looked} }}\nquantities = {{ parcels = 'n' }}\n"
    (report,), values = read(toml, "parcels")
    assert report.quarantined == {"zone is not in zones.csv": 1}
    np.testing.assert_equal(values["parcels"], {"Queens": [NAN, 3, NAN, NAN, NAN]})


def test_files_of_a_glob_are_read_and_others_in_reach_are_named(project):
    for day, city in ((1, "A"), (2, "B")):
        text = f"local_hour,city,n\n2025-03-0{day} 00:00,{city},3\n"
        write(project, f"data/counts_{day}.csv", text)
    write(project, "data/count_3.csv", "local_hour,city,n\n")
    write(project, "data/notes.txt", "nothing")
    toml = CELLS.replace("counts.csv", "data/counts_*.csv")
    toml += 'dims = { site = "city" }\nquantities = { parcels = "n" }\n'
    found = source_items(project, resolved(project, toml))
    assert [Path(item.source).name for item in found.items] == ["counts_1.csv", "counts_2.csv"]
    assert [str(item) for item in found.unread] == [
        "count_3.csv was not read: no pattern of [sources.counts] matches it."
    ]
    store = MetricStore(project / "store")
    # Files of one source say together which labels there are.
    assert [report.accepted for report in store.ingest_all(found.items)] == [1, 1]
    write(project, "data/counts_4.csv", "local_hour,city,n\n2025-03-04 00:00,NYC,3\n")
    reports = store.ingest_all(source_items(project, resolved(project, toml)).items)
    assert [report.unchanged for report in reports] == [True, True, False]
    assert reports[2].new_labels == {"site": {"NYC": 1}}


def test_vintages_have_one_moment_each(project):
    for name, value in (("a.csv", "1"), ("b.csv", "2"), ("c.csv", "3")):
        write(project, f"v/{name}", f"local_hour,city,n\n2025-03-09 00:00,A,{value}\n")
    toml = CELLS.replace('"counts.csv"', '"v/*.csv"').replace(
        'known = "final"',
        'known = { files = { "a.csv" = 2025-04-01T00:00:00Z, "b.csv" = 2025-05-01T00:00:00Z } }',
    )
    toml += 'dims = { site = "city" }\nquantities = { parcels = "n" }\n'
    found = source_items(project, resolved(project, toml))
    assert "no moment is declared for it" in str(found.unread[0])
    store = MetricStore(project / "store")
    store.ingest_all(found.items)
    hour = {"start": "2025-03-09T05:00Z", "end": "2025-03-09T05:00Z"}
    values = [
        store.read(["parcels"], **hour, as_of=f"2025-{month}-15")["parcels"].item()
        for month in ("03", "04", "05")
    ]
    np.testing.assert_equal(values, [NAN, 1.0, 2.0])


def test_events_are_counted_added_up_and_averaged(project, read):
    write(
        project, "trips.csv",
        "at,done,city,secs,paid,state\n"
        "2025-03-09 00:10,2025-03-09 01:40,A,60,2,ok\n"
        "2025-03-09 00:20,2025-03-09 00:30,A,120,3,no\n"
        "2025-03-09 00:20,2025-03-09 00:30,A,120,3,no\n2025-03-09 01:20,2025-03-09 01:25,A,,1,ok\n"
        "2025-03-09 01:20,2025-03-09 01:10,A,9,1,ok\n",
    )  # fmt: skip
    toml = (
        '[sources.trips]\nfiles = "trips.csv"\nrows = "events"\ntime = "at"\nuntil = "done"\n'
        f'{HEAD}absent = "zero"\nkey = ["at", "city", "secs"]\noptional = "secs"\n'
        'kinds = { secs = "number" }\ndims = { site = "city" }\n'
        'set_aside = { "paid too much" = "paid > 100" }\n'
        'remark = { "not done" = "state = \'no\'" }\n'
        "[sources.trips.quantities]\n"
        'parcels = { count = true, where = "state = \'ok\'" }\nwait = { mean = "secs / 60" }\n'
        'fees = { sum = "paid", unit = "EUR/h" }\nbusy = { hours = true, unit = "h/h" }\n'
    )
    (report,), values = read(toml, "busy")
    assert (report.read, report.accepted, report.duplicates) == (5, 3, 1)
    assert report.quarantined == {"done before at": 1}
    assert report.remarks == {"not done": 1}
    # Hours end with the last row; intervals are split over those that they cover.
    np.testing.assert_allclose(values["busy"]["A"][1:3], [1, 0.75], rtol=1e-6)


def test_a_mean_may_be_weighted(project, read):
    write(project, "trips.csv", "at,city,wait,n\n2025-03-09 00:00,A,3,1\n2025-03-09 00:00,A,6,2\n"
                                "2025-03-09 00:00,A,,7\n")  # fmt: skip
    toml = (
        f'[sources.trips]\nfiles = "trips.csv"\nrows = "events"\ntime = "at"\n{HEAD}'
        'absent = "zero"\noptional = "wait"\ndims = { site = "city" }\n'
        'quantities = { wait = { mean = "wait", weight = "n" } }\n'
    )
    _, values = read(toml, "wait")
    assert values["wait"]["A"][1] == 5.0
    with pytest.raises(ConfigError, match="weight to be beside mean alone"):
        resolved(project, toml.replace('mean = "wait"', 'sum = "wait"'))


def test_events_fill_a_table_of_a_package(project, read):
    write(
        project, "raw.csv", "n,when,place,secs\n1,2025-03-09 00:10,A,60\n2,2025-03-09 01:10,A,x\n"
    )
    toml = (
        '[sources.raw]\nfiles = "raw.csv"\ninto = "scans"\nzone = "America/New_York"\n'
        'known = { lag_hours = 2 }\ntime = "when"\ndims = { site = "place" }\n'
        '[sources.raw.columns]\nscan_id = "n"\nminutes = { sql = "secs / 60" }\n'
    )
    (report,), values = read(toml, "scans", "wait")
    assert report.table == "scans"
    assert report.quarantined == {"secs is not a number": 1}
    assert values["wait"]["A"][1] == 1.0
    assert MetricStore(project / "store").tables()["scans"] == SCANS


def test_a_database_is_a_source(project, read):
    with duckdb.connect(str(project / "lake.duckdb")) as connection:
        rows = pd.DataFrame(
            {"local_hour": pd.to_datetime(["2025-03-09 00:00"]), "city": ["A"], "n": [2.0]}
        )
        connection.register("rows", rows)
        connection.execute("CREATE TABLE counts AS SELECT * FROM rows")
    toml = CELLS.replace('files = "counts.csv"', 'database = "lake.duckdb"\nrelation = "counts"')
    toml += 'dims = { site = "city" }\nquantities = { parcels = "n" }\n'
    _, values = read(toml, "parcels")
    np.testing.assert_equal(values["parcels"], {"A": [NAN, 2, NAN, NAN, NAN]})


def test_dims_stand_as_the_models_have_them(project):
    toml = CELLS + (
        'dims = { site = "city", kind = { value = "boost" } }\nquantities = { bonus = "n" }\n'
    )
    (source,) = resolved(project, toml)
    assert source.table.metrics[0].dims == ("kind", "site", "hour")


def test_a_source_may_stand_in_a_file_of_its_own(project, read):
    write(project, "counts.csv", "local_hour,city,n\n2025-03-09 00:00,A,3\n")
    body = CELLS.partition("\n")[2] + 'dims = { site = "city" }\nquantities = { parcels = "n" }\n'
    write(project, "sources/counts.toml", body)
    _, values = read("", "parcels")
    assert values["parcels"]["A"][1] == 3.0
    write(project, "sources/counts.toml", body.replace("local_hour", "hour"))
    with pytest.raises(ConfigError, match=r"'hour' at sources/counts\.toml line 2"):
        read("", "parcels")
    write(project, "sources/counts.toml", body.replace("time =", "tim ="))
    with pytest.raises(ConfigError, match=r"'tim' at counts\.toml line 2\. Did you mean 'time'"):
        read("", "parcels")
    write(project, "sources/counts.toml", body)
    with pytest.raises(ConfigError, match="one declaration of the source 'counts'"):
        read(CELLS + 'quantities = { parcels = "n" }\n', "parcels")


GOOD = CELLS + 'dims = { site = "city" }\nquantities = { parcels = "n" }\n'


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('files = "counts.csv"\n', "", "sources.counts to be where its rows are: one of files"),
        ('absent = "missing"\n', "", "what an absent row means: absent ="),
        ('time = "local_hour"\n', "", "the column of its time"),
        ('known = "final"\n', "", "the key 'sources.counts.known'"),
        ('zone = "America/New_York"\n', "", "the key 'sources.counts.zone'"),
        ('"final"', '"tomorrow"', r'sources.counts.known to be one of "final", { column'),
        ('"final"', "{ files = { a = 2025-01-01T00:00:00 } }", "moments with a zone"),
        ("America/New_York", "Mars/Olympus", "IANA name.*Mars/Olympus.* at dagcast.toml line 5"),
        ("counts.csv", "count.csv", r"files to be a file.* line 2\. Did you mean 'counts.csv'"),
        ("counts.csv", "counts_*.csv", "files to be a pattern of files"),
        ('"local_hour"', '"local_hours"', r"time to be about columns of counts.csv \(local_hour, "
                                          r"city, n\); found 'local_hours' at dagcast.toml line 3"),
        ('"city"', '"citi"', r"dims.site to be.*Did you mean 'city'"),
        ('parcels = "n"', 'parcels = "m"', "quantities.parcels to be about columns"),
        ('parcels = "n"', 'parcel = "n"', "did you mean 'parcels'"),
        ('parcels = "n"', 'parcels = { column = "n", unit = "box/h" }', "in parcel/h, as the mod"),
        ('parcels = "n"', 'parcels = { count = true }', 'Say rows = "events"'),
        ('parcels = "n"', 'parcels = { sql = "n +" }', "cannot read the expression 'n [+]'"),
        ('parcels = "n"', 'parcels = {}', "a column's name or { sql = ... }"),
        ('site = "city"', 'town = "city"', "by site, as the models have it; found dims town"),
        ('"missing"', '"zero unless gap"', '"missing" or "zero" for cells'),
        ("[sources.counts]\n", '[sources.counts]\ninto = "scan"\n', "either into, which names"),
    ],
)  # fmt: skip
def test_every_wrong_declaration_gets_one_sentence_with_its_place(project, old, new, words):
    write(project, "counts.csv", "local_hour,city,n\n2025-03-09 00:00,A,3\n")
    assert old in GOOD
    store = MetricStore(project / "store")
    with pytest.raises(ConfigError, match=words) as caught:
        ingest(project, GOOD.replace(old, new), store)
    assert "dagcast.toml" in str(caught.value)
    assert not (project / "store").exists()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"scans"', '"scan"', "a table that a package declares.*Did you mean 'scans'"),
        ("scan_id =", "scanid =", "a column of 'scans'.*Did you mean 'scan_id'"),
        ('time = "t"\n', "", "something that fills at of 'scans'"),
        ('site = "s"', 'region = "s"', r"a dim of 'scans' \(site\)"),
        ('time = "t"\n', 'time = "t"\nuntil = "u"\n', "until to be left out"),
    ],
)
def test_what_a_package_s_table_needs_is_said(project, old, new, words):
    toml = (
        '[sources.raw]\nfiles = "raw.csv"\ninto = "scans"\nzone = "UTC"\nknown = "final"\n'
        'time = "t"\ndims = { site = "s" }\ncolumns = { scan_id = "n", minutes = "m" }\n'
    )
    assert resolved(project, toml)
    with pytest.raises(ConfigError, match=words):
        resolved(project, toml.replace(old, new))


def test_secrets_stay_in_the_environment(project, monkeypatch):
    toml = CELLS.replace('files = "counts.csv"', 'connect = "postgresql://u:$PG_WORD@h/d"\n'
                         'relation = "counts"')  # fmt: skip
    toml += 'dims = { site = "city" }\nquantities = { parcels = "n" }\n'
    sources = resolved(project, toml)
    with pytest.raises(ConfigError, match=r"no PG_WORD there at .* Set PG_WORD"):
        source_items(project, sources)
    monkeypatch.setenv("PG_WORD", "secret")
    (item,) = source_items(project, sources).items
    assert item.source.arguments == {"uri": "postgresql://u:secret@h/d"}
    assert item.source.statement(["n"]) == 'SELECT "n" FROM counts'


def test_sources_and_labels_are_settings_like_others(project):
    toml = GOOD + '[labels.site]\nzone = "America/New_York"\nholidays = "US"\n'
    (project / "dagcast.toml").write_text(toml)
    config = load_config(project / "dagcast.toml")
    (project / "dagcast.toml").write_text(config_text(config))
    assert load_config(project / "dagcast.toml") == config
