"""Projects on public records, as `projects/NAME.toml` declares them."""

from pathlib import Path

from dagcast.config import Config
from dagcast.plugins import load_plugins
from dagcast.project import Project, create_project, open_project
from dagcast.workflow import ingest
from dagcast.workflow.common._horizon import Clocks, clocks_of
from dagcast_core.data import IngestReport, MetricStore

PROJECTS = Path(__file__).parent / "projects"


def open_declared(name: str, folder: Path | str, data: Path) -> Project:
    """A project in a new folder, whose `data/` is the folder of records."""
    folder = Path(folder)
    create_project(folder, Config())
    (folder / "dagcast.toml").write_text((PROJECTS / f"{name}.toml").read_text())
    (folder / "data").symlink_to(data.absolute(), target_is_directory=True)
    return open_project(folder, environment={})


def ingest_declared(
    name: str, folder: Path | str, data: Path
) -> tuple[MetricStore, dict[str, IngestReport]]:
    """Ingests what a project declares; returns its store, and the reports by table."""
    project = open_declared(name, folder, data)
    ingest(project)
    store = MetricStore(project.store)
    return store, {report.table: report for report in store.reports()}


def declared_clocks(folder: Path | str) -> Clocks:
    """Hours of the week and holidays of the labels in such a project's store."""
    project = open_project(Path(folder), environment={})
    return clocks_of(project, load_plugins(), MetricStore(project.store))
