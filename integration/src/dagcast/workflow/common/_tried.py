"""One model fitted alone at past origins, the others as they were fitted with the model in force.

The fit of the whole collection is what takes minutes, and of it only the model at work changes. So
the other models' parameters are kept for each origin, by all that they follow from, and a changed
model is fitted in their midst. The model in force was fitted in just the same way, so that a model
that did not change forecasts the very same.
"""

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import pandas as pd

from dagcast._whole import write_text
from dagcast.errors import ProjectError
from dagcast.project import Project
from dagcast.workflow.common._horizon import Moments
from dagcast.workflow.common._newness import digest_of, inputs_at
from dagcast.workflow.common._rolling import OriginForecast, predicted
from dagcast.workflow.common._session import Session, open_session

if TYPE_CHECKING:
    from dagcast_core.model import FitReport, Model, ModelCollection
    from dagcast_core.tensor import Panel

# Forecasts of the model reading what happened, beside those of the whole.
ALONE = "{}_alone"


@final
@dataclass(frozen=True)
class AloneFit:
    """Fits one model at an origin, and forecasts; it travels to worker processes.

    Attributes:
        project: whose store is read.
        models: names of the models at work.
        refitted: models that are fitted, those at work first.
        quantities: to forecast.
        others: where the other models' parameters are kept, by origin.
        notes: where what a fit says beside its forecasts is written, by origin.
    """

    project: Project
    models: tuple[str, ...]
    refitted: tuple[str, ...]
    quantities: tuple[str, ...]
    others: Path
    notes: Path

    def __call__(self, origin: pd.Timestamp) -> "Panel":
        from dagcast_core.model import fit

        if not (self.others / key_of(origin)).is_dir():
            self._keep_others(origin)
        session = open_session(self.project)
        past = OriginForecast(self.project, (), reuse=True).times(session, origin)
        model = self._among_others(session, origin)
        report = fit(
            model,
            session.history(past),
            session.known_experiments(past),
            only=self.refitted,
            archive=session.archive(past),
        )
        self.notes.mkdir(parents=True, exist_ok=True)
        write_text(self.notes / f"{key_of(origin)}.json", json.dumps(self._said(model, report)))
        return self._forecasts(session, model, past)

    def _keep_others(self, origin: pd.Timestamp) -> None:
        """Fit the whole, unless a backtest did, and keep the parameters of each model."""
        from dagcast_core.model import save_model

        session = open_session(self.project)
        whole = OriginForecast(self.project, (), reuse=True)
        model = whole.model(session, whole.times(session, origin))
        for name, leaf in model.leaves.items():
            save_model(leaf, self.others / key_of(origin) / name)

    def _among_others(self, session: Session, origin: pd.Timestamp) -> "ModelCollection":
        from dagcast_core.model import ModelError, load_model

        collection = session.build()
        for name, leaf in collection.leaves.items():
            if name in self.refitted:
                continue
            kept = self.others / key_of(origin) / name
            try:
                # Read into the model that is built already, whatever labels the file speaks of.
                load_model(kept, functools.partial(_as_built, leaf))
            except ModelError as error:
                raise ProjectError(
                    f"the other models as they were with {', '.join(self.models)} in force",
                    str(error).partition(" Fit again")[0].rstrip("."),
                    "Where a model of the same package changed too, try the package by its name; "
                    "else keep what is installed with --keep.",
                ) from error
        return collection

    def _forecasts(self, session: Session, model: "ModelCollection", past: Moments) -> "Panel":
        from dagcast_core.tensor import Panel

        own = [name for name in self.quantities if name in model.outputs_of(*self.models)]
        panel = predicted(session, model, past).select(*self.quantities)
        alone = predicted(session, model, past, alone=self.models) if own else panel
        apart = {ALONE.format(name): alone[name].named(ALONE.format(name)) for name in own}
        return Panel({**panel, **apart})

    def _said(self, model: "ModelCollection", report: "FitReport") -> dict[str, Any]:
        """What the fit expects of experiments through the model, and the model's parameters."""
        through = [item for item in report.experiments if set(self.models) & set(item.path)]
        return {
            "experiments": [
                {
                    "experiment": item.name,
                    "measured": item.estimate,
                    "standard_error": item.standard_error,
                    "modelled": item.joint,
                    "z": item.z,
                    "verdict": item.left_out.verdict,
                }
                for item in through
            ],
            "parameters": {
                f"{name}.{parameter}": values
                for name in self.models
                for parameter, values in _values_of(model.leaves[name]).items()
            },
        }


def _as_built(model: "Model", labels: Any) -> "Model":
    return model


def _values_of(model: "Model") -> dict[str, dict[str, float]]:
    """Each parameter's constrained values, by its labels."""
    found: dict[str, dict[str, float]] = {}
    for name, parameter in model.labelled_parameters():
        values = parameter.value()
        labels = (
            pd.MultiIndex.from_product([values.index(dim) for dim in values.dims])
            if values.dims
            else [()]
        )
        found[name] = {
            ", ".join(map(str, label if isinstance(label, tuple) else (label,))): value
            for label, value in zip(labels, values.tensor.detach().flatten().tolist(), strict=True)
        }
    return found


def key_of(origin: pd.Timestamp) -> str:
    """Names what belongs to an origin."""
    return f"{origin:%Y%m%dT%H%MZ}"


def others_digest(
    session: Session, origins: tuple[pd.Timestamp, ...], besides: tuple[str, ...]
) -> str:
    """What the other models' fits at some origins follow from."""
    whole = OriginForecast(session.project, (), reuse=True)
    return digest_of(
        [inputs_at(session, whole.times(session, origin), besides=besides) for origin in origins]
    )
