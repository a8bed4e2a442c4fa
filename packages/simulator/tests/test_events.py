import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from dagcast_simulator import MarketWorlds, WorldError
from dagcast_simulator._events import SCHEMAS, UNKNOWN_REGION


@pytest.fixture(scope="module")
def folders(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    rows = world.write_events(folder / "events")
    plan = world.operator_decisions()
    played = world.play(folder / "week", plan, world.planning_hours)
    return folder / "events", folder / "week", rows, played, plan


def _read(folder, name):
    return pd.read_parquet(folder / f"{name}.parquet")


def _sound(sessions):
    good = sessions[(sessions["eta_min"] >= 0) & (sessions["region"] != UNKNOWN_REGION)]
    return good.drop_duplicates("session_id")


def _hourly(frame, column, world, hours):
    cells = frame.groupby(["region", frame[column].dt.floor("h")]).size()
    index = pd.MultiIndex.from_product([world.region_names, hours])
    return cells.reindex(index, fill_value=0).to_numpy()


def test_files_have_the_agreed_columns_and_the_reported_rows(folders):
    events, week, rows, played, _ = folders
    for name, schema in SCHEMAS.items():
        for folder, counts in ((events, rows), (week, played)):
            file = pq.ParquetFile(folder / f"{name}.parquet")
            assert file.schema_arrow.equals(schema, check_metadata=False), name
            assert file.metadata.num_rows == counts[f"{name}.parquet"], name


def test_nothing_is_known_after_the_moment_of_planning(folders, world):
    events, week, *_ = folders
    for name in SCHEMAS:
        assert _read(events, name)["known_at"].max() <= world.now, name
    for name in ("sessions", "shifts", "spend"):
        assert _read(week, name)["known_at"].min() > world.now, name


def test_events_are_known_after_they_happen(folders):
    events, *_ = folders
    for name, column in (("sessions", "opened_at"), ("spend", "hour"), ("shifts", "off_at")):
        frame = _read(events, name)
        if name == "shifts":
            frame = frame[frame["off_at"] > frame["on_at"]]
        assert (frame["known_at"] >= frame[column]).all(), name


def test_sound_sessions_are_exactly_what_happened(folders, world):
    events, week, *_ = folders
    sessions = _sound(pd.concat([_read(events, "sessions"), _read(week, "sessions")]))
    past = sessions[sessions["opened_at"] < world.now]
    counted = _hourly(past, "opened_at", world, world.history_hours)
    assert np.array_equal(counted, world.history()["sessions"].to_numpy())
    assert sessions["session_id"].is_unique
    assert not (sessions["completed"] & ~sessions["requested"]).any()
    assert (sessions["fare"][~sessions["completed"]] == 0).all()


def test_money_in_events_is_money_in_the_truth(folders, world):
    events, week, *_ = folders
    sessions = _sound(pd.concat([_read(events, "sessions"), _read(week, "sessions")]))
    past = sessions[sessions["opened_at"] < world.now]
    history = world.history()
    assert past["fare"].sum() == pytest.approx(history["revenue"].sum())
    assert past["driver_pay"].sum() == pytest.approx(history["driver_pay"].sum())
    assert past["coupon"].sum() == pytest.approx(history["coupon_spend"].sum())
    spend = pd.concat([_read(events, "spend"), _read(week, "spend")])
    spend = spend[spend["hour"] < world.now]
    assert spend["usd"].sum() == pytest.approx(history["incentive_spend"].sum())


def test_shifts_add_up_to_driver_hours(folders, world):
    events, week, *_ = folders
    shifts = pd.concat([_read(events, "shifts"), _read(week, "shifts")])
    shifts = shifts[shifts["off_at"] > shifts["on_at"]].drop_duplicates("shift_id")
    past = shifts[shifts["off_at"] <= world.now]
    hours = (past["off_at"] - past["on_at"]).dt.total_seconds().sum() / 3600
    assert hours == pytest.approx(world.history()["driver_hours"].sum())


def test_planted_faults_are_counted_in_the_manifest(folders, world):
    events, week, *_ = folders
    planted = json.loads((events / "world.json").read_text())["planted"]
    sessions = pd.concat([_read(events, "sessions"), _read(week, "sessions")])
    ahead = json.loads((week / "played.json").read_text())["planted"]
    found = {
        "negative_eta": int((sessions["eta_min"] < 0).sum()),
        "unknown_region": int((sessions["region"] == UNKNOWN_REGION).sum()),
        "duplicate_sessions": int(sessions["session_id"].duplicated().sum()),
    }
    assert found == {key: planted[key] + ahead[key] for key in found}
    shifts = pd.concat([_read(events, "shifts"), _read(week, "shifts")])
    wrong = int((shifts["off_at"] < shifts["on_at"]).sum())
    assert wrong == planted["negative_shift"] + ahead["negative_shift"]
    assert min(planted.values()) > 0


def test_late_rows_of_the_history_come_with_the_next_week(folders, world):
    _, week, *_ = folders
    late = _read(week, "sessions")
    late = late[late["opened_at"] < world.now]
    assert 0 < len(late) < 2000
    assert (late["known_at"] - late["opened_at"]).max() > pd.Timedelta(hours=5)


def test_a_revision_is_a_further_row_of_the_same_cell(folders):
    events, *_ = folders
    spend = _read(events, "spend")
    cells = spend.groupby(["region", "hour", "incentive"])
    sizes = cells.size()
    assert set(sizes.unique()) == {1, 2}
    assert 0.005 < (sizes == 2).mean() < 0.06
    assert cells["usd"].sum().min() >= 0
    assert (spend["usd"] < 0).any()


def test_a_region_has_no_rows_before_it_opened(folders, world):
    events, *_ = folders
    regions = json.loads((events / "regions.json").read_text())
    late = regions[-1]
    opened = pd.Timestamp(late["opened_on"], tz="UTC")
    assert opened > world.history_hours[0]
    for name, column in (("sessions", "opened_at"), ("spend", "hour"), ("fares", "hour")):
        frame = _read(events, name)
        first = frame.loc[frame["region"] == late["region"], column].min()
        assert opened <= first < opened + pd.Timedelta(hours=6), name


def test_calendar_and_forecast_cover_the_planning_week(folders, world):
    events, *_ = folders
    for name in ("calendar", "coupons", "fares"):
        assert _read(events, name)["hour"].max() == world.planning_hours[-1], name
    weather = _read(events, "weather")
    forecast = weather[weather["is_forecast"]]
    assert forecast["hour"].min() == world.planning_hours[0]
    assert forecast["hour"].max() == world.planning_hours[-1]
    assert weather.loc[~weather["is_forecast"], "hour"].max() < world.now


def test_the_played_week_is_the_week_that_outcome_foretold(folders, world):
    _, week, _, _, plan = folders
    outcome = world.outcome(plan)
    sessions = _sound(_read(week, "sessions"))
    sessions = sessions[sessions["opened_at"] >= world.now]
    assert len(sessions) == outcome["sessions"].sum()
    assert sessions["completed"].sum() == outcome["rides"].sum()
    spend = _read(week, "spend")
    spend = spend[spend["hour"] >= world.now].groupby(["region", "hour"])["usd"].sum()
    truth = outcome.set_index(["region", "hour"])["incentive_spend"]
    # Revisions of the last days and rounding to cents are all that may differ.
    assert spend.sum() == pytest.approx(truth.sum(), rel=1e-3)


def test_spent_differs_from_planned_by_the_execution_noise(world):
    plan = world.operator_decisions()
    outcome = world.outcome(plan)
    planned = plan.groupby(["region", "hour"])["usd"].sum()
    spent = outcome.set_index(["region", "hour"])["incentive_spend"]
    ratio = (spent / planned)[planned > 0]
    assert 0.005 < ratio.std() < 0.03
    assert ratio.mean() == pytest.approx(1, abs=0.005)


def test_a_world_reopens_from_its_folder_without_a_rerun(folders, world):
    events, *_, plan = folders
    again = MarketWorlds().load(events)
    pd.testing.assert_frame_equal(again.outcome(plan), world.outcome(plan))
    assert not again._past._runs


def test_a_reopened_world_plays_the_same_week(folders, world, tmp_path):
    events, week, _, played, plan = folders
    again = MarketWorlds().load(events)
    assert again.play(tmp_path, plan) == played
    for name in SCHEMAS:
        assert (tmp_path / f"{name}.parquet").read_bytes() == (
            week / f"{name}.parquet"
        ).read_bytes()


def test_a_world_reopens_from_its_manifest_alone(folders, world, tmp_path):
    events, *_, plan = folders
    (tmp_path / "world.json").write_text((events / "world.json").read_text())
    again = MarketWorlds().load(tmp_path)
    pd.testing.assert_frame_equal(again.outcome(plan), world.outcome(plan))


def test_damaged_states_are_recomputed(folders, world, tmp_path):
    events, *_, plan = folders
    (tmp_path / "world.json").write_text((events / "world.json").read_text())
    (tmp_path / ".world").mkdir()
    (tmp_path / ".world" / "state.npz").write_bytes(b"PK\x03\x04 cut short")
    again = MarketWorlds().load(tmp_path)
    pd.testing.assert_frame_equal(again.outcome(plan), world.outcome(plan))


def test_a_world_of_other_laws_is_refused(folders, tmp_path):
    events, *_ = folders
    manifest = json.loads((events / "world.json").read_text())
    manifest["scenario"]["patience"] = 12.0
    (tmp_path / "world.json").write_text(json.dumps(manifest))
    with pytest.raises(WorldError, match=r"under other laws: its first day had"):
        MarketWorlds().load(tmp_path)


def test_a_calm_world_plants_nothing(calm, tmp_path):
    calm.write_events(tmp_path)
    assert set(json.loads((tmp_path / "world.json").read_text())["planted"].values()) == {0}
    written = json.loads((tmp_path / "experiments.json").read_text())
    assert written == {"experiments": [], "covariances": {}}
