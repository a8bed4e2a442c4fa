"""Fitted collections: made, kept, and read back."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from dagcast._held import held_text
from dagcast.errors import ProjectError
from dagcast.workflow.common._horizon import Moments
from dagcast.workflow.common._result import Progress, plain, silent
from dagcast.workflow.common._seal import seal, verify
from dagcast.workflow.common._session import Session

if TYPE_CHECKING:
    from dagcast_core.model import FitReport, ModelCollection, ParameterDraws


PREFIX = "fit"


@final
@dataclass(frozen=True)
class Fitted:
    """A fit read back.

    Attributes:
        name: of the fit.
        model: the fitted collection.
        draws: of its parameters.
        provenance: what it was fitted on.
        report: what the fit reached, as ``FitReport.to_json`` says it.
    """

    name: str
    model: "ModelCollection"
    draws: "ParameterDraws"
    provenance: dict[str, Any]
    report: dict[str, Any]


def fit_collection(
    session: Session,
    times: Moments | None = None,
    *,
    warm: "ModelCollection | None" = None,
    without: tuple[str, ...] = (),
    progress: Progress = silent,
) -> "tuple[ModelCollection, FitReport]":
    """Build and fit a collection on what was known at a moment.

    Args:
        session: the project's models and data.
        times: of a past round; the present one by default.
        warm: a fitted collection to start from.
        without: experiments to leave out.
        progress: told which model is at which iteration.
    """
    import torch

    from dagcast_core.model import fit as fit_model

    torch.manual_seed(session.project.config.seeds.draws)
    model = session.build()
    times = times or session.times
    begun: dict[str, int] = {}

    def told(name: str, iteration: int, loss: float) -> None:
        # Models are fitted one after the other, some together; they count once the next has begun.
        begun.setdefault(name, name.count(" + ") + 1)
        progress(f"fitting {name}", (sum(begun.values()) - begun[name]) / len(model.leaves))

    report = fit_model(
        model,
        session.history(times),
        session.known_experiments(times).without(*without),
        warm=warm,
        progress=told,
        archive=session.archive(times),
    )
    return model, report


def draw_parameters(
    session: Session, model: "ModelCollection", times: Moments | None = None
) -> "ParameterDraws":
    """Draws of a fitted collection's parameters, as the settings ask for.

    Args:
        session: the project's models and data.
        model: fitted.
        times: of the round that it was fitted for; the present one by default.
    """
    from dagcast_core.model import draws

    settings = session.project.config.uncertainty
    times = times or session.times
    return draws(
        model,
        session.history(times),
        session.known_experiments(times),
        settings.draws,
        method=settings.method,
        seed=session.project.config.seeds.draws,
        archive=session.archive(times),
    )


def load_fit(session: Session, name: str | None = None) -> Fitted:
    """Read a fit back, the newest by default.

    Raises:
        ProjectError: there is none, a file is missing or was changed, or the installed packages
            no longer match it.
    """
    from dagcast_core.model import ModelCollection, ModelError, load_draws, load_model

    project = session.project
    folder = project.models / (name or project.newest_fit())
    again = f"Fit again with `dagcast fit --project {project.folder}`."
    line = project.journal.fits().get(folder.name)
    if line is None:
        raise ProjectError(f"the fit {folder.name} in the log", "no line about it", again)
    verify(folder, line.details.get("seal"), "fit")
    try:
        manifest = json.loads(held_text(folder / _MANIFEST))
        labels, provenance = manifest["labels"], manifest["provenance"]
        report = manifest["report"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        found = f"no {error}" if isinstance(error, KeyError) else f"{error}"
        raise ProjectError(f"a whole fit in {folder}", found, again) from error
    _require_same_hyperparameters(session, provenance, again)
    try:
        # Labels come from the fit, also those that no parameter has.
        model = load_model(folder / MODEL, lambda _: session.build(labels))
        draws = load_draws(folder / MODEL)
    except (ModelError, OSError, ValueError) as error:
        raise ProjectError(
            f"a fit of the models that are installed now in {folder}", f"{error}", again
        ) from error
    assert isinstance(model, ModelCollection)
    return Fitted(folder.name, model, draws, provenance, report)


def _require_same_hyperparameters(session: Session, provenance: dict[str, Any], again: str) -> None:
    """Refuse parameters that were fitted under other hyperparameters than the settings say now."""
    fitted = provenance.get("hyperparameters", {})
    now = session.provenance()["hyperparameters"]
    if fitted != now:
        raise ProjectError(
            f"a fit under the hyperparameters of [models] in dagcast.toml, {now or 'the defaults'}",
            f"one under {fitted or 'the defaults'}",
            again,
        )


# What `dagcast_core.model.load_model` and `load_draws` read.
MODEL = "model"
_MANIFEST = "fit.json"


def _save(
    folder: Path,
    model: "ModelCollection",
    draws: "ParameterDraws",
    report: "FitReport",
    session: Session,
) -> str:
    """Write a fit into an existing folder; returns the digest of its seal, for the log."""
    from dagcast_core.model import save_model

    save_model(model, folder / MODEL, draws=draws)
    manifest = {
        "labels": {dim: list(labels) for dim, labels in session.labels.items()},
        "draws": {"count": len(draws), "method": draws.method, "seed": draws.seed},
        "provenance": session.provenance(),
        "report": report.to_json(),
    }
    (folder / _MANIFEST).write_text(
        json.dumps(plain(manifest), indent=1, ensure_ascii=False), encoding="utf-8"
    )
    return seal(folder)
