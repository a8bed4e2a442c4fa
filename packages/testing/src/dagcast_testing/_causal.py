"""Checks of causal claims: gradients exist, have the declared sign, and no path goes undeclared."""

from collections.abc import Mapping

import torch

from dagcast_core.contract import Contract, Effect
from dagcast_core.tensor import IndexTensor, Panel
from dagcast_testing._outputs import first_cell, jittered, leaves, predicted, shown
from dagcast_testing._setting import Setting

# Gradients below this share of the largest one are rounding, not a turned effect.
_NOISE = 1e-9
_STEP = 1e-5


def check_gradients_exist(setting: Setting, seed: int) -> None:
    """Along every effect declared differentiable, the outcome's gradient reaches the lever."""
    tensors = leaves(setting.panel(seed))
    outputs = predicted(setting.model, Panel(tensors))
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
    for seed in seeds:
        tensors = leaves(setting.panel(seed))
        outputs = predicted(setting.model, Panel(tensors))
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
                f"{first_cell(lever, wrong)} (draw {seed}). fix: constrain the parameter with a "
                "transform, narrow the quantity's typical range, or claim sign='?'"
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
    """Gradients equal finite differences at random cells, so that nothing is cut out half-way."""
    panel = setting.panel(seed)
    generator = torch.Generator().manual_seed(seed)
    for effect in _direct(setting.model.contract):
        if not effect.differentiable or not panel[effect.lever].tensor.numel():
            continue
        tensors = leaves(panel)
        outputs = predicted(setting.model, Panel(tensors))
        gradient = _total_gradient(outputs[effect.outcome], tensors[effect.lever])
        if gradient is None:
            continue  # reported by check_gradients_exist
        cell = int(torch.randint(gradient.numel(), (), generator=generator))
        slope = _finite_difference(setting, effect, panel, cell)
        found = float(gradient.reshape(-1)[cell])
        scale = max(
            abs(slope),
            abs(found),
            1e-6 * float(outputs[effect.outcome].tensor.detach().abs().sum()),
        )
        assert abs(slope - found) <= 1e-3 * scale, (
            f"{_who(setting)}: expected the gradient along {effect} to equal the finite "
            f"difference {slope:.6g}; found {found:.6g} at cell {cell}. fix: look for detach(), "
            "rounding or a hand-written backward on the path"
        )


def check_undeclared_paths(setting: Setting, seed: int) -> None:
    """Whatever moves an output is declared as an effect on it, directly or in steps."""
    contract = setting.model.contract
    declared = _closure(contract)
    panel, other = setting.panel(seed), setting.panel(seed + 1)
    # Parameters that start at 0 would hide what they multiply.
    with jittered(setting.model, seed) as model:
        before = predicted(model, panel)
        for item in contract.inputs:
            after = predicted(model, Panel({**panel, item.name: other[item.name]}))
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
    step = _STEP * lever.tensor.detach().abs().clamp(min=1.0)
    moved = lever.with_tensor(lever.tensor.detach() + 1e3 * step)
    after = predicted(setting.model, Panel({**tensors, effect.lever: moved}))
    change = after[effect.outcome].tensor.sum() - outputs[effect.outcome].tensor.sum()
    return torch.full_like(lever.tensor, float(change)).detach()


def _finite_difference(setting: Setting, effect: Effect, panel: Panel, cell: int) -> float:
    lever = panel[effect.lever]
    size = _STEP * max(1.0, abs(float(lever.tensor.reshape(-1)[cell])))
    totals = []
    for direction in (1.0, -1.0):
        values = lever.tensor.detach().clone()
        values.view(-1)[cell] += direction * size
        moved = Panel({**panel, effect.lever: lever.with_tensor(values)})
        with torch.no_grad():
            totals.append(float(predicted(setting.model, moved)[effect.outcome].tensor.sum()))
    return (totals[0] - totals[1]) / (2 * size)


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
