"""The algebra of labelled tensors; see `IndexTensor`."""

from dagcast_core.tensor._align import align
from dagcast_core.tensor._audit import Audit, Dropped, audit
from dagcast_core.tensor._combine import concat, dot, stack
from dagcast_core.tensor._elementwise import where
from dagcast_core.tensor._errors import AlignmentError, LabelError
from dagcast_core.tensor._functional import (
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    value_and_grad,
    vmap,
)
from dagcast_core.tensor._functions import (
    clamp,
    cos,
    exp,
    expm1,
    isfinite,
    isnan,
    log,
    log1p,
    maximum,
    minimum,
    relu,
    sigmoid,
    sin,
    softplus,
    sqrt,
    square,
    tanh,
)
from dagcast_core.tensor._panel import Panel
from dagcast_core.tensor._tensor import IndexTensor
from dagcast_core.tensor._time import hour_of_week, local_time

__all__ = [
    "AlignmentError",
    "Audit",
    "Dropped",
    "IndexTensor",
    "LabelError",
    "Panel",
    "align",
    "audit",
    "clamp",
    "concat",
    "cos",
    "dot",
    "exp",
    "expm1",
    "grad",
    "hessian",
    "hour_of_week",
    "hvp",
    "isfinite",
    "isnan",
    "jacobian",
    "jvp",
    "local_time",
    "log",
    "log1p",
    "maximum",
    "minimum",
    "relu",
    "sigmoid",
    "sin",
    "softplus",
    "sqrt",
    "square",
    "stack",
    "tanh",
    "value_and_grad",
    "vmap",
    "where",
]
