"""What values cannot show: clocks that a model's source reads, names that it mentions."""

import ast
import datetime
import inspect
import random
import re
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import torch

from dagcast_core.model import Model, ModelCollection

_CLOCKS = (
    *(time.time, time.time_ns, time.monotonic, time.monotonic_ns, time.perf_counter),
    *(time.perf_counter_ns, time.process_time, time.process_time_ns),
)
# Of the moment that they are given, or of now.
_CONVERSIONS = (time.localtime, time.gmtime, time.ctime, time.asctime)
_DATES = (datetime.datetime, datetime.date, pd.Timestamp)
_NOW = ("now", "today", "utcnow")
_OWN = "dagcast_core"
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def clock_read(model: Model) -> str | None:
    """Say where the model's package reads a clock, if it does.

    A clock that shows days changes nothing between two calls of a test; the source shows it.
    """
    for where, tree, names in _sources(model):
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            called = _resolved(node.func, names)
            owner = getattr(called, "__self__", None)
            said = [a.value for a in node.args if isinstance(a, ast.Constant)]
            if (
                any(called is clock for clock in _CLOCKS)
                or (not node.args and any(called is clock for clock in _CONVERSIONS))
                or (owner in _DATES and getattr(called, "__name__", "") in _NOW)
                or (called in (pd.Timestamp, pd.to_datetime, np.datetime64) and said[:1] == ["now"])
            ):
                return f"{where}:{node.lineno} reads the clock, {ast.unparse(node)}"
    return None


def names_mentioned(model: Model) -> set[str]:
    """Return every identifier that the model's package mentions as text."""
    return {
        node.value
        for _, tree, _ in _sources(model)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and _NAME.fullmatch(node.value)
    }


@contextmanager
def other_random_states(seed: int) -> Iterator[None]:
    """Set every global generator to another state, and back."""
    before, older = np.random.get_state(), random.getstate()
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            np.random.seed(seed)
            random.seed(seed)
            yield
    finally:
        np.random.set_state(before)
        random.setstate(older)


def _sources(model: Model) -> Iterator[tuple[str, ast.AST, dict[str, Any]]]:
    parts = model.leaves.values() if isinstance(model, ModelCollection) else (model,)
    seen: set[str] = set()
    for part in parts:
        for module, tree in _trees(type(part)):
            if module.__name__ not in seen:
                yield Path(module.__file__ or module.__name__).name, tree, vars(module)
        seen.update(module.__name__ for module, _ in _trees(type(part)))


def _trees(cls: type) -> list[tuple[ModuleType, ast.AST]]:
    found: list[tuple[ModuleType, ast.AST]] = []
    for base in cls.__mro__:
        name = base.__module__
        package = name.partition(".")[0]
        if package in (_OWN, "torch", "builtins", "abc", "typing") or name not in sys.modules:
            continue
        if getattr(sys.modules.get(package), "__file__", None) and "." in name:
            own = [m for key, m in sys.modules.items() if key.startswith(f"{package}.") and m]
            found += [(module, tree) for module in own if (tree := _tree(module)) is not None]
        elif (tree := _tree(base)) is not None:
            # A notebook or a test file is no package, and holds more than the model.
            found.append((sys.modules[name], tree))
    return found


def _tree(source: ModuleType | type) -> ast.AST | None:
    known = _PARSED.get(source)
    if known is None:
        try:
            lines, first = inspect.getsourcelines(source)
        except (OSError, TypeError):
            return None
        known = ast.parse(textwrap.dedent("".join(lines)))
        ast.increment_lineno(known, max(first - 1, 0))
        _PARSED[source] = known
    return known


_PARSED: dict[ModuleType | type, ast.AST] = {}


def _resolved(node: ast.expr, names: dict[str, Any]) -> Any:
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = _resolved(node.value, names)
        # Only modules and classes: looking up an attribute of a value may run code.
        if isinstance(owner, (ModuleType, type)):
            return getattr(owner, node.attr, None)
    return None
