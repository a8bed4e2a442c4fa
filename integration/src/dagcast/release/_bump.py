"""The next version of one package, from the change fragments that came since its last release.

python -m dagcast.release packages/eta --against MANIFEST           # print what would be done
python -m dagcast.release packages/eta --against MANIFEST --write   # and write the version
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dagcast._held import held_text, parsed_toml
from dagcast._whole import write_text
from dagcast.errors import UsageError
from dagcast.exported import read_json
from dagcast.release._manifest import Package
from dagcast_core.contract import (
    Bump,
    Contract,
    ContractError,
    Problem,
    differences,
    least_bump,
    least_version,
    read_snapshot,
)

# What each kind of fragment moves. Towncrier's configuration at the root lists the same kinds.
KINDS: dict[str, Bump] = {
    "breaking": "major",
    "removed": "major",
    "added": "minor",
    "changed": "minor",
    "fixed": "patch",
}
_RANKS: tuple[Bump, ...] = ("none", "patch", "minor", "major")
_RELEASED = re.compile(r"^## (\d+\.\d+\.\d+)", re.MULTILINE)
_VERSION = re.compile(r'^version = "(\d+\.\d+\.\d+)"$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class PackageBump:
    """What a release of one package would be.

    Attributes:
        distribution: its name.
        before: version that its ``pyproject.toml`` names.
        after: version of the release; the same for the first one.
        bump: part of the version that moves.
        fragments: names of the fragments it rests on.
        problems: what keeps it from being released.
    """

    distribution: str
    before: str
    after: str
    bump: Bump
    fragments: tuple[str, ...]
    problems: tuple[Problem, ...]


def plan_bump(
    package: Path, released: Iterable[Contract] = (), version: str | None = None
) -> PackageBump:
    """Work out the next version of a package.

    Args:
        package: its folder, with ``pyproject.toml``, ``CHANGELOG.md`` and ``changelog.d``.
        released: contracts of its last release, which its ``contract.json`` is compared with.
        version: with which it is in the current integration release; None where it is in none.

    Raises:
        UsageError: the folder is no package, or a fragment is of no known kind.
    """
    text = _text(package / "pyproject.toml")
    project = parsed_toml(text)["project"]
    distribution, before = str(project["name"]), str(project["version"])
    fragments = _fragments(package / "changelog.d")
    bump: Bump = max(fragments.values(), key=_RANKS.index, default="none")
    contracts = _contract_bump(package / "contract.json", released)
    # A package of an integration release is out, whatever its changelog says.
    first = _RELEASED.search(_text(package / "CHANGELOG.md")) is None and version != before
    problems = []
    if not fragments:
        problems.append(
            _problem(distribution, "at least one change fragment", "none in changelog.d")
        )
    elif not first and _RANKS.index(bump) < _RANKS.index(contracts):
        problems.append(
            _problem(
                distribution,
                f"a fragment for a {contracts} change, since a contract changed that far",
                f"fragments for a {bump} change: {', '.join(fragments)}",
            )
        )
    after = before if first else least_version(before, bump)
    return PackageBump(distribution, before, after, bump, tuple(fragments), tuple(problems))


@dataclass(frozen=True, slots=True)
class NeededVersion:
    """What the contracts of a package ask of its version.

    Attributes:
        distribution: its name.
        released: its version in the release that is followed.
        version: that it has now.
        bump: how far its contracts changed.
        least: the lowest version that says so.
    """

    distribution: str
    released: str
    version: str
    bump: Bump
    least: str

    @property
    def enough(self) -> bool:
        """Whether the version says as much as the contracts ask."""
        return _numbers(self.version) >= _numbers(self.least)

    @property
    def problem(self) -> Problem:
        """What to do about a version that says too little."""
        return Problem.of(
            "DC304",
            self.distribution,
            producer=f"{self.distribution} {self.version}",
            expected=f"{self.least} at least: its contracts changed by a {self.bump} step since "
            f"{self.released}",
            found=self.version,
            fix=f"release it first (nox -s release -- {self.distribution}), and propose again",
        )


def needed_versions(
    packages: Iterable[Package], released: Mapping[str, Package]
) -> tuple[NeededVersion, ...]:
    """Work out the versions that changed contracts ask for, of packages that were released before.

    Args:
        packages: of a candidate.
        released: those of the release that it follows, by distribution.
    """
    found = []
    for package in packages:
        before = released.get(package.distribution)
        if before is None:
            continue
        bump = _changed_by(before.contracts, package.contracts)
        if bump != "none":
            least = least_version(".".join(map(str, _numbers(before.version))), bump)
            found.append(
                NeededVersion(package.distribution, before.version, package.version, bump, least)
            )
    return tuple(found)


def version_in(manifest: Path, distribution: str) -> str | None:
    """Return the version of a distribution in the manifest of an integration release, if any."""
    if not manifest.is_file():
        return None
    packages = read_json(manifest, "the manifest of a release").get("packages", ())
    return next((str(p["version"]) for p in packages if p["distribution"] == distribution), None)


def _numbers(version: str) -> tuple[int, ...]:
    found = [int(part) for part in re.findall(r"\d+", version)[:3]]
    return (*found, *(0 for _ in range(3 - len(found))))


def write_bump(package: Path, plan: PackageBump) -> None:
    """Write the version of ``plan`` into the package's ``pyproject.toml``, and nothing else.

    Raises:
        UsageError: the plan has problems, or the file changed since.
    """
    if plan.problems:
        raise UsageError(
            f"{plan.distribution} to be ready for release",
            "; ".join(map(str, plan.problems)),
            "Nothing was written.",
        )
    file = package / "pyproject.toml"
    text = _text(file)
    if _VERSION.findall(text) != [plan.before]:
        raise UsageError(
            f'one line version = "{plan.before}" in {file}',
            f"{_VERSION.findall(text) or 'none'}",
            "Work the version out again.",
        )
    write_text(file, _VERSION.sub(f'version = "{plan.after}"', text))


def _fragments(folder: Path) -> dict[str, Bump]:
    found: dict[str, Bump] = {}
    for file in sorted(folder.glob("*.md")):
        kind = file.name.split(".")[-2]
        if kind not in KINDS:
            raise UsageError(
                f"a fragment named SUBJECT.KIND.md with KIND one of {', '.join(KINDS)}",
                str(file),
                "Rename it.",
            )
        found[file.name] = KINDS[kind]
    return found


def _contract_bump(file: Path, released: Iterable[Contract]) -> Bump:
    released = tuple(released)
    if not released:
        return "none"
    if not file.exists():
        return "major"
    try:
        _, contracts = read_snapshot(read_json(file, "a contract snapshot"))
    except (ContractError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise UsageError("a contract snapshot", f"{file}: {error}", "Write it again.") from error
    return _changed_by(released, contracts)


def _changed_by(released: Iterable[Contract], contracts: Iterable[Contract]) -> Bump:
    """How far contracts changed, all models of a package together."""
    before = {contract.model: contract for contract in released}
    now = {contract.model: contract for contract in contracts}
    bumps: list[Bump] = ["none"]
    for name in dict.fromkeys((*before, *now)):
        if name not in now:
            bumps.append("major")
        elif name not in before:
            bumps.append("minor")
        else:
            bumps.append(least_bump(differences(before[name], now[name])))
    return max(bumps, key=_RANKS.index)


def _problem(distribution: str, expected: str, found: str) -> Problem:
    return Problem.of(
        "DC303",
        distribution,
        producer=distribution,
        expected=expected,
        found=found,
        fix="write one to changelog.d, for the person who upgrades: what changed and what to do",
    )


def _text(file: Path) -> str:
    try:
        return held_text(file)
    except FileNotFoundError:
        raise UsageError("a package's folder", f"no file {file}", "Check the path.") from None
