"""What `nox -s real` prints: the stages of a marketplace on rides of boroughs and on trips."""

import demos


def test_rides_of_boroughs_are_forecast_better_than_by_the_mean_of_four_weeks(real_data):
    """Over the last eight weekly origins, by the demand model alone."""
    boroughs = ("Manhattan", "Brooklyn")
    reports, found = demos.rides_by_borough(real_data, boroughs=boroughs)
    assert [report.table for report in reports] == ["uber_rides", "weather"]
    errors = found.by_series("sessions")
    assert tuple(errors) == boroughs
    assert all(row.mase < row.hour_of_week_mean < row.seasonal_naive for row in errors.values())
    table = demos.backtest_table(found)
    assert table.note.startswith("8 weekly origins from 2015-05-06, 168 hours ahead")
    assert table.note.endswith("the model beats the 4-week mean in 2 of 2")


def test_every_trip_of_the_evening_is_in_the_cubes(real_data, capsys, monkeypatch):
    monkeypatch.setattr(demos, "RECORDS", real_data)
    assert demos.main(["hvfhv"]) == 0
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["hvfhv_trips", "10,000", "10,000", "0"] in printed
    assert ["rides", "265", "5", "1,325", "10,000.0", "ride"] in printed
    assert ["wait", "265", "5", "860", "6.3", "min", "on", "average"] in printed


def test_a_demo_that_is_not_there_is_refused(capsys):
    assert demos.main(["hvfhv", "uber-nyc-2014"]) == 2
    assert capsys.readouterr().err == "no demo uber-nyc-2014; name some of uber-nyc-2015, hvfhv\n"


def test_without_records_the_demos_say_how_to_name_them(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(demos, "RECORDS", tmp_path / "absent")
    assert demos.main([]) == 2
    assert capsys.readouterr().err.endswith("absent; name it in DAGCAST_REAL_DATA\n")


def test_a_model_worse_than_the_mean_counts_as_worse(real_data, monkeypatch):
    """A forecast of zeros beats nothing."""
    honest = demos.backtest

    def of_zeros(forecast, actual, **options):
        return honest(lambda origin: _zeros(forecast(origin)), actual, **options)

    monkeypatch.setattr(demos, "backtest", of_zeros)
    _, found = demos.rides_by_borough(real_data, origins=1, boroughs=("Bronx",))
    assert demos.backtest_table(found).note.endswith("in 0 of 1")


def _zeros(panel):
    return panel.assign(sessions=panel["sessions"].zeros_like().named("sessions"))
