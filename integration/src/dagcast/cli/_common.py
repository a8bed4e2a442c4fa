"""Options and output that all subcommands share."""

import functools
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, final

import click

from dagcast.cli import _collecting
from dagcast.cli._pace import Pace
from dagcast.cli._stdout import as_result, reserved
from dagcast.cli._tables import painter, table_lines, terminal_width, wrapped
from dagcast.errors import OutputError

if TYPE_CHECKING:
    from dagcast.project import Project
    from dagcast.workflow import Progress, Result


ResultT = TypeVar("ResultT", bound="Result")


@final
class Folder(click.Path):
    """The name of a folder: what lies there, if anything, is one.

    click itself lets pipes and devices pass for folders, and an empty name for the current one,
    which is what a script passes whose variable was never set.
    """

    def __init__(self, *, exists: bool = False) -> None:
        super().__init__(path_type=Path, exists=exists, file_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not str(value):
            self.fail("An empty name is no folder.", param, ctx)
        found = Path(os.fsdecode(super().convert(value, param, ctx)))
        if found.exists() and not found.is_dir():
            self.fail(f"Directory {str(found)!r} is a pipe or device.", param, ctx)
        return found


def project_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--project`` and ``--set``; the command receives ``folder`` and ``flags``."""
    function = click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="Override a setting of dagcast.toml, such as backtest.origins=8.",
    )(function)
    return click.option(
        "--project",
        "folder",
        type=Folder(),
        default=lambda: os.environ.get("DAGCAST_PROJECT") or ".",
        show_default="$DAGCAST_PROJECT, else the current folder",
        help="The project's folder.",
    )(function)


def result_options(function: Callable[..., "Result"]) -> Callable[..., int]:
    """Add ``--json``, show the result that the command returns, and end with its exit code."""

    @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
    @functools.wraps(function)
    def command(*args: Any, as_json: bool, **kwargs: Any) -> int:
        with reserved():
            result = function(*args, **kwargs)
        show(result, as_json=as_json)
        code: int = result.exit_code()
        return code

    return command


def opened(folder: Path, settings: tuple[str, ...]) -> "Project":
    """Open the project that the options name.

    Raises:
        UsageError: a ``--set`` without an equals sign.
    """
    from dagcast.project import open_project

    return open_project(folder, flags=parsed(settings))


def told(project: "Project", result: "ResultT") -> "ResultT":
    """Tell the webhook of what a command did, which is done whether or not anybody answers."""
    from dagcast import workflow

    if words := workflow.notify(project):
        print(f"  {words}", file=sys.stderr, flush=True)
    return result


def opened_if_any(folder: Path, settings: tuple[str, ...], no_project: bool) -> "Project | None":
    """Open the project that the options name, or none where the current folder is none.

    Raises:
        UsageError: a ``--set`` without an equals sign.
    """
    from click.core import ParameterSource

    source = click.get_current_context().get_parameter_source("folder")
    named = source != ParameterSource.DEFAULT or bool(os.environ.get("DAGCAST_PROJECT"))
    here = any((folder / name).exists() for name in ("dagcast.toml", "log.jsonl"))
    if no_project or not (named or here or settings):
        return None
    return opened(folder, settings)


def parsed(settings: tuple[str, ...]) -> dict[str, str]:
    """The ``--set`` options as a mapping of dotted key to text."""
    flags = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key.strip():
            raise click.UsageError(f"--set takes KEY=VALUE; found {setting!r}.")
        flags[key.strip()] = value.strip()
    return flags


def serving_of(settings: tuple[str, ...]) -> dict[str, str]:
    """Which package serves a quantity, from ``--set serving.QUANTITY=PACKAGE`` alone.

    Raises:
        UsageError: a ``--set`` of something else, which is a project's to say.
    """
    serving = {}
    for key, value in parsed(settings).items():
        table, dot, quantity = key.partition(".")
        if table != "serving" or not dot or not quantity:
            raise click.UsageError(
                f"Without a project, --set takes serving.QUANTITY=PACKAGE; found {key!r}."
            )
        serving[quantity] = value
    return serving


def scenario_fields(given: tuple[str, ...]) -> dict[str, Any]:
    """Fields of a scenario: a bare name is the shipped one to start from."""
    from dagcast._config_file import literal

    fields: dict[str, Any] = {}
    for text in given:
        key, equals, value = text.partition("=")
        fields["base" if not equals else key] = literal(value) if equals else text
    return fields


def show(result: "Result", *, as_json: bool = False) -> None:
    """Print a result to stdout: tables and the next command, or JSON."""
    with _shown():
        _show(result, as_json=as_json)


def show_text(text: str) -> None:
    """Print what is meant to be piped into a file, as it is."""
    with _shown():
        print(text)


@contextmanager
def _shown() -> Iterator[None]:
    """Turn a result that nobody can read into an answer, whatever was the matter with stdout.

    Raises:
        OutputError: stdout is closed or full.
    """
    with as_result():
        if sys.stdout is None:
            raise OutputError("a closed one")
        try:
            yield
            sys.stdout.flush()
        except OSError as error:
            # The interpreter flushes once more when it ends, and must not fail there.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise OutputError(error.strerror or str(error)) from error


def _show(result: "Result", *, as_json: bool) -> None:
    if as_json:
        indent = None if result.one_line else 2
        text = json.dumps(result.to_json(), indent=indent, ensure_ascii=False)
        if not _writes(text):
            # Escapes of stdout's own would be no JSON.
            text = json.dumps(result.to_json(), indent=indent)
        print(text)
        return
    width, paint = terminal_width(), painter()
    rule = "\u2500" if _writes("\u2500") else "-"
    for table in result.tables():
        shown = table.printable(_printable)
        if shown.columns:
            lines = table_lines(shown, width, paint, rule)
        else:
            lines = iter([paint(shown.title, "1"), *_sentences(shown.rows, width)])
        for line in lines:
            print(line)
    if command := result.next_command():
        # Never wrapped: it is there to be copied.
        print(f"next  {paint(_printable(command), '1')}")


def _sentences(rows: Iterable[Sequence[str]], width: int) -> Iterator[str]:
    """Sentences for people are wrapped; a pipe gets each in one line, as programs search them."""
    for row in rows:
        text = " ".join(row)
        if sys.stdout.isatty() or "COLUMNS" in os.environ:
            yield from wrapped(text, width)
        else:
            yield text


def _writes(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def _printable(text: str) -> str:
    """Text without what moves a cursor or hides a line: comments in the log are anybody's."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@contextmanager
def progress_shown() -> "Iterator[Progress]":
    """Progress on stderr: a live line on a terminal, one line for each step elsewhere."""
    if not sys.stderr.isatty():
        pace = Pace()

        def plain_line(message: str, share: float | None = None) -> None:
            _collecting.resume(message)
            if said := pace.line(message, share):
                print(f"  {said}", file=sys.stderr, flush=True)

        yield plain_line
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        SpinnerColumn,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )
    pace = Pace()
    with Progress(*columns, console=Console(stderr=True), transient=True) as live:
        task = live.add_task("", total=None, left="")

        def live_line(message: str, share: float | None = None) -> None:
            _collecting.resume(message)
            pace.note(message, share)
            total = None if share is None else 1.0
            live.update(
                task, description=message, completed=share or 0.0, total=total, left=pace.left()
            )

        yield live_line
