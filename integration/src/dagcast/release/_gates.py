"""What a candidate has to pass before it can be promoted."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from dagcast.assembly import check_assembly
from dagcast.conformance import ConformanceResult, check_conformance
from dagcast.plugins import Plugins
from dagcast.release._bump import needed_versions
from dagcast.release._environment import FRAMEWORK
from dagcast.release._manifest import GateResult, Manifest, Metric, finite
from dagcast.vocabulary import impossible_settings
from dagcast_core.contract import Problem, evolution_problems


class Gate(Protocol):
    """One check of a candidate."""

    @property
    def name(self) -> str:
        """Name of the gate, unique in a release."""
        ...

    def run(self, candidate: Manifest, current: Manifest | None) -> GateResult:
        """Check ``candidate`` against the release it would follow."""
        ...


@dataclass(frozen=True)
class AssemblyGate:
    """All contracts fit together."""

    plugins: Plugins
    project: dict[str, Any] = field(default_factory=dict)
    name: str = "assembly"

    def run(self, candidate: Manifest, current: Manifest | None) -> GateResult:
        """Join the contracts of the installed packages."""
        assembly = check_assembly(self.plugins, **self.project)
        detail = f"{len(assembly.registrations)} models, {len(assembly.edges)} edges"
        problems = (*assembly.problems, *impossible_settings(self.plugins))
        return GateResult(self.name, not problems, detail, problems)


@dataclass(frozen=True)
class EvolutionGate:
    """Every contract that changed has a version that says so, and so has its package."""

    name: str = "evolution"

    def run(self, candidate: Manifest, current: Manifest | None) -> GateResult:
        """Compare contracts with those of the current release."""
        problems: list[Problem] = []
        compared = 0
        for package in candidate.packages:
            released = current.package(package.distribution) if current else None
            if released is not None:
                compared += 1
                problems += evolution_problems(
                    released.contracts, package.contracts, producer=str(package)
                )
        if current is not None:
            before = {package.distribution: package for package in current.packages}
            asked = needed_versions(candidate.packages, before)
            problems += [needed.problem for needed in asked if not needed.enough]
        detail = f"{compared} packages compared with {current.name if current else 'nothing'}"
        return GateResult(self.name, not problems, detail, tuple(problems))


@dataclass(frozen=True)
class ConformanceGate:
    """Changed packages, and those that read what they make, do what their contracts say."""

    check: Callable[[tuple[str, ...]], Iterable[ConformanceResult]] = check_conformance
    name: str = "conformance"

    def run(self, candidate: Manifest, current: Manifest | None) -> GateResult:
        """Run the suite on the packages that the candidate's changes reach."""
        reached = tuple(
            name for name in affected(candidate, current) if _has_models(candidate, name)
        )
        if not reached:
            return GateResult(self.name, True, "no package with models is affected")
        results = tuple(self.check(reached))
        problems = tuple(problem for result in results for problem in result.problems)
        passed = sum(result.passed for result in results)
        detail = f"{passed} tests passed on {', '.join(reached)}"
        return GateResult(self.name, not problems, detail, problems)


@dataclass(frozen=True)
class MetricsGate:
    """Figures of the whole, no worse than those of the current release beyond their tolerance.

    Attributes:
        measure: returns the figures, e.g. of the end-to-end backtest.
    """

    measure: Callable[[], Iterable[Metric]]
    name: str = "backtest"

    def run(self, candidate: Manifest, current: Manifest | None) -> GateResult:
        """Measure, and compare with the figures of the current release."""
        metrics = tuple(self.measure())
        problems = metric_problems(candidate, metrics, current)
        shown = ", ".join(f"{metric.name} {metric.value:.4g}" for metric in metrics)
        if candidate.afresh:
            shown += f"; those of other data begin afresh: {candidate.afresh}"
        return GateResult(self.name, not problems, shown or "no figures", problems, metrics)


def metric_problems(
    candidate: Manifest, metrics: tuple[Metric, ...], current: Manifest | None
) -> tuple[Problem, ...]:
    """Find figures that are missing, not finite, or worse than the current release allows.

    The tolerance is that of the current release: a candidate does not set its own bar. Figures of
    other data cannot be compared, and are refused unless the candidate says why they begin afresh.
    """
    blamed = ", ".join(map(str, changed(candidate, current))) or candidate.name
    measured = {metric.name: metric for metric in metrics}
    problems = [
        _metric_problem(
            m.name, blamed, "a finite figure and tolerance", f"{m.value} +- {m.tolerance}"
        )
        for m in metrics
        if not finite(m)
    ]
    if current is None:
        return tuple(problems)
    apart = []
    for old in current.metrics:
        new = measured.get(old.name)
        if new is None:
            problems.append(
                _metric_problem(old.name, blamed, f"a figure beside {old.value:.6g}", "none")
            )
        elif finite(new) and new.data != old.data:
            apart.append((new, old))
        elif finite(new) and (found := _worse(new, old)):
            sense = "at most" if old.better == "lower" else "at least"
            limit = old.value + (old.tolerance if old.better == "lower" else -old.tolerance)
            expected = (
                f"{sense} {limit:.6g} ({old.value:.6g} of {current.name} with tolerance "
                f"{old.tolerance:.6g})"
            )
            problems.append(_metric_problem(old.name, blamed, expected, found))
    if apart and not candidate.afresh:
        new, old = apart[0]
        problems.append(
            Problem.of(
                "DC502",
                ", ".join(new.name for new, _ in apart),
                producer=blamed,
                expected=f"the data of {current.name} ({old.data or 'it does not say which'})",
                found=new.data or "a figure that does not say of which data",
                fix="figures of other data cannot be compared: where the market or its windows "
                'were changed on purpose, verify with --afresh "REASON"',
            )
        )
    return tuple(problems)


# A figure may be worse by chance: two candidates differ from window to window.
_LEVEL = 0.9
# So much worse, in tolerances, is refused whatever chance may do.
_MOST = 2.0


def _worse(new: Metric, old: Metric) -> str:
    """What is found where a figure is worse than its tolerance allows; else nothing.

    Windows of the same data are compared in pairs, which takes out what makes a week hard for
    everybody. What lies within chance is let through up to twice the tolerance: a few windows tell
    little, and an interval that is wide enough would hold anything.
    """
    worse = new.worse_than(old)
    if worse <= old.tolerance:
        return ""
    if len(new.parts) != len(old.parts) or len(new.parts) < 2:
        return f"{new.value:.6g}"
    from dagcast_core.evaluate import mean_interval

    sign = 1.0 if old.better == "lower" else -1.0
    pairs = [sign * (after - before) for after, before in zip(new.parts, old.parts, strict=True)]
    _, low, high = mean_interval(pairs, level=_LEVEL)
    if low <= 0 and worse <= _MOST * old.tolerance:
        return ""
    return (
        f"{new.value:.6g}, worse by {worse:.3g} ({_LEVEL:.0%} interval {low:.3g} to {high:.3g} "
        f"over {len(pairs)} windows)"
    )


def _metric_problem(name: str, blamed: str, expected: str, found: str) -> Problem:
    return Problem.of(
        "DC502",
        name,
        producer=blamed,
        expected=expected,
        found=found,
        fix="improve the changed package until the figure holds, or leave it out of the release",
    )


def changed(candidate: Manifest, current: Manifest | None) -> tuple[str, ...]:
    """List distributions whose version or content differs from the current release."""
    names = {package.distribution for package in candidate.packages}
    names |= {package.distribution for package in current.packages} if current else set()
    return tuple(sorted(name for name in names if _differs(name, candidate, current)))


def _differs(name: str, candidate: Manifest, current: Manifest | None) -> bool:
    new = candidate.package(name)
    old = current.package(name) if current else None
    if new is None or old is None:
        return True
    return (new.version, new.content) != (old.version, old.content)


def affected(candidate: Manifest, current: Manifest | None) -> tuple[str, ...]:
    """List the changed distributions and those that depend on them.

    A change of the framework affects all. A change of a team affects those that read what it
    makes.
    """
    moved = set(changed(candidate, current))
    everyone = tuple(package.distribution for package in candidate.packages)
    if moved & set(FRAMEWORK):
        return everyone
    made = {
        name
        for package in candidate.packages
        if package.distribution in moved
        for contract in package.contracts
        for name in contract.output_names
    }
    readers = {
        package.distribution
        for package in candidate.packages
        for contract in package.contracts
        if made & set(contract.input_names)
    }
    return tuple(name for name in everyone if name in moved | readers)


def _has_models(candidate: Manifest, distribution: str) -> bool:
    package = candidate.package(distribution)
    return package is not None and bool(package.contracts)


def default_gates(
    plugins: Plugins, measure: Callable[[], Iterable[Metric]], **project: Any
) -> tuple[Gate, ...]:
    """Return the gates that every release passes, cheapest first.

    Args:
        plugins: from ``load_plugins``.
        measure: runs the end-to-end backtest and returns its figures.
        **project: arguments of ``check_assembly``.
    """
    return (
        AssemblyGate(plugins, project),
        EvolutionGate(),
        ConformanceGate(),
        MetricsGate(measure),
    )


REQUIRED_GATES = ("assembly", "evolution", "conformance", "backtest")
"""Gates that every candidate has to pass before it is promoted."""
