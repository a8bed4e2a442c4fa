"""The page "ask a plan" runs as it stands there, and its answers are those of the files."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from dagcast import open_fit, open_plan, open_project
from dagcast.errors import ProjectError, UsageError
from dagcast.plans import Outlook
from dagcast.workflow.common._session import open_session
from dagcast_core.decide import Plan
from dagcast_core.model import load_model

PAGE = Path(__file__).parents[2] / "docs/how-to/ask-a-plan.md"


@pytest.fixture(scope="module")
def north(planned):
    return planned


def test_the_page_runs(north, monkeypatch, capsys):
    monkeypatch.chdir(north.folder.parent)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 5
    exec(compile("\n".join(blocks), str(PAGE), "exec"), {})
    said = capsys.readouterr().out
    assert "rides by" in said
    assert "of prime_time costs" in said


def test_a_fit_forecasts_as_the_plan_says(north):
    """Under the plan's decisions the Panel is the plan's forecast."""
    plan = open_plan(north)
    assert isinstance(plan.plan, Plan)
    mean = plan.fit.forecast(plan.plan.decisions)
    for name, tensor in plan.plan.forecast.items():
        np.testing.assert_allclose(
            mean[name].values(*tensor.dims).numpy(), tensor.tensor.numpy(), rtol=1e-9
        )
    now = open_fit(north)
    assert now.name == plan.fit.name
    assert set(now.problem.context) == set(plan.problem.context)


def test_the_frame_has_the_figures_of_the_review_page(north):
    """Means and intervals of every hour, as the plan's outlook keeps them in single precision."""
    plan = open_plan(north)
    outlook = Outlook.load(north.plans / plan.name)
    fit = plan.fit
    frame = fit.forecast_frame(
        ["rides", "eta"], quantiles=(0.05, 0.95), decisions=plan.plan.decisions
    )
    assert list(frame.columns) == ["quantity", "region", "hour", "mean", "q0.05", "q0.95", "unit"]
    for name in ("rides", "eta"):
        own, path = frame[frame["quantity"] == name], outlook.paths["plan"][name]
        # The first row of a path is all regions together.
        for column, kept in (("mean", path.mid), ("q0.05", path.low), ("q0.95", path.high)):
            by_region = np.asarray(kept)[-2:]
            found = own[column].to_numpy().reshape(by_region.shape)
            np.testing.assert_allclose(found, by_region, rtol=1e-6, atol=1e-6)
    assert (frame["q0.05"] < frame["q0.95"]).all()
    with pytest.raises(UsageError, match="Did you mean 'rides'"):
        fit.forecast_frame(["ride"])
    with pytest.raises(UsageError, match="quantiles between 0 and 1"):
        fit.forecast_frame(["rides"], quantiles=(5.0,))


def test_load_model_reads_what_the_workflow_saved(north):
    """Into newly built models, by the classes that the folder names."""
    fit, fresh = open_fit(north), open_session(north).build()
    fitted = fit.model.state_dict()
    assert any(not torch.equal(fitted[name], value) for name, value in fresh.state_dict().items())
    classes = {type(leaf).__qualname__: lambda _, leaf=leaf: leaf for leaf in fresh.leaves.values()}
    assert len(classes) == len(fresh.leaves)
    again = load_model(north.models / fit.name / "model", classes)
    assert set(again.state_dict()) == set(fitted)
    for name, value in again.state_dict().items():
        assert torch.equal(value, fitted[name])
    assert fit.report["status"] in ("converged", "unconverged")


def test_a_plan_of_other_settings_is_refused(north):
    other = open_project(north.folder, flags={"ramps": "[]"})
    with pytest.raises(ProjectError, match="the problem that plan-0001 solved"):
        open_plan(other)
    with pytest.raises(UsageError, match="plan-0009"):
        open_plan(north, "plan-0009")
