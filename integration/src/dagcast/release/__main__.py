"""Print, or write, the next version of one package; called by ``nox -s release``."""

import argparse
import sys
from pathlib import Path

from dagcast.errors import DagcastError
from dagcast.evolution import released_contracts
from dagcast.release._bump import plan_bump, version_in, write_bump


def main() -> int:
    """Run the command.

    Returns:
        0 when done, 2 for a folder that is no package, 3 if the package is not ready.
    """
    parser = argparse.ArgumentParser(prog="python -m dagcast.release", description=__doc__)
    parser.add_argument("package", type=Path, help="folder of the package")
    parser.add_argument("--against", type=Path, help="manifest of the last integration release")
    parser.add_argument("--write", action="store_true", help="write the version")
    given = parser.parse_args()
    try:
        plan = plan_bump(given.package)
        if given.against is not None:
            released = released_contracts(given.against).get(plan.distribution, ())
            version = version_in(given.against, plan.distribution)
            plan = plan_bump(given.package, released, version)
        for problem in plan.problems:
            print(problem, file=sys.stderr)
        if plan.problems:
            return 3
        if given.write:
            write_bump(given.package, plan)
    except DagcastError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(plan.after)
    return 0


if __name__ == "__main__":
    sys.exit(main())
