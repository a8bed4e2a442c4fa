"""What is expected under a plan, under doing nothing, and under the current plan."""

from typing import TYPE_CHECKING, Any

from dagcast.plans import (
    Outlook,
    make_outlook,
)
from dagcast.workflow.common._chances import chance_of
from dagcast.workflow.common._fits import Fitted
from dagcast.workflow.common._problem import Setting
from dagcast.workflow.common._result import Progress, silent
from dagcast.workflow.common._shown import adds_up, least, shown_quantities

if TYPE_CHECKING:
    from dagcast_core.tensor import IndexTensor, Panel


# Multiples of a plan at which its outcomes are forecast too; none and the plan itself are there.
SCALES = (0.25, 0.5, 0.75, 1.25, 1.5)


def alternatives(setting: Setting) -> "dict[str, tuple[str, dict[str, IndexTensor]]]":
    """What a plan is compared with: by arm, what it is called and the levers under it.

    Doing nothing leaves out what adds up, such as spend; prices stay as they are.
    """
    current = {name: setting.current[name] for name in setting.session.project.config.levers}
    declared = {name: setting.quantities[name] for name in current}
    arms = {}
    if nothing := least(declared):
        none = {
            name: tensor.zeros_like().named(name) if adds_up(declared[name]) else tensor
            for name, tensor in current.items()
        }
        arms["none"] = (nothing, none)
    arms["current"] = ("the current plan", current)
    return arms


def outlook_of(
    setting: Setting,
    fitted: Fitted,
    decisions: "Panel",
    *,
    memory: "dict[Any, Any] | None" = None,
    hurried: bool = False,
    whole: bool = False,
    progress: Progress = silent,
) -> Outlook:
    """Forecast the horizon under a plan, under doing nothing and under the current plan.

    Args:
        setting: the round.
        fitted: the models behind it.
        decisions: of the plan.
        memory: keeps what is the same for every plan of this round, for whoever asks of many.
        hurried: Ctrl-C was pressed before, see `make_outlook`.
        whole: an outlook of fewer draws is none.
        progress: told how far it is.
    """
    import torch

    config = setting.session.project.config
    levers = {name: decisions[name] for name in config.levers}
    arms = {"plan": setting.context.assign(levers)}
    words = {}
    for name, (said, given) in alternatives(setting).items():
        arms[name] = setting.context.assign(given)
        words[name] = said

    kept: dict[Any, Any] = {} if memory is None else memory
    if "chance" not in kept:
        kept["chance"] = chance_of(setting, fitted.model)
    same = {id(inputs): name for name, inputs in arms.items() if name != "plan"}

    def predict(inputs: "Panel", draw: int) -> "Panel":
        key = (same.get(id(inputs)), draw)
        if memory is not None and key in memory:
            found: Panel = memory[key]
            return found
        with torch.no_grad(), fitted.draws.applied_to(fitted.model, draw):
            found = fitted.model.predict(inputs)
        if memory is not None and key[0] is not None:
            memory[key] = found
        return found

    return make_outlook(
        arms,
        predict,
        draws=len(fitted.draws),
        level=config.uncertainty.level,
        quantities=shown_quantities(setting.session),
        words=words,
        combined={"objective": config.objective.weights},
        chance=kept["chance"],
        seed=config.seeds.plan,
        scaled={scale: setting.context.assign(_times(levers, scale, setting)) for scale in SCALES},
        hurried=hurried,
        whole=whole,
        progress=progress,
    )


def _times(
    levers: "dict[str, IndexTensor]", scale: float, setting: Setting
) -> "dict[str, IndexTensor]":
    """What adds up multiplied, in every cell alike; prices as they are."""
    return {
        name: (tensor * scale).named(name) if adds_up(setting.quantities[name]) else tensor
        for name, tensor in levers.items()
    }
