"""The stages of the loop as plain functions; each returns a frozen result.

Names are imported on first use, so that a stage pays only for what it needs.
"""

from importlib import import_module
from typing import Any

_ORIGINS = {
    "AccessResult": "stages._access",
    "AcceptResult": "stages._accept",
    "accept_labels": "stages._accept",
    "ExperimentsResult": "stages._experiments",
    "add_experiments": "stages._experiments",
    "list_experiments": "stages._experiments",
    "show_experiment": "stages._experiments",
    "BacktestResult": "stages._backtest",
    "CheckResult": "stages._check",
    "CompareResult": "stages._compare",
    "DataDiffResult": "stages._data",
    "DataListResult": "stages._data",
    "DataQualityResult": "stages._data",
    "DataShowResult": "stages._data",
    "ContractsResult": "stages._contracts",
    "Decidable": "stages._decide",
    "DecisionResult": "stages._decide",
    "DesignResult": "stages._design",
    "DemoResult": "_demo",
    "DoctorResult": "stages._doctor",
    "ExportResult": "stages._contracts",
    "ExportedResult": "stages._export",
    "FitResult": "stages._fit",
    "ForecastResult": "_forecast",
    "GraphResult": "stages._graph",
    "IngestResult": "stages._ingest",
    "InitResult": "stages._init",
    "LogResult": "stages._log",
    "NewResult": "stages._packages",
    "PlanPair": "stages._pair",
    "PlanResult": "common._plan_result",
    "PromisesResult": "stages._promises",
    "Progress": "common._result",
    "QuantityResult": "stages._contracts",
    "RegretResult": "common._regret_result",
    "Result": "common._result",
    "ReleasedPlan": "common._released",
    "ReleaseResult": "_release",
    "ResultTable": "common._result",
    "RetroResult": "stages._retro",
    "ReviewResult": "stages._review",
    "SaidResult": "stages._say",
    "SimulateResult": "stages._simulate",
    "SnapshotResult": "stages._packages",
    "TryResult": "common._try_result",
    "ValidateResult": "stages._validate",
    "WINDOWS": "stages._design",
    "approve": "stages._decide",
    "backtest": "stages._backtest",
    "backtest_regret": "stages._backtest_regret",
    "check": "stages._check",
    "compare_plans": "stages._pair",
    "comment": "stages._say",
    "compare": "stages._compare",
    "data_diff": "stages._data",
    "data_list": "stages._data",
    "data_quality": "stages._data",
    "data_show": "stages._data",
    "decided_by": "stages._edit",
    "decidable": "stages._decide",
    "demo": "_demo",
    "design": "stages._design",
    "doctor": "stages._doctor",
    "edit": "stages._edit",
    "export": "stages._export",
    "Ready": "stages._edit",
    "export_contracts": "stages._contracts",
    "fit": "stages._fit",
    "forecast": "_forecast",
    "fresh_folder": "_demo",
    "grant_access": "stages._access",
    "graph": "stages._graph",
    "ingest": "stages._ingest",
    "halt": "stages._say",
    "init": "stages._init",
    "list_access": "stages._access",
    "list_contracts": "stages._contracts",
    "log": "stages._log",
    "LoopResult": "common._loop_result",
    "LoopWeek": "common._loop_result",
    "local_model": "stages._edit",
    "loop": "_loop",
    "new": "stages._packages",
    "package_folder": "stages._try",
    "notify": "common._webhook",
    "page_of": "stages._review",
    "plan": "stages._plan",
    "play": "stages._simulate",
    "present_of": "stages._decide",
    "promises": "stages._promises",
    "promote_release": "_release",
    "propose_release": "_release",
    "ready_to_edit": "stages._edit",
    "reject": "stages._decide",
    "release_plan": "common._released",
    "released_file": "common._released",
    "replay": "stages._replay",
    "resume": "stages._say",
    "retro": "stages._retro",
    "review": "stages._review",
    "revoke_access": "stages._access",
    "rollback_release": "_release",
    "send_back": "stages._decide",
    "show_contract": "stages._contracts",
    "show_release": "_release",
    "simulate": "stages._simulate",
    "snapshot": "stages._packages",
    "try_": "stages._try",
    "validate": "stages._validate",
    "verify_release": "_release",
    "status": "stages._status",
    "WeekResult": "common._week_result",
    "week": "_week",
    "what_if": "stages._what_if",
}

__all__ = sorted(_ORIGINS)


def __dir__() -> list[str]:
    """The stages and their results, as notebooks complete them."""
    return __all__


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
