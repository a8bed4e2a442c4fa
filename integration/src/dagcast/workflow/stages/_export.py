"""At any stage: what a plan decides and expects as a table of rows, for other programs."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, final

from dagcast._whole import write_bytes
from dagcast.errors import UsageError
from dagcast.plans import Outlook
from dagcast.project import Project
from dagcast.workflow.common._plan_files import load_decisions, plan_folder
from dagcast.workflow.common._result import Result, ResultTable
from dagcast.workflow.common._wording import clocks_of

if TYPE_CHECKING:
    import pandas as pd

What: TypeAlias = Literal["decisions", "forecasts", "totals"]
_FORMS = (".csv", ".parquet", ".json")


@final
@dataclass(frozen=True)
class ExportedResult(Result):
    """A table that was written.

    Attributes:
        folder: the project.
        plan: whose it is.
        what: ``decisions``, ``forecasts`` or ``totals``.
        file: that was written.
        rows: in it.
        columns: of it.
        state: of the plan.
    """

    folder: Path
    plan: str
    what: What
    file: Path
    rows: int
    columns: tuple[str, ...]
    state: str

    def tables(self) -> tuple[ResultTable, ...]:
        row = (self.plan, self.state, self.what, str(self.file), f"{self.rows:,}")
        heads = ("plan", "state", "what", "file", "rows")
        return (ResultTable("Exported", heads, (row,), f"columns {', '.join(self.columns)}"),)

    def next_command(self) -> str:
        return ""


def export(
    project: Project, plan: str | None = None, *, what: What = "decisions", file: Path
) -> ExportedResult:
    """Write what a plan decides or expects, one row for each cell.

    Hours are given by UTC and by the clock of their row. Nothing is rounded.

    Args:
        project: the project.
        plan: its name; the newest by default.
        what: ``decisions`` of every lever; ``forecasts`` by row and hour under the plan and every
            arm that it is compared with; or their ``totals``.
        file: ends with ``.csv``, ``.parquet`` or ``.json``, which says how it is written.

    Raises:
        UsageError: no plan has that name, or the file has another ending.
        ProjectError: no plan was made, or its files are damaged.
    """
    if file.suffix.lower() not in _FORMS:
        raise UsageError(
            f"a file that ends with {', '.join(_FORMS)}", f"{file}", "Name it with --to."
        )
    record = project.journal.find(plan)
    frame = exported_frame(project, record.plan, what)
    write_bytes(file, _written(frame, file.suffix.lower()))
    columns = tuple(map(str, frame.columns))
    return ExportedResult(
        project.folder, record.plan, what, file, len(frame), columns, record.state
    )


def exported_frame(
    project: Project, plan: str | None = None, what: What = "decisions"
) -> "pd.DataFrame":
    """What ``export`` writes, as a frame."""
    record = project.journal.find(plan)
    looks = {"decisions": _decisions, "forecasts": _forecasts, "totals": _totals}
    return looks[what](project, record.plan)


def _written(frame: "pd.DataFrame", form: str) -> bytes:
    import io

    if form == ".parquet":
        whole = io.BytesIO()
        frame.to_parquet(whole, index=False)
        return whole.getvalue()
    moments = frame.select_dtypes("datetimetz")
    plain = frame.assign(**{str(name): moments[name].map(_iso) for name in moments})
    if form == ".json":
        return str(plain.to_json(orient="records", indent=1, double_precision=15)).encode()
    return str(plain.to_csv(index=False)).encode()


def _iso(moment: object) -> str:
    return moment.isoformat() if hasattr(moment, "isoformat") else str(moment)


def _decisions(project: Project, plan: str) -> "pd.DataFrame":
    found = load_decisions(project, plan)
    outlook = Outlook.load(plan_folder(project, plan))
    return _with_local(project, found, outlook)


def _forecasts(project: Project, plan: str) -> "pd.DataFrame":
    import pandas as pd

    outlook = Outlook.load(plan_folder(project, plan))
    hours = pd.DatetimeIndex([pd.Timestamp(hour) for hour in outlook.hours])
    dim = outlook.dim or "row"
    parts = []
    for arm, paths in outlook.paths.items():
        for name, path in paths.items():
            labels = ("", *outlook.rows) if len(path.mid) > 1 else ("",)
            index = pd.MultiIndex.from_product([labels, hours], names=[dim, outlook.time])
            given = {part: getattr(path, part).reshape(-1) for part in ("mid", "low", "high")}
            part = pd.DataFrame(given, index=index).reset_index()
            unit = outlook.readings[name].unit if name in outlook.readings else ""
            parts.append(part.assign(arm=arm, quantity=name, unit=unit).dropna(subset=["mid"]))
    whole = pd.concat(parts, ignore_index=True)
    order = ["arm", "quantity", dim, outlook.time, "mid", "low", "high", "unit"]
    return _with_local(project, whole[order], outlook)


def _totals(project: Project, plan: str) -> "pd.DataFrame":
    import pandas as pd

    outlook = Outlook.load(plan_folder(project, plan))
    rows = [
        (arm, "total", name, item.mid, item.low, item.high)
        for arm, found in outlook.totals.items()
        for name, item in found.items()
    ]
    rows += [
        (arm, "plan less arm", name, item.mid, item.low, item.high)
        for arm, found in outlook.differences.items()
        for name, item in found.items()
    ]
    return pd.DataFrame(rows, columns=["arm", "what", "quantity", "mid", "low", "high"])


def _with_local(project: Project, frame: "pd.DataFrame", outlook: Outlook) -> "pd.DataFrame":
    """The frame with a column of local hours beside that of hours in UTC."""
    zone, zones = clocks_of(project)
    time, place = outlook.time, list(frame.columns).index(outlook.time)
    labels = frame.get(outlook.dim)
    hours = frame[time]
    if labels is None:
        local = hours.dt.tz_convert(zone).map(_iso)
    else:
        own = labels.map(lambda label: zones.get(label, zone))
        local = hours.map(_iso)
        for name in own.unique():
            local = local.where(own != name, hours.dt.tz_convert(name).map(_iso))
    found = frame.copy()
    found.insert(place + 1, f"{time}_local", local)
    return found
