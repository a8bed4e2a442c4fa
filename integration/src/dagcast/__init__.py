"""Assembles team models into one causal DAG; checks, fits, backtests, plans, reviews, releases.

Every stage of the command `dagcast` is a function here. Names are imported on first use: the
command's help needs neither torch nor a team package.
"""

from importlib import import_module
from typing import Any

_MODULES = ("dagcast.config", "dagcast.errors", "dagcast.project", "dagcast.workflow")


def __getattr__(name: str) -> Any:
    """Find a public name in the module that exports it.

    Raises:
        AttributeError: no module exports ``name``.
    """
    if not name.startswith("_"):
        for module_name in _MODULES:
            module = import_module(module_name)
            if name in module.__all__:
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
