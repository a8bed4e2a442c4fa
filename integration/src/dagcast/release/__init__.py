"""Integration releases: a set of packages that passed every gate together."""

from dagcast.release._bump import (
    NeededVersion,
    PackageBump,
    needed_versions,
    plan_bump,
    write_bump,
)
from dagcast.release._environment import installed_packages
from dagcast.release._gates import (
    REQUIRED_GATES,
    AssemblyGate,
    ConformanceGate,
    EvolutionGate,
    Gate,
    MetricsGate,
    affected,
    changed,
    default_gates,
)
from dagcast.release._manifest import GateResult, Manifest, Metric, Package
from dagcast.release._registry import (
    ReleaseError,
    Shown,
    Turn,
    current,
    history,
    promote,
    propose,
    rollback,
    show,
    verify,
)

__all__ = [
    "REQUIRED_GATES",
    "AssemblyGate",
    "ConformanceGate",
    "EvolutionGate",
    "Gate",
    "GateResult",
    "Manifest",
    "Metric",
    "MetricsGate",
    "NeededVersion",
    "Package",
    "PackageBump",
    "ReleaseError",
    "Shown",
    "Turn",
    "affected",
    "changed",
    "current",
    "default_gates",
    "history",
    "installed_packages",
    "needed_versions",
    "plan_bump",
    "promote",
    "propose",
    "rollback",
    "show",
    "verify",
    "write_bump",
]
