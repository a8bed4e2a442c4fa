"""Functional transforms: derivatives and vectorisation of functions of labelled tensors."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch

from dagcast_core.tensor._align import conform
from dagcast_core.tensor._base import Labelled, call_name, wrap
from dagcast_core.tensor._errors import AlignmentError
from dagcast_core.tensor._index import Axis, DimLike, dim_name, intern_axis
from dagcast_core.tensor._layout import Layout, intern_layout


def grad(function: Callable[..., Any], argnum: int = 0) -> Callable[..., Any]:
    """The gradient of a function whose result is one number.

    Args:
        function: of labelled tensors; returns a tensor without dims.
        argnum: position of the argument to differentiate by.

    Returns:
        A function of the same arguments, whose result is labelled like that argument.

    Raises:
        AlignmentError: the result has dims.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> a = IndexTensor([1.0, 3.0], {"region": ["SFO", "LAX"]})
        >>> grad(lambda x: (x * x).sum())(a).tolist()
        [2.0, 6.0]
    """

    def gradient(*args: Any, **kwargs: Any) -> Any:
        value = _labelled(args[argnum], "differentiate by")
        transformed = torch.func.grad(_on_tensor(function, args, argnum, kwargs, _scalar))
        return wrap(value, transformed(value._tensor), value._layout, value._name)

    return gradient


def value_and_grad(function: Callable[..., Any], argnum: int = 0) -> Callable[..., Any]:
    """The value of a function, as a labelled scalar, and its gradient.

    Args:
        function: of labelled tensors; returns a tensor without dims.
        argnum: position of the argument to differentiate by.

    Returns:
        A function of the same arguments that returns (value, gradient).

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> a = IndexTensor([1.0, 3.0], {"region": ["SFO", "LAX"]})
        >>> value, gradient = value_and_grad(lambda x: (x * x).sum())(a)
        >>> value.item(), gradient.tolist()
        (10.0, [2.0, 6.0])
    """

    def both(*args: Any, **kwargs: Any) -> Any:
        value = _labelled(args[argnum], "differentiate by")
        transformed = torch.func.grad_and_value(_on_tensor(function, args, argnum, kwargs, _scalar))
        gradient, result = transformed(value._tensor)
        scalar = wrap(value, result, intern_layout(()), None)
        return scalar, wrap(value, gradient, value._layout, value._name)

    return both


def jvp(
    function: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]
) -> tuple[Any, Any]:
    """The value of a function and its change in one direction.

    Args:
        function: of labelled tensors; returns one.
        primals: arguments.
        tangents: direction, one labelled tensor per argument, covering its labels.

    Returns:
        Value and directional derivative, labelled alike.

    Raises:
        AlignmentError: a tangent lacks labels of its argument.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> a = IndexTensor([1.0, 3.0], {"region": ["SFO", "LAX"]})
        >>> jvp(lambda x: x * x, (a,), (a.ones_like(),))[1].tolist()
        [2.0, 6.0]
    """
    values = [_labelled(primal, "differentiate by") for primal in primals]
    directions = tuple(
        conform(_labelled(tangent, "move along"), value._layout, "move along a direction")
        for value, tangent in zip(values, tangents, strict=True)
    )
    found: list[Labelled] = []

    def on_tensors(*tensors: torch.Tensor) -> torch.Tensor:
        wrapped = (
            wrap(v, tensor, v._layout, v._name) for v, tensor in zip(values, tensors, strict=True)
        )
        result = _labelled(function(*wrapped), "differentiate")
        found.append(result)
        return result._tensor

    _load_forward_rules()
    primal_tensors = tuple(v._tensor for v in values)
    out, change = torch.func.jvp(on_tensors, primal_tensors, directions)[:2]
    like = found[-1]
    return (
        wrap(like, out, like._layout, like._name),
        wrap(like, change, like._layout, like._name),
    )


def jacobian(function: Callable[..., Any], argnum: int = 0, *, mode: str = "reverse") -> Any:
    """All derivatives of a function's results by one argument.

    Args:
        function: of labelled tensors; returns one.
        argnum: position of the argument to differentiate by.
        mode: "reverse" costs one pass per result, "forward" one per value of the argument.

    Returns:
        A function of the same arguments. Its result has the dims of the function's result, then
        those of the argument; a dim that both have is there twice, the argument's as ``d_<dim>``.

    Raises:
        ValueError: an unknown mode.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> a = IndexTensor([1.0, 3.0], {"region": ["SFO", "LAX"]})
        >>> slope = jacobian(lambda x: x * x)(a)
        >>> slope.dims, slope.tolist()
        (('region', 'd_region'), [[2.0, 0.0], [0.0, 6.0]])
    """
    if mode not in ("reverse", "forward"):
        raise ValueError(f"cannot take a jacobian in mode {mode!r}: say 'reverse' or 'forward'.")
    transform = torch.func.jacrev if mode == "reverse" else torch.func.jacfwd

    def derivatives(*args: Any, **kwargs: Any) -> Any:
        value = _labelled(args[argnum], "differentiate by")
        found: list[Labelled] = []
        if mode == "forward":
            _load_forward_rules()

        def note(result: Any) -> torch.Tensor:
            labelled = _labelled(result, "differentiate")
            found.append(labelled)
            return labelled._tensor

        slopes = transform(_on_tensor(function, args, argnum, kwargs, note))(value._tensor)
        layout = _paired(found[-1]._layout, value._layout)
        return wrap(value, slopes, layout, found[-1]._name)

    return derivatives


def hessian(function: Callable[..., Any], argnum: int = 0) -> Callable[..., Any]:
    """All second derivatives of a function whose result is one number.

    Args:
        function: of labelled tensors; returns a tensor without dims.
        argnum: position of the argument to differentiate by.

    Returns:
        A function of the same arguments; its result has the argument's dims, then the same as
        ``d_<dim>``.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> a = IndexTensor([1.0, 3.0], {"region": ["SFO", "LAX"]})
        >>> hessian(lambda x: (x * x * x).sum())(a).tolist()
        [[6.0, 0.0], [0.0, 18.0]]
    """

    def second(*args: Any, **kwargs: Any) -> Any:
        value = _labelled(args[argnum], "differentiate by")
        _load_forward_rules()
        slopes = torch.func.hessian(_on_tensor(function, args, argnum, kwargs, _scalar))(
            value._tensor
        )
        return wrap(value, slopes, _paired(value._layout, value._layout), None)

    return second


def hvp(function: Callable[..., Any], value: Any, direction: Any) -> Any:
    """Product of the Hessian of a scalar function with a direction.

    Args:
        function: of one labelled tensor; returns a tensor without dims.
        value: where to differentiate.
        direction: labelled, covering the labels of ``value``.

    Returns:
        Labelled like ``value``.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> a = IndexTensor([1.0, 3.0], {"region": ["SFO", "LAX"]})
        >>> hvp(lambda x: (x * x * x).sum(), a, a.ones_like()).tolist()
        [6.0, 18.0]
    """
    return jvp(grad(function), (value,), (direction,))[1]


def vmap(function: Callable[..., Any], dim: DimLike) -> Callable[..., Any]:
    """Apply a function to each label of a dim at once.

    Args:
        function: of labelled tensors without the dim; returns a labelled tensor.
        dim: dim to run over. Arguments that lack it are passed to every call; those that have it
            share its labels.

    Returns:
        A function of the same arguments; its result has the dim first.

    Raises:
        AlignmentError: no argument has the dim, or labels along it differ.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> a = IndexTensor([[1.0, 3.0], [0.0, 1.0]], {"region": ["SFO", "LAX"], "hour": [0, 1]})
        >>> vmap(lambda x: x / x.sum(), "region")(a).tolist()
        [[0.25, 0.75], [0.0, 1.0]]
    """
    name = dim_name(dim)

    def mapped(*args: Any) -> Any:
        having = [a for a in args if isinstance(a, Labelled) and name in a._layout.where]
        if not having:
            raise AlignmentError(f"cannot map over {name!r}: no argument has that dim.", dim=name)
        axis: Axis = having[0]._layout.axis(name)
        tensors, rebuild, places = [], [], []
        for argument in args:
            if not isinstance(argument, Labelled) or name not in argument._layout.where:
                continue
            place = argument._layout.where[name]
            if argument._layout.axes[place] is not axis:
                raise AlignmentError(
                    f"cannot map over {name!r}: {call_name(having[0])} and {call_name(argument)} "
                    "have other labels along it. align() them first.",
                    dim=name,
                    left=axis.index,
                    right=argument._layout.axes[place].index,
                )
            tensors.append(argument._tensor)
            places.append(place)
            rebuild.append((argument, argument._layout.without((place,))))
        found: list[Labelled] = []

        def one(*slices: torch.Tensor) -> torch.Tensor:
            parts = iter(
                wrap(argument, part, layout, argument._name)
                for (argument, layout), part in zip(rebuild, slices, strict=True)
            )
            filled = (
                next(parts) if isinstance(a, Labelled) and name in a._layout.where else a
                for a in args
            )
            result = _labelled(function(*filled), "map")
            found.append(result)
            return result._tensor

        out = torch.func.vmap(one, in_dims=tuple(places))(*tensors)
        like = found[-1]
        return wrap(like, out, intern_layout((axis, *like._layout.axes)), like._name)

    return mapped


@lru_cache(maxsize=1)
def _load_forward_rules() -> None:
    """Let torch load its forward derivatives now, without the warning that it raises on itself.

    The rules are compiled with `torch.jit.script`, which torch has deprecated; nobody but torch
    can act on that.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.func.jvp(torch.neg, (torch.zeros(()),), (torch.zeros(()),))


def _on_tensor(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    argnum: int,
    kwargs: dict[str, Any],
    finish: Callable[[Any], torch.Tensor],
) -> Callable[[torch.Tensor], torch.Tensor]:
    """A function of the raw values of one argument."""
    value = args[argnum]

    def on_tensor(tensor: torch.Tensor) -> torch.Tensor:
        filled = list(args)
        filled[argnum] = wrap(value, tensor, value._layout, value._name)
        return finish(function(*filled, **kwargs))

    return on_tensor


def _labelled(value: Any, verb: str) -> Labelled:
    if not isinstance(value, Labelled):
        raise TypeError(f"cannot {verb} a {type(value).__name__}: an IndexTensor is needed.")
    return value


def _scalar(result: Any) -> torch.Tensor:
    if isinstance(result, torch.Tensor) and result.dim() == 0:
        return result
    labelled = _labelled(result, "differentiate")
    if labelled.ndim:
        raise AlignmentError(
            f"cannot take the gradient of {call_name(labelled)}: it has the dims {labelled.dims}, "
            "and a gradient is that of one number. Reduce it first, or use jacobian()."
        )
    tensor: torch.Tensor = labelled._tensor
    return tensor


def _paired(results: Layout, arguments: Layout) -> Layout:
    """Dims of results, then of arguments; the latter are renamed where they would clash."""
    axes = list(results.axes)
    for axis in arguments.axes:
        if axis.dim in results.where:
            axes.append(intern_axis(f"d_{axis.dim}", axis.index))
        else:
            axes.append(axis)
    return intern_layout(tuple(axes))
