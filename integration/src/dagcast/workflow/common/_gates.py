"""What stands against a fit: gates that it was put through and did not pass, as the log says."""

import json
from statistics import NormalDist

from dagcast._held import held_text
from dagcast.journal import Entry
from dagcast.project import Project

# What `dagcast validate` found, in the reports.
VALIDITY = "validity.json"
# That experiments which agree are refused all the same.
_CHANCE = 0.05


def failed_gates(project: Project, fit: str | None) -> list[str]:
    """Gates that the fit behind a plan was put through and did not pass, in words.

    Args:
        project: whose log and reports say what was found.
        fit: name of the fit.
    """
    found = []
    made = project.journal.fits().get(fit or "")
    status = "converged" if made is None else made.details.get("status", "converged")
    if status != "converged":
        assert made is not None
        why = made.details.get("refused")
        found.append(f"{fit} is {status}: {why or 'see `dagcast fit`'}")
    last = {entry.event: entry for entry in project.journal.entries()}
    found += _contradicted(project, fit, last.get("validated"))
    tested = last.get("backtested")
    if tested is not None and tested.details.get("refused"):
        found.append(f"the models did not pass `dagcast backtest`: {tested.details['refused']}")
    return found


def _contradicted(project: Project, fit: str | None, validated: Entry | None) -> list[str]:
    """Experiments that contradict a fit, counted together: of many, chance alone makes one stray.

    `dagcast validate` names each experiment beyond 95 %. Of ten that agree, two in five times one
    is; a plan is refused where so far a stray is not to be expected among all of them (Holm).
    """
    if validated is None or validated.details.get("fit") != fit:
        return []
    if validated.details.get("passed", True):
        return []
    try:
        report = json.loads(held_text(project.reports / VALIDITY))
        rows = [(row["experiment"], abs(row["z"])) for row in report["rows"]]
        known = report["fit"] == fit
    except (OSError, ValueError, KeyError, TypeError):
        known = False
    if not known:
        return [f"{fit} did not pass `dagcast validate`"]
    if not rows:
        return [f"no experiment measured anything that {fit} says: see `dagcast validate`"]
    limit = NormalDist().inv_cdf(1 - _CHANCE / 2 / len(rows))
    return [
        f"{name} contradicts {fit} by {z:.1f} standard errors: see `dagcast validate`"
        for name, z in rows
        if z > limit
    ]
