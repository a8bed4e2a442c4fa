"""What is expected under a plan, under doing nothing, and under the current plan."""

from typing import TYPE_CHECKING

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
    hurried: bool = False,
    whole: bool = False,
    progress: Progress = silent,
) -> Outlook:
    """Forecast the horizon under a plan, under doing nothing and under the current plan.

    Args:
        setting: the round.
        fitted: the models behind it.
        decisions: of the plan.
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

    def predict(inputs: "Panel", draw: int) -> "Panel":
        with torch.no_grad(), fitted.draws.applied_to(fitted.model, draw):
            return fitted.model.predict(inputs)

    return make_outlook(
        arms,
        predict,
        draws=len(fitted.draws),
        level=config.uncertainty.level,
        quantities=shown_quantities(setting.session),
        words=words,
        combined={"objective": config.objective.weights},
        chance=chance_of(setting, fitted.model),
        seed=config.seeds.plan,
        hurried=hurried,
        whole=whole,
        progress=progress,
    )
