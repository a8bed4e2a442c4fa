"""Stage 3: do the installed packages fit together?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from dagcast.project import Project
from dagcast.trial import done_tried
from dagcast.workflow.common._assembled import assembled, experiments, left_out
from dagcast.workflow.common._damage import found_damage
from dagcast.workflow.common._result import Result, ResultTable, hidden

if TYPE_CHECKING:
    from dagcast.exported import Exported
    from dagcast.plugins import Plugins
    from dagcast_core.contract import Problem


@final
@dataclass(frozen=True)
class CheckResult(Result):
    """What the check found.

    Attributes:
        folder: the project, if one was named.
        models: active models, producers first, with what they read and make.
        problems: one line per root cause.
        aside: models that lack something in the store: package, what, and what to declare.
        note: what was checked, where no project says so.
        evolution: problems against a released manifest, if one was named.
        conformance: outcome of the behavioural suites that ran.
        damage: what of the project's store, fits and plans is not as it was written.
        report: the assembly as JSON.
    """

    folder: Path | None
    models: tuple[tuple[str, str, str, str], ...]
    problems: tuple[str, ...]
    aside: tuple[tuple[str, str, str, str], ...] = ()
    evolution: tuple[str, ...] = ()
    conformance: Mapping[str, str] = field(default_factory=dict)
    damage: tuple[str, ...] = ()
    report: Mapping[str, Any] = hidden(default_factory=dict)
    note: str = ""

    def tables(self) -> tuple[ResultTable, ...]:
        tables = [
            ResultTable("Assembly", ("model", "package", "reads", "makes"), self.models, self.note)
        ]
        if self.aside:
            note = "what depends on them is not forecast; nothing stands in for what they lack"
            columns = ("stands aside", "package", "lacks", "to let it take part, declare")
            tables.append(ResultTable("Without what they need", columns, self.aside, note))
        if self.problems:
            rows = tuple((problem,) for problem in self.problems)
            count = len(rows)
            noun = "problem" if count == 1 else "problems"
            tables.append(ResultTable(f"{count} {noun}", (), rows))
        if self.damage:
            rows = tuple((text,) for text in self.damage)
            tables.append(ResultTable("Not as it was written", (), rows))
        if self.evolution:
            rows = tuple((change,) for change in self.evolution)
            tables.append(ResultTable("Changes that need another version", (), rows))
        if self.conformance:
            tables.append(
                ResultTable("Conformance", ("package", "outcome"), tuple(self.conformance.items()))
            )
        return tuple(tables)

    def next_command(self) -> str:
        if self.exit_code() or self.folder is None or not self.models:
            return ""
        return f"dagcast fit --project {self.folder}"

    def exit_code(self) -> int:
        failed = any(not outcome.startswith("passed") for outcome in self.conformance.values())
        return 3 if self.problems or self.evolution or self.damage or failed else 0

    def to_json(self) -> dict[str, Any]:
        return {**Result.to_json(self), "assembly": dict(self.report)}


def check(
    project: Project | None,
    *,
    folder: Path | None = None,
    disable: tuple[str, ...] = (),
    serving: Mapping[str, str] | None = None,
    against: Path | str | None = None,
    conformance: str | None = None,
    deep: bool = False,
) -> CheckResult:
    """Assemble the contracts of all installed packages, and verify what the project holds.

    Models that lack something in its store stand aside.

    Imports no torch.

    Args:
        project: whose objective, guardrails and levers have to be served; without one, those
            of a new project.
        folder: without a project, sources to look at as well: a package's own repository or a
            workspace. Each ``contract.json`` there is read: of an installed package it has to be
            as declared, of another it takes part in the assembly. Where the workspace has
            promoted a release, changes since then are listed without ``against``.
        disable: entry points to leave out besides those of the settings.
        serving: which package or model serves a quantity that several make; wins over the settings.
        against: exported contracts, a released manifest or a ``contract.json``, as a file, folder
            or address. Of packages that are installed, what changed since is listed; those that
            are not take part in the assembly.
        conformance: a distribution whose behavioural suite is run, or ``all``.
        deep: read every byte of the store, rather than the size and a sample of each file.

    Returns:
        Problems are listed in the result, never raised.
    """
    measured = experiments(project) if project is not None else ()
    config = project.config if project is not None else None
    exported = _exported(against, None if project is not None else folder)
    released = against or (_in_force(folder) if project is None else None)

    def joined(plugins: "Plugins") -> dict[str, Any]:
        found = assembled(
            config,
            measured,
            serving=serving,
            plugins=plugins,
            exported=exported,
            project=project,
        )
        assembly = found.assembly
        sources = _sources(folder, plugins) if project is None and folder is not None else ()
        return {
            "models": [
                (
                    item.model,
                    f"{item.distribution} {item.version}",
                    ", ".join(item.contract.input_names),
                    ", ".join(item.contract.output_names),
                )
                for item in assembly.registrations
            ],
            "problems": [str(problem) for problem in (*assembly.problems, *sources)],
            "aside": [(item.model, item.package, item.why, item.declare) for item in found.aside],
            "evolution": _evolution(released, plugins) if released else [],
            "report": assembly.to_json(),
            # In the same process: both load pandas and DuckDB where there is a store.
            "damage": found_damage(project, deep=deep) if project is not None else [],
        }

    told = done_tried(joined, left_out(config, disable))
    return CheckResult(
        project.folder if project is not None else None,
        tuple(tuple(row) for row in told["models"]),
        tuple(told["problems"]),
        aside=tuple(tuple(row) for row in told["aside"]),
        evolution=tuple(told["evolution"]),
        conformance=_conformance(conformance) if conformance else {},
        damage=tuple(told["damage"]),
        report=told["report"],
        note=_note(exported, folder) if project is None else "",
    )


def _note(exported: "Exported | None", folder: Path | None) -> str:
    what = "what is installed"
    absent = exported.not_installed() if exported is not None else ()
    if absent:
        names = tuple(dict.fromkeys(item.distribution for item in absent))
        verb = "is" if len(names) == 1 else "are"
        what += f", with the contracts of {', '.join(names)}, which {verb} not here"
    return f"Without a project: {what}." if folder is not None else ""


def _exported(against: Path | str | None, folder: Path | None) -> "Exported | None":
    """Contracts from elsewhere: those to check against, and those in the folder's sources."""
    if against is None and not (folder is not None and _snapshots(folder)):
        return None
    from dataclasses import replace

    from dagcast.exported import Exported, read_exported

    found = read_exported(str(against)) if against is not None else Exported((), frozenset())
    own = [r for file in _snapshots(folder) for r in read_exported(str(file)).registrations]
    named = {item.distribution for item in own}
    # What is being written here counts, not what was released of it.
    released = (item for item in found.registrations if item.distribution not in named)
    return replace(found, registrations=(*released, *own))


def _in_force(folder: Path | None) -> Path | None:
    """The release that a workspace has promoted, if it has any."""
    pointer = folder / "integration" / "releases" / "current.json" if folder is not None else None
    return pointer if pointer is not None and pointer.is_file() else None


def _snapshots(folder: Path | None) -> list[Path]:
    if folder is None:
        return []
    return sorted([*folder.glob("contract.json"), *folder.glob("packages/*/contract.json")])


def _sources(folder: Path, plugins: "Plugins") -> tuple["Problem", ...]:
    """What is wrong with the sources in a folder: stale snapshots, undeclared imports."""
    if not (folder / "pyproject.toml").is_file():
        return ()
    from dagcast.evolution import check_snapshots
    from dagcast.packaging import is_team_package, packaging_problems

    own = is_team_package(folder)
    stale = check_snapshots(plugins, folder, only_present=not own)
    return (*stale, *(packaging_problems(folder) if own else ()))


def _evolution(against: Path | str, plugins: "Plugins") -> tuple[str, ...]:
    from dagcast.evolution import evolution_of
    from dagcast.exported import read_exported

    released = read_exported(str(against)).by_distribution()
    return tuple(str(problem) for problem in evolution_of(plugins, released))


def _conformance(package: str) -> dict[str, str]:
    from dagcast.conformance import check_conformance

    outcomes: dict[str, str] = {}
    for result in check_conformance(() if package == "all" else (package,)):
        state = "failed" if result.failed or result.problems else "passed"
        outcome = f"{state}: {result.passed} passed, {result.failed} failed"
        problems = "".join(f"; {problem}" for problem in result.problems)
        outcomes[f"{result.distribution} {result.model}"] = outcome + problems
    return outcomes
