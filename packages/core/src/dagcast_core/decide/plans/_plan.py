"""A plan: decisions, their forecast, how good they are proved to be, and what limits cost."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, final

from dagcast_core.contract import Screen
from dagcast_core.decide.compile import ShadowPrice
from dagcast_core.decide.read import Sensitivity
from dagcast_core.solver import DecisionError, Status
from dagcast_core.tensor import IndexTensor, Panel

__all__ = ["Plan"]

_PANELS = ("decisions", "forecast", "marginal_effects", "flags", "response_width")
_TUPLES = ("active", "conflicts", "multipliers", "reasons", "warnings", "objective_draws")
_MANIFEST = "plan.json"


@final
@dataclass(frozen=True)
class Plan:
    """The answer to a decision problem.

    Attributes:
        status: "optimal" only with a certificate; "feasible" is a local optimum or a given plan
            that keeps every limit; "stalled", "infeasible" and "interrupted" hold the best point
            found.
        message: why the solver stopped, and what kind of claim the status is.
        decisions: the levers.
        forecast: every output of the model under the decisions.
        objective: value of the objective, over all cells.
        objective_name: what it is.
        objective_unit: its unit.
        baseline: objective of the lower bounds (usually: spend nothing).
        kkt_residual: relative to the lift over the baseline.
        worst_violation: largest relative violation of any limit.
        gap_bound: upper bound on what a better plan could add, objective unit; None where a point
            refutes it.
        concavity: what the bound rests on: "declared" concavity, "tested" where it held at all
            points tried, "refuted" where one lies above it, or "unknown".
        shadow_prices: one record per budget and outcome row.
        active: names of the rows that bind.
        conflicts: rows that cannot all be kept, with the least relaxation, where infeasible.
        marginal_effects: per quantity, its change (summed over hours) per unit of lever in each
            cell, dims of the lever; key "objective" is the objective's.
        sensitivities: of the optimum to what is not decided.
        flags: per lever, 0 where the solver decided, else the number of the reason in ``reasons``,
            from 1: people or a fallback rule.
        multipliers: of budgets and rows, for warm starts.
        provenance: settings, versions, counts, seeds, the problem, and what the caller adds.
        reasons: why cells are flagged.
        warnings: what to know before relying on the plan: a nearly empty feasible set, gradients
            that explode, measures that are stricter than what was asked for.
        objective_draws: the objective under each parameter draw, where the problem has draws.
            ``objective`` is then their measure, and ``forecast`` that of the fitted parameters.
        response_width: per lever with a fallback, width of the interval of each cell's response
            relative to its middle.
    """

    status: Status
    message: str
    decisions: Panel
    forecast: Panel
    objective: float
    objective_name: str
    objective_unit: str
    baseline: float
    kkt_residual: float
    worst_violation: float
    gap_bound: float | None
    concavity: Literal["declared", "tested", "refuted", "unknown"]
    shadow_prices: tuple[ShadowPrice, ...]
    active: tuple[str, ...]
    conflicts: tuple[str, ...]
    marginal_effects: Panel
    sensitivities: tuple[Sensitivity, ...]
    flags: Panel
    multipliers: tuple[float, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    objective_draws: tuple[float, ...] = ()
    response_width: Panel = field(default_factory=Panel)

    @property
    def lift(self) -> float:
        """Objective above the baseline."""
        return self.objective - self.baseline

    def __repr__(self) -> str:
        return str(self._screen())

    def _repr_html_(self) -> str:
        return self._screen().html()

    def _screen(self) -> Screen:
        unit = self.objective_unit
        gap = "unknown" if self.gap_bound is None else f"at most {self.gap_bound:.4g} {unit}"
        rows = [
            ("why", self.message),
            ("objective", f"{self.objective:,.6g} {unit}, {self.lift:+,.6g} over least decisions"),
            ("a better plan", f"{gap}; concavity {self.concavity}"),
            ("worst violation", f"{self.worst_violation:.2g}"),
            *(("decides", _sized(name, tensor)) for name, tensor in self.decisions.items()),
            ("forecasts", ", ".join(self.forecast) or "-"),
            *(("warning", text) for text in self.warnings),
            *(("conflict", text) for text in self.conflicts),
            *(("binding", price.words) for price in self.shadow_prices if price.binding),
        ]
        return Screen(f"Plan, {self.status}: {self.objective_name}", tuple(rows))

    def with_provenance(self, **more: Any) -> Plan:
        """The plan with facts added to its provenance, such as the data moment."""
        return replace(self, provenance={**self.provenance, **more})

    def save(self, folder: str | Path) -> None:
        """Write safetensors and a JSON manifest with the sha256 of every file into a new folder.

        Raises:
            DecisionError: the folder exists and is not empty.
        """
        target = Path(folder)
        if target.exists() and any(target.iterdir()):
            raise DecisionError(
                f"cannot save the plan: {target.name!r} is not empty. Give a new folder."
            )
        target.mkdir(parents=True, exist_ok=True)
        for name in _PANELS:
            panel: Panel = getattr(self, name)
            if len(panel):
                panel.save(target / name)
        files = {
            path.relative_to(target).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(target.rglob("*"))
            if path.is_file()
        }
        rest = {
            key: value
            for key, value in self.__dict__.items()
            if key not in _PANELS and key not in ("shadow_prices", "sensitivities", "provenance")
        }
        manifest = {
            "format": 1,
            **rest,
            "shadow_prices": [asdict(price) for price in self.shadow_prices],
            "sensitivities": [asdict(item) for item in self.sensitivities],
            "provenance": dict(self.provenance),
            "files": files,
        }
        text = json.dumps(manifest, indent=1, allow_nan=True)
        (target / _MANIFEST).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> Plan:
        """Read what `save` wrote.

        Raises:
            DecisionError: a file is missing or was changed.
        """
        source = Path(folder)
        try:
            manifest = json.loads((source / _MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DecisionError(f"{source.name!r} holds no readable plan: {error}") from error
        for name, digest in manifest.pop("files").items():
            path = source / name
            if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
                raise DecisionError(
                    f"the plan {source.name!r} is damaged: {name} is missing or was changed since "
                    "it was saved."
                )
        manifest.pop("format")
        for name in _PANELS:
            folder_of = source / name
            manifest[name] = Panel.load(folder_of) if folder_of.exists() else Panel()
        manifest["shadow_prices"] = tuple(ShadowPrice(**item) for item in manifest["shadow_prices"])
        manifest["sensitivities"] = tuple(Sensitivity(**item) for item in manifest["sensitivities"])
        for name in _TUPLES:
            manifest[name] = tuple(manifest.get(name, ()))
        return cls(**manifest)

    def price_of(self, name: str, label: str = "") -> ShadowPrice:
        """The record of one limit.

        Raises:
            DecisionError: there is none.
        """
        for price in self.shadow_prices:
            if price.name == name and price.label == label:
                return price
        known = [f"{p.name} {p.label}".strip() for p in self.shadow_prices]
        raise DecisionError(f"no limit on {name!r} {label!r}; the plan has {', '.join(known[:8])}.")


def _sized(name: str, tensor: IndexTensor) -> str:
    return f"{name} ({', '.join(f'{dim}: {size}' for dim, size in tensor.sizes.items())})"
