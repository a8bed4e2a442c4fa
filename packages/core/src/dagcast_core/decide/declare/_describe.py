"""What a plan was solved for, as plain values: enough to tell whether another problem is the same.

Tensors are told apart by a digest of their names, labels and values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
from torch import Tensor

from dagcast_core.tensor import IndexTensor

if TYPE_CHECKING:
    from dagcast_core.decide.declare._problem import DecisionProblem

__all__ = ["describe"]


def describe(problem: DecisionProblem) -> dict[str, Any]:
    """The problem as values that JSON can hold.

    Returns:
        The model with a digest of its parameters, levers, objective, constraints, risk, digests of
        context, current plan, residuals and draws; and one ``digest`` of all of it.
    """
    model = problem.model
    found: dict[str, Any] = {
        "model": f"{problem.contract.model} {problem.contract.version}",
        "parameters": _digest(
            (name, value.detach()) for name, value in sorted(model.state_dict().items())
        ),
        "levers": [_plain(item) for item in problem.levers],
        "objective": {**_plain(problem.objective), "name": problem.objective.name},
        "constraints": [
            {"kind": type(item).__name__, **_plain(item)} for item in problem.constraints
        ],
        "context": {name: _digest([(name, t)]) for name, t in sorted(problem.context.items())},
        "current": None
        if problem.current is None
        else {name: _digest([(name, t)]) for name, t in sorted(problem.current.items())},
        "residuals": {
            name: _digest([("ratio", item.ratio), ("shift", item.shift)])
            for name, item in sorted(problem.residuals.items())
        },
        "concave": problem.concave,
    }
    if problem.draws is not None:
        found["risk"] = _plain(problem.measured_risk)
        found["draws"] = {
            "count": len(problem.draws),
            "method": problem.draws.method,
            "seed": problem.draws.seed,
            "digest": _digest(sorted(problem.draws.states.items())),
        }
    found["digest"] = hashlib.sha256(repr(_ordered(found)).encode()).hexdigest()
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, IndexTensor):
        return {"digest": _digest([("", value)])}
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {_text(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if callable(value):
        return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', value)}"
    return _text(value)


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, pd.Timestamp) else str(value)


def _ordered(value: Any) -> Any:
    if isinstance(value, Mapping):
        return [(key, _ordered(item)) for key, item in sorted(value.items())]
    if isinstance(value, list):
        return [_ordered(item) for item in value]
    return value


def _digest(tensors: Iterable[tuple[str, IndexTensor | Tensor]]) -> str:
    found = hashlib.sha256()
    for name, tensor in tensors:
        found.update(name.encode())
        raw = tensor
        if isinstance(tensor, IndexTensor):
            for dim in tensor.dims:
                found.update(dim.encode())
                found.update(pd.util.hash_pandas_object(tensor.index(dim)).to_numpy().tobytes())
            raw = tensor.tensor
        assert isinstance(raw, Tensor)
        found.update(str(tuple(raw.shape)).encode())
        found.update(raw.detach().contiguous().numpy().tobytes())
    return found.hexdigest()
