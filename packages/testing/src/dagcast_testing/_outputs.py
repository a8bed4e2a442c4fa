"""Checks of what a model returns: labels, types, bounds, roll-ups; inputs are left alone."""

import copy
from collections.abc import Mapping

import torch

from dagcast_core.contract import Quantity, Weighted
from dagcast_core.model import Model
from dagcast_core.tensor import IndexTensor, Panel
from dagcast_testing._history import own_history, whole_history
from dagcast_testing._setting import Setting, leaves
from dagcast_testing._source import (
    clock_read,
    other_random_states,
    random_states,
    settings,
)

# Denominators of rates over time: such rates add up over regions, and over hours to an amount.
_STEPS = {"h", "d", "day", "week", "min", "s"}
_LEVELS = {"%", "degC", "degF", "K"}
# Beyond the ordinary range by this much, a value is still within bounds that have no end.
_LARGE = 1e4
_CLAMP = "transform or clamp the output, or widen the declared bounds (a major change)"
_ROLLED = "declare how it rolls up (a share is averaged), or bounds that hold for sums too"


def check_predicts(setting: Setting, seed: int) -> None:
    """The model predicts from what it declares."""
    setting.outputs(seed)


def check_labels(setting: Setting, seed: int) -> None:
    """Every output carries exactly the labels of the inputs, in their order."""
    check_labels_of(setting, setting.panel(seed), setting.outputs(seed))


def check_labels_of(
    setting: Setting, panel: Mapping[str, IndexTensor], outputs: Mapping[str, IndexTensor]
) -> None:
    """Assert that ``outputs`` carry the labels of ``panel``, in their order."""
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
    outputs = setting.outputs(seed)
    for quantity in setting.model.contract.outputs:
        found = str(outputs[quantity.name].dtype).removeprefix("torch.")
        assert found == quantity.dtype, (
            f"{_who(setting)}: expected output {quantity.name!r} of dtype {quantity.dtype}; "
            f"found {found}. fix: compute in {quantity.dtype} throughout"
        )


def check_values(setting: Setting, seed: int) -> None:
    """Every output value is finite and within the declared bounds."""
    check_within(setting, setting.outputs(seed))


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
    # A night hour has neither riders nor drivers: 0 / 0 shows where both are at the bound.
    for place, word in ((0, "least"), (1, "greatest")):
        ends = {i.name: i.quantity.bounds[place] for i in setting.inputs}
        together = {
            name: panel[name].with_tensor(torch.full_like(panel[name].tensor, end))
            for name, end in ends.items()
            if end is not None
        }
        if len(together) > 1:
            at = f" where {', '.join(map(repr, together))} are at their {word} values together"
            _assert_finite(setting, leaves({**panel, **together}), at)


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


def check_within(
    setting: Setting, outputs: Mapping[str, IndexTensor], at: str = "", *, slack: float = 1e-9
) -> None:
    """Assert that ``outputs`` keep bounds, but for a share ``slack``, and hold numbers."""
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
        _assert_bounds(setting, quantity, output, at, _CLAMP, slack)


def _assert_bounds(
    setting: Setting,
    quantity: Quantity,
    output: IndexTensor,
    at: str,
    fix: str,
    slack: float = 1e-9,
) -> None:
    low, high = quantity.bounds
    outside = torch.zeros_like(output.tensor, dtype=torch.bool)
    # One rounding error beyond a bound is no broken promise.
    room = slack * (1 + output.tensor.abs())
    if low is not None:
        outside |= output.tensor < low - room
    if high is not None:
        outside |= output.tensor > high + room
    if bool(outside.any()):
        value = output.tensor[outside][0].item()
        raise AssertionError(
            f"{_who(setting)}: expected output {quantity.name!r} in {quantity.bounds}; "
            f"found {value:g} at {first_cell(output, outside)}{at}. fix: {fix}"
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
    """The same inputs give the same bits, whatever the global random state and the clock."""
    clock = clock_read(setting.model)
    assert clock is None, (
        f"{_who(setting)}: expected the same outputs at any time of day; found that {clock}. fix: "
        "read the time off the labels of the inputs"
    )
    panel = setting.panel(seed)
    with other_random_states(1):
        before = random_states()
        first = predicted(setting.model, panel)
        moved = [name for name, value in random_states().items() if value != before[name]]
    with other_random_states(2):
        second = predicted(setting.model, panel)
    for name in first:
        assert same(first[name].tensor, second[name].tensor), (
            f"{_who(setting)}: expected the same {name!r} from the same inputs; found a "
            "difference between two calls. fix: draw nothing at random and keep no state in forward"
        )
    # A setting that the very first prediction changes is the same before and after any other.
    now = settings()
    moved += [
        name for name, value in setting.kept.get("settings", now).items() if value != now[name]
    ]
    assert not moved, (
        f"{_who(setting)}: expected a prediction to leave the process as it was; found that it "
        f"changes {', '.join(moved)}. fix: give what is random a generator of its own, and leave "
        "settings to whoever runs the model"
    )


def check_large_values(setting: Setting, seed: int) -> None:
    """Values far beyond the ordinary, where the bounds allow them, give finite outputs."""
    panel = setting.panel(seed)
    for item in setting.inputs:
        given = panel[item.name]
        if not given.tensor.is_floating_point():
            continue
        low, high = item.quantity.bounds
        for end, sign, word in ((high, 1.0, "large"), (low, -1.0, "low")):
            # Where a bound is near, the test at the bounds has been there.
            if end is None:
                far = given.with_tensor(sign * _LARGE * given.tensor.abs().clamp(min=1.0))
                size = sign * float(far.tensor.abs().max())
                at = f" where {item.name!r} is as {word} as {size:.3g}"
                _assert_finite(setting, leaves({**panel, item.name: far}), at)


def check_single_precision(setting: Setting, seed: int) -> None:
    """Inputs in float32, as an accelerator or a file may hand them over, give the same outputs."""
    panel = setting.panel(seed)
    single = {
        name: tensor.to(torch.float32) if tensor.tensor.is_floating_point() else tensor
        for name, tensor in panel.items()
    }
    double = {
        name: tensor.to(torch.float64) if tensor.tensor.is_floating_point() else tensor
        for name, tensor in single.items()
    }
    expected, found = (
        predicted(setting.model, Panel(double)),
        predicted(setting.model, Panel(single)),
    )
    check_within(setting, found, " where the inputs are float32", slack=1e-5)
    for name, values in expected.items():
        size = float(values.tensor.detach().abs().max()) if values.tensor.numel() else 0.0
        off = (values.tensor - found[name].tensor).abs() > 1e-3 * size
        assert not bool(off.any()), (
            f"{_who(setting)}: expected {name!r} of inputs in float32 to equal that of the same in "
            f"float64; found a difference at {first_cell(values, off)}. fix: compute in float64 "
            "where digits cancel"
        )


def check_roll_ups(setting: Setting, seed: int) -> None:
    """What is rolled up as declared keeps the declared bounds, and what is added up can be."""
    rolled = {**setting.panel(seed), **setting.outputs(seed)}
    for quantity in setting.model.contract.outputs:
        for dim in quantity.dims:
            how = quantity.aggregated(dim.name)
            if how == "sum":
                _, slash, per = quantity.unit.rpartition("/")
                level = quantity.unit in _LEVELS or (slash and per not in _STEPS)
                assert not level, (
                    f"{_who(setting)}: expected output {quantity.name!r} in {quantity.unit} to be "
                    f"averaged along {dim.name!r}; found that it is declared to be summed. fix: "
                    "declare the aggregation 'mean', or Weighted by what it is a rate of"
                )
            values = rolled[quantity.name].detach()
            if not values.tensor.is_floating_point() or not values.sizes[dim.name]:
                continue
            if isinstance(how, Weighted):
                if how.by not in rolled:
                    continue
                weights = rolled[how.by].detach().clamp(min=0.0)
                total = (values * weights).sum(dim.name) / weights.sum(dim.name)
            else:
                total = values.sum(dim.name) if how == "sum" else values.mean(dim.name)
            at = f" where it is rolled up along {dim.name!r} ({how})"
            _assert_bounds(setting, quantity, total, at, _ROLLED)


def check_state_dict(setting: Setting, seed: int) -> None:
    """A model's state, loaded into a fresh copy, predicts the same: nothing is kept elsewhere.

    The model first sees other inputs, and its start is taken from data, as before a fit: from its
    own quantities alone, and from everything that a real history holds.
    """
    panel = setting.panel(seed)
    # Other tests have predicted with the model itself.
    fresh = setting.kept.get("fresh") or copy.deepcopy(setting.model)
    before = predicted(copy.deepcopy(fresh), panel)
    for what, learner in (
        ("earlier predictions", _after_other_inputs(fresh, setting.panel(seed + 1))),
        ("warm_start", _after_warm_start(fresh, own_history(setting, seed))),
        ("warm_start", _after_warm_start(fresh, whole_history(setting, seed))),
    ):
        learned = jittered(learner, seed)
        state = learned.state_dict()
        expected = predicted(learned, panel)
        twin = copy.deepcopy(fresh)
        twin.load_state_dict(state)
        found = predicted(twin, panel)
        for name, values in expected.items():
            assert same(values.tensor, found[name].tensor), (
                f"{_who(setting)}: expected {name!r} to survive state_dict and load_state_dict; "
                f"found that {what} left something outside. fix: register what is learned as a "
                "parameter or a buffer"
            )
    # What lies outside every model survives in this process, and in no other.
    untouched = predicted(copy.deepcopy(fresh), panel)
    for name, values in before.items():
        assert same(values.tensor, untouched[name].tensor), (
            f"{_who(setting)}: expected {name!r} of one model to stay as it was when another was "
            "started; found it changed. fix: keep nothing in the module or the class"
        )


def _after_other_inputs(fresh: Model, other: Panel) -> Model:
    model = copy.deepcopy(fresh)
    predicted(model, other)
    return model


def _after_warm_start(fresh: Model, history: Panel) -> Model:
    model = copy.deepcopy(fresh)
    model.warm_start(history)
    return model


def check_constructions(setting: Setting, again: Model) -> None:
    """Another construction starts with the same values and predicts the same, bit for bit."""
    first, second = setting.model.state_dict(), again.state_dict()
    for name in dict.fromkeys((*first, *second)):
        agree = name in first and name in second and same(first[name], second[name])
        assert agree, (
            f"{_who(setting)}: expected {name!r} to start the same in every construction; found "
            "another start in the second. fix: start from declared values, not from a clock or "
            "from random numbers"
        )
    expected = setting.outputs(0)
    found = predicted(again, setting.panel(0))
    for name, values in expected.items():
        assert same(values.tensor, found[name].tensor), (
            f"{_who(setting)}: expected the same {name!r} of every construction; found a "
            "difference. fix: keep what a model is made of in its arguments, not in a clock, a "
            "counter or random numbers"
        )


def predicted(model: Model, panel: Panel) -> Panel:
    """Run the model on what it declares."""
    return model.predict(panel)


def sum_of(outputs: Mapping[str, IndexTensor]) -> torch.Tensor:
    """Return the sum of everything real-valued in ``outputs``."""
    return sum(
        (o.tensor.sum() for o in outputs.values() if o.tensor.is_floating_point()),
        start=torch.zeros((), dtype=torch.float64),
    )


def jittered(model: Model, seed: int, scale: float = 0.1) -> Model:
    """A copy with every parameter moved a little at random: a start of 0 hides what it multiplies.

    A copy, because graphs of the model itself are kept for other tests.
    """
    moved = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in moved.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(noise.to(parameter.dtype), alpha=scale)
    return moved


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
    if not mask.ndim:
        return "its only cell"
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
