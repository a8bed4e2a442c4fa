"""What is known of a fitted model's parameters and effects: draws, and expectations left out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from dagcast_core.contract import Experiment, ExperimentSet
from dagcast_core.model._bootstrap import bootstrap
from dagcast_core.model._draws import ParameterDraws
from dagcast_core.model._errors import ModelError
from dagcast_core.model._fitting import prepared
from dagcast_core.model._laplace import laplace
from dagcast_core.model._left_out import LeftOut, left_out_of
from dagcast_core.model._model import Model
from dagcast_core.model._precision import precision_of
from dagcast_core.model._widening import Widening
from dagcast_core.tensor import Panel


def draws(
    model: Model,
    history: Panel,
    experiments: ExperimentSet | Iterable[Experiment] = (),
    n: int = 100,
    *,
    method: Literal["laplace", "bootstrap"] = "laplace",
    seed: int = 0,
    widening: Widening | None = None,
    archive: Panel | None = None,
) -> ParameterDraws:
    """Draw from the posterior of a fitted model's parameters.

    Args:
        model: fitted; it is left as it is.
        history: what it was fitted to.
        experiments: what it was fitted to.
        n: number of draws.
        method: ``laplace``: normal around the fit, with the curvature of own data and priors and
            all experiments. ``bootstrap``: refits to resampled weeks and redrawn experiments,
            which also counts errors that last for hours or days; some hundred times dearer.
        seed: of the random numbers.
        widening: that of the fit,
        archive: and its longer history for experiments that began before.

    Raises:
        ModelError: ``n`` is less than 1 or the method is unknown.
    """
    if n < 1 or method not in ("laplace", "bootstrap"):
        raise ModelError(
            f"cannot make {n} draws by {method!r}; ask for 1 or more by 'laplace' or 'bootstrap'."
        )
    units, evidence = prepared(model, history, experiments, widening, archive)
    if method == "laplace":
        return laplace(model, units, evidence, n, seed)
    return bootstrap(model, units, evidence, n, seed)


def left_out(
    model: Model,
    history: Panel,
    experiments: ExperimentSet | Iterable[Experiment],
    *,
    widening: Widening | None = None,
    archive: Panel | None = None,
) -> dict[str, LeftOut]:
    """What a fitted model would expect of every experiment if it did not know it; by name.

    Args:
        model: fitted; it is left as it is.
        history: what it was fitted to.
        experiments: what it was fitted to.
        widening: that of the fit,
        archive: and its longer history for experiments that began before.

    Raises:
        ExperimentError: an experiment does not fit the models or the history.
    """
    units, evidence = prepared(model, history, experiments, widening, archive)
    return left_out_of(units, [precision_of(unit) for unit in units], evidence)
