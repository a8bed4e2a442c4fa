"""Experiments as people write them down: figures, or the raw rows that they follow from."""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from dagcast._held import held, held_text, parsed_toml
from dagcast.errors import UsageError
from dagcast_core.contract import ContractError, Experiment, ExperimentSet, parsed_json

if TYPE_CHECKING:
    from dagcast_core.estimate import Measurement

# What the rows say and nobody else does.
_MEASURED = ("estimate", "standard_error", "degrees_of_freedom")


@final
@dataclass(frozen=True)
class WrittenTrial:
    """An experiment of a file.

    Attributes:
        experiment: with its figures.
        measurement: what its raw rows said; None where the file gives the figures.
        rows: file of the rows, and its sha256.
    """

    experiment: Experiment
    measurement: "Measurement | None" = None
    rows: tuple[str, str] | None = None


def read_trials(path: Path) -> tuple[tuple[WrittenTrial, ...], ExperimentSet]:
    """Read a file of one experiment, a list, or a set with covariances; JSON or TOML.

    An experiment may have a table ``rows`` in place of its figures: ``file`` beside the file itself
    (CSV or Parquet) and the columns, as ``dagcast_core.estimate.RawTrial`` names them.

    Returns:
        The experiments, and the set that they make with their covariances.

    Raises:
        UsageError: the file cannot be read, or an experiment in it is not valid; names both.
    """
    document = _document(path)
    covariances: Any = {}
    if isinstance(document, Mapping) and "experiments" in document:
        covariances = document.get("covariances", {})
        items = document["experiments"]
    else:
        items = document if isinstance(document, list) else [document]
    if not isinstance(items, list) or not items:
        raise UsageError(f"at least one experiment in {path}", "none", "See `--help`.")
    found = tuple(_trial(item, path, position) for position, item in enumerate(items))
    try:
        together = ExperimentSet.from_json(
            {"experiments": [t.experiment.to_json() for t in found], "covariances": covariances}
        )
    except (ContractError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"experiments in {path} that fit together", _said(error), "Correct the file."
        ) from error
    return found, together


def _document(path: Path) -> Any:
    try:
        if path.suffix == ".toml":
            return parsed_toml(held_text(path))
        return parsed_json(held(path))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"a file of experiments, JSON or TOML, at {path}", _said(error), "Correct the file."
        ) from error


def _trial(item: Any, path: Path, position: int) -> WrittenTrial:
    if not isinstance(item, Mapping):
        raise UsageError(
            f"experiment {position + 1} of {path} to be a table", repr(item), "Correct the file."
        )
    item = dict(item)
    name = item.get("name") or f"experiment {position + 1}"
    rows = item.pop("rows", None)
    try:
        if rows is None:
            return WrittenTrial(Experiment.from_json(item))
        given = [key for key in _MEASURED if key in item]
        if given:
            raise ContractError(f"both raw rows and {given[0]}; leave one of them out")
        measurement, source = _measured(dict(rows), item, path)
        experiment = Experiment.from_json(
            {
                **item,
                "estimate": measurement.estimate,
                "standard_error": measurement.standard_error,
                "degrees_of_freedom": measurement.degrees_of_freedom,
                "scale": measurement.scale,
                "provenance": _provenance(item.get("provenance", ""), measurement, source),
            }
        )
        return WrittenTrial(experiment, measurement, source)
    except (
        ContractError,
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
    ) as error:
        raise UsageError(f"{name} of {path} to be valid", _said(error), "Correct it.") from error


def _measured(
    rows: dict[str, Any], item: Mapping[str, Any], path: Path
) -> "tuple[Measurement, tuple[str, str]]":
    import pandas as pd

    from dagcast_core.estimate import RawTrial, measure_rows

    name = rows.pop("file", None)
    if not isinstance(name, str):
        raise ContractError("rows without a file")
    known = {field.name for field in fields(RawTrial)} - {"design", "scale"}
    unknown = [key for key in rows if key not in known]
    if unknown:
        raise ContractError(f"rows with {unknown[0]!r}; they know {', '.join(sorted(known))}")
    file = path.parent / name
    columns: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in rows.items()}
    columns |= {name: item[name] for name in ("design", "scale") if name in item}
    trial = RawTrial(**{"design": "switchback", **columns})
    try:
        content = held(file)
        rows_of = pd.read_parquet if file.suffix == ".parquet" else pd.read_csv
        read = rows_of(io.BytesIO(content))
    except (OSError, ValueError) as error:
        raise ContractError(f"rows in {file} that cannot be read: {_said(error)}") from error
    return measure_rows(read, trial), (file.name, hashlib.sha256(content).hexdigest())


def _provenance(given: str, found: "Measurement", source: tuple[str, str]) -> str:
    said = f"{found.method}, {found.clusters} clusters, {found.rows:,} rows of {source[0]}"
    if found.test is not None:
        kind = "exact" if found.test.exact else f"of {found.test.assignments:,} assignments"
        said += f", randomisation test p = {found.test.p_value:.3g} ({kind})"
    return f"{given}; {said}" if given else said


def _said(error: BaseException) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error)
