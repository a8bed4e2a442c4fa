"""What may change between two versions of a contract, and how far its version must move.

Outputs may be strengthened and inputs relaxed in a minor version; the reverse breaks somebody
and is major. A version counts the interface, not the distribution.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dagcast_core.contract._checks import check_keys
from dagcast_core.contract._contract import Contract, Effect, Input
from dagcast_core.contract._edges import interval, within
from dagcast_core.contract._errors import ContractError
from dagcast_core.contract._problem import Problem
from dagcast_core.contract._quantity import Quantity

Bump = Literal["none", "patch", "minor", "major"]
_RANKS: tuple[Bump, ...] = ("none", "patch", "minor", "major")
SNAPSHOT_SCHEMA = "dagcast.contracts/1"


@dataclass(frozen=True, slots=True)
class Difference:
    """One change of an interface.

    Args:
        bump: least part of the version that it moves.
        what: the thing changed, e.g. ``unit of output 'eta'``.
        before: in the released version,
        after: and now; ``-`` where there is nothing.
    """

    bump: Bump
    what: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.what}: {self.before} -> {self.after}"


def differences(released: Contract, current: Contract) -> tuple[Difference, ...]:
    """List what changed from ``released`` to ``current``, worst first."""
    found = [
        *_outputs(released, current),
        *_inputs(released, current),
        *_effects(released, current),
        *_terms(released, current),
    ]
    return tuple(sorted(found, key=lambda item: -_RANKS.index(item.bump)))


def least_bump(changes: Iterable[Difference]) -> Bump:
    """Return the part of the version that ``changes`` move at least."""
    return max((item.bump for item in changes), key=_RANKS.index, default="none")


def least_version(released: str, bump: Bump) -> str:
    """Return the first version after ``released`` that ``bump`` allows."""
    major, minor, patch = map(int, released.split("."))
    if bump == "major":
        return f"{major + 1}.0.0"
    if bump == "minor":
        return f"{major}.{minor + 1}.0"
    if bump == "patch":
        return f"{major}.{minor}.{patch + 1}"
    return released


def evolution_problem(
    released: Contract, current: Contract, *, producer: str = ""
) -> Problem | None:
    """Return what is wrong with the version of ``current``, if anything.

    Args:
        released: the contract as last released.
        current: the same model's contract now.
        producer: who brings it, for the report; default the model's name.
    """
    changes = differences(released, current)
    least = least_version(released.version, least_bump(changes))
    if _number(current.version) >= _number(least):
        return None
    worst = [str(item) for item in changes if item.bump == least_bump(changes)]
    reason = f" ({least_bump(changes)}: {'; '.join(worst)})" if worst else " (as released)"
    return Problem.of(
        "DC301",
        current.model,
        producer=producer or current.model,
        expected=f"at least {least}{reason}",
        found=current.version,
        fix=f"write version='{least}' in its Contract, or take the change back",
    )


def evolution_problems(
    released: Iterable[Contract], current: Iterable[Contract], *, producer: str = ""
) -> tuple[Problem, ...]:
    """Compare all contracts of a package with its last release.

    Args:
        released: contracts of the released package.
        current: its contracts now. New models are no problem.
        producer: who brings them, for the report.
    """
    now = {contract.model: contract for contract in current}
    problems = []
    for old in released:
        new = now.get(old.model)
        if new is None:
            problems.append(
                Problem.of(
                    "DC302",
                    old.model,
                    producer=producer,
                    expected=f"the released model, or one that makes {', '.join(old.output_names)}",
                    found=f"only {', '.join(now) or 'no model'}",
                    fix="keep the model, or give the package a new major version and drop it from "
                    "the release that is compared with",
                )
            )
            continue
        problem = evolution_problem(old, new, producer=producer)
        if problem is not None:
            problems.append(problem)
    return tuple(problems)


def snapshot(distribution: str, contracts: Iterable[Contract]) -> dict[str, Any]:
    """Return what a package commits as ``contract.json``."""
    return {
        "schema": SNAPSHOT_SCHEMA,
        "distribution": distribution,
        "contracts": [contract.to_json() for contract in contracts],
    }


def read_snapshot(data: Mapping[str, Any]) -> tuple[str, tuple[Contract, ...]]:
    """Read what ``snapshot`` returned.

    Returns:
        The distribution and its contracts.

    Raises:
        ContractError: the schema or a key is unknown.
    """
    check_keys(data, ("schema", "distribution", "contracts"), "a contract snapshot")
    if data.get("schema") != SNAPSHOT_SCHEMA:
        raise ContractError(
            f"schema of a contract snapshot is {data.get('schema')!r}; expected {SNAPSHOT_SCHEMA!r}"
        )
    contracts = tuple(Contract.from_json(item) for item in data["contracts"])
    return str(data["distribution"]), contracts


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _outputs(released: Contract, current: Contract) -> Iterator[Difference]:
    before = {quantity.name: quantity for quantity in released.outputs}
    after = {quantity.name: quantity for quantity in current.outputs}
    for name in sorted(before.keys() - after.keys()):
        yield Difference("major", f"output {name!r}", "produced", "-")
    for name in sorted(after.keys() - before.keys()):
        yield Difference("minor", f"output {name!r}", "-", "produced")
    for name in sorted(before.keys() & after.keys()):
        old, new = before[name], after[name]
        what = f"output {name!r}"
        yield from _redefined(what, old, new)
        if old.bounds != new.bounds:
            # Narrower promises serve every reader of the wider ones.
            bump: Bump = "minor" if within(new, old) else "major"
            yield Difference(bump, f"bounds of {what}", interval(old), interval(new))
        if old.nullable != new.nullable:
            bump = "major" if new.nullable else "minor"
            yield Difference(bump, f"nullable of {what}", str(old.nullable), str(new.nullable))


def _inputs(released: Contract, current: Contract) -> Iterator[Difference]:
    before = {item.name: item for item in released.inputs}
    after = {item.name: item for item in current.inputs}
    for name in sorted(before.keys() - after.keys()):
        yield Difference("minor", f"input {name!r}", "read", "-")
    for name in sorted(after.keys() - before.keys()):
        if after[name].required:
            yield Difference("major", f"input {name!r}", "-", "required")
        else:
            yield Difference("minor", f"input {name!r}", "-", "optional")
    for name in sorted(before.keys() & after.keys()):
        yield from _input(f"input {name!r}", before[name], after[name])


def _input(what: str, old: Input, new: Input) -> Iterator[Difference]:
    yield from _redefined(what, old.quantity, new.quantity)
    if old.quantity.bounds != new.quantity.bounds:
        # Accepting more serves every producer that was accepted before.
        bump: Bump = "minor" if within(old.quantity, new.quantity) else "major"
        before, after = interval(old.quantity), interval(new.quantity)
        yield Difference(bump, f"bounds of {what}", before, after)
    if old.quantity.nullable != new.quantity.nullable:
        bump = "minor" if new.quantity.nullable else "major"
        was, now = str(old.quantity.nullable), str(new.quantity.nullable)
        yield Difference(bump, f"nullable of {what}", was, now)
    if old.required != new.required:
        bump = "major" if new.required else "minor"
        names = {True: "required", False: "optional"}
        yield Difference(bump, what, names[old.required], names[new.required])
    elif old.default != new.default:
        # Whoever does not provide the input would get another result.
        yield Difference("major", f"default of {what}", f"{old.default}", f"{new.default}")
    if old.lag != new.lag:
        # A longer lag loses information, a shorter one can close a loop.
        yield Difference("major", f"lag of {what}", str(old.lag), str(new.lag))


def _redefined(what: str, old: Quantity, new: Quantity) -> Iterator[Difference]:
    if old.dim_names != new.dim_names:
        before, after = (f"[{', '.join(q.dim_names)}]" for q in (old, new))
        yield Difference("major", f"dims of {what}", before, after)
    if old.dtype != new.dtype:
        yield Difference("major", f"dtype of {what}", old.dtype, new.dtype)
    if old.unit != new.unit:
        yield Difference("major", f"unit of {what}", old.unit, new.unit)
    was = {dim.name: dim for dim in old.dims}
    for dim in new.dims:
        if dim.name not in was:
            continue
        for term in ("kind", "frequency", "zone", "vocabulary"):
            a, b = getattr(was[dim.name], term), getattr(dim, term)
            if a != b:
                yield Difference("major", f"{term} of {dim.name} of {what}", str(a), str(b))
        how, now = old.aggregated(dim.name), new.aggregated(dim.name)
        if how != now:
            along = f"aggregation of {what} along {dim.name}"
            yield Difference("major", along, str(how), str(now))


def _effects(released: Contract, current: Contract) -> Iterator[Difference]:
    before = {(effect.lever, effect.outcome): effect for effect in released.effects}
    after = {(effect.lever, effect.outcome): effect for effect in current.effects}
    for pair in sorted(before.keys() - after.keys()):
        yield Difference("major", f"effect {pair[0]} -> {pair[1]}", before[pair].sign, "-")
    for pair in sorted(after.keys() - before.keys()):
        yield Difference("minor", f"effect {pair[0]} -> {pair[1]}", "-", after[pair].sign)
    for pair in sorted(before.keys() & after.keys()):
        yield from _effect(before[pair], after[pair])


def _effect(old: Effect, new: Effect) -> Iterator[Difference]:
    what = f"effect {old.lever} -> {old.outcome}"
    if old.sign != new.sign:
        # From '?' to a sign is a stronger claim; everything else takes one back or turns it.
        bump: Bump = "minor" if old.sign == "?" else "major"
        yield Difference(bump, f"sign of the {what}", old.sign, new.sign)
    if old.differentiable != new.differentiable:
        bump = "minor" if new.differentiable else "major"
        was, now = str(old.differentiable), str(new.differentiable)
        yield Difference(bump, f"differentiable of the {what}", was, now)
    if old.evidence != new.evidence:
        was, now = repr(old.evidence), repr(new.evidence)
        yield Difference("patch", f"evidence of the {what}", was, now)


def _terms(released: Contract, current: Contract) -> Iterator[Difference]:
    old, new = released, current
    if old.look_ahead != new.look_ahead:
        bump: Bump = "major" if new.look_ahead > old.look_ahead else "minor"
        yield Difference(bump, "look-ahead", str(old.look_ahead), str(new.look_ahead))
    if old.plugin_api != new.plugin_api:
        same = old.plugin_api.partition(".")[0] == new.plugin_api.partition(".")[0]
        bump = "minor" if same else "major"
        yield Difference(bump, "plugin API", old.plugin_api, new.plugin_api)
