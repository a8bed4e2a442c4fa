"""Compiled inner loops: one pass over boxes, chains or nets of cells each."""

from dagcast_core.solver.kernels._box import box_pass, row_units
from dagcast_core.solver.kernels._chain import chain_pass
from dagcast_core.solver.kernels._layout import Layout
from dagcast_core.solver.kernels._net import net_pass
from dagcast_core.solver.kernels._tighten import tighten_chains

__all__ = [
    "Layout",
    "box_pass",
    "chain_pass",
    "net_pass",
    "row_units",
    "tighten_chains",
]
