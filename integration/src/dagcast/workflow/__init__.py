"""The stages of the loop as plain functions; each returns a frozen result.

Names are imported on first use, so that a stage pays only for what it needs.
"""

from importlib import import_module
from typing import Any

_ORIGINS = {
    "BacktestResult": "_backtest",
    "CheckResult": "_check",
    "CompareResult": "_compare",
    "DecisionResult": "_decide",
    "DemoResult": "_demo",
    "FitResult": "_fit",
    "IngestResult": "_ingest",
    "InitResult": "_simulate",
    "NewResult": "_packages",
    "PlanResult": "_plan",
    "Progress": "_result",
    "RegretResult": "_regret",
    "Result": "_result",
    "ReleaseResult": "_release",
    "ResultTable": "_result",
    "RetroResult": "_retro",
    "ReviewResult": "_review",
    "SimulateResult": "_simulate",
    "SnapshotResult": "_packages",
    "ValidateResult": "_validate",
    "approve": "_decide",
    "backtest": "_backtest",
    "backtest_regret": "_regret",
    "check": "_check",
    "compare": "_compare",
    "demo": "_demo",
    "edit": "_edit",
    "fit": "_fit",
    "fresh_folder": "_demo",
    "ingest": "_ingest",
    "init": "_simulate",
    "new": "_packages",
    "plan": "_plan",
    "play": "_simulate",
    "promote_release": "_release",
    "propose_release": "_release",
    "reject": "_decide",
    "replay": "_plan",
    "retro": "_retro",
    "review": "_review",
    "rollback_release": "_release",
    "show_release": "_release",
    "simulate": "_simulate",
    "snapshot": "_packages",
    "validate": "_validate",
    "verify_release": "_release",
    "what_if": "_what_if",
}

__all__ = sorted(_ORIGINS)


def __getattr__(name: str) -> Any:
    """Import a stage on first use.

    Raises:
        AttributeError: there is no such stage.
    """
    if name not in _ORIGINS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_ORIGINS[name]}"), name)
    globals()[name] = value
    return value
