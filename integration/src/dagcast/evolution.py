"""Installed contracts against what was released, and the snapshots that packages commit."""

import json
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from dagcast.errors import UsageError
from dagcast.plugins import Plugins
from dagcast_core.contract import (
    Contract,
    ContractError,
    Problem,
    evolution_problems,
    read_snapshot,
    snapshot,
)

RELEASE_SCHEMA = "dagcast.release/1"
_REMEDY = "run dagcast snapshot and commit the file"


def check_evolution(plugins: Plugins, against: Path) -> tuple[Problem, ...]:
    """Compare installed contracts with released ones: is each version far enough ahead?

    Args:
        plugins: from ``load_plugins``; disabled or broken packages are not compared.
        against: a release manifest, a ``contract.json``, or a folder that holds some.

    Raises:
        UsageError: there is nothing of that kind at ``against``.
    """
    problems: list[Problem] = []
    for distribution, released in released_contracts(against).items():
        current = plugins.of(distribution)
        if not current:
            continue
        contracts = [contract for plugin in current for contract in plugin.contracts]
        label = f"{current[0].distribution} {current[0].version}"
        problems += evolution_problems(released, contracts, producer=label)
    return tuple(problems)


def released_contracts(against: Path) -> dict[str, tuple[Contract, ...]]:
    """Read released contracts, by distribution.

    Args:
        against: a release manifest, a ``contract.json``, or a folder that holds some.

    Raises:
        UsageError: there is nothing of that kind at ``against``.
    """
    if against.is_dir():
        files = sorted({*against.glob("contract.json"), *against.glob("*/contract.json")})
        if not files:
            raise UsageError(
                "a release manifest, a contract.json, or a folder that holds some",
                f"the folder {against} without any",
                "Name a file of integration/releases, or the folder packages.",
            )
        return {name: held for file in files for name, held in released_contracts(file).items()}
    data = read_json(against, "a release manifest or a contract.json")
    try:
        if data.get("schema") == RELEASE_SCHEMA:
            return {
                str(package["distribution"]): tuple(map(Contract.from_json, package["contracts"]))
                for package in data["packages"]
            }
        name, contracts = read_snapshot(data)
    except (ContractError, KeyError, TypeError) as error:
        raise UsageError(
            "a release manifest or a contract.json",
            f"{against}, in which {error}",
            "Take the file from the release it belongs to.",
        ) from error
    return {name: contracts}


def check_snapshots(plugins: Plugins, workspace: Path) -> tuple[Problem, ...]:
    """Find packages of a workspace whose committed ``contract.json`` is missing or stale."""
    problems = []
    for folder, distribution, contracts in _packages(plugins, workspace):
        file = folder / "contract.json"
        if not file.exists():
            found = "no file"
        else:
            # Through JSON, so that tuples compare equal to the lists they were written as.
            declared = json.loads(json.dumps(snapshot(distribution, contracts)))
            found = "; ".join(_changes("", json.loads(file.read_text()), declared))
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
            file.write_text(text)
            written.append(file)
    return tuple(written)


def read_json(path: Path, what: str) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        UsageError: there is no such file, or it holds no JSON object.
    """
    try:
        data = json.loads(path.read_text())
    except FileNotFoundError:
        raise UsageError(what, f"no file {path}", "Check the path.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UsageError(what, f"{path}, which is no JSON: {error}", "Check the path.") from error
    if not isinstance(data, dict):
        raise UsageError(what, f"{path}, which holds no JSON object", "Check the path.")
    return data


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
