"""What is tried on each command, and what has to hold afterwards."""

import itertools
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from _attempts import Action, command, in_child, leftovers, mutated, race, view
from _commands import Case, copied, opened, worked
from _count import Count
from _environments import Environment
from _hostile import harmless, install
from _kills import completed, undisturbed

from dagcast_core.data import MetricStore


@dataclass(frozen=True)
class Tampering:
    """One change that somebody makes, and the command that uses what was changed.

    Attributes:
        name: of it.
        does: it to a project.
        words: of the command.
    """

    name: str
    does: Callable[[Path], None]
    words: Sequence[str]


def decisions(states: Path, work: Path, *, processes: int, rounds: int) -> Count:
    """Approvals and rejections of one plan, let go at one moment."""
    folder, count = work / "p", Count()
    for number in range(rounds):
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        copied(states, "proposed", folder)
        before = len(opened(folder).journal.entries())
        kinds = [("approve",), ("reject",), ("approve", "reject")][number % 3]
        words = [(kinds[k % len(kinds)], "plan-0002", "--why", str(k)) for k in range(processes)]
        outcomes = race([command(*w, "--project", str(folder)) for w in words])
        lines = opened(folder).journal.entries()[before:]
        told = sorted(w[3] for w, outcome in zip(words, outcomes, strict=True) if not outcome.code)
        problems = [outcome.odd for outcome in outcomes]
        if sorted(entry.why for entry in lines) != told:
            problems.append(f"{told} were told that they decided; the log has {lines}")
        events = [entry.event for entry in lines]
        # Who comes after an approval and knows of it withdraws it: that is a second decision.
        allowed = [["approved"], ["rejected"], ["approved", "rejected"]]
        if events not in (allowed if len(kinds) == 2 else allowed[:2]):
            problems.append(f"decided {events}")
        count.add(f"round {number}", problems)
    return count


def pairs(
    cases: Sequence[Case], states: Path, work: Path, *, rounds: int, first: bool = False
) -> Count:
    """Two commands at once on one project: one order, or a clear refusal; nothing overwritten.

    Args:
        cases: the commands, all of which are paired with each other and themselves.
        states: prepared projects.
        work: an empty folder.
        rounds: of each pair.
        first: only the pairs of the first case.
    """
    count = Count()
    for one, other in itertools.combinations_with_replacement(cases, 2):
        if one.state == other.state and (one is cases[0] or not first):
            _pair(one, other, states, work, rounds, count)
    return count


def _pair(one: Case, other: Case, states: Path, work: Path, rounds: int, count: Count) -> None:
    folder = work / "p"
    allowed = []
    for order in ((one,), (other,), (one, other), (other, one)):
        _laid_out(states, one.state, work)
        for case in order:
            in_child(case.on(folder))
        allowed.append(_in_any_order(folder))
    for number in range(rounds):
        _laid_out(states, one.state, work)
        before = {p: p.read_bytes() for p in _results(folder)}
        outcomes = race([one.on(folder), other.on(folder)])
        problems = [outcome.odd for outcome in outcomes]
        if all(outcome.code for outcome in outcomes):
            problems.append(f"both refused: {[outcome.err for outcome in outcomes]}")
        problems += [f"{p} was overwritten" for p, data in before.items() if p.read_bytes() != data]
        if left := leftovers(folder):
            problems.append(f"left {left}")
        if _in_any_order(folder) not in allowed:
            problems.append("neither in one order nor in the other")
        count.add(f"{one.name} and {other.name}, round {number}", problems)


def _laid_out(states: Path, state: str, work: Path) -> None:
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    copied(states, state, work / "p")


def _in_any_order(folder: Path) -> object:
    """What a project holds, whoever came first.

    Of two new plans either may have either name, and who is refused leaves a number that is taken.
    """
    found, (damage, *lines) = view(folder, exact=False)
    files = sorted(re.sub(r"\b(plan|fit)-\d+", r"\1", name) for name in found)
    plans = sorted((p.state, p.horizon_start) for p in opened(folder).journal.plans().values())
    # Two ingestions at once may share the files, and then both say what they read.
    return files, damage, {(event, why) for event, _, why in lines}, plans


def _results(folder: Path) -> list[Path]:
    return [p for kind in ("plans", "models") for p in (folder / kind).rglob("*") if p.is_file()]


@dataclass(frozen=True)
class Kind:
    """Files of one kind, and what reads them.

    Attributes:
        name: of the kind.
        state: prepared project that holds them.
        files: which they are.
        readers: commands that read them; ``{file}`` is the changed file.
    """

    name: str
    state: str
    files: str
    readers: Sequence[Sequence[str]]


def mutations(kind: Kind, states: Path, work: Path, *, times: int) -> Count:
    """Change one file of a project, then run what reads it: an answer, never a traceback.

    Where it is read into the store, every row of it is accounted for.
    """
    folder, count = work / "p", Count()
    random_ = random.Random(kind.name)
    files = sorted(
        p.relative_to(states / kind.state)
        for p in (states / kind.state).glob(kind.files)
        if p.is_file() and "cache" not in p.parts
    )
    assert files, kind
    for number in range(times):
        _laid_out(states, kind.state, work)
        path = folder / files[number % len(files)]
        path.write_bytes(mutated(path.read_bytes(), random_))
        words = kind.readers[(number // len(files)) % len(kind.readers)]
        words = [word.replace("{file}", str(path)) for word in words]
        ran = command(*words, "--project", str(folder))
        outcome = in_child(lambda ran=ran, name=words[0]: worked(name, ran))
        slow = f"{outcome.seconds:.0f} s" if outcome.seconds > 10 else ""
        problems = [outcome.odd and f"{outcome.odd}: {outcome.err[-400:]}", slow]
        if words[0] == "ingest" and outcome.code in (0, 1):
            problems += _unaccounted(folder)
        count.add(f"{path.relative_to(folder)}, change {number}, {words[0]}", problems)
    return count


def _linked_to_a_pipe(path: Path) -> None:
    os.mkfifo(f"{path}.pipe")
    path.symlink_to(f"{path}.pipe")


def _looped(path: Path) -> None:
    path.symlink_to(path.name)


# What may lie where a file was: nobody ever writes into the pipe, and the device never ends.
STRANGE: Mapping[str, Callable[[Path], None]] = {
    "a pipe": os.mkfifo,
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to a pipe": _linked_to_a_pipe,
    "a link to itself": _looped,
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "a folder": Path.mkdir,
}


def strange(kind: Kind, states: Path, work: Path) -> Count:
    """Put what is no file in place of each file: who reads it ends soon, and without a traceback.

    Whether it is refused or not missed is its reader's affair: a report may be written anew.
    """
    folder, count = work / "p", Count()
    files = sorted(
        p.relative_to(states / kind.state)
        for p in (states / kind.state).glob(kind.files)
        if p.is_file() and not p.is_symlink()
    )
    assert files, kind
    for path in files:
        for name, put in STRANGE.items():
            for words in kind.readers:
                _laid_out(states, kind.state, work)
                (folder / path).unlink()
                put(folder / path)
                known = {"{file}": str(folder / path), "{project}": str(folder)}
                said = [known.get(word, word) for word in words]
                if not {"--workspace", "--no-project", "--from"} & {*said}:
                    said += ["--project", str(folder)]
                ran = command(*said)
                outcome = in_child(ran, before=_with_an_end)
                problems = [outcome.odd and f"{outcome.odd}: {outcome.err[-400:]}"]
                count.add(f"{path} is {name}, {words[0]}", problems)
    return count


def _with_an_end() -> None:
    """Half a minute, and memory that a device which never ends would take at once."""
    signal.alarm(30)
    resource.setrlimit(resource.RLIMIT_DATA, (4 << 30, 4 << 30))


def _unaccounted(folder: Path) -> list[str]:
    """Reports of the store that do not add up: read = accepted + duplicate + set aside."""
    return [
        f"{report.table}: {report.read} rows read, {report.accepted} accepted, "
        f"{report.duplicates} duplicates, {report.quarantined} set aside"
        for report in MetricStore(folder / "store").reports()
        if report.read != report.accepted + report.duplicates + sum(report.quarantined.values())
    ]


def tampering(
    states: Path, state: str, work: Path, changes: Sequence[Tampering], count: Count
) -> Count:
    """Change what a decision rests on, hashes beside it made right: who uses it refuses."""
    folder = work / "p"
    for change in changes:
        _laid_out(states, state, work)
        change.does(folder)
        outcome = in_child(command(*change.words, "--project", str(folder)))
        problems = [outcome.odd]
        if outcome.code not in (1, 2, 3):
            problems.append(f"{change.words[0]} ends with exit code {outcome.code}")
        count.add(change.name, problems)
    return count


def environments(
    broken: Sequence[Environment], states: Path, state: str, work: Path, words: Sequence[str]
) -> Count:
    """Run a command on a broken machine, then on a whole one: it is as before or as after."""
    folder, count = work / "p", Count()

    def fresh() -> Action:
        _laid_out(states, state, work)
        return command(*words, "--project", str(folder))

    fresh()
    before = view(folder, exact=True)
    course = undisturbed(fresh, folder, exact=False)
    for environment in broken:
        _laid_out(states, state, work)
        environment.breaks(folder)
        try:
            outcome = environment.run(folder, list(words))
        finally:
            environment.mends(folder)
        problems = [outcome.odd if outcome.err else ""]
        if environment.harmless and outcome.code:
            problems.append(f"exit code {outcome.code}: {outcome.err}")
        if left := leftovers(folder):
            problems.append(f"left {left}")
        action = command(*words, "--project", str(folder))
        problems += completed(action, folder, before, course)
        count.add(f"{words[0]} with {environment.name}", problems)
    return count


def hostile(folder: Path, kinds: Mapping[str, str], *, seconds: float) -> Count:
    """Install packages that do harm, and check them: each is named, and the good one loads."""
    count = Count()
    install(folder, {**kinds, "good": harmless("good")})
    # Where it is found, the packages that are really installed are not.
    code = (
        f"import sys; sys.path.insert(0, {str(folder)!r}); import importlib.metadata as m; "
        f"real = m.distributions; m.distributions = lambda **_: real(path=[{str(folder)!r}]); "
        f"import dagcast.trial._starter as t; t.SECONDS, t.MEMORY = {seconds}, 1 << 30; "
        f"sys.argv[1:] = ['check', '--no-project', '--json']; "
        f"from dagcast.cli import main; main()"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    try:
        found = json.loads(ran.stdout)["problems"]
    except (ValueError, KeyError):
        found = []
    for name in kinds:
        named = [line for line in found if f"<- {name} ({name} 1.0.0)]" in line]
        count.add(name, [] if named else [f"is not named: {ran.stderr[-400:]}"])
    ours = [line for line in found if "<- good" in line]
    count.add("good beside them", [f"is blamed: {line}" for line in ours])
    code_right = [] if ran.returncode == 3 else [f"is {ran.returncode}"]
    count.add("exit code", code_right)
    return count


__all__ = [
    "Kind",
    "Tampering",
    "decisions",
    "environments",
    "hostile",
    "mutations",
    "pairs",
    "strange",
    "tampering",
]
