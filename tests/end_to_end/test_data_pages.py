"""The how-to pages on data run as printed: files, declarations, commands and Python in order."""

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dagcast.cli import run
from dagcast.sources import SourceSettings

PAGES = Path(__file__).resolve().parents[2] / "docs" / "how-to"
_BLOCK = re.compile(r"```(\w+)([^\n]*)\n(.*?)```", re.DOTALL)


def three_regions(text: str) -> str:
    """Seven weeks of the columns and labels that the page shows the first rows of."""
    head = text.splitlines()[0]
    hours = pd.date_range("2025-01-06", periods=7 * 168, freq="h")
    rng = np.random.default_rng(0)
    rows = [head]
    for hour in hours:
        warmth = 40 + 10 * np.sin(2 * np.pi * (hour.hour - 9) / 24)
        for place, size in (("Bronx", 12), ("Queens", 20), ("Brooklyn", 30)):
            busy = size * (1.2 + np.sin(2 * np.pi * (hour.hour - 10) / 24))
            rows.append(f"{hour:%Y-%m-%d %H:%M},{place},{rng.poisson(busy)},{warmth:.1f}")
    return "\n".join(rows) + "\n"


def follow(page: str) -> tuple[list[str], dict[str, object]]:
    """Does what a page says, in the working folder; returns its commands, and Python's names."""
    commands: list[str] = []
    names: dict[str, object] = {}
    for kind, options, body in _BLOCK.findall((PAGES / page).read_text(encoding="utf-8")):
        said = dict(part.split("=", 1) for part in options.split())
        if "file" in said:
            path = Path(said["file"])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(three_regions(body) if "generated" in said else body)
        elif kind == "python":
            exec(compile(body, page, "exec"), names)
        elif kind == "console":
            for line in body.splitlines():
                words = shlex.split(line.removeprefix("$ "))
                assert words[0] == "dagcast"
                assert run(words[1:]) == 0, line
                commands.append(words[1])
    return commands, names


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_an_hourly_cube_has_a_forecast_after_three_commands(capsys):
    commands, _ = follow("hourly-aggregates.md")
    assert [name for name in commands if name not in ("check", "data")] == [
        "init", "ingest", "forecast",
    ]  # fmt: skip
    declared = Path("city/sources/counts.toml").read_text().split("\n")
    assert len([line for line in declared if line]) <= 15
    found = pd.read_csv("city/reports/forecast.csv")
    assert set(found["region"]) == {"Bronx", "Brooklyn", "Queens"}
    assert set(found["quantity"]) == {"sessions"}
    assert len(found) == 3 * 168
    busy = found.groupby("region")["mean"].mean()
    assert busy["Bronx"] == pytest.approx(14.4, rel=0.1)
    assert busy["Brooklyn"] == pytest.approx(36.0, rel=0.1)
    shown = capsys.readouterr().out
    assert "Without what they need" in shown


def test_a_warehouse_is_a_source_like_a_file():
    run(["init", "--project", "city"])
    follow("a-warehouse.md")
    from dagcast_core.data import MetricStore

    (report,) = MetricStore("city/store").reports()
    assert (report.read, report.accepted) == (48, 48)


def test_declarations_that_only_show_a_form_are_valid_too():
    import tomllib

    page = (PAGES / "a-warehouse.md").read_text(encoding="utf-8")
    blocks = [body for kind, said, body in _BLOCK.findall(page) if kind == "toml" and not said]
    reach = 'relation = "t"\nconnect = "postgresql://h/d"\n'
    rest = 'zone = "UTC"\nknown = "final"\nabsent = "zero"\ntime = "t"\nquantities = { a = "a" }\n'
    postgres, other, events = blocks
    for text in (postgres + rest, other + rest, reach + 'zone = "UTC"\n' + events):
        assert SourceSettings.model_validate(tomllib.loads(text))


def test_every_line_of_a_messy_file_is_somewhere(capsys):
    run(["init", "--project", "city"])
    _, names = follow("messy-files.md")
    report = names["report"]
    assert (report.read, report.accepted, report.duplicates) == (9, 4, 1)
    shown = capsys.readouterr().out
    assert "header again in line 10" in shown


def test_rides_and_weather_alone_have_a_forecast(capsys):
    page = (PAGES / "hourly-aggregates.md").read_text(encoding="utf-8")
    (body,) = (part for _, said, part in _BLOCK.findall(page) if "three-regions" in said)
    (declared,) = (part for kind, _, part in _BLOCK.findall(page) if kind == "toml")
    Path("counts.csv").write_text(three_regions(body))
    run(["init", "--project", "city", "--from", "counts.csv"])
    rides = declared.replace("sessions =", "rides =")
    Path("city/sources/counts.toml").write_text(rides)
    assert run(["ingest", "--project", "city"]) == 0
    assert run(["forecast", "--project", "city"]) == 0
    found = pd.read_csv("city/reports/forecast.csv")
    assert set(found["quantity"]) == {"rides"}
    assert len(found) == 3 * 168
    busy = found.groupby("region")["mean"].mean()
    assert busy["Bronx"] == pytest.approx(14.4, rel=0.1)
    assert busy["Brooklyn"] == pytest.approx(36.0, rel=0.1)
    night = found["hour"].str.contains("T08:|[ ]08:")
    assert found[night]["mean"].mean() < 0.5 * found["mean"].mean()
    said = " ".join(capsys.readouterr().out.split())
    assert "no cause is known to it" in said
