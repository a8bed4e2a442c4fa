"""A folder of releases: proposals, verified manifests, and a pointer to the current one.

releases/
proposals/<name>.json   a candidate before verification
<name>.json             a verified candidate, never changed again
current.json            which release is current, and all that were
"""

import json
import os
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from dagcast._whole import sweep, write_text
from dagcast.errors import GateError, UsageError
from dagcast.exported import read_json
from dagcast.plugins import Plugins
from dagcast.release._environment import (
    installed_packages,
    needed_environment,
    source_commit,
)
from dagcast.release._gates import REQUIRED_GATES, Gate, changed, metric_problems
from dagcast.release._manifest import GateResult, Manifest, Package
from dagcast_core.contract import Problem

_POINTER = "current.json"
POINTER_SCHEMA = "dagcast.current-release/1"


@dataclass(frozen=True, slots=True)
class Turn:
    """One change of the current release.

    Attributes:
        release: that became current.
        action: ``promote`` or ``rollback``.
        at: UTC, ISO 8601.
    """

    release: str
    action: str
    at: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A release and where it stands.

    Attributes:
        manifest: of the release.
        current: whether it is the current one.
        changed: distributions that differ from its parent.
        history: every change of the current release, oldest first.
    """

    manifest: Manifest
    current: bool
    changed: tuple[str, ...]
    history: tuple[Turn, ...]


class ReleaseError(GateError):
    """A release was refused.

    Attributes:
        problems: why, one per root cause.
    """

    def __init__(self, name: str, problems: Sequence[Problem]) -> None:
        lines = "".join(f"\n  {problem}" for problem in problems)
        super().__init__(
            f"release {name} to pass every gate",
            f"{len(problems)} problem{'s' if len(problems) != 1 else ''}",
            f"The current release is unchanged.{lines}",
        )
        self.problems = tuple(problems)


def propose(
    releases: Path, plugins: Plugins, *, name: str, data: str, sources: Path | None = None
) -> Manifest:
    """Describe the installed packages as a candidate for the next release.

    Args:
        releases: folder of releases; made if it is not there.
        plugins: from ``load_plugins``, without problems.
        name: of the candidate, e.g. ``2026.11.1``.
        data: identifies what figures are to be measured on.
        sources: repository that the packages are built from, whose commit is noted; default the
            one that holds the releases, if one does.

    Raises:
        UsageError: the name is taken or no file name.
        ReleaseError: an installed package is broken.
    """
    _tidy(releases)
    _check_free(releases, name)
    if plugins.problems:
        raise ReleaseError(name, plugins.problems)
    held = current(releases)
    packages = installed_packages(plugins)
    candidate = Manifest(
        name=name,
        parent=held.name if held else "",
        created_at=_now(),
        # Whoever wants an old set back starts from its commit.
        commit=source_commit(sources or releases),
        packages=packages,
        environment=needed_environment(package.distribution for package in packages),
        data=data,
    )
    (releases / "proposals").mkdir(parents=True, exist_ok=True)
    _write(releases / "proposals" / f"{name}.json", candidate)
    return candidate


def verify(
    releases: Path,
    name: str,
    plugins: Plugins,
    gates: Sequence[Gate],
    *,
    together: bool = False,
    afresh: str = "",
) -> Manifest:
    """Run every gate on a proposal and keep the results as an immutable manifest.

    A failed candidate is kept too: its manifest is the explanation.

    Args:
        releases: folder of releases.
        name: of the proposal.
        plugins: what is installed now; it has to be what was proposed.
        gates: from ``default_gates``.
        together: allow several changed packages at once, where neither works without the other.
        afresh: why figures may begin anew that were measured on other data than those of the
            current release, such as a market that was made harder. Others are compared all the
            same.

    Raises:
        UsageError: there is no such proposal, or it was verified before.
        ReleaseError: the environment is no longer what was proposed.
    """
    verified_before = (releases / f"{name}.json").exists()
    unfinished = verified_before and (releases / "proposals" / f"{name}.json").exists()
    _tidy(releases)
    if unfinished:
        # Whoever verified it was killed before the proposal was removed: all is known.
        return _read(releases / f"{name}.json")
    if verified_before:
        raise UsageError(
            "a proposal that was not verified yet",
            f"{releases / name}.json, which is never changed",
            "Propose the packages under another name.",
        )
    candidate = replace(_read(releases / "proposals" / f"{name}.json"), afresh=afresh.strip())
    moved = _moved(candidate, plugins)
    if moved:
        raise ReleaseError(name, moved)
    held = current(releases)
    results = [_one_at_a_time(candidate, held, together=together)]
    for gate in gates:
        results.append(_run(gate, candidate, held))
    verified = candidate.with_gates(tuple(results))
    _write(releases / f"{name}.json", verified)
    _tidy(releases)
    return verified


def promote(releases: Path, name: str) -> Manifest:
    """Make a verified candidate the current release, in one step.

    Raises:
        UsageError: there is no such manifest, it was not verified, or it is damaged.
        ReleaseError: a gate failed or is missing, a figure is worse than the current release
            allows, or another release became current since. The current release stays.
    """
    with _locked(releases):
        file = releases / f"{name}.json"
        if not file.exists() and (releases / "proposals" / f"{name}.json").exists():
            raise UsageError(
                f"a verified candidate {name}",
                "a proposal that no gate was run on",
                f"Run `dagcast release verify {name}` first.",
            )
        candidate = _read(file)
        held = current(releases)
        problems = _refusals(candidate, held)
        if problems:
            raise ReleaseError(name, problems)
        _turn(releases, name, "promote")
        return candidate


def rollback(releases: Path, to: str | None = None) -> Manifest:
    """Make an earlier release current again.

    Args:
        releases: folder of releases.
        to: which one; by default the one that the current was derived from.

    Raises:
        UsageError: there is none, or ``to`` was never current.
    """
    with _locked(releases):
        turns = history(releases)
        held = current(releases)
        earlier = [turn.release for turn in turns if held and turn.release != held.name]
        target = to or (held.parent if held else "")
        if target not in earlier:
            raise UsageError(
                f"a release that was current before: {', '.join(dict.fromkeys(earlier)) or 'none'}",
                repr(to) if to else "no earlier one",
                "Name one of these with --to.",
            )
        manifest = _read(releases / f"{target}.json")
        _turn(releases, target, "rollback")
        return manifest


def show(releases: Path, name: str | None = None) -> Shown:
    """Describe a release; by default the current one.

    Raises:
        UsageError: there is no such release, or none is current yet.
    """
    held = current(releases)
    if name is None and held is None:
        raise UsageError(
            "a current release",
            f"none in {releases}",
            "Propose, verify and promote one first.",
        )
    manifest = held if name is None else _any(releases, name)
    assert manifest is not None  # one of the two is
    parent = _read(releases / f"{manifest.parent}.json") if manifest.parent else None
    return Shown(
        manifest,
        held is not None and held.name == manifest.name,
        changed(manifest, parent),
        history(releases),
    )


def current(releases: Path) -> Manifest | None:
    """Return the current release, if any was promoted.

    Raises:
        UsageError: the pointer or the manifest it names is damaged.
    """
    turns = history(releases)
    return _read(releases / f"{turns[-1].release}.json") if turns else None


def history(releases: Path) -> tuple[Turn, ...]:
    """Return every change of the current release, oldest first.

    Raises:
        UsageError: the pointer is damaged.
    """
    pointer = releases / _POINTER
    if not pointer.exists():
        return ()
    data = read_json(pointer, "the pointer to the current release")
    try:
        return tuple(Turn(**turn) for turn in data["history"])
    except (KeyError, TypeError) as error:
        raise UsageError(
            "the pointer to the current release",
            f"{pointer}, which cannot be read: {error}",
            "Restore it from the repository.",
        ) from error


def _refusals(candidate: Manifest, held: Manifest | None) -> list[Problem]:
    problems: list[Problem] = []
    done = {gate.name: gate for gate in candidate.gates}
    for gate in (*REQUIRED_GATES, *(name for name in done if name not in REQUIRED_GATES)):
        result = done.get(gate)
        if result is None:
            problems.append(
                _gate_problem(gate, candidate, "no result", "verify it with every gate")
            )
        elif not result.passed:
            problems += result.problems or [
                _gate_problem(gate, candidate, result.detail, "correct it and propose again")
            ]
    parent = held.name if held else ""
    if candidate.parent != parent:
        problems.append(
            Problem.of(
                "DC503",
                candidate.name,
                producer=candidate.name,
                expected=f"a candidate verified against the current release {parent or '(none)'}",
                found=f"one verified against {candidate.parent or '(none)'}",
                fix="propose and verify it again",
            )
        )
    elif "backtest" in done and done["backtest"].passed:
        # Verified figures are compared again: a manifest is evidence, not authority.
        problems += metric_problems(candidate, candidate.metrics, held)
    return problems


def _gate_problem(gate: str, candidate: Manifest, found: str, fix: str) -> Problem:
    return Problem.of(
        "DC501", gate, producer=candidate.name, expected="it to pass", found=found, fix=fix
    )


def _one_at_a_time(candidate: Manifest, held: Manifest | None, *, together: bool) -> GateResult:
    moved = changed(candidate, held)
    detail = f"changed: {', '.join(moved) or 'nothing'}"
    if held is None or together or len(moved) <= 1:
        return GateResult("one package", True, detail)
    problem = Problem.of(
        "DC501",
        "one package",
        producer=candidate.name,
        expected="one package that differs from the current release, so that a worse figure has "
        "one cause",
        found=f"{len(moved)}: {', '.join(moved)}",
        fix="propose them one after another, or verify them together on purpose",
    )
    return GateResult("one package", False, detail, (problem,))


def _run(gate: Gate, candidate: Manifest, held: Manifest | None) -> GateResult:
    try:
        return gate.run(candidate, held)
    # A gate that breaks is a gate that was not passed, and the others still have something to say.
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(frame.filename).name}:{frame.lineno}"
        found = f"{type(error).__name__}: {error} at {place}"
        problem = _gate_problem(gate.name, candidate, found, "correct it and propose again")
        return GateResult(gate.name, False, "it could not be run", (problem,))


def _moved(candidate: Manifest, plugins: Plugins) -> list[Problem]:
    problems = list(plugins.problems)
    now = {package.distribution: package for package in installed_packages(plugins)}
    for package in candidate.packages:
        found = now.pop(package.distribution, None)
        if found is not None and (found.version, found.content) == (
            package.version,
            package.content,
        ):
            continue
        state = "not installed" if found is None else f"{found}, content {found.content[:12]}"
        problems.append(
            _installed_problem(
                f"{package}, content {package.content[:12]}", state, package.distribution
            )
        )
    problems += [_installed_problem("not in the proposal", str(p), name) for name, p in now.items()]
    return problems


def _identity(package: Package) -> str:
    return f"{package}, content {package.content[:16]}"


def _installed_problem(expected: str, found: str, name: str) -> Problem:
    return Problem.of(
        "DC504",
        name,
        expected=expected,
        found=found,
        fix="install the proposed set again, or propose what is installed now",
    )


def _turn(releases: Path, name: str, action: str) -> None:
    turns = (*history(releases), Turn(name, action, _now()))
    data = {
        "schema": POINTER_SCHEMA,
        "release": name,
        "history": [{slot: getattr(turn, slot) for slot in turn.__slots__} for turn in turns],
    }
    write_text(releases / _POINTER, json.dumps(data, indent=1) + "\n")


@contextmanager
def _locked(releases: Path) -> Iterator[None]:
    """Keep two people from promoting at once; the lock goes with the process that holds it."""
    import fcntl

    if not releases.is_dir():
        raise UsageError("a folder of releases", f"no folder {releases}", "Propose one first.")
    # The folder itself is locked, so that no lock file is left to be committed.
    handle = os.open(releases, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _tidy(releases)
        yield
    except BlockingIOError:
        raise UsageError(
            "nobody else to change the current release",
            f"another process that does, in {releases}",
            "Wait for it and try again.",
        ) from None
    finally:
        os.close(handle)


def _tidy(releases: Path) -> None:
    """Remove what was left unfinished, and proposals that have been verified."""
    proposals = releases / "proposals"
    for folder in (releases, proposals):
        sweep(folder)
    for file in proposals.glob("*.json"):
        if (releases / file.name).exists():
            file.unlink(missing_ok=True)


def _check_free(releases: Path, name: str) -> None:
    plain = name and all(c.isalnum() or c in "._-" for c in name) and not name.startswith(".")
    if not plain or name == _POINTER.removesuffix(".json"):
        raise UsageError(
            "a name of letters, digits, '.', '_' and '-'",
            f"{name!r}",
            "Choose another name, e.g. 2026.11.1.",
        )
    for file in (releases / f"{name}.json", releases / "proposals" / f"{name}.json"):
        if file.exists():
            raise UsageError("a name that is not taken", str(file), "Choose another name.")


def _any(releases: Path, name: str) -> Manifest:
    file = releases / f"{name}.json"
    return _read(file if file.exists() else releases / "proposals" / f"{name}.json")


def _read(path: Path) -> Manifest:
    data = read_json(path, "a release manifest")
    try:
        return Manifest.from_json(data)
    except ValueError as error:
        raise UsageError(
            "an unchanged release manifest", f"{path}: {error}", "Restore it from the repository."
        ) from error


def _write(path: Path, manifest: Manifest) -> None:
    try:
        write_text(path, json.dumps(manifest.to_json(), indent=1) + "\n", replace=False)
    except FileExistsError:
        # Somebody took the name since it was found free.
        raise UsageError("a name that is not taken", str(path), "Choose another name.") from None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
