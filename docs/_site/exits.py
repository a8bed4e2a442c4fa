"""Which exit codes a command may end with, read from the sources of the packages.

From the function behind a command all calls are followed: what they raise, and what the results
that they return say of themselves. An error that is caught on the way counts all the same, so a
code may be listed that is rare, and none is left out for having been forgotten in a text.
"""

import ast
import functools
import importlib
import importlib.util
import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Raised by core, which knows of no exit codes.
_ASSEMBLY_ERROR = "AssemblyError"
_FOLLOWED = ("dagcast", "dagcast_core.contract")
# These end with the code that a result says; elsewhere a result is one step of several.
_COMMANDS = "dagcast.cli."


@dataclass
class _Module:
    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)
    names: dict[str, tuple[str, str]] = field(default_factory=dict)
    tree: ast.Module = field(default_factory=lambda: ast.Module([], []))


def codes_of(function: Any) -> tuple[int, ...]:
    """Exit codes that a function behind a command may lead to, beside those of every command."""
    from dagcast.errors import code_of

    found: set[int] = set()
    fields: set[str] = set()
    todo = [_place(inspect.unwrap(function))]
    seen = set(todo)
    while todo:
        module, name = todo.pop()
        node = _read(module).functions.get(name) if module else None
        if node is None:
            continue
        found |= {code_of(error.__new__(error)) for error in _raised(module, node)}
        if name.endswith(".exit_code"):
            found |= _numbers(module, node)
            fields |= _own_fields(node)
        new = [place for place in _reached(module, name) if place not in seen]
        seen.update(new)
        todo += new
    # A result may keep the code that something of the same name gave it.
    for module, name in seen:
        node = _read(module).functions.get(name) if module else None
        if node is not None and name.rpartition(".")[2] in fields:
            found |= _numbers(module, node)
    return tuple(sorted(found))


def _place(value: Any) -> tuple[str, str]:
    module = getattr(value, "__module__", None) or ""
    known = any(module == top or module.startswith(f"{top}.") for top in _FOLLOWED)
    return (module, value.__qualname__) if known and hasattr(value, "__qualname__") else ("", "")


@functools.cache
def _read(module: str) -> _Module:
    file = Path(importlib.import_module(module).__file__ or "")
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    return _parsed(file.read_text("utf-8"), package)


def _parsed(text: str, package: str) -> _Module:
    tree = ast.parse(text)
    found = _Module(tree=tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level:
                source = importlib.util.resolve_name("." * node.level + source, package)
            found.names |= {(a.asname or a.name): (source, a.name) for a in node.names}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            found.functions[node.name] = node
        elif isinstance(node, ast.ClassDef):
            for item in node.body:
                if isinstance(item, ast.FunctionDef):
                    found.functions[f"{node.name}.{item.name}"] = item
    return found


@functools.cache
def _value(module: str, name: str) -> Any:
    """What a name is in a module, also where it is imported only inside a function."""
    source, original = _read(module).names.get(name, (module, name))
    if source.partition(".")[0] not in ("dagcast", "dagcast_core"):
        return None
    found = getattr(importlib.import_module(source), original, None)
    if found is None and source != module:
        try:
            found = importlib.import_module(f"{source}.{original}")
        except ImportError:
            return None
    return found


@functools.cache
def _reached(module: str, name: str) -> frozenset[tuple[str, str]]:
    """Functions that one names, and methods of classes that its module knows."""
    return frozenset(_named(module, name, _read(module).functions[name])) - {("", "")}


def _named(module: str, name: str, function: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    # What a decorator says is run when a module is loaded.
    for node in (n for part in (*function.body, function.args) for n in ast.walk(part)):
        if isinstance(node, ast.Name):
            value = _value(module, node.id)
            yield _place(value)
            if module.startswith(_COMMANDS):
                yield from _result(value)
        elif isinstance(node, ast.Attribute):
            inner = node.value
            holder = _value(module, inner.id) if isinstance(inner, ast.Name) else None
            if inspect.ismodule(holder):
                value = getattr(holder, node.attr, None)
                yield _place(value)
                if module.startswith(_COMMANDS):
                    yield from _result(value)
            elif isinstance(inner, ast.Name) and inner.id == "self":
                yield from _methods(module, (name.partition(".")[0],), node.attr)
            else:
                yield from _methods(module, _classes(module), node.attr)


def _result(function: Any) -> Iterator[tuple[str, str]]:
    """How the result says its code that a command gets from a function of the workflow."""
    module, name = _place(function)
    node = _read(module).functions.get(name) if module else None
    if node is None or node.returns is None or module.startswith(_COMMANDS):
        return
    for part in ast.unparse(node.returns).strip("'\"").replace("|", " ").split():
        made = _value(module, part) if part.isidentifier() else None
        if inspect.isclass(made) and hasattr(made, "exit_code"):
            yield _place(made.exit_code)


@functools.cache
def _classes(module: str) -> tuple[str, ...]:
    read = _read(module)
    own = [node.name for node in read.tree.body if isinstance(node, ast.ClassDef)]
    return tuple(name for name in (*read.names, *own) if inspect.isclass(_value(module, name)))


@functools.cache
def _methods(module: str, classes: tuple[str, ...], name: str) -> tuple[tuple[str, str], ...]:
    found = []
    for known in classes:
        holder = _value(module, known)
        if inspect.isclass(holder):
            member = inspect.getattr_static(holder, name, None)
            found.append(_place(member.fget if isinstance(member, property) else member))
    return tuple(found)


def _raised(module: str, function: ast.FunctionDef) -> Iterator[type[BaseException]]:
    for node in ast.walk(function):
        made = node.exc if isinstance(node, ast.Raise) else None
        made = made.func if isinstance(made, ast.Call) else made
        error = _value(module, made.id) if isinstance(made, ast.Name) else None
        if inspect.isclass(error) and (
            hasattr(error, "exit_code") or error.__name__ == _ASSEMBLY_ERROR
        ):
            yield error


def _numbers(module: str, function: ast.FunctionDef) -> set[int]:
    """Whole numbers that a function returns, also those of a table that it looks into."""
    tables = {
        target.id: node.value
        for node in _read(module).tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    found = set()
    for part in ast.walk(function):
        if isinstance(part, ast.Return) and part.value is not None:
            value = part.value
            # The condition of `3 if damaged else 0` is no code.
            ends = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
            names = [n.id for end in ends for n in ast.walk(end) if isinstance(n, ast.Name)]
            for end in (*ends, *(tables[name] for name in names if name in tables)):
                found |= {
                    node.value
                    for node in ast.walk(end)
                    if isinstance(node, ast.Constant) and type(node.value) is int
                }
    return found


def _own_fields(function: ast.FunctionDef) -> set[str]:
    return {
        node.value.attr
        for node in ast.walk(function)
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Attribute)
    }
