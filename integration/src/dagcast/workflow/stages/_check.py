"""Stage 3: do the installed packages fit together?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from dagcast.project import Project
from dagcast.workflow.common._assembled import assembled, experiments
from dagcast.workflow.common._result import Result, ResultTable, hidden

if TYPE_CHECKING:
    from dagcast.plugins import Plugins


@final
@dataclass(frozen=True)
class CheckResult(Result):
    """What the check found.

    Attributes:
        folder: the project, if one was named.
        models: active models, producers first, with what they read and make.
        problems: one line per root cause.
        aside: models that lack something in the store: package, what, and what to declare.
        evolution: problems against a released manifest, if one was named.
        conformance: outcome of the behavioural suites that ran.
        report: the assembly as JSON.
    """

    folder: Path | None
    models: tuple[tuple[str, str, str, str], ...]
    problems: tuple[str, ...]
    aside: tuple[tuple[str, str, str, str], ...] = ()
    evolution: tuple[str, ...] = ()
    conformance: Mapping[str, str] = field(default_factory=dict)
    report: Mapping[str, Any] = hidden(default_factory=dict)

    def tables(self) -> tuple[ResultTable, ...]:
        tables = [ResultTable("Assembly", ("model", "package", "reads", "makes"), self.models)]
        if self.aside:
            note = "what depends on them is not forecast; nothing stands in for what they lack"
            columns = ("stands aside", "package", "lacks", "to let it take part, declare")
            tables.append(ResultTable("Without what they need", columns, self.aside, note))
        if self.problems:
            rows = tuple((problem,) for problem in self.problems)
            count = len(rows)
            noun = "problem" if count == 1 else "problems"
            tables.append(ResultTable(f"{count} {noun}", (), rows))
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
        return 3 if self.problems or self.evolution or failed else 0

    def to_json(self) -> dict[str, Any]:
        return {**Result.to_json(self), "assembly": dict(self.report)}


def check(
    project: Project | None,
    *,
    disable: tuple[str, ...] = (),
    against: Path | None = None,
    conformance: str | None = None,
) -> CheckResult:
    """Assemble the contracts of all installed packages, as far as the store has what they need.

    Imports no torch.

    Args:
        project: whose objective, guardrails and levers have to be served; without one, those
            of a new project.
        disable: entry points to leave out besides those of the settings.
        against: a released manifest; what changed since is listed.
        conformance: a distribution whose behavioural suite is run, or ``all``.

    Returns:
        Problems are listed in the result, never raised.
    """
    measured = experiments(project) if project is not None else ()
    config = project.config if project is not None else None
    folder = project.folder if project is not None else None
    found = assembled(config, measured, disable=disable, project=project)
    assembly, plugins = found.assembly, found.plugins
    models = tuple(
        (
            item.model,
            f"{item.distribution} {item.version}",
            ", ".join(item.contract.input_names),
            ", ".join(item.contract.output_names),
        )
        for item in assembly.registrations
    )
    return CheckResult(
        folder,
        models,
        tuple(str(problem) for problem in assembly.problems),
        aside=tuple((item.model, item.package, item.why, item.declare) for item in found.aside),
        evolution=_evolution(against, plugins) if against else (),
        conformance=_conformance(conformance) if conformance else {},
        report=assembly.to_json(),
    )


def _evolution(manifest: Path, plugins: "Plugins") -> tuple[str, ...]:
    from dagcast.evolution import check_evolution

    return tuple(str(problem) for problem in check_evolution(plugins, manifest))


def _conformance(package: str) -> dict[str, str]:
    from dagcast.conformance import check_conformance

    outcomes: dict[str, str] = {}
    for result in check_conformance(() if package == "all" else (package,)):
        state = "failed" if result.failed or result.problems else "passed"
        outcome = f"{state}: {result.passed} passed, {result.failed} failed"
        problems = "".join(f"; {problem}" for problem in result.problems)
        outcomes[f"{result.distribution} {result.model}"] = outcome + problems
    return outcomes
