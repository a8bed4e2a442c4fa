"""What is tried on each command, and what has to hold afterwards."""

import itertools
import json
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
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
from _commands import Case, copied, opened, worked
from _environments import Environment
from _hostile import harmless, install

from dagcast_core.data import MetricStore


@dataclass
class Count:
    """How many trials there were, and what did not hold in which."""

    tried: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, trial: str, problems: Iterable[str]) -> None:
        """Count one trial."""
        self.tried += 1
        self.problems += [f"{trial}: {problem}" for problem in problems if problem]


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


def kills(
    case: Case,
    states: Path,
    work: Path,
    *,
    exact: bool,
    points: int | None = None,
    moments: int = 20,
) -> Count:
    """Kill a command before its calls to the file system, and at random moments.

    Afterwards the project is as before or as after; where it is as before, the command does its
    work the next time, and nothing is left over.

    Args:
        case: the command.
        states: prepared projects.
        work: an empty folder.
        exact: compare files by content.
        points: so many calls, spread evenly; every call by default.
        moments: so many random moments.
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
    drawn = [seconds * random_.random() for _ in range(moments)]
    trials = [
        *((f"{case.name} killed before call {n}", n, None) for n in numbers),
        *((f"{case.name} killed after {m:.3f} s", None, m) for m in drawn),
    ]
    for trial, number, moment in trials:
        action = fresh()
        if number is not None:
            outcome = killed_at(action, folder, number)
        else:
            outcome = in_child(action, after=moment)
        problems = [outcome.odd]
        # Where there is no project yet, or its log is damaged, the next command is the same one.
        if case.state not in ("nothing", "cut off") and (left := leftovers(folder)):
            problems.append(f"left {left}")
        problems += _completed(action, folder, before, after, exact=exact)
        if left := leftovers(folder):
            problems.append(f"left {left}")
        count.add(trial, problems)
    return count


def week_kills(
    made: Callable[[Path], Action], work: Path, *, points: int | None, moments: int
) -> Count:
    """Kill the week before its calls to the file system, and at random moments.

    Run again it ends where an undisturbed one does: the same log, fits, plans and reports.

    Args:
        made: lays a project out in a folder, and gives the command on it.
        work: an empty folder.
        points: so many calls, spread evenly; every call by default.
        moments: so many random moments.
    """
    folder = work / "p"

    def fresh() -> Action:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        return made(folder)

    count = Count()
    total = calls(fresh(), folder)
    seconds = in_child(fresh()).seconds
    after = _final(folder)
    random_ = random.Random("week")
    numbers = range(total) if points is None else _spread(total, points)
    trials: list[tuple[str, int | None, float | None]] = [
        *((f"week killed before call {n}", n, None) for n in numbers),
        *((f"week killed after {m:.3f} s", None, m)
          for m in (seconds * random_.random() for _ in range(moments))),
    ]  # fmt: skip
    for trial, number, moment in trials:
        action = fresh()
        if number is not None:
            outcome = killed_at(action, folder, number)
        else:
            outcome = in_child(action, after=moment)
        again = in_child(action)
        problems = [outcome.odd, again.odd]
        if again.code != 0:
            problems.append(f"again: {again.code} {again.err}")
        if _final(folder) != after:
            problems.append("another run does not end where an undisturbed one does")
        if left := leftovers(folder):
            problems.append(f"left {left}")
        count.add(trial, problems)
    return count


def _final(folder: Path) -> object:
    """What a project holds, but for how often the log says that the store was filled."""
    files, once = _filled_once(view(folder, exact=True))
    kept = ("plans/", "models/", "reports/", "events/")
    return {name: content for name, content in files.items() if name.startswith(kept)}, once


def _filled_once(found: object) -> object:
    """What a project holds, but for how often its log says that the store was filled."""
    if found is None:
        return None
    files, log = found
    once = [line for k, line in enumerate(log) if line not in log[:k] or line[0] != "ingested"]
    return files, once


def _completed(
    action: Action,
    folder: Path,
    before: object,
    after: object,
    *,
    exact: bool,
    seen: Callable[[object], object] = lambda found: found,
) -> list[str]:
    """What is wrong with a project after a command that was stopped, and after its next run.

    Plans, fits and the log are as before or as after. What else a command writes, such as a page or
    sources in the store, may be there already: the next run does the rest.

    Args:
        action: the command.
        folder: of the project.
        before: what it held before.
        after: what it holds after an undisturbed run.
        exact: compare files by content.
        seen: what of all that has to be alike.
    """
    before, after = seen(before), seen(after)
    found = seen(view(folder, exact=exact))
    if found == after:
        return []
    problems = []
    if _decisive(found) not in (_decisive(before), _decisive(after)):
        problems.append("neither as before nor as after")
    again = in_child(action)
    if again.code != 0:
        problems.append(f"again: {again.err}")
    if seen(view(folder, exact=exact)) != after:
        problems.append("another run does not lead to what an undisturbed one does")
    return problems


def _decisive(found: object) -> object:
    if found is None:
        return None
    files, log = found
    kinds = ("plans/", "models/", "events/", "releases/")
    return {name: digest for name, digest in files.items() if name.startswith(kinds)}, log


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
        # Folders that entered before the disk was full have a line of their own.
        problems += _completed(action, folder, before, after, exact=exact, seen=_filled_once)
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
    _laid_out(states, state, work)
    before = view(folder, exact=False)
    in_child(command(*words, "--project", str(folder)))
    after = view(folder, exact=False)
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
        problems += _completed(action, folder, before, after, exact=False)
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


def _spread(total: int, points: int) -> list[int]:
    return sorted({total * k // points for k in range(points)} | {max(total - 1, 0)})


__all__ = [
    "Count",
    "Kind",
    "Tampering",
    "decisions",
    "environments",
    "fills",
    "hostile",
    "kills",
    "mutations",
    "pairs",
    "tampering",
]
