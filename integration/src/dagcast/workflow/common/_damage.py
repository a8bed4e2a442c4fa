"""What of a project is not as it was written: its store, and every fit and plan of the log."""

from collections.abc import Iterator

from dagcast.errors import ProjectError
from dagcast.journal import Entry, made_by
from dagcast.project import Project
from dagcast.workflow.common._seal import remedy, verify


def found_damage(project: Project, *, deep: bool) -> tuple[str, ...]:
    """Say in a paragraph each what was changed, what is missing, and what to do.

    Args:
        project: with a log that is whole, as ``open_project`` has found it.
        deep: read every byte of the store, rather than the size and a sample of each file.
    """
    entries = project.journal.entries()
    return (*_in_store(project, deep=deep), *_in_results(project, entries))


def _in_store(project: Project, *, deep: bool) -> Iterator[str]:
    if project.logged_store() is None and not any(project.store.iterdir()):
        return
    # pandas and DuckDB come with it, which a check without data does not need.
    from dagcast.workflow.common._horizon import require_logged
    from dagcast_core.data import MetricStore, StoreError

    store = MetricStore(project.store)
    try:
        store.verify(deep=deep)
        require_logged(project, store)
    except (ProjectError, StoreError) as error:
        yield str(error)


def _in_results(project: Project, entries: tuple[Entry, ...]) -> Iterator[str]:
    """Plans, fits, releases; weeks that were played are no claim, their rows are in the store."""
    for entry in entries:
        released = entry.details.get("released")
        what = "fit" if entry.event == "fitted" else "plan" if released is None else "release"
        sealed = (entry.details if released is None else released).get("seal")
        made = made_by(entry)
        if made is None or "made" in entry.details:
            continue
        folder = project.folder / made
        try:
            if not folder.is_dir():
                raise ProjectError(
                    f"the folder of {folder.name} in {folder.parent}",
                    "nothing",
                    remedy(what),
                )
            verify(folder, sealed, what)
        except ProjectError as error:
            yield str(error)
