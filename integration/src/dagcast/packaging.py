"""What a package in a folder declares that it needs, against what it imports and what is there."""

import ast
import functools
import importlib.metadata
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dagcast._held import held_text, parsed_toml
from dagcast_core.contract import Problem
from dagcast_core.hooks import ENTRY_POINT_GROUP

# What core's own interface hands out comes with core, in the versions that core works with.
_CORE = "dagcast-core"
_WITH_CORE = frozenset({"torch", "pandas", "numpy"})


def is_team_package(folder: Path) -> bool:
    """Tell whether a folder holds the sources of a package that registers models."""
    return ENTRY_POINT_GROUP in _project(folder).get("entry-points", {})


def packaging_problems(folder: Path, groups: Iterable[str] = ()) -> tuple[Problem, ...]:
    """Report imports that nothing declared provides, and requirements that nothing here meets.

    Args:
        folder: of the package, with ``pyproject.toml`` and ``src``.
        groups: dependency groups whose requirements ``tests`` may use as well; with any, imports of
            the tests are looked at too.
    """
    project = _project(folder)
    if not project:
        return ()
    groups = tuple(groups)
    needs = _needs(folder, groups)
    return (*_undeclared(folder, project, needs, groups), *_unmet(project, needs))


def undeclared_imports(folder: Path, groups: Iterable[str] = ()) -> dict[str, str]:
    """Top-level modules that a package imports and nothing that it declares provides.

    Args:
        folder: of the package.
        groups: as for ``packaging_problems``.

    Returns:
        The place of one import by module, such as ``model.py:3``.
    """
    groups = tuple(groups)
    allowed = {_name(need) for need in _needs(folder, groups)} | {_name(_project(folder)["name"])}
    if _CORE in allowed:
        allowed |= _WITH_CORE
    folders = [folder / "src", *([folder / "tests"] if groups else [])]
    local = {path.stem for path in (folder / "tests").rglob("*") if path.suffix in {".py", ""}}
    missing = {}
    for sources in folders:
        for module, place in _imported(sources).items():
            if module in sys.stdlib_module_names or (groups and module in local):
                continue
            if not set(_owners(module)) & allowed:
                missing[module] = place
    return missing


def _undeclared(
    folder: Path, project: Mapping[str, Any], needs: Iterable[str], groups: tuple[str, ...]
) -> Iterable[Problem]:
    table = " and ".join(f"dependency-groups.{g}" for g in groups) or "project.dependencies"
    declared = ", ".join(needs) or "nothing"
    for module, place in undeclared_imports(folder, groups).items():
        owner = _owners(module)[0]
        version = _version(owner)
        floor = "" if version is None else f">={'.'.join(version.split('.')[:2])}"
        there = "which is not installed" if version is None else f"{version} installed for others"
        yield Problem.of(
            "DC213",
            module,
            producer=f"{project['name']} {place}",
            expected=f"{owner} among {table}",
            found=f"{declared} declared; {owner} {there}",
            fix=f"write '{owner}{floor}' there",
        )


def _unmet(project: Mapping[str, Any], needs: Iterable[str]) -> Iterable[Problem]:
    from packaging.requirements import InvalidRequirement, Requirement

    for need in needs:
        try:
            requirement = Requirement(need)
        except InvalidRequirement:
            # The build backend says so better.
            continue
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        version = _version(requirement.name)
        if version is None or requirement.specifier.contains(version, prereleases=True):
            continue
        yield Problem.of(
            "DC214",
            requirement.name,
            consumer=f"{project['name']} {project.get('version', '')}".strip(),
            expected=f"{requirement.name}{requirement.specifier}, as declared",
            found=f"{version} installed",
            fix=f"install a version in that range, or declare one that {version} is in and run "
            "the tests with it",
        )


def _needs(folder: Path, groups: tuple[str, ...]) -> tuple[str, ...]:
    data = _pyproject(folder)
    project = data.get("project", {})
    needs = [*project.get("dependencies", ())]
    for extra in project.get("optional-dependencies", {}).values():
        needs += extra
    for group in groups:
        # A group may include another, by a table in place of a text.
        listed = data.get("dependency-groups", {}).get(group, ())
        needs += [need for need in listed if isinstance(need, str)]
    return tuple(needs)


def _imported(folder: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for file in sorted(folder.rglob("*.py")):
        try:
            tree = ast.parse(file.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            # Whoever imports it says so.
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names = [node.module]
            else:
                continue
            for name in names:
                found.setdefault(name.partition(".")[0], f"{file.name}:{node.lineno}")
    return found


@functools.cache
def _providers() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


def _owners(module: str) -> list[str]:
    return [_name(owner) for owner in _providers().get(module, [module])]


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _name(requirement: str) -> str:
    bare = re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", bare).lower()


def _project(folder: Path) -> Mapping[str, Any]:
    project: Mapping[str, Any] = _pyproject(folder).get("project", {})
    return project


def _pyproject(folder: Path) -> dict[str, Any]:
    try:
        return parsed_toml(held_text(folder / "pyproject.toml"))
    except (OSError, ValueError):
        return {}
