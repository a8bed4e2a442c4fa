"""Checks of what a model returns: labels, types, bounds, and that it leaves its inputs alone."""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch

from dagcast_core.contract import Quantity
from dagcast_core.model import Model
from dagcast_core.tensor import IndexTensor, Panel
from dagcast_testing._setting import Setting


def check_labels(setting: Setting, seed: int) -> None:
    """Every output carries exactly the labels of the inputs, in their order."""
    panel = setting.panel(seed)
    outputs = predicted(setting.model, panel)
    for quantity in setting.model.contract.outputs:
        output = outputs[quantity.name]
        assert output.dims == quantity.dim_names, (
            f"{_who(setting)}: expected output {quantity.name!r} with the dims "
            f"{quantity.dim_names}; found {output.dims}. fix: transpose, reduce or expand it"
        )
        for dim in quantity.dim_names:
            sources = [panel[i.name] for i in setting.inputs if dim in i.quantity.dim_names]
            if not sources:
                continue
            wanted, found = list(sources[0].index(dim)), list(output.index(dim))
            lost = [label for label in wanted if label not in found]
            added = [label for label in found if label not in wanted]
            assert wanted == found, (
                f"{_who(setting)}: expected output {quantity.name!r} along {dim!r} to have the "
                f"{len(wanted)} labels of its inputs in their order; found missing {shown(lost)}, "
                f"added {shown(added)}. fix: combine tensors by label, and keep the left order"
            )


def check_dtypes(setting: Setting, seed: int) -> None:
    """Every output has the declared dtype."""
    outputs = predicted(setting.model, setting.panel(seed))
    for quantity in setting.model.contract.outputs:
        found = str(outputs[quantity.name].dtype).removeprefix("torch.")
        assert found == quantity.dtype, (
            f"{_who(setting)}: expected output {quantity.name!r} of dtype {quantity.dtype}; "
            f"found {found}. fix: compute in {quantity.dtype} throughout"
        )


def check_values(setting: Setting, seed: int) -> None:
    """Every output value is finite and within the declared bounds."""
    check_within(setting, predicted(setting.model, setting.panel(seed)))


def check_at_bounds(setting: Setting, seed: int) -> None:
    """Inputs at their bounds, such as night hours of zeros, give finite outputs.

    The gradients have to stay finite too: one infinite gradient spoils a whole fit.
    """
    panel = setting.panel(seed)
    for item in setting.inputs:
        for end, word in zip(item.quantity.bounds, ("least", "greatest"), strict=True):
            if end is None:
                continue
            extreme = panel[item.name].with_tensor(torch.full_like(panel[item.name].tensor, end))
            at = f" where {item.name!r} is at its {word} value {end:g}"
            _assert_finite(setting, leaves({**panel, item.name: extreme}), at)


def _assert_finite(setting: Setting, tried: Mapping[str, IndexTensor], at: str) -> None:
    outputs = predicted(setting.model, Panel(tried))
    check_within(setting, outputs, at)
    total = sum_of(outputs)
    if not total.requires_grad:
        return
    wrt = [t.tensor for t in tried.values() if t.tensor.requires_grad]
    wrt += [p for p in setting.model.parameters() if p.requires_grad]
    for gradient in torch.autograd.grad(total, wrt, allow_unused=True):
        assert gradient is None or bool(torch.isfinite(gradient).all()), (
            f"{_who(setting)}: expected finite gradients; found infinite or undefined ones"
            f"{at}. fix: clamp before a logarithm, a root or a division, which have no finite "
            "slope at 0"
        )


def check_within(setting: Setting, outputs: Mapping[str, IndexTensor], at: str = "") -> None:
    """Assert that ``outputs`` keep bounds and hold numbers."""
    for quantity in setting.model.contract.outputs:
        output = outputs[quantity.name]
        if not output.tensor.is_floating_point():
            continue
        missing = torch.isnan(output.tensor)
        assert quantity.nullable or not bool(missing.any()), (
            f"{_who(setting)}: expected numbers in output {quantity.name!r}; found NaN at "
            f"{first_cell(output, missing)}{at}. fix: keep undefined operations out of "
            "the cell, or declare nullable=True"
        )
        infinite = torch.isinf(output.tensor)
        assert not bool(infinite.any()), (
            f"{_who(setting)}: expected numbers in output {quantity.name!r}; found an infinite "
            f"value at {first_cell(output, infinite)}{at}. fix: clamp before dividing"
        )
        _assert_bounds(setting, quantity, output, at)


def _assert_bounds(setting: Setting, quantity: Quantity, output: IndexTensor, at: str) -> None:
    low, high = quantity.bounds
    outside = torch.zeros_like(output.tensor, dtype=torch.bool)
    # One rounding error beyond a bound is no broken promise.
    slack = 1e-9 * (1 + output.tensor.abs())
    if low is not None:
        outside |= output.tensor < low - slack
    if high is not None:
        outside |= output.tensor > high + slack
    if bool(outside.any()):
        value = output.tensor[outside][0].item()
        raise AssertionError(
            f"{_who(setting)}: expected output {quantity.name!r} in {quantity.bounds}; "
            f"found {value:g} at {first_cell(output, outside)}{at}. fix: transform or clamp the "
            "output, or widen the declared bounds (a major change)"
        )


def check_no_mutation(setting: Setting, seed: int) -> None:
    """Prediction leaves its inputs and its own parameters as they were."""
    panel = setting.panel(seed)
    before = {name: tensor.tensor.clone() for name, tensor in panel.items()}
    state = copy.deepcopy(setting.model.state_dict())
    predicted(setting.model, panel)
    for name, values in before.items():
        assert same(panel[name].tensor, values), (
            f"{_who(setting)}: expected input {name!r} unchanged; found it changed in place. "
            "fix: assign a new tensor instead of an in-place operation"
        )
    for name, values in setting.model.state_dict().items():
        assert same(values, state[name]), (
            f"{_who(setting)}: expected a prediction to leave {name!r} as it was; found it changed"
        )


def check_determinism(setting: Setting, seed: int) -> None:
    """The same inputs give the same bits, whatever the global random state."""
    panel = setting.panel(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        first = predicted(setting.model, panel)
        torch.manual_seed(2)
        second = predicted(setting.model, panel)
    for name in first:
        assert same(first[name].tensor, second[name].tensor), (
            f"{_who(setting)}: expected the same {name!r} from the same inputs; found a "
            "difference between two calls. fix: draw nothing at random and keep no state in forward"
        )


def check_state_dict(setting: Setting, seed: int) -> None:
    """A model's state, loaded into a fresh copy, predicts the same: nothing is kept elsewhere.

    The model first sees other inputs, and its start is taken from data, as before a fit.
    """
    panel = setting.panel(seed)
    fresh = copy.deepcopy(setting.model)
    for what, learner in (
        ("earlier predictions", _after_other_inputs(setting, seed)),
        ("warm_start", _after_warm_start(setting, seed)),
    ):
        with jittered(learner, seed):
            state = {name: value.clone() for name, value in learner.state_dict().items()}
            expected = predicted(learner, panel)
        twin = copy.deepcopy(fresh)
        twin.load_state_dict(state)
        found = predicted(twin, panel)
        for name, values in expected.items():
            assert same(values.tensor, found[name].tensor), (
                f"{_who(setting)}: expected {name!r} to survive state_dict and load_state_dict; "
                f"found that {what} left something outside. fix: register what is learned as a "
                "parameter or a buffer"
            )


def _after_other_inputs(setting: Setting, seed: int) -> Model:
    model = copy.deepcopy(setting.model)
    predicted(model, setting.panel(seed + 1))
    return model


def _after_warm_start(setting: Setting, seed: int) -> Model:
    model = copy.deepcopy(setting.model)
    inputs = setting.panel(seed + 1)
    rng = np.random.default_rng(seed + 2)
    outputs = {q.name: setting.draw(q, rng) for q in model.contract.outputs}
    model.warm_start(Panel({**inputs, **outputs}))
    return model


def predicted(model: Model, panel: Panel) -> Panel:
    """Run the model on what it declares."""
    return model.predict(panel)


def leaves(tensors: Mapping[str, IndexTensor]) -> dict[str, IndexTensor]:
    """Return copies of ``tensors`` that record gradients where their dtype has any."""
    return {
        name: tensor.with_tensor(
            tensor.tensor.detach().clone().requires_grad_(tensor.tensor.is_floating_point())
        )
        for name, tensor in tensors.items()
    }


def sum_of(outputs: Mapping[str, IndexTensor]) -> torch.Tensor:
    """Return the sum of everything real-valued in ``outputs``."""
    return sum(
        (o.tensor.sum() for o in outputs.values() if o.tensor.is_floating_point()),
        start=torch.zeros((), dtype=torch.float64),
    )


@contextmanager
def jittered(model: Model, seed: int, scale: float = 0.1) -> Iterator[Model]:
    """Move every parameter a little at random, and back: a start of 0 hides what it multiplies."""
    state = {name: value.clone() for name, value in model.state_dict().items()}
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(noise.to(parameter.dtype), alpha=scale)
    try:
        yield model
    finally:
        model.load_state_dict(state)


def same(left: torch.Tensor, right: torch.Tensor) -> bool:
    """Tell whether two tensors hold the same values, missing ones included."""
    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    if not left.is_floating_point():
        return bool(torch.equal(left, right))
    return bool(((left == right) | (left.isnan() & right.isnan())).all())


def first_cell(tensor: IndexTensor, mask: torch.Tensor) -> str:
    """Name the labels of the first cell where ``mask`` holds, and how many there are."""
    count = int(mask.sum())
    place = torch.nonzero(mask)[0].tolist()
    labels = [f"{dim}={tensor.index(dim)[i]}" for dim, i in zip(tensor.dims, place, strict=True)]
    rest = f" and {count - 1} more cells" if count > 1 else ""
    return f"({', '.join(labels)}){rest}"


def shown(labels: list[object]) -> str:
    """Write a few of ``labels``."""
    if not labels:
        return "none"
    rest = f" and {len(labels) - 3} more" if len(labels) > 3 else ""
    return ", ".join(str(label) for label in labels[:3]) + rest


def _who(setting: Setting) -> str:
    return setting.model.contract.model
