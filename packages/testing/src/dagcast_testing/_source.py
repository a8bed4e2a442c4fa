"""What values cannot show: clocks that a model's source reads, names that it mentions."""

import ast
import datetime
import inspect
import os
import random
import re
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping
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
    *(time.perf_counter_ns, time.process_time, time.process_time_ns, time.thread_time),
    *(getattr(time, name) for name in ("clock_gettime", "clock_gettime_ns") if hasattr(time, name)),
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
                or (called is time.strftime and len(node.args) == 1)
                or (owner in _DATES and getattr(called, "__name__", "") in _NOW)
                or (
                    called in (pd.Timestamp, pd.to_datetime, np.datetime64)
                    and said[:1] in (["now"], ["today"])
                )
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


def random_states() -> dict[str, object]:
    """Return the states of the generators that a whole process shares, by what they are."""
    return {
        "torch's global generator": torch.random.get_rng_state().numpy().tobytes(),
        "numpy's global generator": str(np.random.get_state(legacy=False)),
        "Python's global generator": random.getstate(),
    }


def settings() -> dict[str, object]:
    """Return what holds for a whole process, by what it is."""
    return {
        "torch's default dtype": torch.get_default_dtype(),
        "the number of threads": torch.get_num_threads(),
        "torch's gradient mode": torch.is_grad_enabled(),
        "numpy's answer to errors": np.geterr(),
        "the current folder": os.getcwd(),
        "the environment": {n: t for n, t in os.environ.items() if not n.startswith("PYTEST_")},
    }


def restore(then: Mapping[str, object]) -> None:
    """Set back what ``settings`` returned: the next model is not to answer for this one.

    Raises:
        KeyError: a setting is missing.
    """
    held: list[Any] = [then[name] for name in settings()]
    dtype, threads, mode, errors, folder, environment = held
    torch.set_default_dtype(dtype)
    torch.set_num_threads(threads)
    torch.set_grad_enabled(mode)
    np.seterr(**errors)
    os.chdir(folder)
    for name in set(os.environ) - set(environment):
        if not name.startswith("PYTEST_"):
            del os.environ[name]
    os.environ.update(environment)


def _sources(model: Model) -> Iterator[tuple[str, ast.AST, dict[str, Any]]]:
    """Files that the model's class and its parents' are made from, with what their names mean."""
    found: dict[ModuleType | type, ModuleType] = {}
    for cls in classes_of(model):
        module = sys.modules.get(cls.__module__)
        package = cls.__module__.partition(".")[0]
        if module is None:
            continue
        if getattr(sys.modules.get(package), "__file__", None) and "." in cls.__module__:
            found.update((own, own) for own in _reached(module, package))
        else:
            # A notebook or a test file is no package, and holds more than the model.
            found[cls] = module
    for source, module in found.items():
        tree = _tree(source)
        if tree is not None:
            names = {**_imported(tree), **vars(module)}
            yield Path(module.__file__ or module.__name__).name, tree, names


def classes_of(model: Model) -> list[type]:
    """The model's class and its parents, of its members too, but for those of libraries."""
    parts = model.leaves.values() if isinstance(model, ModelCollection) else (model,)
    classes = [base for part in parts for base in type(part).__mro__]
    libraries = (_OWN, "torch", "builtins", "abc", "typing")
    return [cls for cls in classes if cls.__module__.partition(".")[0] not in libraries]


def _reached(module: ModuleType, package: str) -> list[ModuleType]:
    """Modules of the package that ``module`` imports, or imports from, and those that they do."""
    reached = [module]
    for own in reached:
        for value in vars(own).values():
            name = value.__name__ if isinstance(value, ModuleType) else None
            name = name or getattr(value, "__module__", None)
            if isinstance(name, str) and name.startswith(f"{package}."):
                other = sys.modules.get(name)
                if other is not None and other not in reached:
                    reached.append(other)
    return reached


def _imported(tree: ast.AST) -> dict[str, Any]:
    """What is imported anywhere in the source, inside functions too."""
    names: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                known = alias.name if alias.asname else alias.name.partition(".")[0]
                names[alias.asname or known] = sys.modules.get(known)
        elif isinstance(node, ast.ImportFrom) and node.module in sys.modules:
            for alias in node.names:
                names[alias.asname or alias.name] = getattr(
                    sys.modules[node.module], alias.name, None
                )
    return names


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
