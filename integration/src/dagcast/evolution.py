"""Installed contracts against what was released, and the snapshots that packages commit."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagcast._held import held_text, parsed_toml
from dagcast._whole import write_text
from dagcast.errors import UsageError
from dagcast.exported import read_exported, read_json
from dagcast.plugins import Plugins
from dagcast_core.contract import (
    Contract,
    ContractError,
    Problem,
    differences,
    evolution_problems,
    read_snapshot,
    snapshot,
)

_RENEW = "run dagcast snapshot and commit the file"
_RENEWED = " and " + _RENEW


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

    What is committed is a promise: a contract that changed by more than its version says is
    reported as that, and a file is stale for whatever else differs.

    Args:
        plugins: from ``load_plugins``.
        workspace: its root, or the folder of one package in a repository of its own.
        only_present: whether a missing file is no problem.
    """
    problems: list[Problem] = []
    for package in _packages(plugins, workspace):
        if only_present and not package.file.exists():
            continue
        problems += package.outgrown()
        stale = package.stale(workspace, skip={problem.name for problem in problems})
        problems += [stale] if stale is not None else []
    return tuple(problems)


def write_snapshots(
    plugins: Plugins, workspace: Path
) -> tuple[tuple[Path, ...], tuple[Problem, ...]]:
    """Write ``contract.json`` of every package of a workspace whose contracts changed.

    Returns:
        The files written, and what kept others from being: a contract that changed by more than
        its version says would no longer be seen to have, once the file is renewed.

    Raises:
        UsageError: no installed package lies there.
    """
    packages = tuple(_packages(plugins, workspace))
    if not packages:
        raise UsageError(
            "the folder of an installed package, or of a workspace with some in packages/",
            f"none in {workspace.absolute()}",
            "Install the package, or name its folder with --workspace.",
        )
    written: list[Path] = []
    problems: list[Problem] = []
    for package in packages:
        outgrown = package.outgrown()
        problems += outgrown
        text = json.dumps(package.declared, indent=1) + "\n"
        file = package.file
        if not outgrown and (not file.exists() or held_text(file) != text):
            write_text(file, text)
            written.append(file)
    return tuple(written), tuple(problems)


@dataclass(frozen=True, slots=True)
class _Package:
    """A package of a workspace: the snapshot that it commits, and what it declares."""

    file: Path
    distribution: str
    contracts: tuple[Contract, ...]

    @property
    def declared(self) -> dict[str, Any]:
        """The snapshot as it should be."""
        return snapshot(self.distribution, self.contracts)

    def outgrown(self) -> tuple[Problem, ...]:
        """Contracts that changed since the file was written by more than their version says."""
        return evolution_problems(
            self._committed(), self.contracts, producer=self.distribution, then=_RENEWED
        )

    def stale(self, workspace: Path, skip: Collection[str]) -> Problem | None:
        """What else differs from the file, but for the models in ``skip``."""
        ways = {_RENEW: None}
        if not self.file.exists():
            found = ["no file"]
        else:
            # Through JSON, so that tuples compare equal to the lists they were written as.
            declared = json.loads(json.dumps(self.declared))
            held = read_json(self.file, "a snapshot of contracts")
            before = {contract.model: contract for contract in self._committed()}
            found = []
            for contract in self.contracts:
                changes = differences(before.get(contract.model, contract), contract)
                if contract.model in skip or not changes:
                    continue
                # In the terms of contracts, which know a rename from a loss and a gain.
                found += [f"model {contract.model!r}: {change}" for change in changes]
                ways |= dict.fromkeys(c.instead or "take the change back" for c in changes)
                skip = {*skip, contract.model}
            found += _changes("", _without(held, skip), _without(declared, skip))
        if not found:
            return None
        return Problem.of(
            "DC209",
            str(self.file.relative_to(workspace)),
            producer=self.distribution,
            expected="the contracts as declared",
            found="; ".join(found),
            fix=", or ".join(ways),
        )

    def _committed(self) -> tuple[Contract, ...]:
        if not self.file.exists():
            return ()
        try:
            return read_snapshot(read_json(self.file, "a snapshot of contracts"))[1]
        except (ContractError, KeyError, TypeError, ValueError):
            # What cannot be read promises nothing; the difference says so.
            return ()


def _without(data: Mapping[str, Any], models: Collection[str]) -> dict[str, Any]:
    held = [
        item
        for item in data.get("contracts", ())
        if not (isinstance(item, dict) and item.get("model") in models)
    ]
    return {**data, "contracts": held}


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


def _packages(plugins: Plugins, workspace: Path) -> Iterator[_Package]:
    # A package with a repository of its own is its own workspace.
    for file in sorted(
        [*workspace.glob("pyproject.toml"), *workspace.glob("packages/*/pyproject.toml")]
    ):
        distribution = parsed_toml(held_text(file)).get("project", {}).get("name", "")
        loaded = plugins.of(distribution)
        contracts = tuple(contract for plugin in loaded for contract in plugin.contracts)
        snapshot_file = file.with_name("contract.json")
        # Of a package that cannot be loaded nobody knows what it declares; others may have
        # declared something once.
        if contracts or (loaded and snapshot_file.exists()):
            yield _Package(snapshot_file, distribution, contracts)
