"""What a fit reached, by model and by experiment."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, final

from dagcast_core.model._conflicts import Conflict
from dagcast_core.model._draws import ParameterDraws
from dagcast_core.model._errors import ModelError
from dagcast_core.model._left_out import LeftOut
from dagcast_core.model._widening import WideningFactors


@final
@dataclass(frozen=True)
class Movement:
    """How far the joint fit moved one parameter from its model's own fit.

    Attributes:
        largest: greatest absolute move of a value, in posterior standard deviations.
        typical: root mean square over its values, in the same unit.
    """

    largest: float
    typical: float


@final
@dataclass(frozen=True)
class MemberFit:
    """The fit of one innermost model.

    Attributes:
        name: of the model.
        fitted_with: the models whose parameters were fitted together with it, itself included.
        loss_start: own loss before the fit, nats.
        loss: own loss after its own fit, nats.
        loss_joint: own loss after the joint fit, nats; equal to ``loss`` where nothing moved.
        converged: whether the own fit converged.
        iterations: of the own fit.
        gradient_norm: of the own fit, nats per unit of raw parameter.
        expected_gain: how much further the own loss could fall, nats.
        movement: by parameter; empty for models that no joint experiment touches.
        frozen: whether its parameters were held.
    """

    name: str
    fitted_with: tuple[str, ...]
    loss_start: float
    loss: float
    loss_joint: float
    converged: bool
    iterations: int
    gradient_norm: float
    expected_gain: float
    movement: Mapping[str, Movement] = field(default_factory=dict)
    frozen: bool = False


@final
@dataclass(frozen=True)
class ExperimentFit:
    """One experiment and what the models say about it.

    Attributes:
        name: of the experiment.
        path: names of the models that join lever and outcome.
        estimate: measured effect.
        standard_error: as measured.
        widened_error: after widening; the error that the fit used, before its weight.
        factors: what widened it.
        own: modelled effect after each model's own fit.
        joint: modelled effect after the joint fit.
        left_out: what everything else leads to expect, and the verdict.
    """

    name: str
    path: tuple[str, ...]
    estimate: float
    standard_error: float
    widened_error: float
    factors: WideningFactors
    own: float
    joint: float
    left_out: LeftOut

    @property
    def z(self) -> float:
        """Expected by everything else minus measured, see `LeftOut.z`."""
        return self.left_out.z

    @property
    def in_sample_z(self) -> float:
        """Modelled minus measured after the joint fit, in widened standard errors.

        Small by construction, since the fit was drawn to the estimate: no verdict follows from it.
        """
        return (self.joint - self.estimate) / self.widened_error


@final
@dataclass(frozen=True)
class FitReport:
    """What a fit reached.

    Attributes:
        members: by name of the innermost model, in the order of the fit.
        experiments: agreement with each experiment used.
        conflicts: experiments that contradict each other.
        dispersion: of true effects about what the models can say, relative; learned from how far
            experiments lie from what all others lead to expect.
        joint_converged: whether the joint fit converged; True where there was none.
        seconds: wall time.
        notes: what a reader should know, one line each.
        draws: parameter draws, if they were asked for.
    """

    members: Mapping[str, MemberFit]
    experiments: tuple[ExperimentFit, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    dispersion: float = 0.0
    joint_converged: bool = True
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    draws: ParameterDraws | None = None

    @property
    def unconverged(self) -> tuple[str, ...]:
        """Names of the models whose own fit did not converge."""
        return tuple(name for name, member in self.members.items() if not member.converged)

    @property
    def converged(self) -> bool:
        """Whether every own fit and the joint fit converged."""
        return self.joint_converged and not self.unconverged

    @property
    def status(self) -> str:
        """``converged`` or ``unconverged``; an unconverged fit is never called good."""
        return "converged" if self.converged else "unconverged"

    @property
    def contradicting(self) -> tuple[LeftOut, ...]:
        """Experiments that contradict everything else, the least likely first."""
        found = [e.left_out for e in self.experiments if e.left_out.verdict == "contradicts"]
        return tuple(sorted(found, key=lambda item: -abs(item.z)))

    def raise_unconverged(self) -> None:
        """Do nothing if the fit converged.

        Raises:
            ModelError: it did not; the message names the models and how far they are.
        """
        if self.converged:
            return
        parts = [
            f"{name} stopped after {self.members[name].iterations} iterations with "
            f"{self.members[name].expected_gain:.3g} nats still to gain"
            for name in self.unconverged
        ]
        if not self.joint_converged:
            parts.append("the joint fit with experiments did not settle")
        raise ModelError(
            "the fit did not converge: " + "; ".join(parts) + ". Raise max_iterations in the "
            "model's optimizer(), give it a warm_start, or look at debug()."
        )

    def to_json(self) -> dict[str, Any]:
        """The report as JSON types, without draws."""
        return {
            "status": self.status,
            "seconds": self.seconds,
            "members": [
                {
                    "name": m.name,
                    "fitted_with": list(m.fitted_with),
                    "loss_start": m.loss_start,
                    "loss": m.loss,
                    "loss_joint": m.loss_joint,
                    "converged": m.converged,
                    "iterations": m.iterations,
                    "gradient_norm": m.gradient_norm,
                    "expected_gain": m.expected_gain,
                    "frozen": m.frozen,
                    "movement": {
                        name: {"largest": move.largest, "typical": move.typical}
                        for name, move in m.movement.items()
                    },
                }
                for m in self.members.values()
            ],
            "experiments": [
                {
                    "name": e.name,
                    "path": list(e.path),
                    "estimate": e.estimate,
                    "standard_error": e.standard_error,
                    "widened_error": e.widened_error,
                    "widening": {
                        "recency": e.factors.recency,
                        "dose": e.factors.dose,
                        "duration": e.factors.duration,
                        "form": e.factors.form,
                    },
                    "own": e.own,
                    "joint": e.joint,
                    "in_sample_z": e.in_sample_z,
                    "left_out": e.left_out.effect,
                    "left_out_error": e.left_out.spread,
                    "z": e.z,
                    "verdict": e.left_out.verdict,
                    "moved": dict(e.left_out.moved),
                    "known_by": None
                    if e.left_out.certainty is None
                    else asdict(e.left_out.certainty),
                }
                for e in self.experiments
            ],
            "dispersion": self.dispersion,
            "conflicts": [str(conflict) for conflict in self.conflicts],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        lines = [f"fit {self.status} in {self.seconds:.1f} s", _HEAD]
        for m in self.members.values():
            moved = max((move.largest for move in m.movement.values()), default=math.nan)
            state = "frozen" if m.frozen else ("yes" if m.converged else "NO")
            lines.append(
                f"{m.name:<24}{m.loss_start:>14.1f}{m.loss:>14.1f}{m.loss_joint:>14.1f}"
                f"{m.iterations:>6d}{state:>10}"
                + (f"{moved:>10.2f}" if math.isfinite(moved) else f"{'-':>10}")
            )
        lines += [
            f"{e.name}: measured {e.estimate:.4g} (se {e.standard_error:.2g}, widened "
            f"{e.widened_error:.2g}), own {e.own:.4g}, joint {e.joint:.4g}, without it "
            f"{e.left_out.effect:.4g}, z {e.z:+.2f}: {e.left_out.verdict}"
            for e in self.experiments
        ]
        lines += [f"contradiction: {item}" for item in self.contradicting]
        lines += [f"conflict: {conflict}" for conflict in self.conflicts]
        return "\n".join([*lines, *self.notes])


_HEAD = (
    f"{'member':<24}{'loss start':>14}{'own':>14}{'joint':>14}"
    f"{'iter':>6}{'converged':>10}{'moved sd':>10}"
)
