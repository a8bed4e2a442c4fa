"""The flat problem: linear set, outcome rows, and a model that is asked and counted."""

from dagcast_core.solver.problem._concavity import is_supported
from dagcast_core.solver.problem._errors import DecisionError, EmptySetError, NonFiniteError
from dagcast_core.solver.problem._families import families_of
from dagcast_core.solver.problem._linear import Chains, LinearSet, RowLayer
from dagcast_core.solver.problem._oracle import Counter, Oracle
from dagcast_core.solver.problem._sizes import equal_shares, typical_size
from dagcast_core.solver.problem._smooth import OutcomeRows, RowFamily, SmoothProblem
from dagcast_core.solver.problem._starts import default_start

__all__ = [
    "Chains",
    "Counter",
    "DecisionError",
    "EmptySetError",
    "LinearSet",
    "NonFiniteError",
    "Oracle",
    "OutcomeRows",
    "RowFamily",
    "RowLayer",
    "SmoothProblem",
    "default_start",
    "equal_shares",
    "families_of",
    "is_supported",
    "typical_size",
]
