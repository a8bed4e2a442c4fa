"""Checks of windows: how short they are, where they begin, and every hour of a year."""

import pandas as pd
import torch

from dagcast_core.model import ModelCollection
from dagcast_core.tensor import IndexTensor, Panel
from dagcast_testing._outputs import check_labels_of, check_within, first_cell, predicted
from dagcast_testing._problems import said
from dagcast_testing._reads import moved_at, steps_of
from dagcast_testing._setting import Setting

# Steps by which a window begins later; neither a day nor a week, nor a divisor of one.
_LATER = 5
# Not a year that the other windows lie in.
_YEAR, _YEAR_FROM = 365 * 24, pd.Timestamp("2029-02-01T00:00:00Z")
_WINDOWS = (
    ("2026-03-28T18:00:00Z", 24, "a change to summer time"),
    ("2026-10-24T18:00:00Z", 24, "a change from summer time"),
    ("2026-12-31T12:00:00Z", 24, "a year's end"),
    ("2028-02-28T12:00:00Z", 48, "a leap day"),
    ("2026-03-08T03:00:00Z", 24, "a window from another hour on"),
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
                f"{said(error)}. fix: handle windows longer than the horizon"
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


def check_windows(setting: Setting, seed: int) -> None:
    """Windows over a change of the clocks, a year's end and a leap day, and from another hour.

    Where a window begins makes no difference to the hours that the model's memory leaves alone.
    """
    for begin, hours, what in _WINDOWS:
        window = setting.with_hours(hours + setting.reach).with_start(pd.Timestamp(begin))
        try:
            outputs = window.outputs(seed)
        except Exception as error:
            raise AssertionError(
                f"{_who(setting)}: expected a prediction over {what}; found "
                f"{said(error)}. fix: take labels of time as instants in UTC"
            ) from error
        check_labels_of(window, window.panel(seed), outputs)
        check_within(window, outputs, f" over {what}")
        later = Panel(
            {n: steps_of(setting, t, slice(_LATER, None)) for n, t in window.panel(seed).items()}
        )
        found = predicted(setting.model, later).detach()
        for name, values in outputs.items():
            time = setting.model.contract.output(name).time_dim
            if time is None:
                continue
            rest = values.isel({time.name: slice(_LATER, None)})
            moved = moved_at(setting, name, rest, found[name], setting.back, None)
            assert moved is None, (
                f"{_who(setting)}: expected {name!r} not to depend on where a window begins; found "
                f"it changed at {moved} when the window over {what} begins {_LATER} steps later. "
                "fix: go by the labels of time, not by positions in the window"
            )


def check_year(setting: Setting, seed: int) -> None:
    """Every hour of a year has values within the bounds, and stands for itself.

    What happens on one day of a year only is seen there. Where a model reads neither ahead nor
    back, every other hour is exchanged, and the hours between must not move.
    """
    if isinstance(setting.model, ModelCollection):
        # Members are tried by themselves.
        return
    year = setting.with_hours(_YEAR).with_start(_YEAR_FROM)
    panel = year.panel(seed)
    try:
        outputs = predicted(year.model, panel)
    except Exception as error:
        raise AssertionError(
            f"{_who(setting)}: expected a prediction over every hour of a year; found "
            f"{said(error)}. fix: take labels of time as instants in UTC"
        ) from error
    check_labels_of(year, panel, outputs)
    check_within(year, outputs, " in some hour of a year")
    if setting.reach:
        return
    other = year.panel(seed + 1)
    for first in (0, 1):
        mixed = Panel({n: _alternated(setting, panel[n], other[n], first) for n in panel})
        found = predicted(year.model, mixed)
        for name, values in outputs.items():
            time = setting.model.contract.output(name).time_dim
            if time is None:
                continue
            axis = values.dims.index(time.name)
            kept = torch.arange(values.tensor.shape[axis]) % 2 != first
            kept = kept.reshape([-1 if i == axis else 1 for i in range(len(values.dims))])
            off = kept & ~torch.isclose(
                values.tensor, found[name].tensor, rtol=1e-9, atol=1e-12, equal_nan=True
            )
            assert not bool(off.any()), (
                f"{_who(setting)}: expected {name!r} not to depend on other hours; found it "
                f"changed at {first_cell(values, off)} when the hours around it changed. fix: read "
                "only what is known by then, or declare look_ahead or memory"
            )


def _alternated(
    setting: Setting, tensor: IndexTensor, other: IndexTensor, first: int
) -> IndexTensor:
    """A tensor that is another's at every second step, from ``first`` on."""
    time = setting.model.contract.input(str(tensor.name)).quantity.time_dim
    if time is None:
        return tensor
    axis = tensor.dims.index(time.name)
    steps = torch.arange(tensor.tensor.shape[axis]) % 2 == first
    steps = steps.reshape([-1 if i == axis else 1 for i in range(len(tensor.dims))])
    return tensor.with_tensor(torch.where(steps, other.tensor, tensor.tensor))


def _who(setting: Setting) -> str:
    return setting.model.contract.model
