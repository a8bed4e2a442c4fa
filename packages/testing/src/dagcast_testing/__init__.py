"""The conformance suite that every model passes, and the template of a team package.

Names are imported on first use: pytest loads the plugin of this package in every session, and only
a suite that runs pays for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagcast_testing._guard import SuiteError, explained
    from dagcast_testing._lacking import Lack, lacking
    from dagcast_testing._setting import Setting
    from dagcast_testing._suite import Finding, ModelContract, examine

__all__ = [
    "Finding",
    "Lack",
    "ModelContract",
    "Setting",
    "SuiteError",
    "examine",
    "explained",
    "lacking",
]

_MODULES = {
    "SuiteError": "_guard",
    "explained": "_guard",
    "Lack": "_lacking",
    "lacking": "_lacking",
    "Setting": "_setting",
    "Finding": "_suite",
    "ModelContract": "_suite",
    "examine": "_suite",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dagcast_testing._paused import without_collection

    with without_collection():
        value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
