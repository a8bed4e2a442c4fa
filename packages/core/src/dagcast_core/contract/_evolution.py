"""What may change between two versions of a contract, and how far its version must move.

Outputs may be strengthened and inputs relaxed in a minor version; the reverse breaks somebody
and is major. A version counts the interface, not the distribution. Below 1.0.0 a contract is a
draft: what is major moves the second number, and it may be withdrawn.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dagcast_core.contract._checks import check_keys
from dagcast_core.contract._contract import Contract, Effect, Input
from dagcast_core.contract._edges import interval, within
from dagcast_core.contract._errors import ContractError
from dagcast_core.contract._nearest import nearest
from dagcast_core.contract._problem import Problem
from dagcast_core.contract._quantity import Quantity

Bump = Literal["none", "patch", "minor", "major"]
"""The part of a version that a change moves at least."""
_RANKS: tuple[Bump, ...] = ("none", "patch", "minor", "major")
SNAPSHOT_SCHEMA = "dagcast.contracts/1"
_GONE = "no longer"


@dataclass(frozen=True, slots=True)
class Difference:
    """One change of an interface.

    Args:
        bump: least part of the version that it moves.
        what: the thing changed, e.g. ``unit of output 'wait'``.
        before: in the released version; empty where there was nothing.
        after: now, in words where it is gone.
        instead: how the same is reached without breaking anybody; empty where only taking the
            change back is.
    """

    bump: Bump
    what: str
    before: str
    after: str
    instead: str = ""

    def __str__(self) -> str:
        if not self.before:
            return f"{self.what}: {self.after}"
        # An arrow beside the sign '-' reads as one more sign.
        joint = ", " if self.after.startswith(_GONE) else " -> "
        return f"{self.what}: {self.before}{joint}{self.after}"


def differences(released: Contract, current: Contract) -> tuple[Difference, ...]:
    """List what changed from ``released`` to ``current``, worst first."""
    outputs = _renamed(
        {quantity.name: quantity for quantity in released.outputs},
        {quantity.name: quantity for quantity in current.outputs},
    )
    inputs = _renamed(
        {item.name: item.quantity for item in released.inputs},
        {item.name: item.quantity for item in current.inputs},
    )
    found = [
        *_outputs(released, current, outputs),
        *_inputs(released, current, inputs),
        *_effects(released, current, {**inputs, **outputs}),
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
    released: Contract, current: Contract, *, producer: str = "", then: str = ""
) -> Problem | None:
    """Return what is wrong with the version of ``current``, if anything.

    Args:
        released: the contract as last released.
        current: the same model's contract now.
        producer: who brings it, for the report; default the model's name.
        then: what else is to be done with the new version, such as " and renew the file".
    """
    changes = differences(released, current)
    bump = least_bump(changes)
    least = least_version(released.version, _moved(released, bump))
    if _number(current.version) >= _number(least):
        return None
    # All of them, worst first: whoever takes the worst back has to know what is left.
    listed = [
        f"{rank}: " + "; ".join(str(item) for item in changes if item.bump == rank)
        for rank in reversed(_RANKS)
        if any(item.bump == rank for item in changes)
    ]
    ways = dict.fromkeys(c.instead or "take the change back" for c in changes if c.bump == bump)
    return Problem.of(
        "DC301",
        current.model,
        producer=producer or current.model,
        expected=f"at least {least} ({'; '.join(listed) or 'as released'})",
        found=current.version,
        fix=f"write version='{least}' in its Contract{then}, or "
        f"{', and '.join(ways) or 'a later one'}",
    )


def evolution_problems(
    released: Iterable[Contract], current: Iterable[Contract], *, producer: str = "", then: str = ""
) -> tuple[Problem, ...]:
    """Compare all contracts of a package with its last release.

    Args:
        released: contracts of the released package.
        current: its contracts now. New models are no problem.
        producer: who brings them, for the report.
        then: as for ``evolution_problem``.
    """
    now = {contract.model: contract for contract in current}
    problems = []
    for old in released:
        new = now.get(old.model)
        if new is None and _is_draft(old):
            continue
        if new is None:
            problems.append(_removed(old, list(now.values()), producer))
            continue
        problem = evolution_problem(old, new, producer=producer, then=then)
        if problem is not None:
            problems.append(problem)
    return tuple(problems)


def _removed(old: Contract, now: Sequence[Contract], producer: str) -> Problem:
    made = set(old.output_names)
    heir = next((new for new in now if made <= set(new.output_names)), None)
    found = f"only {', '.join(new.model for new in now) or 'no model'}"
    fix = (
        "keep the model, or give the package a new major version and drop it from the release "
        "that is compared with"
    )
    if heir is not None:
        found = f"{heir.model!r}, a model of another name that makes them"
        fix = f"name it {old.model!r} again; or, if it is meant to replace that one, give the "
        fix += "package a new major version and drop the old one from the release compared with"
    return Problem.of(
        "DC302",
        old.model,
        producer=producer,
        expected=f"the released model, which makes {', '.join(old.output_names)}",
        found=found,
        fix=fix,
    )


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


def _is_draft(contract: Contract) -> bool:
    """Whether a contract is one that nobody is to rely on yet."""
    return contract.version.startswith("0.")


def _moved(released: Contract, bump: Bump) -> Bump:
    """The part of the version that moves: of a draft the next smaller one."""
    smaller: dict[Bump, Bump] = {"major": "minor", "minor": "patch"}
    return smaller.get(bump, bump) if _is_draft(released) else bump


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _renamed(before: Mapping[str, Quantity], after: Mapping[str, Quantity]) -> dict[str, str]:
    """Find names that are gone, by the new name that stands for the same thing, if there is one.

    The same thing has the same unit, type and dims; of several, the nearest name is taken.
    """
    gone = [name for name in before if name not in after]
    new = [name for name in after if name not in before]
    renamed: dict[str, str] = {}
    for name in gone:
        alike = [n for n in new if n not in renamed.values() and _alike(before[name], after[n])]
        if alike:
            renamed[name] = nearest(name, alike) or alike[0]
    return renamed


def _alike(old: Quantity, new: Quantity) -> bool:
    return (old.unit, old.dtype, set(old.dim_names)) == (new.unit, new.dtype, set(new.dim_names))


def _outputs(
    released: Contract, current: Contract, renamed: Mapping[str, str]
) -> Iterator[Difference]:
    before = {quantity.name: quantity for quantity in released.outputs}
    after = {quantity.name: quantity for quantity in current.outputs}
    for name in before:
        what = f"output {name!r}"
        if name in renamed:
            new = after[renamed[name]]
            same = f"same unit {new.unit!r} and dims [{', '.join(new.dim_names)}]"
            instead = f"go on making {name!r} beside {new.name!r} until its readers have moved"
            yield Difference("major", what, "", f"renamed {new.name!r} ({same})", instead)
        elif name not in after:
            instead = f"go on making {name!r}"
            yield Difference("major", what, "produced", f"{_GONE} produced", instead)
    for name in after:
        if name not in before and name not in renamed.values():
            yield Difference("minor", f"output {name!r}", "", "now produced")
    for name in before:
        if renamed.get(name, name) not in after:
            continue
        yield from _output(f"output {name!r}", before[name], after[renamed.get(name, name)])


def _output(what: str, old: Quantity, new: Quantity) -> Iterator[Difference]:
    yield from _redefined(what, old, new, instead="add an output of its own with the new meaning")
    if old.bounds != new.bounds:
        # Narrower promises serve every reader of the wider ones.
        bump: Bump = "minor" if within(new, old) else "major"
        yield Difference(bump, f"bounds of {what}", interval(old), interval(new))
    if old.nullable != new.nullable:
        bump = "major" if new.nullable else "minor"
        yield Difference(bump, f"nullable of {what}", str(old.nullable), str(new.nullable))


def _inputs(
    released: Contract, current: Contract, renamed: Mapping[str, str]
) -> Iterator[Difference]:
    before = {item.name: item for item in released.inputs}
    after = {item.name: item for item in current.inputs}
    claims = any(effect.sign != "?" for effect in released.effects)
    for name in before:
        what = f"input {name!r}"
        if name in renamed:
            now = f"renamed {renamed[name]!r} (same unit and dims)"
            instead = f"go on reading {name!r}"
            yield Difference("major", what, "", now, instead)
        elif name not in after:
            yield Difference("minor", what, "read", f"{_GONE} read")
    for name, item in after.items():
        if name in before or name in renamed.values():
            continue
        if item.required:
            instead = (
                f"declare {name!r} with required=False and a default that reproduces the old result"
            )
            yield Difference("major", f"input {name!r}", "", "now required", instead)
        else:
            now = f"now read where it is there, else {item.default:g}"
            yield Difference("minor", f"input {name!r}", "", now)
    for name, item in before.items():
        if renamed.get(name, name) in after:
            now_read = after[renamed.get(name, name)]
            yield from _input(f"input {name!r}", item, now_read, claims=claims)


def _input(what: str, old: Input, new: Input, *, claims: bool) -> Iterator[Difference]:
    yield from _redefined(what, old.quantity, new.quantity)
    if old.quantity.bounds != new.quantity.bounds:
        # Accepting more serves every producer that was accepted before.
        bump: Bump = "minor" if within(old.quantity, new.quantity) else "major"
        before, after = interval(old.quantity), interval(new.quantity)
        yield Difference(bump, f"bounds of {what}", before, after)
    yield from _typical(what, old.quantity, new.quantity, claims=claims)
    if old.quantity.nullable != new.quantity.nullable:
        bump = "minor" if new.quantity.nullable else "major"
        was, now = str(old.quantity.nullable), str(new.quantity.nullable)
        yield Difference(bump, f"nullable of {what}", was, now)
    if old.required != new.required:
        bump = "major" if new.required else "minor"
        names = {True: "required", False: "optional"}
        instead = "keep a default that reproduces the old result" if new.required else ""
        yield Difference(bump, what, names[old.required], names[new.required], instead)
    elif old.default != new.default:
        # Whoever does not provide the input would get another result.
        yield Difference("major", f"default of {what}", f"{old.default}", f"{new.default}")
    if old.lag != new.lag:
        # A longer lag loses information, a shorter one can close a loop.
        yield Difference("major", f"lag of {what}", str(old.lag), str(new.lag))


def _typical(what: str, old: Quantity, new: Quantity, *, claims: bool) -> Iterator[Difference]:
    """The range in which the model's signed claims hold: what narrows it takes them back there."""
    was, now = _range(old), _range(new)
    if was == now:
        return
    shown = f"typical range of {what}"
    if not claims:
        yield Difference("patch", shown, _ends(was), _ends(now))
    elif now[0] <= was[0] and was[1] <= now[1]:
        yield Difference("minor", shown, _ends(was), f"{_ends(now)}, where the claims hold now too")
    else:
        instead = f"keep {_ends(was)} and mend the model where a claim fails, or claim sign='?'"
        after = f"{_ends(now)}, so the claimed signs now hold on less"
        yield Difference("major", shown, _ends(was), after, instead)


def _range(quantity: Quantity) -> tuple[float, float]:
    low, high = quantity.typical or quantity.bounds
    return (-math.inf if low is None else low, math.inf if high is None else high)


def _ends(ends: tuple[float, float]) -> str:
    return f"{ends[0]:g} to {ends[1]:g}"


def _redefined(
    what: str, old: Quantity, new: Quantity, *, instead: str = ""
) -> Iterator[Difference]:
    # Dims are a set: values belong to labels, whatever the order in which they are declared.
    if set(old.dim_names) != set(new.dim_names):
        before, after = (f"[{', '.join(q.dim_names)}]" for q in (old, new))
        yield Difference("major", f"dims of {what}", before, after, instead)
    if old.dtype != new.dtype:
        yield Difference("major", f"dtype of {what}", old.dtype, new.dtype, instead)
    if old.unit != new.unit:
        yield Difference("major", f"unit of {what}", old.unit, new.unit, instead)
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
            yield Difference("major", along, str(how), str(now), instead)


def _effects(
    released: Contract, current: Contract, renamed: Mapping[str, str]
) -> Iterator[Difference]:
    # An effect on a renamed quantity is the same claim.
    before = {
        (renamed.get(effect.lever, effect.lever), renamed.get(effect.outcome, effect.outcome)): (
            effect
        )
        for effect in released.effects
    }
    after = {(effect.lever, effect.outcome): effect for effect in current.effects}
    for pair, effect in before.items():
        # Nobody can miss a claim on what is no longer made; that is said once, above.
        if pair not in after and pair[1] in current.output_names:
            what = f"effect {effect.lever} -> {effect.outcome}"
            yield Difference("major", what, f"sign {effect.sign}", f"{_GONE} claimed")
    for pair, effect in after.items():
        if pair not in before:
            what = f"effect {pair[0]} -> {pair[1]}"
            yield Difference("minor", what, "", f"now claimed, sign {effect.sign}")
        else:
            yield from _effect(before[pair], effect)


def _effect(old: Effect, new: Effect) -> Iterator[Difference]:
    what = f"effect {old.lever} -> {old.outcome}"
    if old.sign != new.sign:
        # From '?' to a sign is a stronger claim; everything else takes one back or turns it.
        bump: Bump = "minor" if old.sign == "?" else "major"
        if new.sign == "?":
            yield Difference(bump, what, f"sign {old.sign}", f"{_GONE} claimed")
        else:
            # Quoted: bare signs beside an arrow are hard to tell from it.
            yield Difference(bump, f"sign of the {what}", f"{old.sign!r}", f"{new.sign!r}")
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
