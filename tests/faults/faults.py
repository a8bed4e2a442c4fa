"""Every figure on faults with its target: `nox -s faults`, or with names of trials after `--`.

The stand-ins are tried at every call to the file system; the real commands, each of which takes
seconds, at as many calls and moments as `--points` says. The loop is run once to prepare the
projects that they start from.
"""

import argparse
import importlib
import shutil
import sys
import tempfile
from pathlib import Path

from _attempts import command, in_child
from _commands import COMMANDS, LOOP, STAND_INS, known_world, stand_in
from _trials import Count, decisions, fills, kills, mutations, pairs

TRIALS = ("stand-ins", "decisions", "pairs", "commands", "mutations")
READERS = (
    ["log"],
    ["approve", "--why", "x"],
    ["review"],
    ["ingest"],
    ["check"],
    ["reject", "--why", "x"],
)


def main() -> int:
    """Print a line for each figure; 1 where one is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=TRIALS)
    parser.add_argument("--points", type=int, default=8, help="calls at which a command is killed")
    parser.add_argument("--times", type=int, default=1000, help="changed files")
    parser.add_argument("--only", default="", help="one command")
    chosen = parser.parse_args()
    missed = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        work, standing, looped = folder / "work", folder / "standing", folder / "looped"

        def report(figure: str, target: str, count: Count) -> None:
            nonlocal missed
            missed += len(count.problems)
            found = f"{count.tried - len(count.problems):,} of {count.tried:,}"
            print(f"{figure:52} {found:>16}   target {target}", flush=True)
            for problem in count.problems[:5]:
                print(f"    {problem[:2000]}")

        with known_world():
            for state in {case.state for case in STAND_INS}:
                stand_in(standing / state, state)
            if "stand-ins" in chosen.names:
                for case in STAND_INS:
                    exact = case.state != "nothing"
                    count = kills(case, standing, work, exact=exact)
                    report(f"{case.name} (stand-in) killed at every call", "all", count)
                    count = fills(case, standing, work, exact=exact, points=20)
                    report(f"{case.name} (stand-in) on a full disk", "all", count)
            if "decisions" in chosen.names:
                count = decisions(standing, work, processes=200, rounds=6)
                report("rounds of 200 decisions at a barrier: one each", "all", count)
            if "pairs" in chosen.names:
                cases = [case for case in STAND_INS if case.state in ("proposed", "decided")]
                count = pairs(cases, standing, work, rounds=20)
                report("pairs at once: one order or a refusal", "all", count)
            if "mutations" in chosen.names:
                words = [["log"], ["approve", "plan-0002"], ["reject", "--why", "x"]]
                count = mutations(standing, "proposed", work, times=chosen.times, readers=words)
                report("changed logs, plans, settings: an answer", "all", count)
        if {"commands", "mutations"}.intersection(chosen.names):
            _loop(looped)
        if "commands" in chosen.names:
            for case in COMMANDS:
                if chosen.only in ("", case.name):
                    count = kills(case, looped, work, exact=False, points=chosen.points)
                    report(f"{case.name} killed", "all", count)
                    count = fills(case, looped, work, exact=False, points=chosen.points)
                    report(f"{case.name} on a full disk", "all", count)
        if "mutations" in chosen.names:
            count = mutations(looped, "planned", work, times=chosen.times // 4, readers=READERS)
            report("changed files of any kind: an answer", "all", count)
    return 1 if missed else 0


def _loop(folder: Path) -> None:
    """Run the loop, and keep the project as each stage leaves it."""
    # Imported here, and not again in every process that is forked.
    for name in ("torch", "duckdb", "dagcast_core.model", "dagcast_core.decide"):
        importlib.import_module(name)
    project = folder / "project"
    for state, words in LOOP:
        outcome = in_child(command(*words, "--project", str(project)))
        assert outcome.code == 0, outcome.err
        shutil.copytree(project, folder / state)


if __name__ == "__main__":
    sys.exit(main())
