"""How a failure ends: one paragraph and an exit code, or the traceback of a defect."""

import errno
import os
import sys
import textwrap
import traceback

import click

from dagcast.errors import answers_input, code_of

# What the machine may refuse to any program, by errno.
_REFUSALS = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
    errno.ENOENT,
    # A file, pipe or device where a folder is to be made.
    errno.EEXIST,
    errno.ENODEV,
    errno.ENXIO,
    errno.EBUSY,
    errno.ENOTSUP,
    errno.ESTALE,
    errno.ETIMEDOUT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENOTEMPTY,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.ENOLCK,
    errno.EBADF,
}


def report_failure(error: BaseException, *, interrupted: bool = False) -> int:
    """Print what went wrong to stderr.

    Args:
        error: that ended the command.
        interrupted: whether somebody pressed Ctrl-C before. What is no answer to bad input is then
            put down to that: libraries turn it into errors of their own.

    Returns:
        The exit code. Errors that dagcast's packages declare are answers to bad input, printed as
        one paragraph; anything else is a defect and keeps its traceback.
    """
    answered = isinstance(error, click.ClickException) or answers_input(error)
    stopped = interrupted and (not answered or _from_ctrl_c(error))
    if isinstance(error, KeyboardInterrupt | click.Abort) or stopped:
        # The solver says how far it was; click passes that on as a cause.
        source = error if isinstance(error, KeyboardInterrupt) else error.__cause__
        said = str(source) if isinstance(source, KeyboardInterrupt) else ""
        _print(
            f"dagcast: {said or 'interrupted'}; what was finished is kept, nothing is half-written."
        )
        return 130
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        usage = f" See `{context.command_path} --help`." if context is not None else ""
        _print(f"dagcast: {error.format_message()}{usage}")
        return error.exit_code
    if answered:
        _print(f"dagcast: {error}")
        return code_of(error)
    if (refused := _environment(error)) is not None:
        _print(f"dagcast: {refused}")
        return 1
    traceback.print_exception(error)
    return 1


def _from_ctrl_c(error: BaseException) -> bool:
    """Whether an answer goes back to Ctrl-C: a read that was given up finds no damaged file."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        named = f"{type(link).__name__} {link}"
        if isinstance(link, KeyboardInterrupt) or "KeyboardInterrupt" in named:
            return True
        if "InterruptException" in named or "INTERRUPT Error" in named:
            return True
        link = link.__cause__ or link.__context__
    return False


def _environment(error: BaseException) -> str | None:
    """What the machine refused, in words; None where the fault lies elsewhere."""
    if isinstance(error, OSError) and error.errno in _REFUSALS:
        place = error.filename2 or error.filename
        what = f"to use {place}" if place is not None else "to read and write"
        try:
            os.getcwd()
        except OSError:
            what = "a current folder"
        return (
            f"expected {what}; found: {error.strerror}. Mend that and run the command again; "
            "nothing is half-written."
        )
    if isinstance(error, RecursionError):
        return (
            "expected input that is nested less deeply; found more levels than can be read. "
            "Look for it in the files that the command reads: JSON in events/ or the proposal."
        )
    if isinstance(error, MemoryError):
        return "expected enough memory; found too little. Close other programs, or read less."
    return None


def _print(text: str) -> None:
    lines = text.splitlines()
    # A list of problems keeps its lines; a paragraph is wrapped for reading.
    shown = lines if len(lines) > 1 else textwrap.wrap(text, 100, break_long_words=False)
    print("\n".join(shown), file=sys.stderr)
