"""Every figure on faults with its target: `nox -s faults`, or with names of rows after `--`.

The stand-ins are tried at every call to the file system; the real commands at every call too, or at
as many as `--points` says, the work of their models done once. What was tried is kept in a file, so
that a run that was stopped goes on where it was; `--fresh` begins anew.
"""

import argparse
import importlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from _attempts import Action, answered, command, in_child
from _commands import (
    AT_ONCE,
    COMMANDS,
    LOOP,
    STAND_INS,
    Case,
    known_world,
    rehearse,
    stand_in,
    workspace,
)
from _count import Count
from _deliveries import seconds_beyond_reading
from _disks import fills, small_disks, small_disks_can_be_made
from _environments import ENVIRONMENTS
from _hostile import KINDS
from _kills import interrupts, kills, week_kills
from _tampering import CHANGES
from _trials import Kind, decisions, environments, hostile, mutations, pairs, strange, tampering
from _week import shop, week

_WHY = ("--why", "x")
_DECIDE = (["approve", *_WHY], ["reject", *_WHY])
FILES = (
    Kind("CSV", "csv", "events/*/*.csv", (["ingest"],)),
    Kind("Parquet", "few", "events/*/*.parquet", (["ingest"],)),
    Kind("JSON beside events", "few", "events/*/*.json", (["ingest"], ["check"])),
    Kind("TOML", "planned", "dagcast.toml", (["check"], ["approve", *_WHY])),
    Kind("proposals in CSV", "planned", "proposal.csv", (["what-if", "{file}"],)),
    Kind("proposals in Parquet", "planned", "proposal.parquet", (["what-if", "{file}"],)),
    Kind("log", "planned", "log.*", (["log"], ["log", "--repair"], ["check"], *_DECIDE)),
    Kind("store.json", "planned", "store/store.json", (["check"], ["ingest"], ["approve", *_WHY])),
    Kind("ledgers", "planned", "store/*/*/*", (["check", "--deep"], ["approve", *_WHY])),
    Kind("plans", "planned", "plans/**/*", (["check"], ["review"], *_DECIDE)),
    Kind("fits", "fitted", "models/**/*", (["check"], ["validate"])),
)

# The same in place of each file; and of what people name.
STRANGE_FILES = (
    *(kind for kind in FILES if kind.state != "fitted" and kind.name != "ledgers"),
    Kind(
        "experiments",
        "ingested",
        "found.json",
        (
            ["experiments", "add", "{file}"],
            ["contracts", "list", "--from", "{file}"],
            ["check", "--no-project", "--against", "{file}"],
        ),
    ),
)


@dataclass(frozen=True)
class Part:
    """What is tried at once, and written down when it is done."""

    row: str
    name: str
    run: Callable[[], Count]


ROWS = {
    "kills": ("kill -9 before calls, at random moments", "all"),
    "weeks": ("50 kills of `week`, of them 25 at random", "all end alike"),
    "interrupts": ("Ctrl-C at 10 moments of every command", "2 s of CPU"),
    "pairs": ("two commands at once, 20 each", "all"),
    "decisions": ("200 decisions at a barrier", "one each"),
    "disks": ("full disk at 20 points", "all"),
    "environments": ("30 broken environments", "all"),
    "mutations": ("1,000 mutated inputs", "0 tracebacks, 10 s, rows"),
    "strange": ("pipes, devices and folders for files", "0 tracebacks, 30 s"),
    "tampering": ("30 kinds of tampering", "all noticed"),
    "hostile": ("25 hostile plugins", "all named"),
    "deliveries": ("1,000 regions x 60 deliveries", "5 s beyond reading"),
}


def _week(folder: Path) -> Action:
    shop(folder, approve=True, max_change=1.0)
    return answered(lambda: week(folder))


class Trials:
    """All parts, and the prepared projects that they start from."""

    def __init__(self, folder: Path, chosen: argparse.Namespace) -> None:
        self._folder, self._chosen = folder, chosen
        self._work = folder / "work"
        self._small = small_disks_can_be_made()

    @cached_property
    def standing(self) -> Path:
        """Projects of stand-ins, which need no model."""
        folder = self._folder / "standing"
        with known_world():
            for state in {case.state for case in STAND_INS}:
                stand_in(folder / state, state)
        return folder

    @cached_property
    def looped(self) -> Path:
        """The project as each command of the loop has left it; kept between runs."""
        # Imported here, and not again in every process that is forked.
        for name in ("torch", "duckdb", "dagcast_core.model", "dagcast_core.decide"):
            importlib.import_module(name)
        folder: Path = self._chosen.projects or self._folder / "looped"
        project = folder / "project"
        for state, words in LOOP:
            if (folder / state).exists():
                continue
            outcome = in_child(command(*words, "--project", str(project)))
            assert outcome.code == 0, outcome.err
            shutil.copytree(project, folder / f"{state}.part")
            if state == "planned":
                _propose(folder / f"{state}.part")
            if state == "ingested":
                _trial(folder / f"{state}.part")
            (folder / f"{state}.part").rename(folder / state)
        if not (folder / "csv").exists():
            _few_events(folder)
        if not (folder / "workspace").exists():
            workspace(folder / "workspace")
        return folder

    def parts(self) -> Iterator[Part]:
        """In an order in which what is cheap comes first."""
        chosen, work = self._chosen, self._work
        yield Part("weeks", "stand-ins", lambda: week_kills(_week, work, points=25, moments=25))
        for case in STAND_INS:
            exact = case.exact
            name = f"{case.name} (stand-in)"
            yield Part(
                "kills",
                f"{name}, every call",
                lambda case=case, exact=exact: self._standing(
                    lambda: kills(case, self.standing, work, exact=exact)
                ),
            )
            yield Part(
                "disks",
                name,
                lambda case=case, exact=exact: self._standing(
                    lambda: fills(case, self.standing, work, exact=exact, points=20)
                ),
            )
            if self._small:
                yield Part(
                    "disks",
                    f"{name}, small disk",
                    lambda case=case, exact=exact: self._standing(
                        lambda: small_disks(case, self.standing, work, exact=exact, points=20)
                    ),
                )
        yield Part(
            "decisions",
            "stand-ins",
            lambda: self._standing(
                lambda: decisions(self.standing, work, processes=200, rounds=chosen.rounds)
            ),
        )
        for place, one in enumerate(AT_ONCE):
            # A pair of each with all that come after it.
            yield Part(
                "pairs",
                f"{one.name} with others (stand-ins)",
                lambda place=place: self._standing(
                    lambda: pairs(AT_ONCE[place:], self.standing, work, rounds=20, first=True)
                ),
            )
        yield Part("hostile", "check", self._hostile)
        for kind in FILES:
            times = -(-chosen.times // len(FILES))
            yield Part(
                "mutations",
                kind.name,
                lambda kind=kind, times=times: self._mutated(kind, times),
            )
        for kind in STRANGE_FILES:
            yield Part("strange", kind.name, lambda kind=kind: strange(kind, self.looped, work))
        yield Part(
            "tampering",
            "log, plans, fits, store",
            lambda: tampering(self.looped, "planned", work, CHANGES, Count()),
        )
        for words in (("approve", *_WHY), ("ingest",)):
            yield Part(
                "environments",
                words[0],
                lambda words=words: environments(
                    ENVIRONMENTS, self.looped, _STATES[words[0]], work, words
                ),
            )
        yield Part("deliveries", "CPU time", lambda: _deliveries(chosen.regions))
        for case in COMMANDS:
            amount = "every call" if chosen.points is None else f"{chosen.points} calls"
            yield Part("kills", f"{case.name}, {amount}", lambda case=case: self._real(case, kills))
            yield Part(
                "interrupts",
                case.name,
                lambda case=case: interrupts(
                    case, self.looped, work, moments=min(10, chosen.moments)
                ),
            )
            yield Part("disks", case.name, lambda case=case: self._real(case, fills))
            if self._small:
                yield Part(
                    "disks",
                    f"{case.name}, small disk",
                    lambda case=case: self._real(case, small_disks),
                )

    def _standing(self, run: Callable[[], Count]) -> Count:
        self.standing
        with known_world():
            return run()

    def _real(self, case: Case, trial: Callable[..., Count]) -> Count:
        looped, work, chosen = self.looped, self._work, self._chosen
        rehearse(case, looped, work)
        if trial is kills:
            moments = chosen.moments
            return kills(case, looped, work, exact=False, points=chosen.points, moments=moments)
        return trial(case, looped, work, exact=False, points=chosen.points or 20)

    def _mutated(self, kind: Kind, times: int) -> Count:
        if kind.readers[0][0] == "what-if":
            words = ["what-if", "{project}/proposal.csv"]
            rehearse(Case("what-if", words, kind.state), self.looped, self._work)
        return mutations(kind, self.looped, self._work, times=times)

    def _hostile(self) -> Count:
        folder = self._folder / "hostile"
        folder.mkdir()
        return hostile(folder, KINDS, seconds=8)


_STATES = {"approve": "planned", "ingest": "played"}


def main() -> int:
    """Print a line for each figure; 1 where one is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(ROWS), help=", ".join(ROWS))
    parser.add_argument("--points", type=int, help="calls at which a real command is killed")
    parser.add_argument("--moments", type=int, default=20, help="moments at which it is killed")
    parser.add_argument("--times", type=int, default=1000, help="changed files")
    parser.add_argument("--rounds", type=int, default=20, help="rounds of 200 decisions")
    parser.add_argument("--regions", type=int, default=1000, help="of the deliveries")
    parser.add_argument("--only", default="", help="parts whose name begins so")
    parser.add_argument("--kept", type=Path, default=Path(".faults.json"), help="what was tried")
    parser.add_argument("--projects", type=Path, help="folder of the prepared projects, to keep")
    parser.add_argument("--minutes", type=float, help="begin no further part after so many")
    parser.add_argument("--fresh", action="store_true", help="forget what was tried")
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(ROWS):
        parser.error(f"rows are {', '.join(ROWS)}; found {', '.join(sorted(unknown))}")
    if chosen.fresh:
        chosen.kept.unlink(missing_ok=True)
    kept = json.loads(chosen.kept.read_text()) if chosen.kept.exists() else {}
    begun = time.monotonic()
    given = nullcontext(str(chosen.projects / "run")) if chosen.projects else None
    with given or tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for part in Trials(folder, chosen).parts():
            key = f"{part.row}: {part.name}"
            if part.row not in chosen.names or not part.name.startswith(chosen.only):
                continue
            if key in kept or (chosen.minutes and time.monotonic() - begun > chosen.minutes * 60):
                continue
            start = time.monotonic()
            count = part.run()
            seconds = round(time.monotonic() - start)
            kept[key] = {
                "tried": count.tried,
                "problems": count.problems,
                "seconds": seconds,
                "states": count.states,
                "longest": round(count.longest, 2),
            }
            chosen.kept.write_text(json.dumps(kept, indent=1))
            held = f"{count.tried - len(count.problems):,} of {count.tried:,}"
            states = f"  {count.states} disks" if count.states else ""
            states += f"  {count.longest:.1f} s at most" if count.longest else ""
            print(f"  {key:60} {held:>16} {seconds:6} s{states}", flush=True)
            for problem in count.problems[:5]:
                print(f"      {problem[:2000]}", flush=True)
    return _table(kept, chosen.names)


def _table(kept: dict[str, dict[str, object]], names: list[str]) -> int:
    """Print each row with its target and what was measured; 1 where one is missed."""
    print(f"\n{'what':44} {'target':26} {'measured':>18}")
    missed = False
    for row in names:
        what, target = ROWS[row]
        found = [value for key, value in kept.items() if key.startswith(f"{row}: ")]
        tried = sum(item["tried"] for item in found)
        failed = sum(len(item["problems"]) for item in found)
        verdict = "held" if tried and not failed else ("missed" if tried else "not tried")
        missed |= bool(failed)
        print(f"{what:44} {target:26} {f'{tried - failed:,} of {tried:,}':>18}   {verdict}")
    return 1 if missed else 0


def _propose(folder: Path) -> None:
    """A proposal of somebody's own, as CSV and as Parquet: the plan's first cells."""
    import pandas as pd

    frame = pd.read_parquet(folder / "plans/plan-0001/decisions.parquet").head(50)
    frame.to_csv(folder / "proposal.csv", index=False)
    frame.to_parquet(folder / "proposal.parquet", index=False)


def _trial(folder: Path) -> None:
    """An experiment that is not registered yet."""
    (given,) = folder.glob("events/*/experiments.json")
    document = json.loads(given.read_text())
    document["experiments"] = document["experiments"][:1]
    document["experiments"][0]["name"] = "one-more"
    document.pop("covariances", None)
    (folder / "found.json").write_text(json.dumps(document))


def _few_events(folder: Path) -> None:
    """Projects with the smallest tables alone, which are read a thousand times."""
    import pandas as pd

    for state in ("few", "csv"):
        part = folder / f"{state}.part"
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(folder / "simulated", part)
        for path in sorted(part.glob("events/*/*.parquet")):
            if path.stem not in ("spend", "weather", "fares"):
                path.unlink()
            elif state == "csv":
                pd.read_parquet(path).to_csv(path.with_suffix(".csv"), index=False)
                path.unlink()
        part.rename(folder / state)


def _deliveries(regions: int) -> Count:
    count = Count()
    found, reading = seconds_beyond_reading(regions, 60)
    for how, beyond in found.items():
        words = f"60 deliveries of {regions:,} regions {how}: {beyond:.1f} s of CPU beyond"
        print(f"  {words} {reading:.1f} s of reading")
        count.add(words, ["more than 5 s"] if beyond > 5 else [])
    return count


if __name__ == "__main__":
    sys.exit(main())
