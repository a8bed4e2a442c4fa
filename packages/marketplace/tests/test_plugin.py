"""What the package registers: no model, and nothing that needs pandas before there are events."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pluggy
import pytest

from dagcast_core import hooks
from dagcast_core.data import EventTable, LinearMetric
from dagcast_marketplace import PROFIT, TABLES, plugin


@pytest.fixture(scope="module")
def hook():
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    manager.register(plugin)
    manager.check_pending()
    return manager.hook


def test_declaring_imports_neither_torch_nor_pandas():
    code = (
        "import sys, dagcast_marketplace.plugin as p; p.dagcast_tables(); p.dagcast_project();"
        "print(sorted({'torch', 'pandas', 'numpy', 'duckdb'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_every_table_and_profit_are_declared(hook):
    (declared,) = hook.dagcast_tables()
    names = [item.name for item in declared]
    assert names == [
        "sessions", "shifts", "spend", "coupons", "fares", "weather", "calendar", "profit",
    ]  # fmt: skip
    assert [type(item) for item in declared] == [EventTable] * 7 + [LinearMetric]
    metrics = {metric.name: metric for table in TABLES for metric in table.metrics}
    assert set(PROFIT.terms) <= set(metrics)
    assert metrics["incentive_spend"].dims == ("incentive", "region", "hour")
    # Money that somebody gave is measured by the hours in which anybody asked.
    assert {table.name for table in TABLES if table.like == "sessions"} == {"spend", "coupons"}
    assert {table.name for table in TABLES if table.decided} == {"spend", "coupons", "fares"}


def test_what_is_known_ahead_is_what_nobody_forecasts():
    ahead = {m.name for table in TABLES if table.foreseeable for m in table.metrics}
    assert ahead == {
        "incentive_spend", "coupon_spend", "base_fare", "temperature", "precipitation",
        "hour_of_week", "holiday", "local_event",
    }  # fmt: skip


def test_the_hour_of_the_week_is_that_of_the_regions_clock(hook):
    ((calendar, _),) = hook.dagcast_calendars()
    # Sunday 23:00 in New York is Monday 04:00 UTC in winter.
    hours = pd.date_range("2026-01-12T04:00Z", periods=3, freq="h")
    assert calendar.quantity == "hour_of_week"
    assert calendar.of(hours, "America/New_York").tolist() == [167, 0, 1]
    assert calendar.of(hours, "UTC").dtype == np.int64


def test_holidays_are_those_of_the_region_s_country(hook):
    ((_, calendar),) = hook.dagcast_calendars()
    # Independence Day begins at 04:00 UTC in New York.
    hours = pd.date_range("2025-07-04T03:00Z", periods=2, freq="h")
    assert (calendar.quantity, calendar.by_country) == ("holiday", True)
    assert calendar.of(hours, "America/New_York", "US").tolist() == [0.0, 1.0]
    assert calendar.of(hours, "America/New_York", "FR").tolist() == [0.0, 0.0]


def test_first_settings_speak_of_declared_levers_and_metrics(hook):
    (settings,) = hook.dagcast_project()
    metrics = {metric.name for table in TABLES for metric in table.metrics} | {PROFIT.name}
    named = {
        *settings["levers"],
        *settings["objective"]["weights"],
        *settings["display"]["first"],
        *settings["backtest"]["quantities"],
        *(rail["quantity"] for rail in settings["guardrails"]),
        *(rail["weight"] for rail in settings["guardrails"] if "weight" in rail),
    }
    assert named <= metrics
    assert settings["data"]["heartbeat"] in {table.name for table in TABLES}
