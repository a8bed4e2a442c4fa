"""The steps of a fit, and the state that they share: completed inputs and fitted units."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, final

import torch

from dagcast_core.contract import Experiment, ExperimentSet
from dagcast_core.model._collection import ModelCollection, as_collection
from dagcast_core.model._complete import complete_inputs
from dagcast_core.model._conflicts import conflicts_among
from dagcast_core.model._effect import Cuts
from dagcast_core.model._evidence import Evidence, as_experiment_set, weights_of
from dagcast_core.model._grouping import group_into_units
from dagcast_core.model._interference import interference
from dagcast_core.model._joint import fit_jointly
from dagcast_core.model._left_out import left_out_of
from dagcast_core.model._model import Model
from dagcast_core.model._movement import movements
from dagcast_core.model._optimizer import Minimum, OptimizerSpec
from dagcast_core.model._own_data import build_unit
from dagcast_core.model._own_fit import nothing_to_fit, settled
from dagcast_core.model._precision import Precision, precision_of
from dagcast_core.model._report import ExperimentFit, FitReport, MemberFit, Movement
from dagcast_core.model._residual import filled
from dagcast_core.model._unit import Unit
from dagcast_core.model._widening import Widening
from dagcast_core.tensor import Panel

Progress: TypeAlias = Callable[[str, int, float], None]

# Latent inputs follow what the joint fit has moved, and the joint fit follows them once more.
_ROUNDS = 2


@final
@dataclass
class _Own:
    """One unit after its own fit."""

    unit: Unit
    evidence: Evidence
    before: dict[str, float]
    after: dict[str, float]
    minimum: Minimum
    trainable: bool
    precision: Precision | None


@final
@dataclass(frozen=True)
class _Moved:
    """The joint fit: how far parameters moved, and whether that settled."""

    own_effects: Mapping[str, float]
    movement: Mapping[str, Mapping[str, Movement]]
    converged: bool


@final
class Fitting:
    """The steps of one fit over shared state: completed inputs and fitted units."""

    def __init__(
        self,
        collection: ModelCollection,
        history: Panel,
        measured: ExperimentSet,
        widening: Widening,
        progress: Progress | None,
        chosen: frozenset[str],
        archive: Panel | None = None,
    ) -> None:
        self.collection, self.history, self.widening = collection, history, widening
        self.progress, self.chosen = progress, chosen
        self.archive = history if archive is None else archive
        self._cuts: Cuts = {}
        self.weights = weights_of(collection)
        unused = [e.name for e in measured if self.weights.get(e.name, 1.0) == 0]
        self.measured = measured.without(*unused)
        # Everything that is wrong with an experiment is said before anything is fitted.
        effects = self._evidence(self.measured).effects
        self.paths = {effect.experiment.name: effect.path for effect in effects}
        self.notes = [
            f"experiment {effect.experiment.name} ran before the history: the same hours "
            f"{effect.weeks_later} week{'s' * (effect.weeks_later > 1)} later stand in for its own"
            for effect in effects
            if effect.weeks_later
        ]
        self.notes += [f"experiment {name} has weight 0 and was left out" for name in unused]
        known = {e.name for e in measured}
        self.notes += [
            f"a model asks for the experiment {name}, which was not given"
            for name in self.weights
            if name not in known
        ]
        self.groups = group_into_units(collection)
        self.values, self.hidden = complete_inputs(collection, history)
        self.own: dict[tuple[str, ...], _Own] = {}

    def _evidence(self, measured: ExperimentSet) -> Evidence:
        return Evidence(
            self.collection, self.archive, measured, self.widening, self.weights, self._cuts
        )

    # Own fits

    def fit_own(self, start: bool) -> None:
        """Fit every unit to its own data, producers first."""
        for group in self.groups:
            trainable = self._trainable(group)
            if trainable and start:
                self._warm_start(group)
            unit = build_unit(self.collection, group, self.history, self.values, self.hidden)
            evidence = self._evidence(self._inside(group))
            self.own[group] = self._fit_unit(unit, evidence, trainable)
            self._publish(unit)

    def lay_out(self) -> None:
        """Build every unit at the present parameters, without fitting."""
        for group in self.groups:
            unit = build_unit(self.collection, group, self.history, self.values, self.hidden)
            losses = unit.losses()
            trainable = self._trainable(group)
            none = self._evidence(ExperimentSet())
            self.own[group] = _Own(
                unit, none, losses, losses, nothing_to_fit(unit), trainable, None
            )
            self._publish(unit)

    def certain(self) -> tuple[tuple[Unit, ...], Evidence]:
        """Units with free parameters, and all experiments at the present parameters."""
        units = tuple(own.unit for own in self.own.values() if own.unit.flat.size)
        for unit in units:
            unit.refresh()
        return units, self._evidence(self.measured)

    def _trainable(self, group: Sequence[str]) -> bool:
        leaves = self.collection.leaves
        return bool(self.chosen.intersection(group)) and any(
            parameter.requires_grad for name in group for parameter in leaves[name].parameters()
        )

    def _fit_unit(self, unit: Unit, evidence: Evidence, trainable: bool) -> _Own:
        before = unit.losses()
        if not trainable or not unit.flat.size:
            return _Own(unit, evidence, before, before, nothing_to_fit(unit), False, None)
        name = unit.name

        def report(iteration: int, loss: float) -> None:
            if self.progress is not None:
                self.progress(name, iteration, loss)

        try:
            minimum = settled(unit, self._spec(unit), report)
        except FloatingPointError:
            unit.raise_non_finite()
            raise
        precision: Precision | None = None
        if len(evidence):
            precision = precision_of(unit)
            agreed = fit_jointly([unit], [precision], evidence)
            minimum = replace(
                minimum,
                converged=minimum.converged and agreed.converged,
                iterations=minimum.iterations + agreed.iterations,
                gradient_norm=agreed.gradient_norm,
                expected_gain=agreed.expected_gain,
            )
        return _Own(unit, evidence, before, unit.losses(), minimum, True, precision)

    def _spec(self, unit: Unit) -> OptimizerSpec:
        specs = [part.model.optimizer() for part in unit.parts]
        # Models fitted together need the patience of the most patient of them.
        return max(specs, key=lambda spec: spec.max_iterations)

    def _warm_start(self, group: Sequence[str]) -> None:
        leaves = self.collection.leaves
        known = dict(self.values)
        for name in group:
            leaf = leaves[name]
            seen = {**known, **{q: self.history[q] for q in self.history if q not in self.hidden}}
            if any(parameter.requires_grad for parameter in leaf.parameters()):
                leaf.warm_start(Panel(seen))
            with torch.no_grad():
                for quantity, output in leaf.run(leaf.inputs_from(known)).items():
                    if quantity not in self.history:
                        known[quantity] = output

    def _publish(self, unit: Unit) -> None:
        """Make a unit's predictions available to the models downstream."""
        for quantity, output in unit.outputs().items():
            if quantity in self.history:
                self.values[quantity] = filled(self.history[quantity], output)
            else:
                self.values[quantity] = output.detach()

    def _inside(self, group: Sequence[str]) -> ExperimentSet:
        """Experiments that concern one unit only, correlated with no other unit's."""
        crossing = self._crossing()
        return self.measured.without(
            *(
                e.name
                for e in self.measured
                if e.name in crossing or not set(self.paths[e.name]) <= set(group)
            )
        )

    def _crossing(self) -> set[str]:
        """Experiments that join several units, or are correlated with one that does."""
        crossing = {
            e.name
            for e in self.measured
            if not any(set(self.paths[e.name]) <= set(group) for group in self.groups)
        }
        shared = {
            e.group for e in self.measured if e.name in crossing and e.group is not None
        } & set(self.measured.covariances)
        return crossing | {e.name for e in self.measured if e.group in shared}

    # The joint fit

    def fit_together(self) -> _Moved | None:
        """Move all models on paths of experiments that cross models; None if there are none."""
        crossing = self._crossing()
        on_path = {name for e in crossing for name in self.paths[e]}
        moving = [
            group for group in self.groups if on_path & set(group) and self.own[group].trainable
        ]
        if not crossing or not moving:
            return None
        touched = {name for group in moving for name in group}
        used = self.measured.without(
            *(e.name for e in self.measured if not touched & set(self.paths[e.name]))
        )
        own_effects = self._evidence(self.measured).modelled()
        homes = {group: self.own[group].unit.flat.read() for group in moving}
        precisions = {group: self._precision(group) for group in moving}
        converged = False
        for round_ in range(_ROUNDS):
            if round_:
                self._refresh_inputs(moving)
            evidence = self._evidence(used)
            for group in moving:
                self.own[group].unit.refresh()
            result = fit_jointly(
                [self.own[group].unit for group in moving],
                [precisions[group] for group in moving],
                evidence,
            )
            converged = result.converged
        for group in self.groups:
            self._publish(self.own[group].unit)
        movement = movements(
            [self.own[group].unit for group in moving],
            [precisions[group] for group in moving],
            [self.own[group].evidence for group in moving],
            [self.own[group].unit.flat.read() - homes[group] for group in moving],
        )
        return _Moved(own_effects, movement, converged)

    def _precision(self, group: tuple[str, ...]) -> Precision:
        own = self.own[group]
        return own.precision or precision_of(own.unit)

    def _refresh_inputs(self, moving: Sequence[tuple[str, ...]]) -> None:
        """Give every unit the latent inputs that the joint fit has moved; refit bystanders."""
        stale: set[str] = set()
        for group in self.groups:
            own = self.own[group]
            contracts = [part.model.contract for part in own.unit.parts]
            reads = {name for contract in contracts for name in contract.input_names}
            if reads & stale:
                unit = build_unit(self.collection, group, self.history, self.values, self.hidden)
                if group in moving or not own.trainable:
                    self.own[group] = replace(own, unit=unit)
                else:
                    fresh = self._fit_unit(unit, self._evidence(self._inside(group)), True)
                    self.own[group] = replace(fresh, before=own.before)
            if group in moving or reads & stale:
                self._publish(self.own[group].unit)
                made = {name for contract in contracts for name in contract.output_names}
                stale |= made - set(self.history)

    # The report

    def report(self, moved: _Moved | None, seconds: float) -> FitReport:
        """Put together what was reached."""
        members: dict[str, MemberFit] = {}
        for group in self.groups:
            own = self.own[group]
            now = own.unit.losses()
            for part in own.unit.parts:
                frozen = not own.trainable or not any(
                    parameter.requires_grad for parameter in part.model.parameters()
                )
                members[part.name] = MemberFit(
                    name=part.name,
                    fitted_with=own.unit.names,
                    loss_start=own.before[part.name],
                    loss=own.after[part.name],
                    loss_joint=now[part.name],
                    converged=own.minimum.converged or not own.trainable,
                    iterations=own.minimum.iterations,
                    gradient_norm=own.minimum.gradient_norm,
                    expected_gain=own.minimum.expected_gain,
                    movement=moved.movement.get(part.name, {}) if moved else {},
                    frozen=frozen,
                )
        # As whoever reads the fit back would: latent inputs follow the last step.
        units, evidence = prepared(
            self.collection, self.history, self.measured, self.widening, self.archive
        )
        precisions = [precision_of(unit) for unit in units] if len(evidence) else []
        expected = left_out_of(units, precisions, evidence)
        effects = evidence.modelled()
        experiments = tuple(
            ExperimentFit(
                name=e.name,
                path=effect.path,
                estimate=e.estimate,
                standard_error=e.standard_error,
                widened_error=e.standard_error * factors.total**0.5,
                factors=factors,
                own=(moved.own_effects if moved else effects)[e.name],
                joint=effects[e.name],
                left_out=expected[e.name],
            )
            for e, effect, factors in zip(
                evidence.experiments, evidence.effects, evidence.factors, strict=True
            )
        )
        return FitReport(
            members,
            experiments,
            conflicts_among(self.measured),
            evidence.dispersion.level if experiments else 0.0,
            moved.converged if moved else True,
            seconds,
            (*self.notes, *interference(self.collection)),
        )


def prepared(
    model: Model,
    history: Panel,
    experiments: ExperimentSet | Iterable[Experiment],
    widening: Widening | None = None,
    archive: Panel | None = None,
) -> tuple[tuple[Unit, ...], Evidence]:
    """Units of a fitted model with their inputs and targets, and the experiments on them.

    Only units with parameters that are not held.
    """
    collection = as_collection(model)
    measured = as_experiment_set(experiments)
    everything = frozenset(collection.order)
    fitting = Fitting(
        collection, history, measured, widening or Widening(), None, everything, archive
    )
    fitting.lay_out()
    return fitting.certain()
