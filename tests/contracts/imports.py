"""Who imports whom among the files of `src`, and the circles among them.

Run as a script, by `nox -s gates`, it names every circle and fails if there is one. Imports inside
functions count, since they postpone a circle and do not open it; imports for type checkers do
not, since they are never run.
"""

import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]


def packages():
    """Import names of all packages of the workspace."""
    sources = [*ROOT.glob("packages/*/src/*"), *ROOT.glob("integration/src/*")]
    return sorted(folder.name for folder in sources if (folder / "__init__.py").is_file())


def imports(*names):
    """The files of packages that can be imported, each with the files that it imports."""
    graph = grimp.build_graph(*names, exclude_type_checking_imports=True, cache_dir=None)
    return {
        file: sorted(graph.find_modules_directly_imported_by(file))
        for file in sorted(graph.modules)
    }


def circles(imported):
    """Circles of imports, each from a file back to itself; removing any link opens one."""
    left = {file: list(targets) for file, targets in imported.items()}
    # An `__init__` publishes what lies below it, also where it does so on first use, which the
    # graph does not show. So a file that imports the `__init__` above it imports itself.
    for file, targets in imported.items():
        for target in targets:
            if file.startswith(f"{target}.") and file not in left[target]:
                left[target].append(file)
    found = []
    while True:
        try:
            TopologicalSorter(left).prepare()
        except CycleError as error:
            circle = tuple(reversed(error.args[1]))
            found.append(circle)
            left[circle[0]].remove(circle[1])
        else:
            return found


def main(names):
    found = circles(imports(*names or packages()))
    for circle in found:
        print("import circle: " + " -> ".join(circle), file=sys.stderr)
    if found:
        print("Move what two files share into one that both of them import.", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
