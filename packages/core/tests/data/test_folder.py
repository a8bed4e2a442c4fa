"""Folders: every file is read, or named with the reason why it is not."""

from dataclasses import replace

import pytest

from dagcast_core.data import Ingestion, SourceError, plan_folder


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "events"
    place.mkdir()
    return place


def names(plan) -> dict[str, list[str]]:
    return {table: [path.name for path in files] for table, files in plan.sources.items()}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("ridess.csv", "no table is called 'ridess'; one is called 'rides'"),
        ("rides_2.csv", "no table is called 'rides_2'; one is called 'rides'"),
        ("quality.parquet", "no table is called 'quality'"),
        ("README.txt", "its name does not end in .parquet, .pq, .csv"),
        ("rides.csv.gz", "its name does not end in .parquet, .pq, .csv"),
        ("rides", "its name does not end in .parquet, .pq, .csv"),
        ("regions.JSON", "its name does not end in .parquet, .pq, .csv"),
    ],
)
def test_a_file_that_is_not_read_is_named(folder, rides_table, shifts_table, name, why):
    for other in ("rides.csv", "shifts.parquet", "regions.json", ".DS_Store", name):
        (folder / other).write_text("x")
    plan = plan_folder(folder, [rides_table, shifts_table], known=["regions.json"])
    assert names(plan) == {"rides": ["rides.csv"], "shifts": ["shifts.parquet"]}
    assert [str(item) for item in plan.unread] == [f"{name} was not read: {why}."]


@pytest.mark.parametrize("second", ["rides.parquet", "rides.CSV", "Rides.csv", "rides.pq"])
def test_two_files_of_one_table_are_both_read(folder, store, rides_table, make_rides, second):
    make_rides((1, "SFO", 5, 20, 1.0, 1.0), (2, "SFO", 5, 20, 2.0, 1.0)).to_csv(
        folder / "rides.csv", index=False
    )
    other = make_rides((2, "SFO", 5, 20, 2.0, 1.0), (3, "SFO", 5, 20, 3.0, 1.0))
    if second.endswith(("parquet", "pq")):
        other.to_parquet(folder / second)
    else:
        other.to_csv(folder / second, index=False)
    plan = plan_folder(folder, [rides_table])
    assert sorted(names(plan)["rides"]) == sorted(["rides.csv", second])
    items = [Ingestion(rides_table, path) for path in plan.sources["rides"]]
    reports = store.ingest_all(items)
    assert sum(report.accepted for report in reports) == 3
    assert sum(report.duplicates for report in reports) == 1


@pytest.mark.parametrize("second", ["shifts.parquet", "shifts.CSV", "Shifts.csv"])
def test_two_files_of_a_table_without_a_key_are_refused(folder, shifts_table, second):
    for name in ("shifts.csv", second):
        (folder / name).write_text("x")
    with pytest.raises(SourceError, match="no key to tell repeated ones by") as caught:
        plan_folder(folder, [shifts_table])
    assert second in str(caught.value)


def test_tables_come_in_the_order_given_and_folders_are_let_be(folder, rides_table, shifts_table):
    (folder / "rides.csv").mkdir()
    (folder / "week").mkdir()
    for name in ("shifts.csv", "weather.csv"):
        (folder / name).write_text("x")
    weather = replace(rides_table, name="weather")
    plan = plan_folder(folder, [weather, rides_table, shifts_table])
    assert list(plan.sources) == ["weather", "shifts"]
    assert plan.unread == ()


def test_a_folder_that_is_not_there_is_refused(folder, rides_table):
    for place in (folder / "none", folder / "file"):
        (folder / "file").write_text("x")
        with pytest.raises(SourceError, match="expected a folder that can be read"):
            plan_folder(place, [rides_table])
