"""Measured effects that came with the events."""

from pathlib import Path
from typing import Any

from dagcast._held import held
from dagcast_core.contract import ContractError, Experiment, ExperimentSet, parsed_json
from dagcast_core.data import DataError


def read_experiments(events_folder: Path | str) -> ExperimentSet:
    """Reads and validates ``experiments.json``: a list of experiments, or a set with covariances.

    Returns:
        The experiments; an empty set where there is no such file.

    Raises:
        DataError: the file is damaged, or an experiment in it is not valid.
    """
    path = Path(events_folder) / "experiments.json"
    if not path.is_file():
        return ExperimentSet()
    expected = "a list of experiments, or an object with experiments and covariances"
    content = _json(path, expected)
    try:
        if isinstance(content, list):
            return ExperimentSet(tuple(Experiment.from_json(entry) for entry in content))
        if isinstance(content, dict):
            return ExperimentSet.from_json(content)
    except (ContractError, KeyError, TypeError, AttributeError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise _unexpected(path, expected, what) from error
    raise _unexpected(path, expected, type(content).__name__)


def _json(path: Path, expected: str) -> Any:
    try:
        return parsed_json(held(path))
    except (ValueError, OSError) as error:
        raise _unexpected(path, expected, f"content that is not JSON ({error})") from error


def _unexpected(path: Path, expected: str, found: str) -> DataError:
    return DataError(
        f"cannot read {path}: expected {expected}; found {found}. Correct the file; nothing was "
        f"changed on disk."
    )
