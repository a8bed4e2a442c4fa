"""What is tried on each command, and what has to hold afterwards."""

import itertools
import random
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from _attempts import (
    Action,
    calls,
    command,
    filled_at,
    in_child,
    killed_at,
    leftovers,
    mutated,
    race,
    view,
)
from _commands import Case, copied, opened, propose


@dataclass
class Count:
    """How many trials there were, and what did not hold in which."""

    tried: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, trial: str, problems: Iterable[str]) -> None:
        """Count one trial."""
        self.tried += 1
        self.problems += [f"{trial}: {problem}" for problem in problems if problem]


def kills(case: Case, states: Path, work: Path, *, exact: bool, points: int | None = None) -> Count:
    """Kill a command before its calls to the file system, and at random moments.

    Afterwards the project is as before or as after; where it is as before, the command does its
    work the next time, and nothing is left over.

    Args:
        case: the command.
        states: prepared projects.
        work: an empty folder.
        exact: compare files by content.
        points: so many calls, spread evenly, and as many random moments; every call by default.
    """
    folder = work / "p"

    def fresh() -> Action:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        copied(states, case.state, folder)
        return case.on(folder)

    count = Count()
    total = calls(fresh(), folder)
    action = fresh()
    before = view(folder, exact=exact)
    seconds = in_child(action).seconds
    leftovers(folder)
    after = view(folder, exact=exact)
    numbers = range(total) if points is None else _spread(total, points)
    random_ = random.Random(case.name)
    moments = [seconds * random_.random() for _ in range(points or 5)]
    trials = [
        *((f"{case.name} killed before call {n}", n, None) for n in numbers),
        *((f"{case.name} killed after {m:.3f} s", None, m) for m in moments),
    ]
    for trial, number, moment in trials:
        action = fresh()
        if number is not None:
            outcome = killed_at(action, folder, number)
        else:
            outcome = in_child(action, after=moment)
        problems = [outcome.odd]
        left = leftovers(folder)
        # Where there is no project yet, or its log is damaged, the next command is the same one.
        if left and case.state not in ("nothing", "cut off"):
            problems.append(f"left {left}")
        found = view(folder, exact=exact)
        if found == before and before != after:
            again = in_child(action)
            if again.code != 0:
                problems.append(f"again: {again.err}")
            if left := leftovers(folder):
                problems.append(f"left {left}")
            found = view(folder, exact=exact)
        if found != after:
            problems.append("neither as before nor as after")
        count.add(trial, problems)
    return count


def fills(case: Case, states: Path, work: Path, *, exact: bool, points: int) -> Count:
    """Run a command where no file can grow beyond a size; then where all can."""
    folder, count = work / "p", Count()

    def fresh() -> Action:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        copied(states, case.state, folder)
        return case.on(folder)

    action = fresh()
    before = view(folder, exact=exact)
    in_child(action)
    after = view(folder, exact=exact)
    largest = max((p.stat().st_size for p in folder.rglob("*") if p.is_file()), default=1)
    log = folder / "log.jsonl"
    near = [log.stat().st_size - k for k in (1, 60)] if log.exists() else []
    for size in sorted({0, 1, 100, *near, *(int(largest ** (k / points)) for k in range(points))}):
        action = fresh()
        outcome = filled_at(action, size)
        problems = [outcome.odd]
        if left := leftovers(folder):
            problems.append(f"left {left}")
        found = view(folder, exact=exact)
        if outcome.code not in (0, 1) and found != after:
            problems.append(f"exit code {outcome.code}: {outcome.err}")
        if found == before and before != after:
            again = in_child(action)
            problems.append("" if again.code == 0 else f"again: {again.err}")
            found = view(folder, exact=exact)
        if found != after:
            problems.append("neither as before nor as after")
        count.add(f"{case.name} on a disk with room for {size} bytes", problems)
    return count


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


def pairs(cases: Sequence[Case], states: Path, work: Path, *, rounds: int) -> Count:
    """Two commands at once on one project: one order, or a clear refusal; nothing overwritten."""
    folder, count = work / "p", Count()
    for one, other in itertools.combinations_with_replacement(cases, 2):
        if one.state != other.state:
            continue
        for number in range(rounds):
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            copied(states, one.state, folder)
            before = {p: p.read_bytes() for p in _results(folder)}
            outcomes = race([one.on(folder), other.on(folder)])
            problems = [outcome.odd for outcome in outcomes]
            if all(outcome.code for outcome in outcomes):
                problems.append(f"both refused: {[outcome.err for outcome in outcomes]}")
            problems += [
                f"{p} was overwritten" for p, data in before.items() if p.read_bytes() != data
            ]
            if left := leftovers(folder):
                problems.append(f"left {left}")
            project = opened(folder)
            plans = project.journal.plans()
            problems += [
                f"no folder of {name}" for name in plans if not (project.plans / name).is_dir()
            ]
            count.add(f"{one.name} and {other.name}, round {number}", problems)
    return count


def _results(folder: Path) -> list[Path]:
    return [p for kind in ("plans", "models") for p in (folder / kind).rglob("*") if p.is_file()]


def mutations(
    states: Path, state: str, work: Path, *, times: int, readers: Sequence[Sequence[str]]
) -> Count:
    """Change one file of a project, then run what reads it: an answer, never a traceback."""
    folder, count = work / "p", Count()
    random_ = random.Random(11)
    files = [
        p.relative_to(states / state)
        for p in sorted((states / state).rglob("*"))
        if p.is_file() and "cache" not in p.parts
    ]
    for number in range(times):
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        copied(states, state, folder)
        path = folder / files[number % len(files)]
        path.write_bytes(mutated(path.read_bytes(), random_))
        words = readers[(number // len(files)) % len(readers)]
        outcome = in_child(command(*words, "--project", str(folder)))
        slow = f"{outcome.seconds:.0f} s" if outcome.seconds > 10 else ""
        problems = [outcome.odd and f"{outcome.odd}: {outcome.err[-400:]}", slow]
        count.add(f"{path.relative_to(folder)}, change {number}, {words[0]}", problems)
    return count


def tampering(
    states: Path,
    state: str,
    work: Path,
    changes: dict[str, Callable[[Path], None]],
    words: Sequence[str],
) -> Count:
    """Change what a decision rests on, all hashes beside it made right: the command refuses."""
    folder, count = work / "p", Count()
    for name, change in changes.items():
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        copied(states, state, folder)
        change(folder)
        outcome = in_child(command(*words, "--project", str(folder)))
        problems = [outcome.odd, "" if outcome.code in (1, 2, 3) else f"exit code {outcome.code}"]
        count.add(name, problems)
    return count


def _spread(total: int, points: int) -> list[int]:
    return sorted({total * k // points for k in range(points)} | {max(total - 1, 0)})


__all__ = ["Count", "decisions", "fills", "kills", "mutations", "pairs", "propose", "tampering"]
