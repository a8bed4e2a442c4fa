"""What a data scientist asks of a project: its fitted model, its forecast, its plans.

    from dagcast import open_fit, open_plan, open_project

    project = open_project(Path("north"))
    fit = open_fit(project)
    fit.forecast_frame(["rides"])
    open_plan(project).sensitivity("sessions", of="rides")

Nothing here changes a project. Models come from the installed packages, as the fit has them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

from dagcast.errors import UsageError
from dagcast.plans import Chances, arrays
from dagcast.workflow.common._chances import chance_of
from dagcast.workflow.common._earlier import earlier_plan
from dagcast.workflow.common._fits import Fitted, load_fit
from dagcast.workflow.common._plan_files import load_decisions
from dagcast.workflow.common._problem import Setting, forecast_setting
from dagcast.workflow.common._session import open_session

if TYPE_CHECKING:
    import pandas as pd

    from dagcast.project import Project
    from dagcast_core.decide import (
        DecisionProblem,
        MarginalCost,
        Plan,
        ResponseCurve,
        Sensitivity,
    )
    from dagcast_core.model import ModelCollection, ParameterDraws
    from dagcast_core.tensor import Panel

__all__ = ["OpenFit", "OpenPlan", "open_fit", "open_plan"]


@final
@dataclass(frozen=True)
class OpenFit:
    """A fit, with the hours that it is to forecast.

    Attributes:
        name: of the fit.
        model: the fitted collection.
        draws: of its parameters.
        report: what the fit reached, as ``FitReport.to_json`` says it: ``status``, ``members``,
            ``experiments``, ``conflicts``, ``notes``.
        provenance: data moment, packages and seeds of the fit.
    """

    name: str
    model: "ModelCollection" = field(repr=False)
    draws: "ParameterDraws" = field(repr=False)
    report: Mapping[str, Any] = field(repr=False)
    provenance: Mapping[str, Any] = field(repr=False)
    _setting: Setting = field(repr=False)

    @cached_property
    def history(self) -> "Panel":
        """Every quantity of the models over the hours before the horizon, where observed."""
        return self._setting.session.history(self._setting.times)

    @property
    def inputs(self) -> "Panel":
        """What the models read over the horizon, the levers as they are now."""
        return self._setting.context.assign(dict(self._setting.current))

    @property
    def problem(self) -> "DecisionProblem":
        """What `dagcast plan` would solve now."""
        return self._setting.problem(self.model, draws=self.draws)

    def forecast(self, decisions: "Panel | None" = None) -> "Panel":
        """Every output over the horizon at the fitted parameters.

        Args:
            decisions: levers that replace the present ones, such as ``plan.decisions``.
        """
        import torch

        with torch.no_grad():
            return self.model.predict(self._inputs(decisions))

    def forecast_frame(
        self,
        quantities: Sequence[str] | None = None,
        *,
        quantiles: Sequence[float] = (0.05, 0.5, 0.95),
        decisions: "Panel | None" = None,
    ) -> "pd.DataFrame":
        """What is likely to happen over the horizon, as a review page shows it.

        Each draw of the parameters gets what the models do not foresee, as the errors of past weeks
        show it: the quantiles are of what will be observed in each hour. Quantities that nobody
        observes have the uncertainty of the parameters alone.

        Args:
            quantities: outputs along time; all by default.
            quantiles: between 0 and 1.
            decisions: levers that replace the present ones.

        Returns:
            One row per quantity, label and hour: ``quantity``, the dim of the rows (missing where
            a quantity lacks it), ``hour``, ``mean``, a column for each quantile such as ``q0.05``,
            and ``unit``. Further dims of a quantity are rolled up as its contract says.

        Raises:
            UsageError: no model makes a quantity, or a quantile is not between 0 and 1.
        """
        import numpy as np
        import pandas as pd
        import torch

        made = {item.name: item for item in self.model.contract.outputs if item.time_dim}
        wanted = tuple(made if quantities is None else quantities)
        _require_known(wanted, made)
        wrong = [level for level in quantiles if not 0.0 <= level <= 1.0]
        if wrong:
            raise UsageError("quantiles between 0 and 1", f"{wrong[0]:g}", "Correct it.")
        axes, inputs, runs = self._setting.axes, self._inputs(decisions), []
        for draw in range(len(self.draws)):
            with torch.no_grad(), self.draws.applied_to(self.model, draw):
                found = arrays({**inputs, **self.model.predict(inputs)}, made, axes)
            runs.append({name: found[name] for name in wanted})
        seed = self._setting.session.project.config.seeds.plan
        chances = Chances(chance_of(self._setting, self.model), len(runs), seed)
        predictive = list(chances.of(runs))
        frames = []
        for name in wanted:
            mean = np.mean([values[name] for values in runs], axis=0)
            levels = np.quantile([values[name] for values in predictive], quantiles, axis=0)
            # What cannot be below 0 has no quantile below 0.
            levels = np.clip(levels, *made[name].bounds)
            with_rows = axes.dim in made[name].dim_names
            columns: dict[str, Any] = {"quantity": name}
            if axes.dim:
                rows = axes.rows if with_rows else [None]
                columns[axes.dim] = np.repeat(np.asarray(rows, dtype=object), len(axes.hours))
            columns[axes.time] = np.tile(axes.hours, len(mean))
            columns["mean"] = mean.reshape(-1)
            for level, values in zip(quantiles, levels, strict=True):
                columns[f"q{level:g}"] = values.reshape(-1)
            frames.append(pd.DataFrame({**columns, "unit": made[name].unit}))
        return pd.concat(frames, ignore_index=True)

    def _inputs(self, decisions: "Panel | None") -> "Panel":
        return self.inputs if decisions is None else self.inputs.assign(dict(decisions))


@final
@dataclass(frozen=True)
class OpenPlan:
    """A saved plan, and the problem that it answers.

    Attributes:
        name: of the plan.
        plan: as it was solved or evaluated: decisions, forecast, prices, certificate.
        problem: that it answers, put together again from the plan's own moment and fit.
        fit: behind it, with the plan's hours to forecast.
        decisions: long frame: ``lever``, dims, ``hour``, ``value``, ``unit``.
    """

    name: str
    plan: "Plan" = field(repr=False)
    problem: "DecisionProblem" = field(repr=False)
    fit: OpenFit = field(repr=False)
    decisions: "pd.DataFrame" = field(repr=False)

    def response_curve(
        self,
        lever: str,
        cell: Mapping[str, object],
        grid: Sequence[float] | None = None,
    ) -> "ResponseCurve":
        """The forecast along one cell of a lever; see ``dagcast_core.decide.response_curve``."""
        from dagcast_core.decide import response_curve

        return response_curve(self.problem, self.plan, lever, cell, grid)

    def sensitivity(
        self, name: str, *, of: str | None = None, change: float = 0.01
    ) -> "Sensitivity":
        """What moves if all values of something are 1 % higher.

        Args:
            name: an input, a quantity that a model makes, or a parameter (``model.parameter``).
            of: an outcome, whose total moves with the decisions held; without one it is the best
                objective, which moves with the decisions.
            change: relative.
        """
        from dagcast_core.decide import outcome_sensitivity, sensitivity

        if of is None:
            return sensitivity(self.problem, self.plan, name, change=change)
        return outcome_sensitivity(self.problem, self.plan, of, name, change=change)

    def marginal_cost(
        self, outcome: str, *, change: float = 1.0, levers: Sequence[str] | None = None
    ) -> "MarginalCost":
        """What moving an outcome's total costs, whether or not a limit on it binds.

        Args:
            outcome: a quantity that a model makes.
            change: of its total: -0.01 for one point less of a share.
            levers: that may be raised, in one unit; by default all in the unit of the first.
        """
        from dagcast_core.decide import marginal_cost

        return marginal_cost(self.problem, self.plan, outcome, change=change, levers=levers)


def open_fit(project: "Project", name: str | None = None) -> OpenFit:
    """A fit of a project.

    Args:
        project: with a fit.
        name: such as ``fit-0002``; the newest by default.

    Raises:
        ProjectError: there is none, it was changed, or the installed packages do not match it.
        ConfigError: the settings are wrong; without a lever there is a forecast, and no problem.
    """
    session = open_session(project)
    fitted = load_fit(session, name)
    return _opened(fitted, forecast_setting(session))


def open_plan(project: "Project", name: str | None = None) -> OpenPlan:
    """A saved plan of a project.

    Args:
        project: with a plan.
        name: such as ``plan-0003``; the newest by default.

    Raises:
        UsageError: there is none of that name.
        ProjectError: its files, the packages, the data or the settings changed since.
    """
    chosen = project.journal.find(name).plan
    found = earlier_plan(project, chosen)
    fit = _opened(found.fitted, found.setting)
    return OpenPlan(chosen, found.plan, found.problem, fit, load_decisions(project, chosen))


def _opened(fitted: Fitted, setting: Setting) -> OpenFit:
    return OpenFit(
        fitted.name, fitted.model, fitted.draws, fitted.report, fitted.provenance, setting
    )


def _require_known(names: Sequence[str], made: Mapping[str, Any]) -> None:
    from dagcast_core.contract import nearest

    for name in names:
        if name not in made:
            near = nearest(name, made)
            raise UsageError(
                f"a quantity that a model makes ({', '.join(made)})",
                repr(name),
                f"Did you mean {near!r}?" if near else "Choose one of them.",
            )
