"""From a labelled decision problem to the flat one that the solver sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, final

import torch
from torch import Tensor

from dagcast_core.decide.compile._rows import (
    RowBlock,
    RowName,
    check_stated_once,
    label_words,
    limits_with_cells,
)
from dagcast_core.decide.compile._scenarios import Scenarios, run_model, run_with
from dagcast_core.decide.compile._tail import Tail
from dagcast_core.decide.declare import (
    Budget,
    Constraint,
    DecisionProblem,
    Fixed,
    Objective,
    OutcomeLimit,
    Ramp,
    budget_unit,
    group_numbers,
    label_text,
    mask_of,
    outcome_unit,
)
from dagcast_core.model import Model, Residual
from dagcast_core.solver import (
    Chains,
    DecisionError,
    LinearSet,
    OutcomeRows,
    RowFamily,
    RowLayer,
    SmoothProblem,
    families_of,
)
from dagcast_core.tensor import IndexTensor, Panel

__all__ = ["Compiled", "objective_value"]


@final
class Compiled:
    """A flat problem with the meaning of its cells and rows.

    Attributes:
        problem: the labelled problem.
        space: the cells.
        smooth: the flat problem.
        budgets: meaning of every budget row, layers in order.
        outcomes: meaning of every outcome row.
    """

    def __init__(
        self,
        problem: DecisionProblem,
        models: Sequence[Model] | None = None,
        families: tuple[RowFamily, ...] | None = None,
    ) -> None:
        self.problem = problem
        self.space = problem.space()
        self.context = {
            name: tensor
            for name, tensor in problem.context.items()
            if name not in self.space.slices
        }
        self.models: Sequence[Model] = models or (problem.model,)
        self.tail: Tail
        self.row_tails: list[Tail]
        self.scenarios = None if problem.draws is None else Scenarios(problem.model, problem.draws)
        self.limits = [c for c in problem.constraints if isinstance(c, OutcomeLimit)]
        linear, self.budgets = self._linear()
        self._rows = [self._row_block(limit, self._shape_of(limit)) for limit in self.limits]
        self.outcomes = [name for block in self._rows for name in block.names]
        check_stated_once(self.budgets, [(layer.group, layer.limit) for layer in linear.budgets])
        check_stated_once(
            self.outcomes,
            [(block.group, torch.zeros(len(block.names))) for block in self._rows],
        )
        limit = torch.tensor([name.limit for name in self.outcomes], dtype=torch.float64)
        sign = torch.tensor(
            [1.0 if name.sense == "<=" else -1.0 for name in self.outcomes], dtype=torch.float64
        )
        baseline = self._baseline(linear)
        self._set_tails(linear)
        self._check_objective(baseline)
        scale = limit.abs()
        if scale.numel():
            # A limit of 0 is relative to the outcome itself.
            values = self.evaluate(baseline)[1].detach()
            scale = torch.where(scale > 0, scale, values.abs().clamp(min=1e-12))
        rows = OutcomeRows(limit, sign, scale, ())
        self.smooth = SmoothProblem(
            self.evaluate, linear, rows, self._probes(), baseline, problem.concave
        )
        if self.outcomes:
            if families is None:
                families = families_of(self.smooth, self._candidate_groups())
            self.smooth = SmoothProblem(
                self.evaluate,
                linear,
                OutcomeRows(limit, sign, scale, families),
                self._probes(),
                baseline,
                problem.concave,
            )

    # Evaluation

    def forecast(self, x: Tensor, model: Model | None = None) -> dict[str, IndexTensor]:
        """Every output of the model at ``x``."""
        return self.run({**self.context, **self.space.panel(x)}, model)

    def run(
        self, known: Mapping[str, IndexTensor], model: Model | None = None
    ) -> dict[str, IndexTensor]:
        """Every output of the fitted model from levers and context."""
        model = self.models[0] if model is None else model
        return dict(run_model(model, known, self.problem.residuals))

    def objective_of(self, known: Mapping[str, IndexTensor]) -> Tensor:
        """The objective, maximised, from outputs, levers and context."""
        found = objective_value(self.problem.objective, known)
        return found if self.problem.objective.sense == "max" else -found

    def outcomes_of(
        self, outputs: Mapping[str, IndexTensor], levers: Mapping[str, IndexTensor]
    ) -> Tensor:
        """Left-hand sides of the outcome rows, in their units."""
        known = {**self.context, **levers, **outputs}
        parts = [block.reduced(known) for block in self._rows]
        return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.float64)

    def evaluate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Objective and outcome rows at ``x``; over draws, their smooth measures."""
        return self.values({**self.context, **self.space.panel(x)})

    def values(
        self,
        known: Mapping[str, IndexTensor],
        residuals: Mapping[str, Residual] | None = None,
        parameters: Mapping[str, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Objective and outcome rows from levers and context.

        Args:
            known: levers and context.
            residuals: instead of the problem's.
            parameters: by name in the model, instead of the fitted ones; with draws (draws, ...).
        """
        by_draw = self.by_draw(known, residuals, parameters)
        if self.scenarios is None:
            return by_draw[0][0], by_draw[1][0]
        return self._measured(*by_draw, "smooth")

    def by_draw(
        self,
        known: Mapping[str, IndexTensor],
        residuals: Mapping[str, Residual] | None = None,
        parameters: Mapping[str, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Objective (draws,) and outcome rows (draws, rows); one draw, the fit, without draws."""
        own = self.problem.residuals if residuals is None else residuals

        def from_outputs(outputs: Mapping[str, IndexTensor]) -> tuple[Tensor, Tensor]:
            everything = {**known, **outputs}
            return self.objective_of(everything), self.outcomes_of(outputs, known)

        if self.scenarios is None:
            outputs = (
                run_model(self.models[0], known, own)
                if parameters is None
                else run_with(self.models[0], parameters, known, own)
            )
            objective, rows = from_outputs(outputs)
            return objective.unsqueeze(0), rows.unsqueeze(0)
        objective, rows = self.scenarios.over(lambda run: from_outputs(run(known, own)), parameters)
        return objective, rows

    def exact(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Objective and outcome rows at ``x`` as they are reported: measures without smoothing."""
        found = self.by_draw({**self.context, **self.space.panel(x)})
        if self.scenarios is None:
            return found[0][0], found[1][0]
        return self._measured(*found, "exact")

    # Measures over draws

    @property
    def smoothed(self) -> bool:
        """Whether the solver sees smooth measures that differ from the reported ones."""
        return any(tail.measure != "mean" for tail in (self.tail, *self.row_tails))

    @property
    def convex_measures(self) -> bool:
        """Whether concave outcomes stay concave once they are measured over draws."""
        return all(tail.measure != "quantile" for tail in (self.tail, *self.row_tails))

    def sharpen(self, lift: float, row_prices: Tensor) -> None:
        """Smooth by so little that it costs about the promised share of the lift.

        Args:
            lift: of the plan found so far.
            row_prices: (rows,) objective per unit of limit.
        """
        allowed = self.problem.measured_risk.smoothing * max(lift, 0.0)
        if allowed <= 0:
            return
        self.tail = self.tail.narrowed(torch.tensor(allowed, dtype=torch.float64))
        active = max(int((row_prices != 0).sum()), 1)
        start = 0
        for k, block in enumerate(self._rows):
            prices = row_prices[start : start + len(block.names)].abs()
            start += len(block.names)
            tail = self.row_tails[k]
            worth = allowed / (active * prices.clamp(min=1e-300))
            self.row_tails[k] = tail.narrowed(worth)

    def smoothing_cost(self, x: Tensor, row_prices: Tensor) -> float:
        """What the smooth measures add to the gap at ``x``; see `_risk`."""
        if not self.smoothed:
            return 0.0
        with torch.no_grad():
            objective, rows = self.by_draw({**self.context, **self.space.panel(x)})
        cost = float(self.tail.weighted(objective) - self.tail.exact(objective))
        smooth = self._measured(objective, rows, "smooth")[1]
        weighted = self._measured(objective, rows, "weighted")[1]
        return cost + float((row_prices.abs() * (smooth - weighted).abs()).sum())

    def _measured(self, objective: Tensor, rows: Tensor, how: str) -> tuple[Tensor, Tensor]:
        parts = []
        start = 0
        for block, tail in zip(self._rows, self.row_tails, strict=True):
            own = rows[:, start : start + len(block.names)]
            start += len(block.names)
            # The worst of a value that is capped are its largest draws.
            side = -1.0 if block.limit.sense == "<=" else 1.0
            parts.append(side * getattr(tail, how)(side * own))
        measured = torch.cat(parts) if parts else rows.mean(0)
        return getattr(self.tail, how)(objective), measured

    def _set_tails(self, linear: LinearSet) -> None:
        """Widths to begin with: a tenth of the spread over draws inside the bounds."""
        none = torch.ones((), dtype=torch.float64)
        self.tail = Tail("mean", 1.0, none)
        self.row_tails = [
            Tail("mean", 1.0, torch.ones(len(block.names), dtype=torch.float64))
            for block in self._rows
        ]
        if self.scenarios is None:
            return
        # At the lower bounds, where nothing is spent, draws may not differ at all.
        reach = linear.reach()
        room = torch.where(torch.isfinite(reach), reach - linear.lower, torch.ones_like(reach))
        inside = linear.lower + 0.25 * room
        with torch.no_grad():
            objective, rows = self.by_draw({**self.context, **self.space.panel(inside)})
        risk = self.problem.measured_risk
        self.tail = Tail(risk.measure, risk.tail, _tenth(objective))
        start = 0
        for k, block in enumerate(self._rows):
            chance = block.limit.chance
            own = rows[:, start : start + len(block.names)]
            start += len(block.names)
            if chance is not None:
                measure: Literal["cvar", "quantile"] = (
                    "cvar" if block.limit.cautious else "quantile"
                )
                self.row_tails[k] = Tail(measure, 1.0 - chance, _tenth(own))

    def _check_objective(self, x: Tensor) -> None:
        """A function may return what no lever moves, or what torch cannot differentiate."""
        if not callable(self.problem.objective.quantity):
            return
        leaf = x.detach().clone().requires_grad_(True)
        if not self.evaluate(leaf)[0].requires_grad:
            raise DecisionError(
                f"no lever reaches the objective {self.problem.objective.name!r}: it does not "
                "depend on them through torch operations. Compute it from the forecast's tensors."
            )

    def decisions_of(self, x: Tensor) -> Panel:
        """The levers of a flat vector as a panel."""
        return Panel(self.space.panel(x))

    def relaxed_to(self, x: Tensor) -> tuple[tuple[Constraint, ...], tuple[str, ...]]:
        """Constraints with every outcome limit that ``x`` breaks moved to its own value.

        Returns:
            The constraints, and the limits that were moved.
        """
        with torch.no_grad():
            outcomes = self.evaluate(x)[1].tolist()
        moved: list[str] = []
        kept: list[Constraint] = []
        blocks = iter(self._rows)
        start = 0
        for item in self.problem.constraints:
            if not isinstance(item, OutcomeLimit):
                kept.append(item)
                continue
            block = next(blocks)
            limits: dict[object, float] = {}
            for k, (name, label) in enumerate(zip(block.names, block.labels, strict=True)):
                value = outcomes[start + k]
                sign = 1.0 if name.sense == "<=" else -1.0
                broken = sign * (value - name.limit) > 0
                # A hair of room: the executed decisions must count as keeping the limit.
                limits[label] = value + sign * 1e-9 * abs(value) if broken else name.limit
                if broken:
                    moved.append(str(name))
            start += len(block.names)
            kept.append(replace(item, limit=limits if item.by else next(iter(limits.values()))))
        return tuple(kept), tuple(moved)

    # Parts of the flat problem

    def _linear(self) -> tuple[LinearSet, list[RowName]]:
        problem, space = self.problem, self.space
        lower = torch.zeros(space.size, dtype=torch.float64)
        upper = torch.full((space.size,), float("inf"), dtype=torch.float64)
        for lever in problem.levers:
            part = space.slices[lever.name]
            for target, value, what in (
                (lower, lever.lower, "lower"),
                (upper, lever.upper, "upper"),
            ):
                if isinstance(value, IndexTensor):
                    target[part] = space.values_like(value, lever.name, f"{what} bounds").reshape(
                        -1
                    )
                else:
                    target[part] = float(value)
        layers: list[RowLayer] = []
        names: list[RowName] = []
        chains: list[Chains] = []
        fixed = torch.full_like(lower, float("nan"))
        for item in problem.constraints:
            if isinstance(item, Fixed):
                part = space.slices[item.lever]
                template = space.templates[item.lever]
                wanted = {dim: template.index(dim) for dim in template.dims}
                values = item.values.double().reindex(wanted, fill=float("nan"))
                flat = values.values(*template.dims).reshape(-1)
                known = torch.isfinite(flat)
                twice = known & torch.isfinite(fixed[part]) & (flat != fixed[part])
                if bool(twice.any()):
                    cell = int(torch.nonzero(twice)[0])
                    raise DecisionError(
                        f"fixed cell {space.where(part.start + cell)} is set twice, to "
                        f"{float(fixed[part][cell]):g} and to {float(flat[cell]):g}. Set it once."
                    )
                fixed[part] = torch.where(known, flat, fixed[part])
                outside = known & ((flat < lower[part]) | (flat > upper[part]))
                if bool(outside.any()):
                    cell = int(torch.nonzero(outside)[0])
                    raise DecisionError(
                        f"fixed cell {space.where(part.start + cell)} = {float(flat[cell]):g} is "
                        f"outside its bounds {float(lower[part][cell]):g} to "
                        f"{float(upper[part][cell]):g}. "
                        "Change the value or the lever's bounds."
                    )
                lower[part] = torch.where(known, flat, lower[part])
                upper[part] = torch.where(known, flat, upper[part])
            elif isinstance(item, Budget):
                layer, own = self._budget(item)
                if own:
                    layers.append(layer)
                    names += own
        for item in problem.constraints:
            if isinstance(item, Ramp):
                chains.append(self._chains(item, lower, upper))
        apart = _joined(chains)
        first = apart[0] if apart else None
        return LinearSet(lower, upper, tuple(layers), first, tuple(apart[1:])), names

    def _budget(self, budget: Budget) -> tuple[RowLayer, list[RowName]]:
        space = self.space
        what = f"the budget of {budget.name!r}"
        group = torch.full((space.size,), -1)
        labels: list[object] = []
        for lever in budget.levers:
            template = space.templates[lever]
            numbers, own = group_numbers(template, budget.by, what, budget.groups)
            if not labels:
                labels = own
            # Levers may have their labels in different orders.
            place = {label_text(label): k for k, label in enumerate(labels)}
            try:
                renumber = torch.tensor([place[label_text(label)] for label in own])
            except KeyError as error:
                raise DecisionError(
                    f"{what} is one purse, but {lever!r} has the label {error.args[0]!r} along "
                    f"{', '.join(budget.by)}, which {budget.levers[0]!r} has not. Use one budget "
                    "each."
                ) from None
            inside = mask_of(template, budget.where, what) & (numbers >= 0)
            theirs = torch.where(inside, renumber[numbers.clamp(min=0)], torch.tensor(-1))
            group[space.slices[lever]] = theirs.reshape(-1)
        present = torch.zeros(len(labels), dtype=torch.bool)
        present[group[group >= 0]] = True
        limits, kept = limits_with_cells(budget, labels, present, what)
        renumber = torch.full((len(labels),), -1)
        renumber[kept] = torch.arange(len(kept))
        group = torch.where(group >= 0, renumber[group.clamp(min=0)], group)
        unit = budget_unit(self.problem.quantity(budget.levers[0]), budget)
        names = [
            RowName(
                "budget", budget.name, label_words(labels[k], budget.where), "<=", limits[k], unit
            )
            for k in kept
        ]
        limit = torch.tensor([limits[k] for k in kept], dtype=torch.float64)
        return RowLayer(group, torch.ones(space.size, dtype=torch.float64), limit), names

    def _chains(self, ramp: Ramp, lower: Tensor, upper: Tensor) -> Chains:
        space = self.space
        template = space.templates[ramp.lever]
        part = space.slices[ramp.lever]
        axis = template.dims.index(ramp.dim)
        cells = torch.arange(part.start, part.stop).view(tuple(template.shape)).movedim(axis, -1)
        steps = cells.shape[-1]
        length = -(-steps // ramp.step)
        padded = torch.full((*cells.shape[:-1], length * ramp.step), -1)
        padded[..., :steps] = cells
        order = padded.view(*cells.shape[:-1], length, ramp.step).transpose(-1, -2)
        self._bound_first(ramp, lower, upper)
        limit = torch.full((cells.numel() // steps * ramp.step, length), float(ramp.limit))
        return Chains(order.reshape(-1, length).contiguous(), limit.double())

    def _bound_first(self, ramp: Ramp, lower: Tensor, upper: Tensor) -> None:
        """Bound the first steps by the plan in force before the horizon, where it is known."""
        current = self.problem.current
        if current is None or ramp.lever not in current:
            return
        template = self.space.templates[ramp.lever]
        given = current[ramp.lever]
        if ramp.dim not in given.dims:
            return
        index, known = template.index(ramp.dim), given.index(ramp.dim)
        earlier = known[known < index[0]]
        if not len(earlier):
            return
        part = self.space.slices[ramp.lever]
        shape = tuple(template.shape)
        axis = template.dims.index(ramp.dim)
        low = lower[part].view(shape).movedim(axis, -1)
        high = upper[part].view(shape).movedim(axis, -1)
        wanted = {dim: template.index(dim) for dim in template.dims if dim != ramp.dim}
        history = given.double().reindex(wanted, fill=float("nan"))
        before = history.sel({ramp.dim: earlier}).values(
            *[dim for dim in template.dims if dim != ramp.dim], ramp.dim
        )
        for t in range(min(ramp.step, len(index))):
            back = before.shape[-1] - ramp.step + t
            if back < 0:
                continue
            value = before[..., back]
            seen = torch.isfinite(value)
            low[..., t] = torch.where(
                seen, torch.maximum(low[..., t], value - ramp.limit), low[..., t]
            )
            high[..., t] = torch.where(
                seen, torch.minimum(high[..., t], value + ramp.limit), high[..., t]
            )
            apart = torch.nonzero((low[..., t] > high[..., t]).reshape(-1)).flatten()
            if apart.numel():
                cells = torch.arange(part.start, part.stop).view(shape).movedim(axis, -1)
                cell = int(cells[..., t].reshape(-1)[apart[0]])
                raise DecisionError(
                    f"{self.space.where(cell)} cannot be reached: the plan in force {ramp.step} "
                    f"step(s) before is {float(value.reshape(-1)[apart[0]]):g}, the ramp allows a "
                    f"change of {ramp.limit:g}, and bounds or fixed cells leave no such value "
                    f"({apart.numel()} cell(s) at that time). Widen the ramp or the bounds, or "
                    "correct the current plan."
                )

    def _shape_of(self, limit: OutcomeLimit) -> IndexTensor:
        """A tensor with the dims and labels of a limited quantity, from one forecast at zero."""
        if not hasattr(self, "_shapes"):
            with torch.no_grad():
                self._shapes = self.forecast(torch.zeros(self.space.size, dtype=torch.float64))
        return self._shapes[limit.quantity]

    def _row_block(self, limit: OutcomeLimit, like: IndexTensor) -> RowBlock:
        what = f"the limit on {limit.quantity!r}"
        numbers, labels = group_numbers(like, limit.by, what, limit.groups)
        inside = mask_of(like, limit.where, what) & (numbers >= 0)
        present = torch.zeros(len(labels), dtype=torch.bool)
        present[numbers[inside]] = True
        limits, kept = limits_with_cells(limit, labels, present, what)
        renumber = torch.full((len(labels),), len(kept))
        renumber[kept] = torch.arange(len(kept))
        group = torch.where(inside, renumber[numbers.clamp(min=0)], torch.tensor(len(kept)))
        unit = outcome_unit(self.problem.quantity(limit.quantity), limit)
        reduce = str(limit.reduce)
        if limit.chance is not None:
            reduce = f"{limit.chance:.0%} sure {reduce}"
        names = [
            RowName(
                "outcome",
                limit.quantity,
                label_words(labels[k], limit.where),
                limit.sense,
                limits[k],
                unit,
                reduce,
            )
            for k in kept
        ]
        return RowBlock(limit, like, group.reshape(-1), names, [labels[k] for k in kept])

    def _candidate_groups(self) -> list[tuple[Tensor, Tensor]]:
        """Per limit: its row numbers, and the row that each cell would touch if labels decide."""
        out = []
        start = 0
        for block in self._rows:
            count = len(block.names)
            rows = torch.arange(start, start + count)
            group = torch.full((self.space.size,), -1)
            known = {label_text(label): k for k, label in enumerate(block.labels)}
            for name, template in self.space.templates.items():
                by = block.limit.by
                if not by:
                    group[self.space.slices[name]] = start
                    continue
                if any(dim not in template.dims for dim in by):
                    continue
                groups = {dim: given for dim, given in block.limit.groups.items() if dim in by}
                numbers, labels = group_numbers(template, by, name, groups)
                rows_of = torch.tensor([known.get(label_text(label), -1) for label in labels])
                ours = torch.where(numbers >= 0, rows_of[numbers.clamp(min=0)], torch.tensor(-1))
                group[self.space.slices[name]] = torch.where(ours >= 0, ours + start, ours).reshape(
                    -1
                )
            out.append((rows, group))
            start += count
        return out

    def _probes(self) -> Tensor:
        """Masks of cells of one lever that differ in region or hour only."""
        masks = []
        for name, template in self.space.templates.items():
            quantity = self.problem.quantity(name)
            apart = [
                dim.name for dim in quantity.dims if dim.kind == "label" and dim.name != "region"
            ]
            numbers, labels = group_numbers(template, tuple(apart), name)
            for k in range(len(labels)):
                mask = torch.zeros(self.space.size, dtype=torch.bool)
                mask[self.space.slices[name]] = (numbers == k).reshape(-1)
                masks.append(mask)
        return torch.stack(masks)

    def _baseline(self, linear: LinearSet) -> Tensor:
        lower = linear.lower
        if bool(torch.isinf(lower).any()):
            cell = int(torch.nonzero(torch.isinf(lower))[0])
            raise DecisionError(f"{self.space.where(cell)} has no lower bound; give the lever one.")
        return lower.clone()


def objective_value(objective: Objective, known: Mapping[str, IndexTensor]) -> Tensor:
    """The objective as it is declared, from outputs, levers and context.

    Raises:
        DecisionError: a function returns anything but one number.
    """
    if not callable(objective.quantity):
        parts = [weight * known[name].tensor.sum() for name, weight in objective.weights.items()]
        return torch.stack(parts).sum()
    found = objective.quantity(known)
    total = found.tensor if isinstance(found, IndexTensor) else found
    if not isinstance(total, Tensor) or total.ndim != 0:
        shape = tuple(total.shape) if isinstance(total, Tensor) else type(total).__name__
        raise DecisionError(
            f"the objective {objective.name!r} returns {shape}, not one number. Sum it over its "
            "dims with torch operations."
        )
    return total


def _tenth(values: Tensor) -> Tensor:
    """A tenth of the spread over draws, and well above rounding."""
    spread = values.std(0) if values.shape[0] > 1 else torch.zeros_like(values[0])
    return torch.maximum(0.1 * spread, 1e-9 * values.abs().mean(0)).clamp(min=1e-300)


def _joined(ramps: Sequence[Chains]) -> list[Chains]:
    """Ramps of different cells as one: only those that share cells close cycles."""
    out: list[Chains] = []
    for ramp in ramps:
        cells = ramp.order[ramp.order >= 0]
        for k, other in enumerate(out):
            if not bool(torch.isin(cells, other.order).any()):
                steps = max(ramp.order.shape[1], other.order.shape[1])
                parts = (other, ramp)
                out[k] = Chains(
                    torch.cat([_widened(part.order, steps, -1) for part in parts]),
                    torch.cat([_widened(part.limit, steps, 0.0) for part in parts]),
                )
                break
        else:
            out.append(ramp)
    return out


def _widened(table: Tensor, steps: int, fill: float) -> Tensor:
    return torch.nn.functional.pad(table, (0, steps - table.shape[1]), value=fill)
