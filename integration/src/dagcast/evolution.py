"""Installed contracts against what was released, and the snapshots that packages commit."""

import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dagcast._whole import write_text
from dagcast.exported import read_exported, read_json
from dagcast.plugins import Plugins
from dagcast_core.contract import (
    Contract,
    Problem,
    evolution_problems,
    snapshot,
)

_REMEDY = "run dagcast snapshot and commit the file"


def check_evolution(plugins: Plugins, against: Path) -> tuple[Problem, ...]:
    """Compare installed contracts with released ones: is each version far enough ahead?

    Args:
        plugins: from ``load_plugins``; disabled or broken packages are not compared.
        against: a release manifest, a ``contract.json``, or a folder that holds some.

    Raises:
        UsageError: there is nothing of that kind at ``against``.
    """
    return evolution_of(plugins, released_contracts(against))


def evolution_of(
    plugins: Plugins, released: Mapping[str, tuple[Contract, ...]]
) -> tuple[Problem, ...]:
    """Compare installed contracts with released ones that were read already.

    Args:
        plugins: from ``load_plugins``; disabled or broken packages are not compared.
        released: contracts by distribution; those of packages that are not installed are left out.
    """
    problems: list[Problem] = []
    for distribution, contracts_then in released.items():
        current = plugins.of(distribution)
        if not current:
            continue
        contracts = [contract for plugin in current for contract in plugin.contracts]
        label = f"{current[0].distribution} {current[0].version}"
        problems += evolution_problems(contracts_then, contracts, producer=label)
    return tuple(problems)


def released_contracts(against: Path) -> dict[str, tuple[Contract, ...]]:
    """Read released contracts, by distribution.

    Args:
        against: a release manifest, a ``contract.json``, or a folder that holds some.

    Raises:
        UsageError: there is nothing of that kind at ``against``.
    """
    return read_exported(str(against)).by_distribution()


def check_snapshots(
    plugins: Plugins, workspace: Path, *, only_present: bool = False
) -> tuple[Problem, ...]:
    """Find packages of a workspace whose committed ``contract.json`` is missing or stale.

    Args:
        plugins: from ``load_plugins``.
        workspace: its root, or the folder of one package in a repository of its own.
        only_present: whether a missing file is no problem.
    """
    problems = []
    for folder, distribution, contracts in _packages(plugins, workspace):
        file = folder / "contract.json"
        if only_present and not file.exists():
            continue
        if not file.exists():
            found = "no file"
        else:
            # Through JSON, so that tuples compare equal to the lists they were written as.
            declared = json.loads(json.dumps(snapshot(distribution, contracts)))
            found = "; ".join(_changes("", read_json(file, "a snapshot of contracts"), declared))
        if found:
            problems.append(
                Problem.of(
                    "DC209",
                    str(file.relative_to(workspace)),
                    producer=distribution,
                    expected="the contracts as declared",
                    found=found,
                    fix=_REMEDY,
                )
            )
    return tuple(problems)


def write_snapshots(plugins: Plugins, workspace: Path) -> tuple[Path, ...]:
    """Write ``contract.json`` of every package of a workspace whose contracts changed.

    Returns:
        The files written.
    """
    written = []
    for folder, distribution, contracts in _packages(plugins, workspace):
        file = folder / "contract.json"
        text = json.dumps(snapshot(distribution, contracts), indent=1) + "\n"
        if not file.exists() or file.read_text() != text:
            write_text(file, text)
            written.append(file)
    return tuple(written)


def _changes(where: str, committed: Any, declared: Any) -> Iterator[str]:
    """Say what differs between two JSON values, by the names of what they describe."""
    if committed == declared:
        return
    if isinstance(committed, list) and isinstance(declared, list):
        committed, declared = _by_name(committed), _by_name(declared)
    if not isinstance(committed, dict) or not isinstance(declared, dict):
        yield f"{where}: {json.dumps(committed)} in the file, {json.dumps(declared)} as declared"
        return
    if list(committed) != list(declared) and committed == declared:
        yield f"{where}: another order"
    for key in dict.fromkeys((*committed, *declared)):
        # "contracts" says nothing that the name of the model does not.
        place = f"{where}, {key}" if where and where != "contracts" else key
        if key not in declared:
            yield f"{place}: in the file, no longer declared"
        elif key not in committed:
            yield f"{place}: declared, not in the file"
        else:
            yield from _changes(place, committed[key], declared[key])


def _by_name(items: list[Any]) -> dict[str, Any]:
    return {_name(place, item): item for place, item in enumerate(items)}


def _name(place: int, item: Any) -> str:
    if not isinstance(item, dict):
        return str(place)
    if "model" in item:
        return f"model {item['model']!r}"
    if "lever" in item:
        return f"{item['lever']} -> {item['outcome']}"
    return str(item.get("name") or item.get("quantity", {}).get("name") or place)


def _packages(
    plugins: Plugins, workspace: Path
) -> Iterable[tuple[Path, str, tuple[Contract, ...]]]:
    # A package with a repository of its own is its own workspace.
    for file in sorted(
        [*workspace.glob("pyproject.toml"), *workspace.glob("packages/*/pyproject.toml")]
    ):
        distribution = tomllib.loads(file.read_text()).get("project", {}).get("name", "")
        contracts = tuple(c for plugin in plugins.of(distribution) for c in plugin.contracts)
        if contracts:
            yield file.parent, distribution, contracts
