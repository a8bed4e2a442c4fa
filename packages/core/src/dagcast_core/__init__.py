"""Contracts and algebra of dagcast: the public names of every layer.

Names are imported on first use, so that a contract check, which needs neither torch nor pandas,
does not pay seconds for importing them.
"""

from importlib import import_module
from typing import Any

# Layers in order of who may import whom; a name belongs to the first layer that exports it.
_LAYERS = ("contract", "tensor", "data", "model", "evaluate", "decide")


def __getattr__(name: str) -> Any:
    """Find a public name in the layer that exports it, lightest layer first.

    Raises:
        AttributeError: no layer exports ``name``.
    """
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for layer in _LAYERS:
        module = import_module(f"{__name__}.{layer}")
        if name in module.__all__:
            value = getattr(module, name)
            globals()[name] = value
            return value
    raise AttributeError(
        f"module {__name__!r} has no attribute {name!r}; its layers are {', '.join(_LAYERS)}"
    )


def __dir__() -> list[str]:
    """List the public names of every layer."""
    names = set(globals())
    for layer in _LAYERS:
        names.update(import_module(f"{__name__}.{layer}").__all__)
    return sorted(names)
