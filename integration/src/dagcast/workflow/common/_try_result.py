"""A changed model against the one in force, as tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

from dagcast.conformance import ConformanceResult
from dagcast.figures import counted, number
from dagcast.workflow.common._paired import PAIRED, PairedErrors
from dagcast.workflow.common._result import Result, ResultTable
from dagcast.workflow.common._tried import ALONE

FORCE, CHANGED = "in force", "as it is now"


@final
@dataclass(frozen=True)
class TriedExperiment:
    """What the model in force and the changed one expect of one experiment.

    Attributes:
        experiment: name.
        measured: effect.
        standard_error: of the measurement.
        before: modelled effect, of the model in force,
        after: and of the changed one.
        z_before: what everything else leads to expect less the measured effect, in standard
            deviations of that difference, in force,
        z_after: and changed.
    """

    experiment: str
    measured: float
    standard_error: float
    before: float
    after: float
    z_before: float
    z_after: float


@final
@dataclass(frozen=True)
class MovedParameter:
    """A parameter that a change moved, in its own unit.

    Attributes:
        parameter: name.
        label: where it moved most; empty for a single number.
        before: there, in force; None where the model in force has no such value.
        after: there, changed; None where the changed model has none.
    """

    parameter: str
    label: str
    before: float | None
    after: float | None


@final
@dataclass(frozen=True)
class TryResult(Result):
    """A changed model against the one in force.

    Attributes:
        folder: the project.
        model: name of the model, or of the package, at work.
        distribution: that brings it.
        refitted: models that were fitted, those at work first.
        origins: first hours of the windows.
        kept: whether there was no model in force to compare with, so that this one is now.
        errors: mean absolute scaled error by quantity, of the model in force and as it is now; of
            the model alone where ``_alone`` follows the quantity.
        pairs: of the two, by quantity.
        experiments: those whose path leads through it, at the newest origin.
        parameters: that moved most, at the newest origin.
        conformance: of the distribution's models.
    """

    folder: Path
    model: str
    distribution: str
    refitted: tuple[str, ...]
    origins: tuple[str, ...]
    kept: bool
    errors: Mapping[str, tuple[float, float]]
    pairs: tuple[PairedErrors, ...]
    experiments: tuple[TriedExperiment, ...]
    parameters: tuple[MovedParameter, ...]
    conformance: tuple[ConformanceResult, ...]

    def tables(self) -> tuple[ResultTable, ...]:
        if self.kept:
            figures = tuple((_said(name), number(now)) for name, (_, now) in self.errors.items())
            note = (
                f"{self.model} as it is now is kept as the one in force; change it and run this "
                f"again. {self._windows()}"
            )
            return (
                *self._conformance(),
                ResultTable(
                    f"{self.model}, kept to compare with", ("quantity", "MASE"), figures, note
                ),
            )
        rows = []
        for pair in self.pairs:
            force, now = self.errors[pair.quantity]
            judged = (number(force), number(now), pair.shown, pair.interval, pair.words)
            rows.append((_said(pair.quantity), *judged))
        tables = [
            *self._conformance(),
            ResultTable(
                f"{self.model}, {CHANGED} against {FORCE}",
                ("quantity", FORCE, CHANGED, "difference", "95 % interval", "verdict"),
                tuple(rows),
                f"{self._windows()}. {PAIRED}",
            ),
        ]
        if self.experiments:
            tables.append(
                ResultTable(
                    "Experiments through it",
                    ("experiment", "measured", "se", FORCE, CHANGED, "z before", "z after"),
                    tuple(
                        (
                            item.experiment,
                            number(item.measured),
                            number(item.standard_error),
                            number(item.before),
                            number(item.after),
                            f"{item.z_before:+.2f}",
                            f"{item.z_after:+.2f}",
                        )
                        for item in self.experiments
                    ),
                    "modelled effects at the newest origin; z: what everything else expects less "
                    "what was measured",
                )
            )
        if self.parameters:
            tables.append(
                ResultTable(
                    "Parameters that moved",
                    ("parameter", "most at", FORCE, CHANGED),
                    tuple(
                        (
                            item.parameter,
                            item.label or "-",
                            "-" if item.before is None else number(item.before),
                            "-" if item.after is None else number(item.after),
                        )
                        for item in self.parameters
                    ),
                    "at the newest origin, where each moved most",
                )
            )
        return tuple(tables)

    def _windows(self) -> str:
        refitted = ", ".join(self.refitted)
        return (
            f"MASE over {counted(len(self.origins), 'origin')}, {refitted} fitted to each, the "
            "others as they were fitted with the model in force; alone: reading what happened, as "
            "far as it is observed"
        )

    def _conformance(self) -> tuple[ResultTable, ...]:
        if not self.conformance:
            return ()
        failed = tuple((str(p),) for item in self.conformance for p in item.problems)
        if failed:
            return (ResultTable(f"{self.distribution} breaks the model contract", (), failed),)
        passed = sum(item.passed for item in self.conformance)
        return (
            ResultTable(
                "Conformance", (), ((f"{self.distribution}: {counted(passed, 'test')} passed",),)
            ),
        )

    def next_command(self) -> str:
        if self.kept:
            return f"change {self.model}, then dagcast try {self.model} --project {self.folder}"
        return f"dagcast try {self.model} --keep --project {self.folder}, or change it again"

    def exit_code(self) -> int:
        failed = any(item.problems for item in self.conformance)
        return 3 if failed or any(pair.verdict == "worse" for pair in self.pairs) else 0


def _said(quantity: str) -> str:
    """A quantity as tables show it."""
    name = quantity.removesuffix(ALONE.format(""))
    return quantity if name == quantity else f"{name}, alone"
