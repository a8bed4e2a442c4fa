"""Plugins that cannot be imported or registered, in words that say which line to correct."""

import re
import traceback

import pluggy

import dagcast_core.hooks as hooks
from dagcast.plugins._claims import Claim
from dagcast_core.contract import Problem


def failed_import(claim: Claim, error: BaseException) -> Problem:
    """A module that could not be imported, or registered."""
    # Only a failure pays for it.
    from dagcast_testing import lacking

    fix = f"correct {claim.distribution}, install what it imports, or disable {claim.name!r}"
    own = claim.entry_point.module.partition(".")[0]
    if isinstance(error, hooks.HeavyImportError):
        return Problem.of(
            "DC201",
            claim.entry_point.value,
            producer=str(claim),
            expected="a module that imports without torch and without errors",
            found=f"an import of {error.heavy}{place_of(error)}, which every check would pay for",
            fix="import it, and models, inside dagcast_models, and for annotations under "
            "`if TYPE_CHECKING:`",
        )
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == own:
        fix = (
            f"write that module, or correct the entry point {claim.name!r} in the pyproject.toml "
            f"of {claim.distribution} and install it again"
        )
    elif isinstance(error, ModuleNotFoundError) and error.name:
        fix = (
            f"declare and install the distribution that provides {error.name!r}, "
            f"or disable {claim.name!r}"
        )
    found = described(error)
    lack = lacking(error, own)
    if lack is not None:
        found += f"; {lack.found(claim.distribution)}"
        fix = f"{lack.fix}, or disable {claim.name!r}"
    return Problem.of(
        "DC201",
        claim.entry_point.value,
        producer=str(claim),
        expected="a module that imports without torch and without errors",
        found=found,
        fix=fix,
    )


def described(error: BaseException) -> str:
    """An error, with the line of the package that it comes from."""
    try:
        text = str(error)
    except Exception as second:
        text = f"no text, but {type(second).__name__}"
    return f"{type(error).__name__}: {text}{place_of(error)}"


def place_of(error: BaseException) -> str:
    """The line of the package that an error comes from, as ' at plugin.py:8'."""
    if isinstance(error, SyntaxError):
        # It says itself in which file and line.
        return ""
    frames = traceback.extract_tb(error.__traceback__)
    # The line to correct is the package's own: not one of the import machinery or of core, which
    # only says why.
    own = [
        f
        for f in frames
        if not re.match(r"<|.*/(dagcast_core|pluggy|dagcast|importlib)/", f.filename)
    ]
    return f" at {own[-1].filename.rsplit('/', 1)[-1]}:{own[-1].lineno}" if own else ""


def bad_signature(claim: Claim, error: pluggy.PluginValidationError) -> Problem:
    """A hook whose arguments are not those of the specification."""
    text = " ".join(str(error).split())
    hook = re.search(r"hook '(\w+)'", text)
    name = hook.group(1) if hook else claim.name
    spec = getattr(hooks, name, None)
    arguments = ""
    if spec is not None:
        arguments = ", ".join(spec.__code__.co_varnames[: spec.__code__.co_argcount])
    return Problem.of(
        "DC202",
        name,
        producer=str(claim),
        expected=f"{name}({arguments})",
        found=text,
        fix="take no arguments but these; leave out those you do not need",
    )
