"""Entry points before they are imported: which there are, and which names two of them claim."""

import importlib.metadata
import re
from collections.abc import Sequence
from dataclasses import dataclass

# Not `from dagcast_core import hooks`: that looks through the layers first, and torch with them.
import dagcast_core.hooks as hooks
from dagcast_core.contract import Problem, nearest


@dataclass(frozen=True)
class Claim:
    """An entry point before it is imported."""

    name: str
    distribution: str
    version: str
    entry_point: importlib.metadata.EntryPoint

    def __str__(self) -> str:
        return f"{self.name} ({self.distribution} {self.version})"

    def matches(self, name: str) -> bool:
        return name == self.name or normalised(name) == normalised(self.distribution)


def claims_in(path: Sequence[str] | None) -> list[Claim]:
    """Every entry point of packages in the folders of ``path``, default ``sys.path``."""
    found = (
        importlib.metadata.distributions()
        if path is None
        else importlib.metadata.distributions(path=list(path))
    )
    claims = []
    seen: set[str] = set()
    for distribution in found:
        # Parsing those of everything that is installed takes longer than all our packages.
        if hooks.ENTRY_POINT_GROUP not in (distribution.read_text("entry_points.txt") or ""):
            continue
        points = distribution.entry_points.select(group=hooks.ENTRY_POINT_GROUP)
        if not points:
            continue
        name, version = _name_and_version(distribution)
        # The first on the path shadows the rest, as it does for imports.
        if normalised(name) in seen:
            continue
        seen.add(normalised(name))
        claims += [Claim(p.name, name, version, p) for p in points]
    return sorted(claims, key=lambda claim: (claim.distribution, claim.name))


def _name_and_version(distribution: importlib.metadata.Distribution) -> tuple[str, str]:
    # The standard library parses the whole text, a README included, once for each of the two.
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    head = re.split(r"\r?\n\r?\n", text, maxsplit=1)[0]
    name, version = (
        re.search(rf"^{field}:[ \t]*(\S+)[ \t]*\r?$", head, re.MULTILINE | re.IGNORECASE)
        for field in ("Name", "Version")
    )
    if name is None or version is None:
        return distribution.metadata["Name"], distribution.version
    return name.group(1), version.group(1)


def normalised(name: str) -> str:
    """A distribution's name as installers compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def unknown_disabled(name: str, claims: Sequence[Claim]) -> Problem:
    """A name to disable that nothing installed has."""
    known = dict.fromkeys([c.name for c in claims] + [c.distribution for c in claims])
    near = nearest(name, known)
    return Problem.of(
        "DC207",
        name,
        consumer="project",
        expected="the name of an installed entry point or distribution",
        found=f"neither; installed are {', '.join(c.name for c in claims) or 'none'}",
        fix=f"write {near!r}" if near else "leave it out of the disabled plugins",
    )


def without_clashes(claims: Sequence[Claim]) -> tuple[list[Claim], list[Problem]]:
    """Entry points whose name is their own, and a problem for each name that is not."""
    by_name: dict[str, list[Claim]] = {}
    for claim in claims:
        by_name.setdefault(claim.name, []).append(claim)
    problems = []
    for name, same in by_name.items():
        if len(same) > 1:
            others = ", ".join(dict.fromkeys(claim.distribution for claim in same))
            problems.append(
                Problem.of(
                    "DC204",
                    name,
                    producer=", ".join(f"{c.distribution} {c.version}" for c in same),
                    expected="one entry point of this name",
                    found=f"{len(same)}; pluggy would skip all but the first in silence",
                    fix=f"rename one in its pyproject.toml, or disable one of {others}",
                )
            )
    return [same[0] for same in by_name.values() if len(same) == 1], problems
