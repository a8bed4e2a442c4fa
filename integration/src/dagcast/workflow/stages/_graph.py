"""Stage 3, for people: which model makes what for whom."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from dagcast.project import Project
from dagcast.workflow.common._assembled import assembled, experiments
from dagcast.workflow.common._result import Result, ResultTable
from dagcast_core.contract import Graph


@final
@dataclass(frozen=True)
class GraphResult(Result):
    """The graph of the installed models.

    Attributes:
        folder: the project; None without one.
        outside: quantities that models read and none makes.
        problems: why the packages do not fit; there is no order to draw then.
        graph: of the contracts, producers first.
    """

    folder: Path | None
    outside: tuple[str, ...]
    problems: tuple[str, ...]
    graph: Graph = field(metadata={"json": False}, repr=False)

    def drawn(self, form: str) -> str:
        """The graph as ``text``, ``mermaid`` or ``svg``."""
        draw = {"text": self.graph.text, "mermaid": self.graph.mermaid, "svg": self.graph.svg}
        return draw[form]()

    def tables(self) -> tuple[ResultTable, ...]:
        if self.problems:
            rows = tuple((problem,) for problem in self.problems)
            return (ResultTable("The packages do not fit", (), rows),)
        return (ResultTable("Models", ("model", "reads -> makes"), self.graph.rows()),)

    def next_command(self) -> str:
        where = f" --project {self.folder}" if self.folder else ""
        return f"dagcast check{where}"

    def exit_code(self) -> int:
        return 3 if self.problems else 0

    def to_json(self) -> dict[str, Any]:
        links = [
            {"maker": link.maker, "reader": link.reader, "quantity": link.quantity, "lag": link.lag}
            for link in self.graph.links
        ]
        models = [contract.model for contract in self.graph.contracts]
        return {**Result.to_json(self), "models": models, "links": links}


def graph(project: Project | None) -> GraphResult:
    """The graph of the installed models under a project's settings; imports no torch.

    Args:
        project: whose settings say what serves; without one, those of a new project.

    Returns:
        Problems of the packages are listed in the result, never raised.
    """
    measured = experiments(project) if project is not None else ()
    config = project.config if project is not None else None
    folder = project.folder if project is not None else None
    assembly = assembled(config, measured, project=project).assembly
    contracts = [item.contract for item in assembly.registrations]
    drawn = Graph.of(contracts, assembly.order)
    return GraphResult(
        folder,
        drawn.outside,
        tuple(str(problem) for problem in assembly.problems),
        drawn,
    )
