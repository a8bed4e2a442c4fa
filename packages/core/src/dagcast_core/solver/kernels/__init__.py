"""Compiled inner loops: one pass over boxes, chains or nets of cells each."""

from dagcast_core.solver.kernels._box import box_pass, row_units
from dagcast_core.solver.kernels._chain import chain_pass
from dagcast_core.solver.kernels._layout import Layout
from dagcast_core.solver.kernels._net import net_pass, solve_net
from dagcast_core.solver.kernels._net_segments import Net, guess_net
from dagcast_core.solver.kernels._tighten import tighten_chains

__all__ = [
    "Layout",
    "Net",
    "box_pass",
    "chain_pass",
    "guess_net",
    "net_pass",
    "row_units",
    "solve_net",
    "tighten_chains",
]
