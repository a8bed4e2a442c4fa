"""What competes in a comparison: the project as it is, but for what a candidate's name says."""

from dataclasses import replace
from typing import Any

from dagcast._config_file import literal
from dagcast.errors import UsageError
from dagcast.project import Project

PRESENT = "installed"
"""The candidate that changes nothing: packages and settings as they are."""

_FORMS = (
    f"{PRESENT!r}, a package that serves a quantity such as eta=dagcast-eta, or a hyperparameter "
    "such as models.eta.trip_time=33, several joined by commas"
)


def variant(project: Project, candidate: str) -> Project:
    """The project with what a candidate changes.

    Args:
        project: as its settings say.
        candidate: ``installed``; or ``QUANTITY=DISTRIBUTION`` and
            ``models.NAME.HYPERPARAMETER=VALUE``, several joined by commas.

    Raises:
        UsageError: it is of neither form, or sets one thing twice.
    """
    if candidate == PRESENT:
        return project
    serving: dict[str, str] = {}
    models: dict[str, dict[str, Any]] = {n: dict(v) for n, v in project.config.models.items()}
    seen: set[str] = set()
    for part in candidate.split(","):
        key, equals, text = (item.strip() for item in part.partition("="))
        names = key.split(".")
        if not (equals and text and all(names)) or key in seen:
            raise UsageError(_FORMS, repr(candidate), "Correct the candidate.")
        seen.add(key)
        if len(names) == 3 and names[0] == "models":
            value = literal(text)
            if not isinstance(value, bool | int | float | str):
                raise UsageError(f"a number or a text for {key}", repr(text), "Correct it.")
            models.setdefault(names[1], {})[names[2]] = value
        elif len(names) == 1 or (len(names) == 2 and names[0] == "serving"):
            serving[names[-1]] = text
        else:
            raise UsageError(_FORMS, repr(candidate), "Correct the candidate.")
    changed = {"serving": {**project.config.serving, **serving}, "models": models}
    return replace(project, config=project.config.model_copy(update=changed))
