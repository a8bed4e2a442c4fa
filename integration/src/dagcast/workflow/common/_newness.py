"""Whether a fit and a plan still answer what there is: digests of all that they follow from."""

import hashlib
import json
from typing import TYPE_CHECKING, Any

from dagcast.config import Config
from dagcast.workflow.common._result import plain

if TYPE_CHECKING:
    from dagcast.workflow.common._horizon import Moments
    from dagcast.workflow.common._session import Session
    from dagcast_core.contract import ExperimentSet
    from dagcast_core.tensor import IndexTensor, Panel

# Tables of the settings that a fit follows from; what the data say of themselves is hashed itself.
_FIT = ("data", "serving", "disable", "models", "uncertainty", "labels")
# Tables that no plan follows from: how it is shown, decided and tested.
_NOT_PLAN: dict[str, Any] = {
    **dict.fromkeys(
        (
            *("name", "roles", "approval", "week", "display", "backtest"),
            *("serve", "webhook"),
        ),
        True,
    ),
    "levers": {"__all__": {"step"}},
}


def inputs_of(session: "Session") -> str:
    """Digest of all that a fit follows from: data, experiments, packages, settings, clocks.

    Two fits of equal inputs differ by nothing but where they started from.
    """
    return digest_of({"store": session.store.manifest_id, **_made_of(session, session.experiments)})


def inputs_at(session: "Session", times: "Moments", *, besides: tuple[str, ...] = ()) -> str:
    """Digest of all that a fit at a past moment follows from, as it was known by then.

    Args:
        session: the project's models and data.
        times: of the past round.
        besides: distributions and models that may change without another digest.
    """
    panels = (session.history(times), session.archive(times))
    return digest_of(
        {
            "times": [times.first.isoformat(), times.last.isoformat()],
            "panels": [_panel(panel) for panel in panels if panel is not None],
            **_made_of(session, session.known_experiments(times), besides),
        }
    )


def settings_of(config: Config) -> str:
    """Digest of the settings that a plan follows from."""
    return digest_of(config.model_dump(mode="json", exclude=_NOT_PLAN))


def digest_of(values: Any) -> str:
    """Start of the sha256 over plain values."""
    text = json.dumps(plain(values), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", errors="backslashreplace")).hexdigest()[:16]


def _made_of(
    session: "Session", experiments: "ExperimentSet", besides: tuple[str, ...] = ()
) -> dict[str, Any]:
    clocks = session.clocks
    config = session.project.config
    settings = {name: config.model_dump(mode="json")[name] for name in _FIT}
    contents: dict[str, Any] = session.contents()
    for held in (contents, settings["models"]):
        for name in besides:
            held.pop(name, None)
    return {
        "experiments": experiments.to_json(),
        "contents": contents,
        "settings": settings,
        "seed": config.seeds.draws,
        "clocks": [clocks.zones, clocks.countries],
        "labels": session.labels,
    }


def _panel(panel: "Panel") -> dict[str, str]:
    return {name: _tensor(tensor) for name, tensor in panel.items()}


def _tensor(tensor: "IndexTensor") -> str:
    found = hashlib.sha256()
    for dim in tensor.dims:
        found.update(f"{dim}:{list(map(str, tensor.index(dim)))}".encode())
    found.update(tensor.values(*tensor.dims).detach().contiguous().numpy().tobytes())
    return found.hexdigest()
