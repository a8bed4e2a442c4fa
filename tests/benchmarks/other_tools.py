"""Two tasks that other tools can do too, on one simulated market.

The answers stand in docs/comparison.md.

Each tool runs in an environment of its own, and all meet in a folder:

    python tests/benchmarks/other_tools.py prepare FOLDER SEED  # where dagcast is installed
    python tests/benchmarks/other_tools.py prophetverse FOLDER  # where prophetverse 0.12 is
    python tests/benchmarks/other_tools.py dowhy FOLDER         # where dowhy 0.14 is
    python tests/benchmarks/other_tools.py report FOLDER

Forecast: sessions by region and hour of four weeks, each from what was known before it. Effect: of
bonus spend on rides, of which an experiment tells that nobody is given; the market's replay says
the truth. The others are given weather and events as they came to be, dagcast as was foreseen.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

REGIONS, WEEKS = 4, 10
LEAST = 4 * 168
KNOWN_AHEAD = ("temperature", "precipitation", "holiday", "local_event", "coupon_spend")


def prepare(folder: Path) -> dict[str, Any]:
    """Simulate the market, write the tasks down, and let dagcast do both."""
    import dataclasses

    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "worlds"))
    from _market import Market, modelled_effect
    from causal import HELD_OUT

    from dagcast import open_project, workflow
    from dagcast.workflow.common._rolling import run_backtest
    from dagcast.workflow.common._session import open_session
    from dagcast_core.model import draws, effect_draws

    project = folder / "market"
    if not project.exists():
        seed = int(sys.argv[3]) if len(sys.argv) > 3 else 0
        workflow.simulate(project, regions=REGIONS, weeks=WEEKS, seed=seed)
        workflow.ingest(open_project(project, environment={}))
    market = Market(project)
    history = market.history
    names = ("sessions", "rides", "hour_of_week", "base_fare", *KNOWN_AHEAD)
    columns = {name: history[name].values("region", "hour").numpy() for name in names}
    spend = history["incentive_spend"].sum("incentive")
    columns["spend"] = spend.values("region", "hour").numpy()
    cells = pd.MultiIndex.from_product([spend.index("region"), spend.index("hour")])
    cells.names = ["region", "hour"]
    frame = pd.DataFrame({name: v.ravel() for name, v in columns.items()}, index=cells)
    frame.reset_index().to_parquet(folder / "history.parquet", index=False)
    began = time.process_time()
    flags = {"backtest.workers": "1"}
    session = open_session(open_project(project, flags=flags, environment={}))
    tested = run_backtest(session, quantities=("sessions",))
    # A region that opened lately has no weeks to learn from, and is nobody's task.
    before = frame["sessions"][frame.index.get_level_values("hour") < tested.origins[0]]
    known = before.groupby("region").count()
    rows = tested.by_series("sessions")
    judged = [rows[region] for region in known.index[known >= LEAST]]
    forecast = {
        "error": float(np.mean([row.error for row in judged])),
        "naive": float(np.mean([row.naive_error for row in judged])),
        "series": len(judged),
        "cpu": time.process_time() - began,
    }
    experiment = market.experiments[HELD_OUT]
    # All regions at once: the truth has what one region takes from another.
    whole = dataclasses.replace(experiment, together=True)
    truth = market.world.true_effect(experiment, replications=8)
    doses = [
        sum(c.value for c in arm.changes) for arm in (experiment.control, experiment.treatment)
    ]
    began = time.process_time()
    known = market.experiments.without(HELD_OUT)
    model, _ = market.fit(known)
    effect_of = effect_draws(model, history, whole, draws(model, history, known, 64, seed=0))
    effect = {
        "effect": modelled_effect(market, model, whole),
        "truth": truth,
        "low": float(effect_of.quantile(0.025)),
        "high": float(effect_of.quantile(0.975)),
        "dose": doses[1] - doses[0],
        "cpu": time.process_time() - began,
    }
    (folder / "task.json").write_text(
        json.dumps({"origins": [*map(str, tested.origins)], "horizon": tested.horizon, **effect})
    )
    return {"forecast": forecast, "effect": effect}


def prophetverse(folder: Path) -> dict[str, Any]:
    """One series a region: piecewise trend, daily and weekly Fourier terms, linear effects."""
    from prophetverse.effects import LinearEffect, LinearFourierSeasonality, PiecewiseLinearTrend
    from prophetverse.engine import MAPInferenceEngine
    from prophetverse.sktime import Prophetverse

    history, task = _task(folder)
    began = time.process_time()
    errors = []
    for origin in map(pd.Timestamp, task["origins"]):
        ahead = pd.date_range(origin, periods=task["horizon"], freq="h")
        for _, series in history.groupby("region"):
            series = series.set_index("hour").sort_index()
            before = series[series.index < origin].dropna(subset=["sessions"])
            if len(before) < LEAST:
                continue
            after = series.reindex(ahead)
            inputs = pd.concat([before, after])[list(KNOWN_AHEAD)].fillna(0.0)
            inputs.index = inputs.index.tz_localize(None).to_period("h")
            observed = pd.DataFrame({"sessions": before["sessions"].to_numpy()})
            observed.index = inputs.index[: len(before)]
            model = Prophetverse(
                trend=PiecewiseLinearTrend(changepoint_interval=168, changepoint_range=-168),
                exogenous_effects=[
                    (
                        "season",
                        LinearFourierSeasonality(
                            freq="h",
                            sp_list=[24, 168],
                            fourier_terms_list=[8, 20],
                            prior_scale=0.3,
                            effect_mode="multiplicative",
                        ),
                        None,
                    ),
                    ("known", LinearEffect(), "|".join(KNOWN_AHEAD)),
                ],
                inference_engine=MAPInferenceEngine(num_steps=3000),
            )
            model.fit(y=observed, X=inputs.iloc[: len(before)])
            made = model.predict(fh=inputs.index[len(before) :], X=inputs)
            errors.append(np.abs(made["sessions"].to_numpy() - after["sessions"].to_numpy()))
    error = float(np.nanmean(np.concatenate(errors)))
    cpu = time.process_time() - began
    return {"forecast": {"error": error, "forecasts": len(errors), "cpu": cpu}}


def dowhy(folder: Path) -> dict[str, Any]:
    """Adjusts by linear regression for region x hour of the week and all that is known ahead."""
    from dowhy import CausalModel

    history, task = _task(folder)
    data = history.dropna(subset=["rides"]).copy()
    cell = data["region"].astype(str) + data["hour_of_week"].astype(int).astype(str)
    # The means of each cell in place of 672 columns: the same slope (Frisch, Waugh and Lovell).
    adjusted = ["base_fare", *KNOWN_AHEAD]
    for name in ("rides", "spend", *adjusted):
        data[name] -= data.groupby(cell)[name].transform("mean")
    began = time.process_time()
    model = CausalModel(data, treatment="spend", outcome="rides", common_causes=adjusted)
    estimand = model.identify_effect(proceed_when_unidentifiable=True)
    found = model.estimate_effect(
        estimand, method_name="backdoor.linear_regression", confidence_intervals=True
    )
    low, high = (float(end) * task["dose"] for end in np.ravel(found.get_confidence_intervals()))
    refuted = model.refute_estimate(
        estimand, found, method_name="placebo_treatment_refuter", placebo_type="permute"
    )
    return {
        "effect": {
            "effect": float(found.value) * task["dose"],
            "low": low,
            "high": high,
            "placebo": float(refuted.new_effect) * task["dose"],
            "cpu": time.process_time() - began,
        }
    }


def _task(folder: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    history = pd.read_parquet(folder / "history.parquet")
    return history, json.loads((folder / "task.json").read_text())


_TOOLS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "prepare": prepare,
    "prophetverse": prophetverse,
    "dowhy": dowhy,
}


def main() -> None:
    """Run one tool, or print what all of them found."""
    what, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    if what != "report":
        warnings.simplefilter("ignore")
        (folder / f"{what}.json").write_text(json.dumps(_TOOLS[what](folder), indent=1))
    for name in _TOOLS:
        if (file := folder / f"{name}.json").is_file():
            print(name, file.read_text())


if __name__ == "__main__":
    main()
