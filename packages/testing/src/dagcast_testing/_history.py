"""Histories to start from: a model's own quantities, and everything that a real one holds."""

import numpy as np

from dagcast_core.contract import Quantity
from dagcast_core.tensor import Panel
from dagcast_testing._installed import installed_contracts
from dagcast_testing._setting import Setting
from dagcast_testing._source import names_mentioned

_WEEKS = 4


def own_history(setting: Setting, seed: int) -> Panel:
    """Draw what the model declares: other inputs, and outputs as if observed."""
    rng = np.random.default_rng(seed + 2)
    outputs = {q.name: setting.draw(q, rng) for q in setting.model.contract.outputs}
    return Panel({**setting.panel(seed + 1), **outputs})


def whole_history(setting: Setting, seed: int, *, weeks: int = _WEEKS) -> Panel:
    """Draw what a market has on record: other teams' quantities too, by whatever name they go.

    A quantity that no installed package declares is drawn if the source mentions its name, over
    the dims of the model's first output. What asks for whole weeks finds some.
    """
    setting = setting.with_hours(max(setting.hours, _WEEKS * 168))
    held = dict(own_history(setting, seed))
    rng = np.random.default_rng(seed + 3)
    declared: dict[str, Quantity] = {}
    for contract in installed_contracts():
        for quantity in (*contract.outputs, *(item.quantity for item in contract.inputs)):
            declared.setdefault(quantity.name, quantity)
    shape = setting.model.contract.outputs[0]
    for name in sorted(names_mentioned(setting.model) - declared.keys()):
        declared[name] = Quantity(name, shape.dims, shape.unit, bounds=(0, None), typical=(1, 20))
    for name, quantity in declared.items():
        if name not in held:
            held[name] = setting.draw(quantity, rng)
    return Panel(held)
