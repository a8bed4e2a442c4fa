"""What pytest does with the suite: one line per root cause, the same that ``dagcast check`` prints.

pytest loads this in every session of an environment that has the package, so nothing here imports
the suite or torch.
"""

import json
import re
import traceback
from collections.abc import Generator
from typing import Any

import pytest

from dagcast_testing._order import follows_from

# Failed tests and what they said, by class and model.
_FAILED = pytest.StashKey[dict[tuple[str, str], dict[str, str]]]()
_LINES = pytest.StashKey[list[str]]()
PROPERTY = "dagcast.problem"
_BUILD = "the fixture `model`"
# What the suite is known by, so that nobody pays for importing it.
_MARK = "dagcast_model_contract"
# A line of the package's code, or its hooks: what two models have in common.
_PLACE = re.compile(r"\.py:\d+|dagcast_(contracts|models)\b")
_DROPPING = ("skip", "skipif", "xfail")
# Where a model's class is held against its contract: errors from elsewhere are no test's verdict.
_DEFINED = re.compile(r"[/\\]dagcast_core[/\\]model[/\\]")


def pytest_configure(config: pytest.Config) -> None:
    """Begin with nothing failed."""
    config.stash[_FAILED] = {}
    config.stash[_LINES] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse marks that drop inherited tests.

    Raises:
        pytest.UsageError: a class of the suite, or a test of it, is skipped or expected to fail.
    """
    for item in items:
        # A replacement that says why may do as it likes.
        if getattr(getattr(item, "function", None), "__dagcast_reason__", None):
            continue
        for mark in item.iter_markers():
            if mark.name in _DROPPING and _key(item) is not None:
                raise pytest.UsageError(
                    f"{item.nodeid} is marked {mark.name!r}, which would drop a test of the model "
                    "contract. Every model keeps every rule: make the model pass, or replace the "
                    "test and decorate the replacement with @explained('why')"
                )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what only follows from a failure that was reported."""
    key = _key(item)
    if key is None:
        return
    failed = item.config.stash[_FAILED].get(key, {})
    cause = _BUILD if _BUILD in failed else follows_from(_name(item), failed)
    if cause is not None:
        pytest.skip(f"follows from {cause}: {failed[cause]}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a failure into its line, and remember it."""
    report = yield
    key = _key(item)
    if key is None or call.excinfo is None or not report.failed:
        return report
    # Only a failure pays for the contract layer.
    from dagcast_testing._problems import first_line, place_of, problem_of, unimported

    error = call.excinfo.value
    text = first_line(str(error))
    if not isinstance(error, AssertionError):
        text = f"{type(error).__name__}: {text}{place_of(error)}"
    test = _name(item) if report.when == "call" else _BUILD
    everywhere = item.config.stash[_FAILED]
    for other in everywhere.values():
        # One cause keeps all models of a package from being built; one line fails several alike.
        if _of_any(other.get(test, "")) == _of_any(text) and (
            test == _BUILD or _PLACE.search(text)
        ):
            everywhere.setdefault(key, {})[test] = text
            report.outcome = "skipped"
            report.longrepr = (str(item.path), 0, f"Skipped: follows from {test}: {other[test]}")
            return report
    everywhere.setdefault(key, {})[test] = text
    distribution, _, model = key[1].partition(":")
    problem = unimported(error) or problem_of(
        _name(item), text, model=model, distribution=distribution if model else ""
    )
    item.user_properties.append((PROPERTY, json.dumps(problem.to_json())))
    item.config.stash[_LINES].append(str(problem))
    if item.config.option.tbstyle not in ("long", "native"):
        report.longrepr = text
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Say in one line what keeps a test file from being imported, if it is a model's contract.

    Or a version of what it needs that lacks what it imports: a floor that is too low. A model whose
    ``forward`` does not match its contract fails where its class is defined, and that is the
    suite's verdict. A declaration that is none, such as a quantity without dims, is one line
    too, but no model was tried.
    """
    report = yield
    error = getattr(getattr(getattr(report, "call", None), "excinfo", None), "value", None)
    # pytest raises an error of its own from one of an import.
    cause = getattr(error, "__cause__", None) or error
    if isinstance(cause, (ImportError, AttributeError)):
        from dagcast_testing._problems import unimported

        _note(collector, report, unimported(cause))
        return report
    if error is None or type(error).__name__ != "ContractError":
        return report
    from dagcast_testing._problems import first_line, place_of, problem_of

    text = f"{type(error).__name__}: {first_line(str(error))}{place_of(error)}"
    if collector.config.option.tbstyle not in ("long", "native"):
        report.longrepr = text
    if not any(_DEFINED.search(f.filename) for f in traceback.extract_tb(error.__traceback__)):
        return report
    lines = collector.config.stash[_LINES]
    line = str(problem_of(collector.name, text))
    # Every test file of the package fails to import it, for one reason.
    if not any(text in known for known in lines):
        lines.append(line)
    return report


def _note(collector: pytest.Collector, report: pytest.CollectReport, problem: Any) -> None:
    """Print a problem in place of the traceback, once for all files that it keeps from running."""
    if problem is None:
        return
    if collector.config.option.tbstyle not in ("long", "native"):
        report.longrepr = str(problem)
    lines = collector.config.stash[_LINES]
    if str(problem) not in lines:
        lines.append(str(problem))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print all problems of all models, one line each."""
    lines = config.stash[_LINES]
    if lines:
        noun = "problem" if len(lines) == 1 else "problems"
        terminalreporter.section(f"model contract: {len(lines)} {noun}")
        for line in lines:
            terminalreporter.write_line(line)


def _key(item: pytest.Item) -> tuple[str, str] | None:
    """Class and model of a test of the suite; None of everything else, which is pytest's to report.

    A team's own tests are none, also those that it writes into its subclass of the suite.
    """
    cls = getattr(item, "cls", None)
    suite = next((c for c in getattr(cls, "__mro__", ()) if _MARK in vars(c)), None)
    if cls is None or suite is None or _name(item) not in vars(suite):
        return None
    parameters = getattr(item, "callspec", None)
    model = str(parameters.params.get("model", "")) if parameters is not None else ""
    return f"{cls.__module__}.{cls.__qualname__}", model


def _of_any(text: str) -> str:
    """What a test said, without which model it said it of."""
    return re.sub(r"^[\w-]+: (?=expected )", "", text)


def _name(item: pytest.Item) -> str:
    return getattr(item, "originalname", None) or item.name
