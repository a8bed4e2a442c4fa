"""What happens when a torch function meets an `IndexTensor`."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch

from dagcast_core.tensor._align import binary, reflected
from dagcast_core.tensor._base import Labelled, wrap
from dagcast_core.tensor._elementwise import where

_UNARY = """
    abs absolute acos acosh angle asin asinh atan atanh bitwise_not ceil clone cos cosh deg2rad
    detach digamma empty_like erf erfc erfinv exp exp2 expm1 floor frac full_like isfinite isinf
    isnan isneginf isposinf isreal lgamma log log10 log1p log2 logical_not logit nan_to_num neg
    negative ones_like positive rad2deg rand_like randn_like reciprocal relu round rsqrt sgn
    sigmoid sign signbit sin sinc sinh sqrt square tan tanh trunc zeros_like
"""
_UNARY_NN = """
    elu gelu hardtanh leaky_relu logsigmoid mish relu relu6 selu sigmoid silu softplus tanh
"""
_UNARY_SPECIAL = """
    digamma erf erfc erfinv expit expm1 gammaln i0 i1 log1p log_ndtr logit ndtr ndtri
"""
_BINARY = {
    "add": "+",
    "sub": "-",
    "subtract": "-",
    "mul": "*",
    "multiply": "*",
    "div": "/",
    "divide": "/",
    "true_divide": "/",
    "floor_divide": "//",
    "remainder": "%",
    "fmod": "fmod",
    "pow": "**",
    "float_power": "**",
    "eq": "==",
    "ne": "!=",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
    "maximum": "maximum",
    "minimum": "minimum",
    "fmax": "fmax",
    "fmin": "fmin",
    "atan2": "atan2",
    "hypot": "hypot",
    "logaddexp": "logaddexp",
    "logaddexp2": "logaddexp2",
    "xlogy": "xlogy",
    "copysign": "copysign",
    "logical_and": "&",
    "logical_or": "|",
    "logical_xor": "^",
    "bitwise_and": "&",
    "bitwise_or": "|",
    "bitwise_xor": "^",
    "isclose": "isclose",
}
_REDUCTIONS = "sum mean prod amin amax std var logsumexp any all"
_OPERATORS = {
    "__add__": operator.add,
    "__radd__": operator.add,
    "__sub__": operator.sub,
    "__rsub__": operator.sub,
    "__mul__": operator.mul,
    "__rmul__": operator.mul,
    "__truediv__": operator.truediv,
    "__rtruediv__": operator.truediv,
    "__rdiv__": operator.truediv,
    "__pow__": operator.pow,
    "__rpow__": operator.pow,
    "__floordiv__": operator.floordiv,
    "__rfloordiv__": operator.floordiv,
    "__mod__": operator.mod,
    "__lt__": operator.lt,
    "__le__": operator.le,
    "__gt__": operator.gt,
    "__ge__": operator.ge,
    "__eq__": operator.eq,
    "__ne__": operator.ne,
    "__and__": operator.and_,
    "__or__": operator.or_,
    "__xor__": operator.xor,
}


def _named(module: Any, names: Any) -> dict[Any, str]:
    return {getattr(module, name): name for name in names if hasattr(module, name)}


_UNARY_FUNCTIONS = {
    **_named(torch.Tensor, _UNARY.split()),
    **_named(torch.special, _UNARY_SPECIAL.split()),
    **_named(torch.nn.functional, _UNARY_NN.split()),
    **_named(torch, _UNARY.split()),
}
_BINARY_FUNCTIONS = {
    **_named(torch.Tensor, [name for name in _BINARY if hasattr(torch.Tensor, name)]),
    **_named(torch.special, ["xlogy", "xlog1py"]),
    **_named(torch, _BINARY),
}
_REDUCTION_FUNCTIONS = _named(torch, _REDUCTIONS.split())
_OPERATOR_FUNCTIONS = {
    getattr(torch.Tensor, name): function
    for name, function in _OPERATORS.items()
    if hasattr(torch.Tensor, name)
}
_METHODS = {"amin": "min", "amax": "max"}


def dispatch(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Carry out a torch function on labelled arguments, or say which call to use instead.

    Raises:
        TypeError: the function has no meaning for labels.

    Example:
        >>> import torch
        >>> from dagcast_core.tensor import IndexTensor
        >>> a = IndexTensor([0.0], {"region": ["SFO"]})
        >>> torch.exp(a).tolist(), torch.maximum(a, torch.tensor(1.0)).tolist()
        ([1.0], [1.0])
    """
    if function in _UNARY_FUNCTIONS:
        value, *rest = args
        out = function(value._tensor, *rest, **kwargs)
        return wrap(value, out, value._layout, value._name)
    if function in _OPERATOR_FUNCTIONS:
        return _two_sided(_OPERATOR_FUNCTIONS[function], _symbol(function), args, kwargs)
    if function in _BINARY_FUNCTIONS:
        name = _BINARY_FUNCTIONS[function]
        return _two_sided(_tensors_only(function), _BINARY.get(name, name), args, kwargs)
    if function in (torch.where, torch.Tensor.where):
        return where(*args, **kwargs)
    if function in (torch.clamp, torch.clip, torch.Tensor.clamp):
        value, *bounds = args
        return value.clamp(*bounds, **kwargs)
    if function in _REDUCTION_FUNCTIONS:
        return _reduce(_REDUCTION_FUNCTIONS[function], args, kwargs)
    if function is torch.Tensor.copy_:
        raise TypeError("cannot copy labelled values into a bare tensor: use a.values(*dims).")
    name = getattr(function, "__name__", str(function))
    raise TypeError(
        f"cannot apply torch's {name} to an IndexTensor: it may change dims or their order. "
        "Use a method of IndexTensor, a.map(function) where the shape stays, "
        "or a.values(*dims) to leave the labels on purpose."
    )


def _two_sided(
    function: Callable[..., Any], symbol: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    left, right = args[0], args[1] if len(args) > 1 else kwargs.pop("other")
    extra = args[2:]

    def call(x: Any, y: Any) -> Any:
        return function(x, y, *extra, **kwargs)

    out = (
        binary(call, symbol, left, right)
        if isinstance(left, Labelled)
        else reflected(call, symbol, right, left)
    )
    if out is NotImplemented:
        raise TypeError(
            f"cannot compute {type(left).__name__} {symbol} {type(right).__name__}: "
            "one side is neither labelled nor a number."
        )
    return out


def _tensors_only(function: Callable[..., Any]) -> Callable[..., Any]:
    """Numbers become 0-d tensors, which every torch function takes."""

    def call(x: Any, y: Any, *rest: Any, **kwargs: Any) -> Any:
        like = x if isinstance(x, torch.Tensor) else y
        x, y = (
            side
            if isinstance(side, torch.Tensor)
            else torch.as_tensor(side, dtype=torch.result_type(like, side), device=like.device)
            for side in (x, y)
        )
        return function(x, y, *rest, **kwargs)

    return call


def _symbol(function: Any) -> str:
    name: str = function.__name__.strip("_")
    name = name if name in _BINARY else name.removeprefix("r")
    return _BINARY.get(name, {"truediv": "/", "floordiv": "//", "mod": "%"}.get(name, name))


def _reduce(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    value, *rest = args
    if "dim" in kwargs:
        rest.append(kwargs.pop("dim"))
    if kwargs:
        raise TypeError(f"cannot use {sorted(kwargs)} in a reduction of an IndexTensor.")
    dims = [d for part in rest for d in (part if isinstance(part, (tuple, list)) else [part])]
    for dim in dims:
        if isinstance(dim, int):
            known = -value.ndim <= dim < value.ndim
            named = value.dims[dim] if known else next(iter(value.dims), "hour")
            raise TypeError(
                f"cannot reduce dim {dim} by position: name it, as in "
                f"a.{_METHODS.get(name, name)}({named!r})."
            )
    return getattr(value, _METHODS.get(name, name))(*dims)
