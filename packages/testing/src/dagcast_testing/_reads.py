"""Checks of what a model reads: declared quantities only, labels not positions, no future."""

import numpy as np
import torch

from dagcast_core.contract import Contract, Quantity
from dagcast_core.tensor import IndexTensor, Panel
from dagcast_testing._outputs import check_within, first_cell, predicted, same, shown
from dagcast_testing._setting import Setting


def check_declared_reads(setting: Setting, seed: int) -> None:
    """Other quantities in the panel change nothing; declared ones are read by their own name."""
    panel = setting.panel(seed)
    expected = predicted(setting.model, panel)
    stray = Quantity("undeclared_quantity", setting.model.contract.outputs[0].dims, unit="1")
    own = [q for q in setting.model.contract.outputs if q.name not in panel]
    rng = np.random.default_rng(seed)
    extra = {quantity.name: setting.draw(quantity, rng) for quantity in (stray, *own)}
    found = predicted(setting.model, Panel({**panel, **extra}))
    for name, values in expected.items():
        assert same(values.tensor, found[name].tensor), (
            f"{_who(setting)}: expected {name!r} to depend on declared inputs only; found it "
            f"changed when the panel also held {', '.join(extra)}. fix: declare what is read"
        )


def check_missing_inputs(setting: Setting, seed: int) -> None:
    """Without a required input the model refuses, naming it; without an optional one it runs.

    An optional input that is left out has to act as its default does in every cell.
    """
    panel = setting.panel(seed)
    for item in setting.inputs:
        rest = Panel({name: tensor for name, tensor in panel.items() if name != item.name})
        if item.required:
            try:
                predicted(setting.model, rest)
            except Exception as error:
                text = str(error)
            else:
                text = "no error"
            assert item.name in text, (
                f"{_who(setting)}: expected an error that names the required input {item.name!r} "
                f"when it is missing; found {text}. fix: declare it required=False with a "
                "default, or read it"
            )
            continue
        given = panel[item.name]
        filled = given.with_tensor(torch.full_like(given.tensor, float(item.default or 0.0)))
        expected = predicted(setting.model, Panel({**rest, item.name: filled}))
        found = predicted(setting.model, rest)
        for name, values in expected.items():
            assert torch.allclose(values.tensor, found[name].tensor, equal_nan=True), (
                f"{_who(setting)}: expected {name!r} without the optional input {item.name!r} to "
                f"equal {name!r} with its default {item.default} in every cell; found a "
                f"difference at {_differs(values, found[name])}"
            )


def check_label_order(setting: Setting, seed: int) -> None:
    """Labels in another order give the same values by label: nothing goes by position."""
    panel = setting.panel(seed)
    expected = predicted(setting.model, panel)
    dims = {d.name for i in setting.inputs for d in i.quantity.dims if d.kind != "time"}
    for dim in sorted(dims):
        turned = {n: _reversed(t, dim) if dim in t.dims else t for n, t in panel.items()}
        found = predicted(setting.model, Panel(turned))
        for name, values in expected.items():
            again = _reversed(found[name], dim) if dim in values.dims else found[name]
            assert torch.allclose(values.tensor, again.tensor, rtol=1e-9, equal_nan=True), (
                f"{_who(setting)}: expected {name!r} by label to be the same when the labels of "
                f"{dim!r} come in another order; found a difference at "
                f"{_differs(values, again)}. fix: combine by label, never by position"
            )


def check_look_ahead(setting: Setting, seed: int) -> None:
    """Perturbing the future leaves the past where it was, beyond the declared look-ahead."""
    look_ahead = setting.model.contract.look_ahead
    panel = setting.panel(seed)
    other = setting.panel(seed + 1)
    expected = predicted(setting.model, panel)
    for cut in (setting.hours // 3, setting.hours // 2, 2 * setting.hours // 3):
        settled = cut - look_ahead
        if settled <= 0:
            continue
        for item in setting.inputs:
            time = item.quantity.time_dim
            if time is None:
                continue
            mixed = _spliced(panel[item.name], other[item.name], time.name, cut)
            found = predicted(setting.model, Panel({**panel, item.name: mixed}))
            for name, values in expected.items():
                _assert_settled(setting, item.name, (name, values, found[name]), cut, settled)


def _assert_settled(
    setting: Setting,
    source: str,
    result: tuple[str, IndexTensor, IndexTensor],
    cut: int,
    settled: int,
) -> None:
    name, values, found = result
    time = setting.model.contract.output(name).time_dim
    if time is None:
        return
    axis = values.dims.index(time.name)
    before = values.tensor.narrow(axis, 0, settled)
    after = found.tensor.narrow(axis, 0, settled)
    moved = ~torch.isclose(before, after, rtol=1e-9, atol=1e-12, equal_nan=True)
    if bool(moved.any()):
        past = values.isel({time.name: slice(0, settled)})
        raise AssertionError(
            f"{_who(setting)}: expected {name!r} not to depend on {source!r} more than "
            f"{setting.model.contract.look_ahead} steps ahead; found it changed at "
            f"{first_cell(past, moved)} when {source!r} changed from "
            f"{values.index(time.name)[cut]} on. fix: read only what is known by then, or declare "
            "the look_ahead (a major change)"
        )


def check_horizons(setting: Setting, seed: int) -> None:
    """A horizon of one hour works, and an empty one gives empty outputs."""
    for hours in (1, 0):
        short = setting.with_hours(hours)
        try:
            outputs = predicted(setting.model, short.panel(seed))
        except Exception as error:
            raise AssertionError(
                f"{_who(setting)}: expected a prediction over a horizon of {hours} steps; found "
                f"{type(error).__name__}: {error}. fix: handle windows longer than the horizon"
            ) from error
        for quantity in setting.model.contract.outputs:
            if quantity.time_dim is None:
                continue
            size = outputs[quantity.name].sizes[quantity.time_dim.name]
            assert size == hours, (
                f"{_who(setting)}: expected {hours} steps of {quantity.name!r} over a horizon of "
                f"{hours}; found {size}"
            )
        check_within(setting, outputs, f" over a horizon of {hours} steps")


def check_unseen_labels(setting: Setting, seed: int) -> None:
    """A label unseen in training is served by pooling and changes nothing for the others."""
    for dim, known in sorted(setting.labels.items()):
        if not any(dim in item.quantity.dim_names for item in setting.inputs):
            continue
        if any(not isinstance(label, str) for label in known):
            continue
        newcomer = f"unseen {dim}"
        wider = setting.with_labels(**{dim: (*known, newcomer)})
        panel = wider.panel(seed)
        try:
            found = predicted(setting.model, panel)
        except Exception as error:
            raise AssertionError(
                f"{_who(setting)}: expected the unseen label {newcomer!r} of {dim!r} to get the "
                f"pooled value; found {type(error).__name__}: {error}. fix: keep what is learned "
                "by label in self.parameter(...), which falls back on the pooled value"
            ) from error
        check_within(wider, found, f" with the unseen label {newcomer!r}")
        if dim != _apart(setting.model.contract):
            # Labels of other dims may be summed over or shared out, and a further one has a part.
            continue
        narrower = {n: t.sel({dim: list(known)}) if dim in t.dims else t for n, t in panel.items()}
        alone = predicted(setting.model, Panel(narrower))
        for name, values in alone.items():
            if dim not in values.dims:
                continue
            beside = found[name].sel({dim: list(known)})
            assert torch.allclose(values.tensor, beside.tensor, rtol=1e-9, equal_nan=True), (
                f"{_who(setting)}: expected {name!r} of known labels of {dim!r} to be the same "
                f"beside an unseen one; found a difference at {_differs(values, beside)}"
            )


def _apart(contract: Contract) -> str | None:
    """The dim whose labels are markets of their own: the one that most quantities carry.

    Of several it is the last, which by custom stands next to the hour: (incentive, region, hour).
    """
    quantities = (*(item.quantity for item in contract.inputs), *contract.outputs)
    dims = [dim.name for q in quantities for dim in q.dims if dim.kind == "label"]
    most = max(map(dims.count, dims), default=0)
    return next((dim for dim in reversed(dims) if dims.count(dim) == most), None)


def _reversed(tensor: IndexTensor, dim: str) -> IndexTensor:
    return tensor.isel({dim: list(range(tensor.sizes[dim]))[::-1]})


def _spliced(before: IndexTensor, after: IndexTensor, dim: str, cut: int) -> IndexTensor:
    axis = before.dims.index(dim)
    size = before.sizes[dim]
    parts = [before.tensor.narrow(axis, 0, cut), after.tensor.narrow(axis, cut, size - cut)]
    return before.with_tensor(torch.cat(parts, axis))


def _differs(left: IndexTensor, right: IndexTensor) -> str:
    if left.shape != right.shape:
        return f"shapes {tuple(left.shape)} and {tuple(right.shape)}"
    mask = ~torch.isclose(left.tensor, right.tensor, rtol=1e-9, equal_nan=True)
    return first_cell(left, mask) if bool(mask.any()) else shown([])


def _who(setting: Setting) -> str:
    return setting.model.contract.model
