"""Checks of what a model returns: labels, types, bounds, roll-ups; inputs are left alone."""

import itertools
import math
import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import torch

from dagcast_core.contract import Quantity, Weighted
from dagcast_core.model import Model, ModelCollection
from dagcast_core.tensor import IndexTensor, Panel
from dagcast_testing._problems import place_of, said
from dagcast_testing._setting import Setting, leaves

# Denominators of rates over time: such rates add up over regions, and over hours to an amount.
_STEPS = {"h", "d", "day", "week", "min", "s"}
_PHYSICAL = {"1", "%", "mm", "cm", "m", "km", "mi", "degC", "degF", "K", "kWh", "min", "h", "cent"}
_LEVELS = {"%", "degC", "degF", "K"}
# Beyond the ordinary range by this much, a value is still within bounds that have no end.
_LARGE = 1e4
# Share of cells that may be unlike the rest.
_FEW = 0.1
_CLAMP = "transform or clamp the output, or widen the declared bounds (a major change)"
_ROLLED = "declare how it rolls up (a share is averaged), or bounds that hold for sums too"


def check_predicts(setting: Setting, seed: int) -> None:
    """The model predicts from what it declares."""
    try:
        setting.outputs(seed)
    except Exception as error:
        # A wrong return is found out when the line that made it is left already.
        place = place_of(error) or forward_of(setting.model, str(error))
        made = ", ".join(setting.model.contract.output_names)
        raise AssertionError(
            f"{_who(setting)}: expected forward to make {made} of the declared inputs; "
            f"found {said(error, place)}. fix: correct the line, or the contract"
        ) from error


def forward_of(model: Model, text: str) -> str:
    """Say where ``forward`` of the model that ``text`` names begins, as ' at model.py:38'."""
    parts = model.leaves if isinstance(model, ModelCollection) else {}
    named = re.search(r"forward of (\S+) ", text)
    code = type(parts.get(named[1], model) if named else model).forward.__code__
    return f" at {Path(code.co_filename).name}:{code.co_firstlineno}"


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
            if sources[0].index(dim).equals(output.index(dim)):
                continue
            wanted, found = list(sources[0].index(dim)), list(output.index(dim))
            lost: list[object] = [label for label in wanted if label not in set(found)]
            added: list[object] = [label for label in found if label not in set(wanted)]
            raise AssertionError(
                f"{_who(setting)}: expected output {quantity.name!r} along {dim!r} to have the "
                f"{len(wanted)} labels of its inputs in their order; found "
                f"{_otherwise(sources[0].index(dim), output.index(dim), lost, added)}. fix: "
                "combine tensors by label, and keep the left order"
            )


def _otherwise(wanted: pd.Index, found: pd.Index, lost: list[object], added: list[object]) -> str:
    """How labels differ: which, else of what type they are, else their order."""
    if lost or added:
        return f"missing {shown(lost)}, added {shown(added)}"
    if wanted.dtype != found.dtype:
        return f"the same as {found.dtype} where the inputs have {wanted.dtype}"
    return f"another order or number, {shown(list(found))}"


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
    """Every output value is finite, within the declared bounds, and no other output's."""
    outputs = setting.outputs(seed)
    check_within(setting, outputs)
    _assert_own_values(setting, outputs)


def _assert_own_values(setting: Setting, outputs: Panel) -> None:
    """No two outputs of one unit have each other's typical values: then they are exchanged."""
    usual = [q for q in setting.model.contract.outputs if q.typical is not None]
    for one, other in itertools.combinations(usual, 2):
        if one.unit != other.unit or set(one.dim_names) != set(other.dim_names):
            continue
        own = _share_within(outputs[one.name], one), _share_within(outputs[other.name], other)
        crossed = _share_within(outputs[one.name], other), _share_within(outputs[other.name], one)
        assert max(own) > _FEW or min(crossed) < 1 - _FEW, (
            f"{_who(setting)}: expected output {one.name!r} in {one.typical} and {other.name!r} in "
            f"{other.typical} where inputs are typical; found the values of one in the other. fix: "
            "return each under its own name, or correct the typical ranges"
        )


def _share_within(output: IndexTensor, quantity: Quantity) -> float:
    low, high = quantity.typical or (-math.inf, math.inf)
    inside = (output.tensor >= low) & (output.tensor <= high)
    return float(inside.double().mean()) if inside.numel() else 0.0


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
    for item in setting.inputs:
        low, high = item.quantity.bounds
        given = panel[item.name]
        # 0 degrees is as ordinary as any other.
        inside = (low is None or low < 0) and (high is None or high > 0)
        if inside and given.tensor.is_floating_point():
            zeros = given.with_tensor(torch.zeros_like(given.tensor))
            at = f" where {item.name!r} is 0"
            _assert_finite(setting, leaves({**panel, item.name: zeros}), at)
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
            _assert_alike(setting, quantity, dim.name)
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


def _assert_alike(setting: Setting, quantity: Quantity, dim: str) -> None:
    """A weight is something that adds up, and counts of one contract roll up alike."""
    contract = setting.model.contract
    declared = {q.name: q for q in (*(i.quantity for i in contract.inputs), *contract.outputs)}
    how = quantity.aggregated(dim)
    if isinstance(how, Weighted):
        weight = declared.get(how.by)
        assert weight is None or dim not in weight.dim_names or weight.aggregated(dim) == "sum", (
            f"{_who(setting)}: expected output {quantity.name!r} to be weighted along {dim!r} by "
            f"what is added up there; found {how.by!r}, which is {weight.aggregated(dim)}. fix: "
            "weigh by the count that the output is a rate of"
        )
    if how != "mean" or not _counts(quantity):
        return
    summed = [q.name for q in declared.values() if _counts(q) and q.aggregated(dim) == "sum"]
    assert not summed, (
        f"{_who(setting)}: expected output {quantity.name!r} in {quantity.unit} to be summed along "
        f"{dim!r}, as {summed[0]!r} is; found that it is averaged. fix: declare the aggregation "
        f"{{{dim!r}: 'sum'}}"
    )


def _counts(quantity: Quantity) -> bool:
    """Whether a quantity counts something per step of time; a speed or a wage does not."""
    noun, slash, per = quantity.unit.rpartition("/")
    amount = bool(slash) and per in _STEPS and quantity.currency is None
    return amount and noun not in _PHYSICAL and "/" not in noun


def predicted(model: Model, panel: Panel) -> Panel:
    """Run the model on what it declares."""
    return model.predict(panel)


def sum_of(outputs: Mapping[str, IndexTensor]) -> torch.Tensor:
    """Return the sum of everything real-valued in ``outputs``."""
    return sum(
        (o.tensor.sum() for o in outputs.values() if o.tensor.is_floating_point()),
        start=torch.zeros((), dtype=torch.float64),
    )


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
