"""What packages promise each other: listed, shown, copied, and written down for other teams."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from dagcast.errors import UsageError
from dagcast.workflow.common._result import Result, ResultTable

if TYPE_CHECKING:
    from dagcast.exported import Exported
    from dagcast_core.contract import Quantity, Registration


@final
@dataclass(frozen=True)
class ContractsResult(Result):
    """Quantities and who answers for them.

    Attributes:
        quantities: name, unit, dims, who makes it and who reads it, of each.
    """

    quantities: tuple[tuple[str, str, str, str, str], ...]

    def tables(self) -> tuple[ResultTable, ...]:
        columns = ("quantity", "unit", "dims", "made by", "read by")
        return (ResultTable("Contracts", columns, self.quantities),)

    def next_command(self) -> str:
        return f"dagcast contracts show {self.quantities[0][0]}" if self.quantities else ""


@final
@dataclass(frozen=True)
class QuantityResult(Result):
    """One quantity: its declaration, its owner and its readers.

    Attributes:
        name: of the quantity.
        terms: what is promised, field by field.
        models: role, model and package of everybody who makes or reads it.
        effects: lever, outcome, sign, evidence and model of each claim that names it.
        source: the declaration as Python, to paste.
    """

    name: str
    terms: tuple[tuple[str, str], ...]
    models: tuple[tuple[str, str, str], ...]
    effects: tuple[tuple[str, str, str, str, str], ...]
    source: str

    def tables(self) -> tuple[ResultTable, ...]:
        tables = [
            ResultTable(self.name, ("term", "declared"), self.terms),
            ResultTable("Who", ("role", "model", "package"), self.models),
        ]
        if self.effects:
            columns = ("lever", "outcome", "sign", "evidence", "claimed by")
            tables.append(ResultTable("Effects", columns, self.effects))
        return tuple(tables)

    def next_command(self) -> str:
        return f"dagcast contracts copy {self.name}"


@final
@dataclass(frozen=True)
class ExportResult(Result):
    """Contracts written down for teams that have none of the packages.

    Attributes:
        file: where.
        packages: distribution, version and number of contracts of each.
    """

    file: Path
    packages: tuple[tuple[str, str, str], ...]

    def tables(self) -> tuple[ResultTable, ...]:
        columns = ("package", "version", "contracts")
        return (ResultTable(f"Exported to {self.file}", columns, self.packages),)

    def next_command(self) -> str:
        return f"dagcast check --against {self.file}"


def list_contracts(source: str | None = None) -> ContractsResult:
    """List every quantity that models make or read.

    Args:
        source: exported contracts, a manifest or a ``contract.json`` to read instead of what is
            installed: a file, a folder or an address.
    """
    registrations = _registrations(source)
    found = _declared(registrations)
    rows = []
    for name, quantity in sorted(found.items()):
        makers = [r.model for r in registrations if name in r.contract.output_names]
        readers = [r.model for r in registrations if name in r.contract.input_names]
        rows.append(
            (
                name,
                quantity.unit,
                ", ".join(quantity.dim_names),
                ", ".join(makers) or "the world or a decision",
                ", ".join(readers) or "nobody",
            )
        )
    return ContractsResult(tuple(rows))


def show_contract(name: str, source: str | None = None) -> QuantityResult:
    """Show what is promised of one quantity, by whom and for whom.

    Args:
        name: of the quantity.
        source: as for ``list_contracts``.

    Raises:
        UsageError: no model makes or reads it.
    """
    from dagcast.declaration import declaration

    registrations = _registrations(source)
    quantity = _named(name, registrations)
    models = []
    effects = []
    for item in registrations:
        package = f"{item.distribution} {item.version}".strip()
        if name in item.contract.output_names:
            models.append(("makes it", item.model, package))
        for asked in item.contract.inputs:
            if asked.name == name:
                late = f", {asked.lag} steps late" if asked.lag else ""
                role = "reads it" if asked.required else f"reads it, else {asked.default:g}"
                models.append((role + late, item.model, package))
        effects += [
            (effect.lever, effect.outcome, effect.sign, effect.evidence, item.model)
            for effect in item.contract.effects
            if name in (effect.lever, effect.outcome)
        ]
    return QuantityResult(
        name, _terms(quantity), tuple(models), tuple(effects), declaration(quantity)
    )


def export_contracts(file: Path) -> ExportResult:
    """Write the contracts of all installed packages, and what a new project asks of them.

    Args:
        file: to write; what is there is replaced. A name such as
            ``contracts_in_force-2026.11.1-py3-none-any.whl`` makes a wheel that holds them alone.

    Raises:
        UsageError: the installed packages do not load, or contradict each other; or the file's name
            ends as a wheel's does and is none, or its folder is not there.
    """
    from dagcast._wheel import wheel_of
    from dagcast._whole import write_bytes, write_text
    from dagcast.exported import export_contracts as exported
    from dagcast.plugins import load_plugins
    from dagcast.vocabulary import first_config
    from dagcast.workflow.common._assembled import demands

    if not file.parent.is_dir():
        raise UsageError(
            "a file in a folder that is there",
            f"no folder {file.parent}",
            "Make it, or name another.",
        )
    plugins = load_plugins()
    if plugins.problems:
        raise UsageError(
            "packages that load", "; ".join(map(str, plugins.problems)), "Run `dagcast check`."
        )
    made: Exported = exported(plugins, demands(first_config(plugins)))
    text = json.dumps(made.to_json(), indent=1, ensure_ascii=False) + "\n"
    if file.suffix == ".whl":
        write_bytes(file, wheel_of(file.name, text))
    else:
        write_text(file, text)
    versions = {item.distribution: item.version for item in made.registrations}
    rows = tuple(
        (name, versions[name], str(len(held))) for name, held in made.by_distribution().items()
    )
    return ExportResult(file, rows)


def _registrations(source: str | None) -> "Sequence[Registration]":
    if source is not None:
        from dagcast.exported import read_exported

        return read_exported(source).registrations
    from dagcast.plugins import load_plugins

    return load_plugins().registrations


def _declared(registrations: "Sequence[Registration]") -> "dict[str, Quantity]":
    """Every quantity as its owner declares it, or else its first reader."""
    found = {q.name: q for item in registrations for q in item.contract.outputs}
    for item in registrations:
        for asked in item.contract.inputs:
            found.setdefault(asked.name, asked.quantity)
    return found


def _named(name: str, registrations: "Sequence[Registration]") -> "Quantity":
    from dagcast_core.contract import nearest

    found = _declared(registrations)
    if name not in found:
        near = nearest(name, found)
        raise UsageError(
            "a quantity that some model makes or reads",
            f"{name!r}",
            (f"Write {near!r} if that is meant, or see" if near else "See")
            + " `dagcast contracts list`; with --from it reads what others exported.",
        )
    return found[name]


def _terms(quantity: "Quantity") -> tuple[tuple[str, str], ...]:
    low, high = (("none" if end is None else f"{end:g}") for end in quantity.bounds)
    rolled: dict[str, Any] = {dim: quantity.aggregated(dim) for dim in quantity.dim_names}
    terms = [
        ("unit", quantity.unit),
        ("dims", ", ".join(quantity.dim_names)),
        ("type", quantity.dtype),
        ("rolled up", ", ".join(f"{how} along {dim}" for dim, how in rolled.items())),
        ("bounds", f"{low} to {high}"),
    ]
    if quantity.typical is not None:
        terms.append(("typical", f"{quantity.typical[0]:g} to {quantity.typical[1]:g}"))
    if quantity.nullable:
        terms.append(("missing cells", "allowed"))
    if quantity.description:
        terms.append(("description", quantity.description))
    return tuple(terms)
