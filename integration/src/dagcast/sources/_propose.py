"""A first declaration of a source, out of what its rows look like.

What is unsure stands beside it as a comment: a proposal is read by somebody before it is used.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

import pandas as pd

from dagcast.errors import UsageError
from dagcast_core.contract import Quantity
from dagcast_core.data import DatabaseRows, EventTable, Peek, peek

_FORMATS = (
    "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S",
    "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%d-%m-%Y %H:%M", "%Y-%m", "%m/%d/%Y %I:%M:%S %p",
)  # fmt: skip
_NUMBERS = ("INT", "DOUBLE", "FLOAT", "DECIMAL")
_ISO = r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?)?(Z|[+-]\d\d:?\d\d)?"
_HOUR_WORDS = ("hour", "time", "datetime", "timestamp", "date", "at", "start", "started_at")
_KNOWN_WORDS = ("known_at", "loaded_at", "ingested_at", "updated_at", "created_at", "inserted_at")
_FEW = 500


@dataclass(slots=True)
class _Look:
    """What was found out about a source."""

    peek: Peek
    times: dict[str, str | None] = field(default_factory=dict)
    numbers: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


def reached(given: str) -> tuple[Path | DatabaseRows, list[str]]:
    """What ``--from`` names, and the lines that declare it.

    Args:
        given: a file, ``FILE.duckdb:TABLE``, or ``postgresql://...#TABLE``.

    Raises:
        UsageError: it is none of these.
    """
    if "://" in given:
        uri, mark, relation = given.rpartition("#")
        if not mark:
            raise _none(given)
        rows = DatabaseRows(
            relation,
            driver="adbc_driver_postgresql.dbapi",
            arguments={"uri": uri},
            dialect="postgres",
        )
        return rows, [f"connect = {_said(uri)}", f"relation = {_said(relation)}"]
    database = re.fullmatch(r"(.+\.(?:duckdb|db)):([^:]+)", given)
    if database is not None:
        path = Path(database[1]).absolute()
        lines = [f"database = {_said(str(path))}", f"relation = {_said(database[2])}"]
        return DatabaseRows(database[2], path=path), lines
    path = Path(given).absolute()
    if not path.is_file():
        raise _none(given)
    return path, [f"files = {_said(str(path))}"]


def _none(given: str) -> UsageError:
    return UsageError(
        "--from to name a Parquet or CSV file, FILE.duckdb:TABLE or postgresql://...#TABLE",
        repr(given),
        "Correct it.",
    )


def source_name(given: str) -> str:
    """A name for the source: letters, digits and underscores."""
    last = re.split(r"[#:/\\]", given)[-1]
    stem = re.sub(r"\.(parquet|pq|csv)$", "", last, flags=re.IGNORECASE)
    name = re.sub(r"\W+", "_", stem, flags=re.ASCII).strip("_").lower()
    return name if name[:1].isalpha() else f"source_{name}"


def propose(
    given: str, quantities: Mapping[str, Quantity], tables: Mapping[str, EventTable]
) -> str:
    """The text of a declaration, as a file ``sources/NAME.toml`` holds it.

    Args:
        given: see ``reached``.
        quantities: of the installed models.
        tables: that packages declare.

    Raises:
        UsageError: no such source.
        SourceError: it cannot be read.
    """
    source, lines = reached(given)
    look = _looked(peek(source))
    head = [
        "# Proposed by `dagcast init --from`. Read every line, most of all those marked unsure.",
        f"# Columns: {', '.join(look.peek.columns)}",
    ]
    if look.peek.dialect:
        head.append(f"# Read as: {look.peek.dialect}")
    table = _fitting(look, tables)
    if table is not None:
        return "\n".join([*head, *lines, *_into(table, look)]) + "\n"
    return "\n".join([*head, *lines, *_measured(source_name(given), look, quantities)]) + "\n"


def _looked(found: Peek) -> _Look:
    look = _Look(found)
    for name, kind in found.columns.items():
        values = found.rows[name].dropna()
        if kind.startswith("TIMESTAMP") or kind == "DATE":
            look.times[name] = None
        elif any(word in kind for word in _NUMBERS):
            look.numbers.append(name)
        elif kind == "VARCHAR":
            texts = values.astype(str).str.strip()
            texts = texts[texts != ""]
            form = _form(texts)
            if not len(texts):
                continue
            if form is not None:
                look.times[name] = form or None
            elif _is_number(texts):
                look.numbers.append(name)
            else:
                look.texts.append(name)
    return look


def _form(texts: pd.Series) -> str | None:
    """How times are written: "" for ISO's way, a pattern, None where these are no times."""
    plain = texts.str.fullmatch(
        r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?)?(Z|[+-]\d\d:?\d\d)?"
    )
    if bool(plain.all()):
        return ""
    sample = texts.head(500)
    for form in _FORMATS:
        read = pd.to_datetime(sample, format=form, errors="coerce")
        if not read.isna().any():
            return form
    return None


def _is_number(texts: pd.Series) -> bool:
    plain = texts.str.replace(",", "").str.rstrip("%")
    return bool(pd.to_numeric(plain, errors="coerce").notna().mean() > 0.9)


def _fitting(look: _Look, tables: Mapping[str, EventTable]) -> EventTable | None:
    """A package's table most of whose columns are there by name."""
    best, share = None, 0.6
    for table in tables.values():
        names = [column.name for column in table.columns]
        there = sum(name in look.peek.columns for name in names) / len(names)
        if there > share:
            best, share = table, there
    return best


def _into(table: EventTable, look: _Look) -> list[str]:
    lines = [f"into = {_said(table.name)}  # most of its columns are here by name"]
    lines += _zone(look, table.time)
    known = table.known_at if table.known_at in look.peek.columns else None
    lines += _known(look, known)
    lines.append("[columns]")
    for column in table.columns:
        if column.name == known:
            continue
        if column.name in look.peek.columns:
            lines.append(f"{column.name} = {_said(column.name)}")
        else:
            near = get_close_matches(column.name, look.peek.columns, n=1, cutoff=0.4)
            guess = _said(near[0]) if near else '"..."'
            lines.append(f"# {column.name} = {guess}  # unsure: no column is called so")
    return lines


def _measured(name: str, look: _Look, quantities: Mapping[str, Quantity]) -> list[str]:
    time = _time(look)
    if time is None:
        return [
            '# time = "..."  # no column holds times that are understood; say which, and how:',
            '# time = { column = "...", format = "%d/%m/%Y %H:%M" }',
        ]
    form = look.times[time]
    said = f"{{ column = {_said(time)}, format = {_said(form)} }}" if form else _said(time)
    unsure = ""
    if form is not None and form.startswith(("%d/%m", "%m/%d")) and _swaps(look, time, form):
        unsure = "  # unsure: days and months may be the other way round"
    known = next((name for name in _KNOWN_WORDS if name in look.times and name != time), None)
    dims, dim_lines = _dims(look, quantities)
    cells = _is_cells(look, time, dims)
    lines = [f"time = {said}{unsure}", *_zone(look, time), *_known(look, known)]
    if not cells:
        lines.append('rows = "events"  # several rows share an hour and its labels')
    lines.append(
        'absent = "missing"  # unsure: or "zero", if only hours in which something happened were '
        "written"
    )
    lines += dim_lines
    if not cells:
        key = next(
            (n for n in look.peek.columns if n.lower().endswith("id") and _unique(look, n)), ""
        )
        lines.append(f"key = {_said(key)}" if key else '# key = "..."  # what identifies a row')
    return [*lines, "[quantities]", *_quantities(name, look, quantities, dims, cells)]


def _time(look: _Look) -> str | None:
    if not look.times:
        return None
    words = [name for word in _HOUR_WORDS for name in look.times if name.lower() == word]
    others = [name for name in look.times if name not in _KNOWN_WORDS]
    return next(iter([*words, *others, *look.times]))


def _swaps(look: _Look, time: str, form: str) -> bool:
    """Whether the times could be read with days and months exchanged."""
    other = form.replace("%d", "%x").replace("%m", "%d").replace("%x", "%m")
    texts = look.peek.rows[time].dropna().astype(str).str.strip()
    return not bool(pd.to_datetime(texts, format=other, errors="coerce").isna().any())


def _zone(look: _Look, time: str) -> list[str]:
    kind = look.peek.columns.get(time, "")
    texts = look.peek.rows[time].astype(str) if time in look.peek.rows else pd.Series(dtype=str)
    if "WITH TIME ZONE" in kind or texts.str.fullmatch(r".*(Z|[+-]\d\d:?\d\d)").all():
        return ['zone = "UTC"  # its times say their own']
    return ['zone = "UTC"  # unsure: on whose clock are its times? e.g. "America/New_York"']


def _known(look: _Look, known: str | None) -> list[str]:
    if known is not None:
        return [f"known = {{ column = {_said(known)} }}"]
    return [
        'known = "final"  # unsure: when were rows known? { column = "..." } or { lag_hours = 3 }; '
        "a backtest is honest only as far as this is"
    ]


def _dims(look: _Look, quantities: Mapping[str, Quantity]) -> tuple[dict[str, str], list[str]]:
    """Columns of labels by dim, and the lines that declare them."""
    wanted = _usual_dims(quantities)
    rows = look.peek.rows
    few = [n for n in look.texts if 0 < rows[n].nunique() <= min(_FEW, max(1, len(rows) // 2))]
    plain = [n for n in look.numbers if n not in quantities and n not in wanted]
    wide = not look.texts and len(plain) > 3 and all(n.isdigit() for n in plain)
    found: dict[str, str] = {}
    lines: list[str] = []
    for dim in wanted or ("label",):
        match = get_close_matches(dim, [*few, *look.numbers], n=1, cutoff=0.8)
        column = match[0] if match else (few[0] if len(few) == 1 else None)
        if column is not None:
            found[dim] = column
            sure = "" if column.lower() == dim else f"  # unsure: are its labels those of {dim}?"
            lines.append(f"dims.{dim} = {_said(column)}{sure}")
        elif wide:
            lines.append(f'dims.{dim} = {{ columns = "*" }}  # unsure: are its columns labels?')
        else:
            choice = f"; one of {', '.join(few)}?" if few else ""
            lines.append(f'dims.{dim} = {{ value = "all" }}  # unsure: one label for all{choice}')
    return found, lines


def _usual_dims(quantities: Mapping[str, Quantity]) -> tuple[str, ...]:
    """The dims of labels that most quantities have."""
    counts: dict[tuple[str, ...], int] = {}
    for quantity in quantities.values():
        dims = tuple(dim.name for dim in quantity.dims if dim.kind == "label")
        if dims:
            counts[dims] = counts.get(dims, 0) + 1
    return max(counts, key=lambda dims: counts[dims]) if counts else ()


def _is_cells(look: _Look, time: str, dims: Mapping[str, str]) -> bool:
    keys = look.peek.rows[[time, *dims.values()]].astype(str)
    return not bool(keys.duplicated().any())


def _unique(look: _Look, name: str) -> bool:
    values = look.peek.rows[name]
    return bool(values.notna().all() and values.is_unique)


def _quantities(
    source: str,
    look: _Look,
    quantities: Mapping[str, Quantity],
    dims: Mapping[str, str],
    cells: bool,
) -> list[str]:
    names = [name for name in look.numbers if name not in dims.values()]
    names = [name for name in names if not name.lower().endswith("id")]
    if not look.texts and len(names) > 3 and all(name.isdigit() for name in names):
        return [f'{source} = {{ unit = "1/h" }}  # unsure: which quantity do the cells hold?']
    lines = [] if cells else ['rows = { count = true, unit = "1/h" }  # unsure: what is a row?']
    for name in names:
        near = get_close_matches(name.lower(), quantities, n=1, cutoff=0.8)
        if near and not any(line.startswith(f"{near[0]} =") for line in lines):
            unit = quantities[near[0]].unit
            said = _said(name) if cells else f"{{ sum = {_said(_quoted(name))} }}"
            sure = "" if near[0] == name else "unsure: "
            lines.append(f"{near[0]} = {said}  # {sure}in {unit}")
        else:
            plain = re.sub(r"\W+", "_", name.strip(), flags=re.ASCII).strip("_").lower()
            said = f"column = {_said(name)}" if cells else f"sum = {_said(_quoted(name))}"
            lines.append(f'# {plain} = {{ {said}, unit = "..." }}  # which quantity is it?')
    if cells and all(line.startswith("#") for line in lines) and names:
        # Something has to be measured; the first number is as good a guess as any.
        first = lines[0].removeprefix("# ").replace('"..."', '"1/h"')
        lines[0] = first.replace("which", "unsure: which")
    return lines


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_]\w*", name) else '"' + name.replace('"', '""') + '"'


def _said(value: str | None) -> str:
    return json.dumps(value or "", ensure_ascii=False)
