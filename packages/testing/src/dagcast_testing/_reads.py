"""Checks of what a model reads: declared quantities only, labels not positions, no future."""

import copy

import numpy as np
import torch

from dagcast_core.contract import Contract, Quantity
from dagcast_core.model import ModelCollection
from dagcast_core.tensor import IndexTensor, Panel
from dagcast_testing._outputs import (
    check_labels_of,
    check_within,
    first_cell,
    predicted,
    same,
    shown,
)
from dagcast_testing._problems import said
from dagcast_testing._setting import Setting

_DAY, _WEEK = 24, 168
# Share of its memory, at least, that a model is seen to use.
_FADES = 8


def check_declared_reads(setting: Setting, seed: int) -> None:
    """Other quantities in the panel change nothing; declared ones are read by their own name."""
    panel = setting.panel(seed)
    expected = setting.outputs(seed)
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
    """Labels in another order give the same values by label: nothing goes by position.

    Labels are turned round, every one to the next place: no weights by position but equal ones
    stay the same. One label by itself has the values that it has among the others.
    """
    panel = setting.panel(seed)
    expected = setting.outputs(seed)
    dims = {d.name for i in setting.inputs for d in i.quantity.dims if d.kind != "time"}
    for dim in sorted(dims):
        turned = {n: rolled_on(t, dim, 1) if dim in t.dims else t for n, t in panel.items()}
        found = predicted(setting.model, Panel(turned))
        check_labels_of(setting, turned, found)
        for name, values in expected.items():
            again = rolled_on(found[name], dim, -1) if dim in values.dims else found[name]
            assert torch.allclose(values.tensor, again.tensor, rtol=1e-9, equal_nan=True), (
                f"{_who(setting)}: expected {name!r} by label to be the same when the labels of "
                f"{dim!r} come in another order; found a difference at "
                f"{_differs(values, again)}. fix: combine by label, never by position"
            )
    own = _apart(setting.model.contract)
    if own is not None and own in dims:
        first = next(t.index(own)[0] for t in panel.values() if own in t.dims)
        _check_apart(setting, panel, expected, own, [first], f"{first!r}", "by itself")


def check_look_ahead(setting: Setting, seed: int) -> None:
    """The future is exchanged from every hour on, and the past must not move.

    A shorter horizon must not move it either: nothing waits for the end.
    """
    long = setting.with_hours(_hours(setting))
    look_ahead = setting.model.contract.look_ahead
    whole, other = long.panel(seed), long.panel(seed + 1)
    expected, replaced = long.outputs(seed), long.outputs(seed + 1)
    late: str | None = None
    # What is declared and never used would let an output be late, or a loop be refused, unseen.
    unused = {"memory": setting.model.memory > 0, "look_ahead": look_ahead > 0}
    for cut in _cuts(long):
        mixed = _spliced(whole, other, cut, long)
        found = predicted(setting.model, mixed).detach()
        for name, values in expected.items():
            moved = moved_at(setting, name, values, found[name], 0, cut - look_ahead)
            if moved is not None:
                source = _source_of(setting, whole, mixed, name, cut - look_ahead)
                raise AssertionError(
                    f"{_who(setting)}: expected {name!r} not to depend on {source!r} more than "
                    f"{look_ahead} steps ahead; found it changed at {moved} when {source!r} "
                    f"changed from {_label(setting, values, cut)} on. fix: read only what is known "
                    "by then, or declare the look_ahead (a major change)"
                )
            if unused["look_ahead"]:
                moved = moved_at(setting, name, values, found[name], 0, cut)
                unused["look_ahead"] = moved is None
            if unused["memory"] and cut > _longest_lag(setting) + 1:
                # What fades is out of sight before it is gone.
                some = cut + setting.model.memory // _FADES
                moved = moved_at(setting, name, replaced[name], found[name], some, None)
                unused["memory"] = moved is None
            if late is None and not isinstance(setting.model, ModelCollection):
                # The first steps hold the earliest value of a lagged input.
                first = max(cut, _longest_lag(setting) + 1) + setting.model.memory
                moved = moved_at(setting, name, replaced[name], found[name], first, None)
                if moved is not None:
                    late = _late(setting, name, moved, _label(setting, values, cut - 1))
    some_of_it = setting.model.memory // _FADES
    back = f"more than {some_of_it} steps back" if some_of_it else "back at all"
    for what, idle in unused.items():
        assert not idle or isinstance(setting.model, ModelCollection), (
            f"{_who(setting)}: expected the declared {what} to be used; found no output that reads "
            f"{back if what == 'memory' else 'ahead at all'}. fix: declare what is read, so that "
            "an output at the wrong hour is seen"
        )
    # The same pass says how far back the model reads: one test finds it, and another reports it.
    setting.kept["late", seed] = late
    for missing in (1, 24):
        _check_shorter(setting, long, seed, missing)


def check_memory(setting: Setting, seed: int) -> None:
    """What happened longer ago than the declared lags and memory makes no difference.

    An output that is right but a step late reads one step further back than it should. Members
    of a collection are tried by themselves.
    """
    if ("late", seed) not in setting.kept:
        check_look_ahead(setting, seed)
    late = setting.kept["late", seed]
    assert late is None, late


def _late(setting: Setting, name: str, moved: str, before: object) -> str:
    lags = ", beside declared lags" if _longest_lag(setting) else ""
    return (
        f"{_who(setting)}: expected {name!r} not to depend on inputs more than "
        f"{setting.model.memory} steps back{lags}; found that at {moved} it does, on hours until "
        f"{before}. fix: mend the labels if it is late, else declare how far back the model reads "
        "as its `memory`"
    )


def _longest_lag(setting: Setting) -> int:
    return max((item.lag for item in setting.inputs), default=0)


def _hours(setting: Setting) -> int:
    # Every hour of a week is cut once, with room on both sides for what the model may read; of a
    # collection, whose members are tried by themselves, every hour of a day.
    week = _DAY if isinstance(setting.model, ModelCollection) else _WEEK
    return max(week + 2 * setting.reach + 2, setting.hours)


def _cuts(long: Setting) -> range:
    if isinstance(long.model, ModelCollection):
        return range(long.hours - _DAY, long.hours)
    return range(1, long.hours)


def _check_shorter(setting: Setting, long: Setting, seed: int, missing: int) -> None:
    panel, expected = long.panel(seed), long.outputs(seed)
    kept = long.hours - missing
    short = Panel({name: steps_of(setting, t, slice(0, kept)) for name, t in panel.items()})
    found = predicted(setting.model, short).detach()
    for name, values in expected.items():
        time = setting.model.contract.output(name).time_dim
        if time is None or found[name].sizes[time.name] != kept:
            continue
        past = values.isel({time.name: slice(0, kept)})
        settled = kept - setting.model.contract.look_ahead
        moved = moved_at(setting, name, past, found[name], 0, settled)
        assert moved is None, (
            f"{_who(setting)}: expected {name!r} not to depend on where the horizon ends; found it "
            f"changed at {moved} when it ends {missing} steps sooner. fix: read only what is known "
            "by then, or declare the look_ahead (a major change)"
        )


def moved_at(
    setting: Setting,
    name: str,
    values: IndexTensor,
    found: IndexTensor,
    start: int,
    end: int | None,
) -> str | None:
    """First cell from step ``start`` to before ``end`` at which ``found`` differs, if any."""
    time = setting.model.contract.output(name).time_dim
    if time is None:
        return None
    axis = values.dims.index(time.name)
    end = values.tensor.shape[axis] if end is None else end
    if end <= start:
        return None
    before = values.tensor.narrow(axis, start, end - start)
    after = found.tensor.narrow(axis, start, end - start)
    if bool(torch.equal(before, after)):
        return None
    moved = ~torch.isclose(before, after, rtol=1e-9, atol=1e-12, equal_nan=True)
    if not bool(moved.any()):
        return None
    return first_cell(values.isel({time.name: slice(start, end)}), moved)


def _source_of(setting: Setting, whole: Panel, mixed: Panel, name: str, settled: int) -> str:
    """The input whose exchange alone moves the output, else all of them."""
    expected = predicted(setting.model, whole)[name]
    for source in whole:
        found = predicted(setting.model, whole.assign({source: mixed[source]}))[name]
        if moved_at(setting, name, expected, found, 0, settled) is not None:
            return source
    return ", ".join(whole)


def _label(setting: Setting, values: IndexTensor, step: int) -> object:
    time = next(d.name for i in setting.inputs for d in i.quantity.dims if d.kind == "time")
    return values.index(time)[step] if time in values.dims else step


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
            found = wider.outputs(seed)
        except Exception as error:
            raise AssertionError(
                f"{_who(setting)}: expected the unseen label {newcomer!r} of {dim!r} to get the "
                f"pooled value; found {said(error)}. fix: keep what is learned "
                "by label in self.parameter(...), which falls back on the pooled value"
            ) from error
        check_labels_of(wider, panel, found)
        check_within(wider, found, f" with the unseen label {newcomer!r}")
        if dim != _apart(setting.model.contract):
            # Labels of other dims may be summed over or shared out, and a further one has a part.
            continue
        _check_apart(
            setting, panel, found, dim, list(known), "known labels", "beside an unseen one"
        )
        # Nothing that was trained need be there.
        who = f"the unseen label {newcomer!r}"
        _check_apart(wider, panel, found, dim, [newcomer], who, "by itself")
        _check_pooled(wider, panel, dim, newcomer)


def _check_apart(
    setting: Setting, panel: Panel, found: Panel, dim: str, kept: list[object], who: str, where: str
) -> None:
    """Some labels by themselves have what they have among all."""
    narrower = {n: t.sel({dim: kept}) if dim in t.dims else t for n, t in panel.items()}
    try:
        alone = predicted(setting.model, Panel(narrower))
    except Exception as error:
        raise AssertionError(
            f"{_who(setting)}: expected a prediction for {shown(kept)} of {dim!r} alone; found "
            f"{said(error)}. fix: let every "
            "label stand for itself"
        ) from error
    for name, values in alone.items():
        if dim not in values.dims:
            continue
        beside = found[name].sel({dim: kept})
        assert torch.allclose(values.tensor, beside.tensor, rtol=1e-9, equal_nan=True), (
            f"{_who(setting)}: expected {name!r} of {who} of {dim!r} to be the same {where}; found "
            f"a difference at {_differs(values, beside)}. fix: let every label stand for itself"
        )


def _check_pooled(wider: Setting, panel: Panel, dim: str, newcomer: str) -> None:
    """Where nothing learned tells the known labels apart, an unseen one is like them.

    Every label gets the inputs of the first and every parameter its mean over the labels. A model
    that tells known labels apart all the same, by what it keeps beside parameters, is left alone.
    """
    model = copy.deepcopy(wider.model)
    for _, parameter in model.labelled_parameters():
        if dim in parameter.dims:
            raw, axis = parameter.raw.detach(), parameter.dims.index(dim)
            parameter.raw.data.copy_(raw.mean(dim=axis, keepdim=True).expand_as(raw))
    alike = {}
    for name, tensor in panel.items():
        if dim in tensor.dims:
            axis = tensor.dims.index(dim)
            first = tensor.tensor.narrow(axis, 0, 1).expand_as(tensor.tensor)
            tensor = tensor.with_tensor(first.clone())
        alike[name] = tensor
    for name, values in predicted(model, Panel(alike)).items():
        if dim not in values.dims:
            continue
        axis = values.dims.index(dim)
        first = values.tensor.narrow(axis, 0, 1).expand_as(values.tensor)
        off = ~torch.isclose(values.tensor, first, rtol=1e-9, atol=1e-12, equal_nan=True)
        strange = [
            label
            for label, o in zip(values.index(dim), off.unbind(axis), strict=True)
            if bool(o.any())
        ]
        assert strange != [newcomer], (
            f"{_who(wider)}: expected {name!r} of the unseen label {newcomer!r} to be that of the "
            f"known ones where inputs and parameters are the same; found another at "
            f"{first_cell(values, off)}. fix: keep what is learned by label in "
            "self.parameter(...), and read it with .at(...)"
        )


def _apart(contract: Contract) -> str | None:
    """The dim whose labels are markets of their own: the one that most quantities carry.

    Of several it is the last, which by custom stands next to the hour: (incentive, region, hour).
    """
    quantities = (*(item.quantity for item in contract.inputs), *contract.outputs)
    dims = [dim.name for q in quantities for dim in q.dims if dim.kind == "label"]
    most = max(map(dims.count, dims), default=0)
    return next((dim for dim in reversed(dims) if dims.count(dim) == most), None)


def rolled_on(tensor: IndexTensor, dim: str, by: int) -> IndexTensor:
    """Move every label along ``dim`` ``by`` places on, the last to the front."""
    places = np.roll(np.arange(tensor.sizes[dim]), by)
    return tensor.isel({dim: places.tolist()})


def steps_of(setting: Setting, tensor: IndexTensor, steps: slice) -> IndexTensor:
    time = setting.model.contract.input(str(tensor.name)).quantity.time_dim
    return tensor if time is None else tensor.isel({time.name: steps})


def _spliced(before: Panel, after: Panel, cut: int, setting: Setting) -> Panel:
    """Every input as in ``before`` until step ``cut``, and as in ``after`` from there.

    A lagged input is exchanged as much sooner: what the model is given changes at ``cut``.
    """
    mixed = {}
    for item in setting.inputs:
        tensor, other = before[item.name], after[item.name]
        time = item.quantity.time_dim
        if time is not None:
            axis = tensor.dims.index(time.name)
            head = max(cut - item.lag, 1)
            rest = tensor.tensor.shape[axis] - head
            parts = [tensor.tensor.narrow(axis, 0, head), other.tensor.narrow(axis, head, rest)]
            tensor = tensor.with_tensor(torch.cat(parts, axis))
        mixed[item.name] = tensor
    return Panel(mixed)


def _differs(left: IndexTensor, right: IndexTensor) -> str:
    if left.shape != right.shape:
        return f"shapes {tuple(left.shape)} and {tuple(right.shape)}"
    mask = ~torch.isclose(left.tensor, right.tensor, rtol=1e-9, equal_nan=True)
    return first_cell(left, mask) if bool(mask.any()) else shown([])


def _who(setting: Setting) -> str:
    return setting.model.contract.model
