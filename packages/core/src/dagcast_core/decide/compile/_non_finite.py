"""Why a model has no value: the quantity, its sub-model and the cells that are not finite."""

from __future__ import annotations

import torch

from dagcast_core.decide.compile._compiled import Compiled, compile_problem
from dagcast_core.decide.compile._scenarios import run_model
from dagcast_core.decide.declare import DecisionProblem, Space, label_text
from dagcast_core.model import ModelCollection
from dagcast_core.solver import DecisionError, NonFiniteError
from dagcast_core.tensor import IndexTensor

__all__ = ["explain_non_finite", "lay_out"]


def explain_non_finite(compiled: Compiled, error: NonFiniteError) -> DecisionError:
    """Name what is not finite.

    Cells of the context, else the sub-model, its quantity and cells, else the objective or limit.
    """
    problem = compiled.problem
    hollow = _hollow_context(problem)
    if hollow:
        return DecisionError(
            f"the {error.what} is not finite, because the context is not: {'; '.join(hollow)}. "
            "Fill those cells, or leave their hours or places out."
        )
    space = compiled.space
    x = compiled.smooth.linear.lower if error.point is None else error.point
    place = ""
    if error.what == "gradient" and error.cells:
        more = (
            f" and {error.total - len(error.cells)} more" if error.total > len(error.cells) else ""
        )
        place = f" in {', '.join(space.where(cell) for cell in error.cells)}{more}"
    source = _first_bad(problem, space, x)
    if source is None and error.what == "outcome":
        limits = ", ".join(str(compiled.outcomes.names[row]) for row in error.cells)
        return DecisionError(
            f"the left-hand side of {limits} is not finite, although every output is. If it is a "
            "weighted mean, its weights sum to 0 there: leave those labels out of the limit."
        )
    if source is None:
        source = f"it comes from {problem.objective.name!r} itself, as every output is finite"
    return DecisionError(
        f"the {error.what} is not finite{place}; {source}. "
        "Clamp the argument of its logarithm, power or division, or restrict the lever's bounds."
    )


def _hollow_context(problem: DecisionProblem) -> list[str]:
    """Inputs of the model with cells that are no finite number, at most three of them."""
    levers = {lever.name for lever in problem.levers}
    found = []
    for name in problem.contract.input_names:
        if name in levers or name not in problem.context:
            continue
        tensor = problem.context[name]
        if not tensor.tensor.is_floating_point():
            continue
        bad = torch.nonzero(~torch.isfinite(tensor.tensor.detach()))
        if bad.shape[0]:
            more = f" and {bad.shape[0] - 1} more cells" if bad.shape[0] > 1 else ""
            at = _at(tensor, bad[0])
            value = float(tensor.tensor.detach()[tuple(bad[0])])
            found.append(f"{name!r} is {value:g} at {at}{more}")
    return found[:3]


def _at(tensor: IndexTensor, place: torch.Tensor) -> str:
    """Labels of one cell."""
    labels = [
        label_text(tensor.index(dim)[int(i)]) for dim, i in zip(tensor.dims, place, strict=True)
    ]
    return f"[{', '.join(labels)}]" if labels else "its only cell"


def _first_bad(problem: DecisionProblem, space: Space, x: torch.Tensor) -> str | None:
    """The first quantity, in the order of the models, with a bad value or a bad gradient.

    Under the fitted parameters, else under the first draw where there is one; None where no output
    is bad.
    """
    found = _first_bad_of(problem, space, x)
    if found is not None or problem.draws is None:
        return found
    for draw in range(len(problem.draws)):
        with problem.draws.applied_to(problem.model, draw):
            found = _first_bad_of(problem, space, x)
        if found is not None:
            return f"{found}, with draw {draw} of the parameters"
    return None


def _first_bad_of(problem: DecisionProblem, space: Space, x: torch.Tensor) -> str | None:
    leaf = x.detach().clone().requires_grad_(True)
    context = {name: t for name, t in problem.context.items() if name not in space.slices}
    outputs = run_model(problem.model, {**context, **space.panel(leaf)}, problem.residuals)
    model = problem.model
    producer = dict(model.wiring.producer) if isinstance(model, ModelCollection) else {}
    for name, tensor in outputs.items():
        bad = torch.nonzero(~torch.isfinite(tensor.tensor.detach()))
        if bad.shape[0]:
            more = f" and {bad.shape[0] - 1} more cells" if bad.shape[0] > 1 else ""
            at = _at(tensor, bad[0])
            member = str(producer.get(name, model.contract.model))
            return f"it comes from {name!r} of {member!r} at {at}{more}"
    for name, tensor in outputs.items():
        if not tensor.tensor.requires_grad:
            continue
        (gradient,) = torch.autograd.grad(
            tensor.tensor.sum(), leaf, retain_graph=True, materialize_grads=True
        )
        if not bool(torch.isfinite(gradient).all()):
            cell = int(torch.nonzero(~torch.isfinite(gradient))[0])
            member = str(producer.get(name, model.contract.model))
            return f"it comes from {name!r} of {member!r} at {space.where(cell)}"
    return None


def lay_out(problem: DecisionProblem) -> Compiled:
    """Compile a problem.

    Raises:
        DecisionError: the model is not finite where its rows are laid out, with what is not.
    """
    try:
        return compile_problem(problem)
    except NonFiniteError as error:
        # Which cells rows touch cannot be told; their names and the cells' are all that is needed.
        raise explain_non_finite(compile_problem(problem, families=()), error) from error
