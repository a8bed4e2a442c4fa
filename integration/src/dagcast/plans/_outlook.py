"""What is expected under several decisions: means and intervals, as they are kept beside a plan.

Every figure is the mean over the draws of the parameters, and its interval holds what will be
observed; see `_expectation` for how they come about.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, field
from pathlib import Path
from typing import final

import numpy as np

from dagcast._held import held_text
from dagcast.errors import ProjectError
from dagcast.plans._axes import Array, Axes
from dagcast.plans._reading import Reading

_ARRAYS = "outlook.safetensors"
_TEXT = "outlook.json"
# Stands where other arrays name their arm.
_EFFECTS = "effect"
_SCALED = "scaled"


@final
@dataclass(frozen=True)
class Estimate:
    """A figure with its interval."""

    mid: float
    low: float
    high: float


@final
@dataclass(frozen=True)
class Gain:
    """A difference with its interval, and the share of the draws in which it is above 0."""

    mid: float
    low: float
    high: float
    chance: float


@final
@dataclass(frozen=True)
class Path3:
    """A quantity over the hours, (1 + rows, hour); row 0 is all rows together.

    A quantity without the dim of the rows has row 0 alone; the others are NaN.
    """

    mid: Array
    low: Array
    high: Array


@final
@dataclass(frozen=True)
class Outlook:
    """What is expected over the horizon.

    Attributes:
        dim: whose labels the rows are, such as ``region``; empty where there is one row for all.
        rows: its labels.
        time: name of the time dim.
        hours: UTC instants, ISO.
        level: of the intervals, e.g. 0.9.
        draws: number of parameter draws behind them.
        origins: forecasts of past weeks behind the chance in them; 0 where the fit's own errors
            stand in, None where no chance was added.
        readings: quantity -> how people read it, in the order in which they are shown.
        arms: what the plan is compared with, in words: ``none`` is ``no spend``.
        paths: arm -> quantity -> path.
        totals: arm -> quantity -> over all rows and hours (sum, or weighted mean).
        differences: arm -> quantity -> total of the plan minus that of the arm, without chance.
        weeks: quantity -> total of each row under the plan; nothing for quantities without rows.
        chances: arm -> quantity -> share of the draws in which the plan has more of it.
        row_gains: quantity -> total of each row less that under the current plan; nothing for
            quantities without rows, nor in outlooks of earlier versions.
        effects: quantity -> what the plan brings over doing nothing, paired by draw and without
            chance; of what is maximised, and nothing in outlooks of earlier versions.
        scales: multiples of the plan at which outcomes were forecast, every cell of what adds up
            multiplied alike; none in outlooks of earlier versions.
        scaled: quantity -> forecast at those, (scales, 1 + rows, hour); of what is maximised.
    """

    dim: str
    rows: tuple[str, ...]
    time: str
    hours: tuple[str, ...]
    level: float
    draws: int
    origins: int | None
    readings: Mapping[str, Reading]
    arms: Mapping[str, str]
    paths: Mapping[str, Mapping[str, Path3]]
    totals: Mapping[str, Mapping[str, Estimate]]
    differences: Mapping[str, Mapping[str, Estimate]]
    weeks: Mapping[str, tuple[Estimate, ...]]
    chances: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    row_gains: Mapping[str, tuple[Gain, ...]] = field(default_factory=dict)
    effects: Mapping[str, Path3] = field(default_factory=dict)
    scales: tuple[float, ...] = ()
    scaled: Mapping[str, Array] = field(default_factory=dict)

    @property
    def axes(self) -> Axes:
        """Rows and hours of its arrays."""
        import pandas as pd

        hours = pd.DatetimeIndex([pd.Timestamp(hour) for hour in self.hours]).as_unit("us")
        return Axes(self.dim, pd.Index(self.rows, dtype=object), self.time, hours)

    def save(self, folder: Path) -> None:
        """Write the outlook into an existing folder."""
        from safetensors.numpy import save

        arrays = {
            f"{arm}/{quantity}/{part}": np.ascontiguousarray(getattr(path, part))
            for arm, paths in {**self.paths, _EFFECTS: self.effects}.items()
            for quantity, path in paths.items()
            for part in ("mid", "low", "high")
        }
        for quantity, values in self.scaled.items():
            arrays[f"{_SCALED}/{quantity}/mid"] = np.ascontiguousarray(values)
        # Not `save_file`, whose files only their owner can read, whatever the umask says.
        (folder / _ARRAYS).write_bytes(save(arrays))
        document = {
            "dim": self.dim,
            "rows": self.rows,
            "time": self.time,
            "hours": self.hours,
            "level": self.level,
            "draws": self.draws,
            "origins": self.origins,
            "readings": {name: asdict(item) for name, item in self.readings.items()},
            "arms": dict(self.arms),
            "totals": _as_lists(self.totals),
            "differences": _as_lists(self.differences),
            "weeks": {
                name: [[item.mid, item.low, item.high] for item in rows]
                for name, rows in self.weeks.items()
            },
            "chances": {arm: dict(items) for arm, items in self.chances.items()},
            "row_gains": {
                name: [list(astuple(item)) for item in rows]
                for name, rows in self.row_gains.items()
            },
            "scales": list(self.scales),
        }
        (folder / _TEXT).write_text(json.dumps(document, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Outlook":
        """Read what ``save`` wrote.

        Raises:
            ProjectError: a file is missing or damaged.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            document = json.loads(held_text(folder / _TEXT))
            arrays = load_file(folder / _ARRAYS)
        except (OSError, ValueError, SafetensorError) as error:
            raise ProjectError(
                f"a whole plan in {folder}", f"{error}", "Make the plan again with `dagcast plan`."
            ) from error
        parts: dict[str, dict[str, dict[str, Array]]] = {}
        for key, values in arrays.items():
            arm, quantity, part = key.split("/")
            parts.setdefault(arm, {}).setdefault(quantity, {})[part] = values
        effects, scaled = parts.pop(_EFFECTS, {}), parts.pop(_SCALED, {})
        return cls(
            document["dim"],
            tuple(document["rows"]),
            document["time"],
            tuple(document["hours"]),
            document["level"],
            document["draws"],
            document["origins"],
            {name: Reading(**item) for name, item in document["readings"].items()},
            document["arms"],
            {arm: {q: Path3(**item) for q, item in paths.items()} for arm, paths in parts.items()},
            _as_estimates(document["totals"]),
            _as_estimates(document["differences"]),
            {
                name: tuple(Estimate(*item) for item in rows)
                for name, rows in document["weeks"].items()
            },
            document.get("chances", {}),
            {
                name: tuple(Gain(*item) for item in rows)
                for name, rows in document.get("row_gains", {}).items()
            },
            {name: Path3(**item) for name, item in effects.items()},
            tuple(document.get("scales", ())),
            {name: item["mid"] for name, item in scaled.items()},
        )


def _as_lists(found: Mapping[str, Mapping[str, Estimate]]) -> dict[str, dict[str, list[float]]]:
    return {
        arm: {name: [item.mid, item.low, item.high] for name, item in items.items()}
        for arm, items in found.items()
    }


def _as_estimates(
    found: Mapping[str, Mapping[str, Sequence[float]]],
) -> dict[str, dict[str, Estimate]]:
    return {
        arm: {name: Estimate(*item) for name, item in items.items()} for arm, items in found.items()
    }
