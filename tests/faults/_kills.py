"""What a command leaves that is killed, and where its next run ends.

A command is run once, and what the disk holds before each of its calls is kept: that is what a kill
there leaves. Each state is then opened and the command run again, once for all calls before which
the disk was the same. Real kills at some of the calls hold that against what a kill does leave.
"""

import random
import re
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from _attempts import (
    Action,
    in_child,
    killed_at,
    leftovers,
    states_before_calls,
    view,
)
from _commands import Case, copied
from _count import Count

_UNOPENED = ("nothing", "cut off", "workspace")
# Calls at which a process is really killed where the others are read from one run.
_REAL = 5


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
        exact: compare all files by content; else those that two undisturbed runs write alike.
        points: so many calls, spread evenly; every call by default.
        moments: so many random moments.
    """
    folder, kept = work / "p", work.with_name(f"{work.name}-states")
    shutil.rmtree(kept, ignore_errors=True)

    def fresh() -> Action:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        copied(states, case.state, folder)
        return case.on(folder)

    def problems_left(action: Action) -> list[str]:
        problems = []
        # Where there may be no project, or its log is damaged, the next command is the same.
        if folder.exists() and (left := leftovers(folder)) and case.state not in _UNOPENED:
            problems.append(f"left {left}")
        problems += completed(action, folder, before, course)
        if {*leftovers(folder, writer=case.writes)} - course.hidden:
            # Where all was done, nobody ran another command yet.
            in_child(action)
        if left := {*leftovers(folder, writer=case.writes)} - course.hidden:
            problems.append(f"left {sorted(left)}")
        return problems

    count = Count()
    before_calls = states_before_calls(fresh(), folder, kept)
    fresh()
    before = view(folder, exact=True)
    course = undisturbed(fresh, folder, exact=exact)
    total = len(before_calls)
    numbers = range(total) if points is None else spread(total, points)
    found: dict[str, list[str]] = {}
    for number in numbers:
        state = before_calls[number]
        if state not in found:
            action = fresh()
            shutil.rmtree(work)
            shutil.copytree(kept / state, work, symlinks=True)
            found[state] = problems_left(action)
        count.add(f"{case.name} killed before call {number}", found[state])
    count.states += len(found)
    for number in spread(total, _REAL if points is None else 1):
        action = fresh()
        outcome = killed_at(action, folder, number)
        problems = [outcome.odd]
        if _names(work) != _names(kept / before_calls[number]):
            lost = {*_names(work)} ^ {*_names(kept / before_calls[number])}
            problems.append(f"is not left as it was kept: {sorted(lost)}")
        problems += problems_left(action)
        count.add(f"{case.name} really killed before call {number}", problems)
    random_ = random.Random(case.name)
    for moment in (course.seconds * random_.random() for _ in range(moments)):
        action = fresh()
        outcome = in_child(action, after=moment)
        problems = [outcome.odd, *problems_left(action)]
        count.add(f"{case.name} killed after {moment:.3f} s", problems)
    shutil.rmtree(kept, ignore_errors=True)
    return count


# Seconds of CPU time in which Ctrl-C ends a command.
SOON = 2.0


def interrupts(case: Case, states: Path, work: Path, *, moments: int) -> Count:
    """Press Ctrl-C at random moments: the command ends soon, and the next run does its work.

    Nothing is done beforehand here: what takes long is what cannot be interrupted.

    Args:
        case: the command.
        states: prepared projects.
        work: an empty folder.
        moments: so many.
    """
    folder, count = work / "p", Count()

    def fresh() -> Action:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        copied(states, case.state, folder)
        return case.on(folder)

    whole = in_child(fresh())
    random_ = random.Random(case.name)
    for moment in (whole.seconds * random_.random() for _ in range(moments)):
        outcome = in_child(fresh(), after=moment, told=signal.SIGINT)
        problems = [outcome.odd]
        if outcome.code not in (130, whole.code):
            problems.append(f"ends with {outcome.code}: {outcome.err[-400:]}")
        if outcome.code == 130 and outcome.beyond > SOON:
            problems.append(f"took {outcome.beyond:.1f} s of CPU time to end")
        if folder.exists() and (left := leftovers(folder)):
            problems.append(f"left {left}")
        count.add(f"{case.name} interrupted after {moment:.3f} s", problems)
        count.longest = max(count.longest, outcome.beyond)
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
    folder, kept = work / "p", work.with_name(f"{work.name}-states")
    shutil.rmtree(kept, ignore_errors=True)

    def fresh() -> Action:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        return made(folder)

    count = Count()
    total = len(states_before_calls(fresh(), folder, kept))
    shutil.rmtree(kept)
    seconds = in_child(fresh()).seconds
    after = _final(folder)
    random_ = random.Random("week")
    numbers = range(total) if points is None else spread(total, points)
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
    files, once = filled_once(view(folder, exact=True))
    kept = ("plans/", "models/", "reports/", "events/")
    return {name: content for name, content in files.items() if name.startswith(kept)}, once


Seen = Callable[[object], object]


def same(found: object) -> object:
    """All that was found."""
    return found


@dataclass(frozen=True)
class Course:
    """Where an undisturbed run of a command ends.

    Attributes:
        after: what the project holds then.
        code: the exit code.
        seconds: how long it took.
        hidden: what it leaves hidden, such as what a world is made of.
        seen: what of a project has to be alike.
    """

    after: object
    code: int
    seconds: float
    hidden: frozenset[str]
    seen: Seen

    def but(self, seen: Seen) -> "Course":
        """The same, with less that has to be alike."""
        mine = self.seen
        return replace(self, seen=lambda found: seen(mine(found)))


def undisturbed(fresh: Callable[[], Action], folder: Path, *, exact: bool) -> Course:
    """Run a command that nothing disturbs.

    Args:
        fresh: lays the project out and gives the command.
        folder: of the project.
        exact: all files have to be alike; else those that two runs write alike, since pages and
            summaries hold moments and seconds.
    """
    outcome = in_child(fresh())
    # A proposal may break limits, and an experiment disagree.
    assert outcome.code in (0, 3, 4), outcome
    leftovers(folder)
    after = view(folder, exact=True)
    hidden = frozenset(leftovers(folder, writer=True))
    seen: Seen = same
    if not exact:
        # Some moments are whole seconds.
        time.sleep(1.1)
        in_child(fresh())
        leftovers(folder)
        seen = _of_alike(after, view(folder, exact=True))
    return Course(after, outcome.code, outcome.seconds, hidden, seen)


def _of_alike(one: object, other: object) -> Seen:
    (files, _), (others, _) = one, other
    differ = {name for name, digest in files.items() if others.get(name) != digest}

    def seen(found: object) -> object:
        if found is None:
            return None
        held, log = found
        return {name: "" if name in differ else content for name, content in held.items()}, log

    return seen


def filled_once(found: object) -> object:
    """What a project holds, but for how often its log says that the store was filled."""
    if found is None:
        return None
    files, log = found
    once = [line for k, line in enumerate(log) if line not in log[:k] or line[0] != "ingested"]
    return files, once


def completed(action: Action, folder: Path, before: object, course: Course) -> list[str]:
    """What is wrong with a project after a command that was stopped, and after its next run.

    Plans, fits and the log are as before or as after. What else a command writes, such as a page or
    sources in the store, may be there already: the next run does the rest.

    Args:
        action: the command.
        folder: of the project.
        before: what it held before.
        course: where an undisturbed run ends.
    """
    seen = course.seen
    before, after = seen(before), seen(course.after)
    found = seen(view(folder, exact=True))
    if found == after:
        return []
    problems = []
    begun = before is None and _begun(found, after)
    if not begun and _decisive(found) not in (_decisive(before), _decisive(after)):
        problems.append("neither as before nor as after")
    again = in_child(action)
    if again.code != course.code:
        problems.append(f"again: {again.code} {again.err}")
    if different := _difference(seen(view(folder, exact=True)), after):
        problems.append(f"another run does not lead to what an undisturbed one does: {different}")
    return problems


def _difference(found: object, wanted: object) -> str:
    if found == wanted:
        return ""
    if found is None or wanted is None:
        return "no project"
    (files, log), (others, other_log) = found, wanted
    names = sorted(n for n in files.keys() | others.keys() if files.get(n) != others.get(n))
    return f"{names[:5]}" if names else f"{log} and {other_log}"


def _begun(found: object, after: object) -> bool:
    """Whether a project was made, and nothing in it: what `simulate` does first."""
    if found is None:
        return True
    files, log = _decisive(found)
    return not any(files.values()) and log == after[1][: len(log)]


def _decisive(found: object) -> object:
    if found is None:
        return None
    files, log = found
    kinds = ("plans/", "models/", "events/", "releases/")
    # A proposal beside its manifest is no candidate any more, and goes with the next command.
    made = {name: digest for name, digest in files.items() if name.startswith(kinds)}
    proposals = {name for name in made if name.startswith("releases/proposals/")}
    return {name: made[name] for name in made.keys() - proposals}, log


def _names(folder: Path) -> list[str]:
    """Names of all files, without what is drawn anew for each."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    return sorted(re.sub(r"\d{8}T\S*|[0-9a-f]{8,}", "*", name) for name in found)


def spread(total: int, points: int) -> list[int]:
    """So many of the numbers below a total, the first and the last among them."""
    return sorted({total * k // points for k in range(points)} | {max(total - 1, 0)})
