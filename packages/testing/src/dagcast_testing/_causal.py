"""Checks of causal claims: gradients exist, have the declared sign, and no path goes undeclared."""

import contextlib
import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from dagcast_core.contract import Contract, Effect
from dagcast_core.model import Model, ModelCollection
from dagcast_core.tensor import IndexTensor, Panel
from dagcast_testing._history import own_history
from dagcast_testing._outputs import first_cell, predicted, shown
from dagcast_testing._setting import Setting, jittered, leaves

# Gradients below this share of the largest one are rounding, not a turned effect.
_NOISE = 1e-9
# Relative steps of finite differences. A corner between two points is crossed by one of the steps
# only, a gradient that is cut is missed by both.
_STEPS = (1e-5, 1e-7)


def check_gradients_exist(setting: Setting, seed: int) -> None:
    """Along every effect declared differentiable, the outcome's gradient reaches the lever."""
    tensors, outputs = setting.traced(seed)
    for effect in _direct(setting.model.contract):
        if not effect.differentiable:
            continue
        gradient = _total_gradient(outputs[effect.outcome], tensors[effect.lever])
        assert gradient is not None, (
            f"{_who(setting)}: expected a gradient along the effect {effect}; found none, so no "
            "plan could be made through it. fix: keep the path in torch (no detach, item, numpy "
            "or whole numbers), or declare differentiable=False"
        )
        assert bool(torch.isfinite(gradient).all()), (
            f"{_who(setting)}: expected finite gradients along the effect {effect}; found "
            f"{first_cell(tensors[effect.lever], ~torch.isfinite(gradient))}"
        )


def check_signs(setting: Setting, seeds: range) -> None:
    """The total effect of every cell of a lever has the declared sign, and vanishes in no region.

    The total effect is that on the sum of the outcome over all its cells: a bonus that moves
    driver hours from the next hour to this one counts what is left of both.
    """
    claims = [e for e in _direct(setting.model.contract) if e.sign != "?"]
    alive: dict[Effect, torch.Tensor] = {}
    levers: dict[Effect, IndexTensor] = {}
    # The claim holds to both ends of what is typical.
    tried = [(setting, seed, f"draw {seed}") for seed in seeds]
    tried.append((setting.corners(seeds[0]), seeds[0], "at the ends of what is typical"))
    for where, seed, said in tried:
        tensors, outputs = where.traced(seed)
        for effect in claims:
            lever = tensors[effect.lever]
            slope = _slope(setting, effect, tensors, outputs)
            if slope is None:
                continue
            signed = slope if effect.sign == "+" else -slope
            wrong = signed < -_NOISE * signed.abs().max().clamp(min=1e-300)
            assert not bool(wrong.any()), (
                f"{_who(setting)}: expected the effect {effect} to have the sign "
                f"{effect.sign!r} everywhere; found {slope[wrong][0].item():.3g} at "
                f"{first_cell(lever, wrong)} ({said}). fix: constrain the parameter with a "
                "transform, or claim sign='?'"
            )
            levers[effect] = lever
            alive[effect] = alive.get(effect, torch.zeros_like(signed)).maximum(signed)
    for effect, largest in alive.items():
        _assert_alive(setting, effect, levers[effect], largest)


def _assert_alive(
    setting: Setting, effect: Effect, lever: IndexTensor, largest: torch.Tensor
) -> None:
    time = setting.model.contract.input(effect.lever).quantity.time_dim
    reduced = largest
    kept = list(lever.dims)
    if time is not None:
        reduced = largest.amax(dim=kept.index(time.name)) if largest.numel() else largest
        kept.remove(time.name)
    dead = reduced == 0
    if bool(dead.any()):
        places = torch.nonzero(dead)
        cells = [
            ", ".join(f"{d}={lever.index(d)[int(i)]}" for d, i in zip(kept, row, strict=True))
            for row in places
        ]
        raise AssertionError(
            f"{_who(setting)}: expected the effect {effect} in every cell's label; found none at "
            f"any draw or hour for {shown(list(cells)) if kept else 'the lever'}. fix: give the "
            "effect a non-zero start there, or do not claim it"
        )


def check_gradient_values(setting: Setting, seed: int) -> None:
    """Gradients equal finite differences along a random direction over all cells of all levers.

    No cell is skipped, and where the two differ the first bad cell is found by bisection. What is
    differentiated is a sum of the outcome's cells with random weights, so that no error cancels.
    The same goes for the parameters: what has no gradient is never learned.
    """
    # Parameters that start at 0 would hide what they multiply.
    model = jittered(setting.model, seed)
    tensors = leaves(setting.panel(seed))
    outputs = predicted(model, Panel(tensors))
    generator = torch.Generator().manual_seed(seed)
    for outcome in model.contract.output_names:
        if not outputs[outcome].tensor.requires_grad:
            continue
        effects = [
            e
            for e in _direct(model.contract)
            if e.outcome == outcome and e.differentiable and tensors[e.lever].tensor.numel()
        ]
        weights = 0.5 + _uniform(outputs[outcome].tensor, generator)
        if effects:
            _check_levers(model, effects, tensors, outputs, weights, generator)
        _check_parameters(model, outcome, tensors, outputs, weights, generator)


def _check_levers(
    model: Model,
    effects: Sequence[Effect],
    tensors: Mapping[str, IndexTensor],
    outputs: Mapping[str, IndexTensor],
    weights: torch.Tensor,
    generator: torch.Generator,
) -> None:
    outcome = effects[0].outcome
    levers = [tensors[effect.lever].tensor for effect in effects]

    def after(values: Sequence[torch.Tensor]) -> torch.Tensor:
        moved = {
            e.lever: tensors[e.lever].with_tensor(v) for e, v in zip(effects, values, strict=True)
        }
        return predicted(model, Panel({**tensors, **moved}))[outcome].tensor

    bad = _first_bad(levers, outputs[outcome].tensor, after, weights, generator)
    if bad is not None:
        effect = effects[bad.which]
        raise AssertionError(
            f"{model.contract.model}: expected the gradient along {effect} to equal the finite "
            f"difference {bad.expected:.6g}; found {bad.found:.6g} at "
            f"{first_cell(tensors[effect.lever], bad.cell)}, the first such cell. fix: look for "
            "detach(), rounding or a hand-written backward on the path"
        )


def _check_parameters(
    model: Model,
    outcome: str,
    tensors: Mapping[str, IndexTensor],
    outputs: Mapping[str, IndexTensor],
    weights: torch.Tensor,
    generator: torch.Generator,
) -> None:
    learned = {n: p for n, p in model.named_parameters() if p.requires_grad and p.numel()}
    if not learned:
        return
    # The graph of the model itself is still needed.
    moved = copy.deepcopy(model)
    theirs = [parameter for name, parameter in moved.named_parameters() if name in learned]

    def after(values: Sequence[torch.Tensor]) -> torch.Tensor:
        for parameter, value in zip(theirs, values, strict=True):
            parameter.copy_(value)
        return predicted(moved, Panel(tensors))[outcome].tensor

    held = list(learned.values())
    bad = _first_bad(held, outputs[outcome].tensor, after, weights, generator)
    if bad is not None:
        name = list(learned)[bad.which]
        raise AssertionError(
            f"{model.contract.model}: expected the gradient of {outcome!r} by the parameter "
            f"{name.removesuffix('.raw')!r} to equal the finite difference {bad.expected:.6g}; "
            f"found {bad.found:.6g}{_label_of(model, name, bad.cell)}, so a fit would learn it "
            "wrong. fix: look for detach(), rounding or a hand-written backward on the path"
        )


def _label_of(model: Model, name: str, cell: torch.Tensor) -> str:
    """Where in a labelled parameter ``cell`` is, as ' at (region=north)'."""
    for known, parameter in model.labelled_parameters():
        if parameter.dims and name == f"{known}.raw":
            return f" at {first_cell(parameter.value(), cell)}"
    return ""


@dataclass(frozen=True, slots=True)
class _Bad:
    """The first cell at which a gradient is wrong: in which tensor, where, and what it is."""

    which: int
    cell: torch.Tensor
    expected: float
    found: float


def _first_bad(
    levers: Sequence[torch.Tensor],
    outcome: torch.Tensor,
    after: Callable[[Sequence[torch.Tensor]], torch.Tensor],
    weights: torch.Tensor,
    generator: torch.Generator,
) -> _Bad | None:
    """Compare gradients with finite differences; ``after`` predicts from other values."""
    total = (outcome * weights).sum()
    found = torch.autograd.grad(total, levers, retain_graph=True, allow_unused=True)
    # A lever without any gradient was reported by the test before.
    gradients = [
        torch.zeros_like(x) if g is None else g for x, g in zip(levers, found, strict=True)
    ]
    moves = []
    for lever in levers:
        heads = torch.where(_uniform(lever, generator) < 0.5, -1.0, 1.0).to(lever.dtype)
        moves.append(
            heads * (0.5 + _uniform(lever, generator)) * lever.detach().abs().clamp(min=1.0)
        )
    products = torch.cat(
        [(g * m).detach().reshape(-1) for g, m in zip(gradients, moves, strict=True)]
    )
    sizes = [lever.numel() for lever in levers]

    def change(mask: torch.Tensor, step: float) -> float:
        totals = []
        parts = torch.split(mask, sizes)
        for direction in (step, -step):
            values = [
                x.detach() + direction * m * part.reshape(x.shape)
                for x, m, part in zip(levers, moves, parts, strict=True)
            ]
            with torch.no_grad():
                totals.append(float((after(values) * weights).sum()))
        return (totals[0] - totals[1]) / (2 * step)

    size = float(total.detach().abs())

    def wrong(mask: torch.Tensor) -> bool:
        expected, reach = float((products * mask).sum()), float((products * mask).abs().sum())
        return all(
            abs(change(mask, step) - expected) > 1e-5 * reach + 1e-14 / step * (size + 1.0)
            for step in _STEPS
        )

    if not wrong(torch.ones_like(products)):
        return None
    only = torch.zeros_like(products)
    only[_first_wrong(wrong, len(products))] = 1.0
    which, cell, unit = next(
        (i, part.reshape(x.shape) > 0, float((part.reshape(x.shape) * move).sum()))
        for i, (x, part, move) in enumerate(
            zip(levers, torch.split(only, sizes), moves, strict=True)
        )
        if bool(part.any())
    )
    expected = change(only, _STEPS[0]) / unit
    # A zero has no sign.
    return _Bad(which, cell, expected + 0.0, float((products * only).sum()) / unit + 0.0)


def _first_wrong(wrong: Callable[[torch.Tensor], bool], count: int) -> int:
    """Position of the first cell with a wrong gradient: cells before it are right together."""
    right, bad = 0, count
    while bad - right > 1:
        middle = (right + bad) // 2
        mask = torch.zeros(count, dtype=torch.float64)
        mask[:middle] = 1.0
        if wrong(mask):
            bad = middle
        else:
            right = middle
    return bad - 1


def _uniform(like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return torch.rand(like.shape, generator=generator, dtype=torch.float64)


def check_undeclared_paths(setting: Setting, seed: int) -> None:
    """Whatever moves an output is declared as an effect on it, directly or in steps."""
    contract = setting.model.contract
    declared = _closure(contract)
    panel, other = setting.panel(seed), setting.panel(seed + 1)
    # Parameters that start at 0 would hide what they multiply.
    model = jittered(setting.model, seed)
    before = predicted(model, panel)
    for item in contract.inputs:
        after = predicted(model, Panel({**panel, item.name: other[item.name]}))
        _assert_read(setting, item.name, (panel, other), before, after, seed)
        for name, values in before.items():
            moved = ~torch.isclose(
                values.tensor, after[name].tensor, rtol=1e-9, atol=1e-12, equal_nan=True
            )
            assert not bool(moved.any()) or (item.name, name) in declared, (
                f"{_who(setting)}: expected an Effect({item.name!r}, {name!r}) in the "
                f"contract; found that {item.name!r} moves {name!r} at "
                f"{first_cell(values, moved)} without one. fix: declare it, with sign='?' if "
                "nothing is claimed and differentiable=False if no gradient flows"
            )


def _unmoved(before: Panel, after: Panel) -> list[str]:
    return [n for n in before if bool(torch.equal(before[n].tensor, after[n].tensor))]


def _started(setting: Setting, seed: int) -> Model:
    """The model as a history starts it; as it is, where that fails, which has a test of its own."""
    model = copy.deepcopy(setting.model)
    with contextlib.suppress(Exception):
        model.warm_start(own_history(setting, seed))
    return jittered(model, seed)


def _assert_read(
    setting: Setting,
    name: str,
    panels: tuple[Panel, Panel],
    before: Panel,
    after: Panel,
    seed: int,
) -> None:
    """An input that is declared, and an effect of it that is claimed, are there."""
    panel, other = panels
    same = bool(torch.equal(panel[name].tensor, other[name].tensor))
    # The only input that is sure to be there may be read for its labels alone.
    labels = not any(item.required for item in setting.inputs if item.name != name)
    # Members of a collection are tried by themselves.
    if same or labels or isinstance(setting.model, ModelCollection):
        return
    still = _unmoved(before, after)
    if still:
        # What a history teaches may be the same everywhere before there is one.
        started = _started(setting, seed)
        both = (panel, Panel({**panel, name: other[name]}))
        still = [n for n in _unmoved(*(predicted(started, known) for known in both)) if n in still]
    assert len(still) < len(before), (
        f"{_who(setting)}: expected the declared input {name!r} to move some output; found that "
        "all its values may be others and no output is. fix: read it, or take it from the contract"
    )
    claimed = [e for e in _direct(setting.model.contract) if e.lever == name and e.outcome in still]
    assert not claimed, (
        f"{_who(setting)}: expected the declared effect {claimed[0]} to be there; found that all "
        f"values of {name!r} may be others and {claimed[0].outcome!r} stays. fix: take the effect "
        "from the contract, or mend the path"
    )


def _direct(contract: Contract) -> list[Effect]:
    # Effects of an own output are steps inside a nested collection, tested by its members.
    return [effect for effect in contract.effects if effect.lever in contract.input_names]


def _total_gradient(outcome: IndexTensor, lever: IndexTensor) -> torch.Tensor | None:
    if not lever.tensor.requires_grad or not outcome.tensor.requires_grad:
        return None
    (gradient,) = torch.autograd.grad(
        outcome.tensor.sum(), lever.tensor, retain_graph=True, allow_unused=True
    )
    return gradient


def _slope(
    setting: Setting,
    effect: Effect,
    tensors: Mapping[str, IndexTensor],
    outputs: Mapping[str, IndexTensor],
) -> torch.Tensor | None:
    if effect.differentiable:
        return _total_gradient(outputs[effect.outcome], tensors[effect.lever])
    lever = tensors[effect.lever]
    if not lever.tensor.is_floating_point():
        return None
    # Without a gradient the whole lever is moved, which shows the sign of the sum of its cells.
    step = 1e-2 * lever.tensor.detach().abs().clamp(min=1.0)
    moved = lever.with_tensor(lever.tensor.detach() + step)
    after = predicted(setting.model, Panel({**tensors, effect.lever: moved}))
    change = after[effect.outcome].tensor.sum() - outputs[effect.outcome].tensor.sum()
    return torch.full_like(lever.tensor, float(change)).detach()


def _closure(contract: Contract) -> set[tuple[str, str]]:
    arrows: dict[str, set[str]] = {}
    for effect in contract.effects:
        arrows.setdefault(effect.lever, set()).add(effect.outcome)
    pairs: set[tuple[str, str]] = set()
    for name in contract.input_names:
        stack = [name]
        while stack:
            for outcome in arrows.get(stack.pop(), ()):
                if (name, outcome) not in pairs:
                    pairs.add((name, outcome))
                    stack.append(outcome)
    return pairs


def _who(setting: Setting) -> str:
    return setting.model.contract.model
