"""Declarations that packages exchange before any number is computed: no torch, no pandas.

What compares and draws them is imported on first use: joining them needs none of it.
"""

from typing import TYPE_CHECKING, Any

from dagcast_core.contract._assembly import assemble
from dagcast_core.contract._codes import PROBLEM_CODES
from dagcast_core.contract._contract import Contract, Effect, Input, Sign
from dagcast_core.contract._dim import Dim, DimKind
from dagcast_core.contract._edges import total_unit
from dagcast_core.contract._errors import ContractError
from dagcast_core.contract._experiment import (
    Arm,
    Cells,
    Change,
    Design,
    Experiment,
    ExperimentSet,
    Scale,
)
from dagcast_core.contract._json import parsed_json
from dagcast_core.contract._labels import Calendar, LabelSet
from dagcast_core.contract._looks import looks
from dagcast_core.contract._mapping import FrozenMapping
from dagcast_core.contract._nearest import nearest
from dagcast_core.contract._problem import PROJECT_LABEL, AssemblyError, Problem
from dagcast_core.contract._quantity import Aggregation, Bounds, Quantity, Weighted
from dagcast_core.contract._registration import Assembly, Edge, Registration, union
from dagcast_core.contract._world import ContinuingWorld, World, WorldFactory

if TYPE_CHECKING:
    from dagcast_core.contract._drawing import Graph, Link
    from dagcast_core.contract._evolution import (
        Bump,
        Difference,
        differences,
        evolution_problem,
        evolution_problems,
        least_bump,
        least_version,
        read_snapshot,
        snapshot,
    )
    from dagcast_core.contract._panel import ReviewPanel
    from dagcast_core.contract._screen import Screen

__all__ = [
    "PROBLEM_CODES",
    "PROJECT_LABEL",
    "Aggregation",
    "Arm",
    "Assembly",
    "AssemblyError",
    "Bounds",
    "Bump",
    "Calendar",
    "Cells",
    "Change",
    "ContinuingWorld",
    "Contract",
    "ContractError",
    "Design",
    "Difference",
    "Dim",
    "DimKind",
    "Edge",
    "Effect",
    "Experiment",
    "ExperimentSet",
    "FrozenMapping",
    "Graph",
    "Input",
    "LabelSet",
    "Link",
    "Problem",
    "Quantity",
    "Registration",
    "ReviewPanel",
    "Scale",
    "Screen",
    "Sign",
    "Weighted",
    "World",
    "WorldFactory",
    "assemble",
    "differences",
    "evolution_problem",
    "evolution_problems",
    "least_bump",
    "least_version",
    "looks",
    "nearest",
    "parsed_json",
    "read_snapshot",
    "snapshot",
    "total_unit",
    "union",
]

_LAZY = {
    "Bump": "_evolution",
    "Difference": "_evolution",
    "Graph": "_drawing",
    "Link": "_drawing",
    "ReviewPanel": "_panel",
    "Screen": "_screen",
    "differences": "_evolution",
    "evolution_problem": "_evolution",
    "evolution_problems": "_evolution",
    "least_bump": "_evolution",
    "least_version": "_evolution",
    "read_snapshot": "_evolution",
    "snapshot": "_evolution",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
