"""The command ``dagcast``: one subcommand for each stage of the loop.

Subcommands are imported when they run, so that help and completion stay fast.
"""

import atexit
import contextlib
import io
import keyword
import os
import signal
import sys
import threading
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

import click

from dagcast.cli import _collecting
from dagcast.cli._examples import EXAMPLES, epilog, show_examples
from dagcast.cli._failures import report_failure
from dagcast.cli._stdout import give_up
from dagcast.errors import EXIT_CODES

if TYPE_CHECKING:
    from types import FrameType

# Seconds that a thread may still take when a command is done.
_PATIENCE = 2.0

_COMMANDS = {
    "init": ("_project", "Make an empty project for your own events."),
    "simulate": ("_project", "Write a simulated marketplace's events."),
    "ingest": ("_project", "Read events into the store."),
    "data": ("_data", "List, show and judge the data; accept new labels."),
    "experiments": ("_experiments", "Design trials; register, list and show measured effects."),
    "check": ("_models", "Assemble the installed packages and verify them."),
    "graph": ("_models", "Draw which model makes what for whom."),
    "fit": ("_models", "Fit each model, then all with the experiments."),
    "forecast": ("_models", "Forecast the horizon, fitting first where needed."),
    "validate": ("_models", "Compare modelled with measured effects."),
    "backtest": ("_models", "Forecast the past from rolling origins."),
    "try": ("_models", "Fit a changed model alone, and compare it with the one in force."),
    "compare": ("_models", "Compare candidate models by the same backtest."),
    "plan": ("_plans", "Optimise the levers under budgets and guardrails."),
    "what-if": ("_plans", "Forecast the outcome of your own proposal."),
    "review": ("_plans", "Write the page on which a plan is decided."),
    "approve": ("_plans", "Approve a plan."),
    "reject": ("_plans", "Reject a plan, or withdraw its approval."),
    "send-back": ("_plans", "Send a plan back to be edited."),
    "comment": ("_plans", "Leave a comment on a plan."),
    "serve": ("_serve", "Serve the desk where people review, edit and decide."),
    "access": ("_serve", "Make and take back tokens for the desk."),
    "halt": ("_plans", "Stop all approvals and releases."),
    "resume": ("_plans", "Let approvals and releases go on."),
    "edit": ("_plans", "Change cells of a plan and propose the result."),
    "export": ("_looking", "Write what a plan decides or expects as a table."),
    "log": ("_log", "Show and verify who did what, when and why."),
    "retro": ("_plans", "Measure the regret and what caused it."),
    "promises": ("_plans", "Count which promises of past plans were kept."),
    "week": ("_week", "Do all that the week asks for; run it as often as you like."),
    "status": ("_week", "Say where the week stands, and what there is."),
    "doctor": ("_looking", "Look whether machine and project are as they should be."),
    "loop": ("_week", "Live through weeks of a simulated market, judged by its truth."),
    "demo": ("_demo", "Run the whole loop in a fresh folder."),
    "new": ("_packages", "Make a new team package."),
    "contracts": ("_contracts", "List, show, copy and export what packages promise."),
    "snapshot": ("_packages", "Write each package's contract.json."),
    "release": ("_packages", "Propose, verify, promote and roll back releases."),
}


class _LazyGroup(click.Group):
    """Knows the names of its commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"dagcast.cli.{_COMMANDS[cmd_name][0]}")
        # What is a word of the language is no name of a function.
        name = cmd_name.replace("-", "_") + "_" * keyword.iskeyword(cmd_name)
        command: click.Command = getattr(module, name)
        show_examples(command, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands, in the order of the loop"):
            formatter.write_dl([(name, summary) for name, (_, summary) in _COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], _COMMANDS, n=1)
            advice = f"Did you mean {near[0]!r}?" if near else f"It has {', '.join(_COMMANDS)}."
            raise click.UsageError(f"dagcast has no command {args[0]!r}. {advice}", ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=_LazyGroup,
    help="Turn a business's history into decisions: fit, verify, plan, review, measure.\n\n"
    f"Exit codes: {', '.join(f'{code} {said}' for code, said in EXIT_CODES.items())}. Settings: "
    "flag, then DAGCAST_*, then dagcast.toml, then default.",
    epilog=epilog(EXAMPLES[""]),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="dagcast")
def app() -> None:
    """The command; ``main`` runs it."""


def main() -> None:
    """Run the command line and exit with its code."""
    _collecting.put_off()
    # Our tensors are small: a second thread only waits. On two busy cores a fit took six times the
    # CPU time with two threads. torch reads this when it is imported; who sets it is obeyed.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    _fill_standard_streams()
    _end(run(sys.argv[1:]))


def _end(code: int) -> NoReturn:
    """End with a code that nobody changes: neither with a thread nor with what still prints."""
    give_up()
    others = [t for t in threading.enumerate() if t is not threading.current_thread()]
    for thread in (t for t in others if not t.daemon):
        thread.join(_PATIENCE)
        if thread.is_alive():
            break
    else:
        if sys.getprofile() is not None or sys.gettrace() is not None:
            # Whoever measures a command reports when the interpreter is done.
            sys.exit(code)
    # The interpreter would wait for a thread as long as it runs, and it takes apart one by one what
    # was imported, a quarter of a short command.
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(code)


def _fill_standard_streams() -> None:
    """Keep the numbers of the standard streams taken, and let them carry any text.

    A file that is opened while stdout is closed would get its number, and whatever a library
    prints would be written into it.
    """
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(handle, True)
    os.close(handle)
    if sys.stderr is None:
        # `print` would take stdout instead, which belongs to results.
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (as long as the process)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def run(arguments: list[str]) -> int:
    """Run one command.

    Args:
        arguments: the words after ``dagcast``.

    Returns:
        The exit code; expected failures are reported, never raised.
    """
    with _interruptions() as pressed:
        try:
            result = app.main(args=arguments, prog_name="dagcast", standalone_mode=False)
        except (Exception, KeyboardInterrupt) as error:
            return report_failure(error, interrupted=bool(pressed))
    return result if isinstance(result, int) else 0


@contextlib.contextmanager
def _interruptions() -> Iterator[list[int]]:
    """Remembers every Ctrl-C, besides raising KeyboardInterrupt as ever.

    A library that is interrupted while it is imported, or in its own code, may answer with another
    error.
    """
    pressed: list[int] = []
    ordinary = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not ordinary or threading.current_thread() is not threading.main_thread():
        yield pressed
        return

    def remember(number: int, frame: "FrameType | None") -> None:
        pressed.append(number)
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, remember)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
