"""Integration releases: the set of packages that passed every gate together."""

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from dagcast.figures import number
from dagcast.workflow.common._result import Progress, Result, ResultTable, silent

if TYPE_CHECKING:
    from pandas import DataFrame

    from dagcast.project import Project
    from dagcast.release import Manifest, Metric

RELEASES = Path("integration/releases")

# The seeded marketplace on which every candidate is measured, small enough for each commit.
REGIONS, WEEKS, SEED = 4, 10, 0

# How much worse than the current release a figure may be before a candidate is refused.
TOLERANCE = 0.02


@final
@dataclass(frozen=True)
class ReleaseResult(Result):
    """A release or a candidate for one.

    Attributes:
        manifest: packages, hashes, gates and figures.
        action: what was done, such as ``promoted``.
        current: whether it is the current release.
        changed: distributions that differ from the release it was derived from.
        releases: folder of releases.
        needed: versions that changed contracts ask for: package, its version in that release and
            now, how far its contracts changed, and the lowest version that says so.
    """

    manifest: "Manifest"
    action: str
    current: bool
    changed: tuple[str, ...]
    releases: Path
    needed: tuple[tuple[str, str, str, str, str], ...] = ()

    def tables(self) -> tuple[ResultTable, ...]:
        manifest = self.manifest
        facts = [
            ("derived from", manifest.parent or "none, it is the first"),
            ("data", manifest.data),
            ("commit", manifest.commit or "none"),
            ("changed", ", ".join(self.changed) or "nothing"),
            ("current", "yes" if self.current else "no"),
        ]
        tables = [
            ResultTable(f"Release {manifest.name}, {self.action}", ("what", "is"), tuple(facts)),
            ResultTable(
                "Packages",
                ("package", "version", "content"),
                tuple((p.distribution, p.version, p.content[:12]) for p in manifest.packages),
            ),
        ]
        if self.needed:
            note = "a smaller version fails the gate of evolution: nox -s release -- PACKAGE"
            columns = ("package", "released", "now", "contracts changed", "asks for")
            tables.append(ResultTable("What changed contracts ask for", columns, self.needed, note))
        if manifest.gates:
            rows = tuple(
                (gate.name, "passed" if gate.passed else "failed", gate.detail)
                for gate in manifest.gates
            )
            tables.append(ResultTable("Gates", ("gate", "outcome", "detail"), rows))
            problems = tuple((str(p),) for gate in manifest.gates for p in gate.problems)
            if problems:
                tables.append(ResultTable("Why it cannot be released", (), problems))
        if manifest.metrics:
            figures = tuple(
                (m.name, number(m.value, 4), number(m.tolerance), ", ".join(map(str, m.seeds)))
                for m in manifest.metrics
            )
            tables.append(
                ResultTable("Figures", ("figure", "value", "tolerance", "seeds"), figures)
            )
        return tuple(tables)

    def next_command(self) -> str:
        where = "" if self.releases == RELEASES else f" --releases {self.releases}"
        if self.action == "proposed":
            return f"dagcast release verify {self.manifest.name}{where}"
        if self.action == "verified" and self.manifest.passed:
            return f"dagcast release promote {self.manifest.name}{where}"
        return ""

    def exit_code(self) -> int:
        return 3 if self.action == "verified" and not self.manifest.passed else 0

    def to_json(self) -> dict[str, Any]:
        return {
            "action": self.action,
            "current": self.current,
            "changed": list(self.changed),
            "needed": [list(row) for row in self.needed],
            "manifest": self.manifest.to_json(),
        }


def propose_release(
    name: str, *, releases: Path = RELEASES, sources: Path | None = None
) -> ReleaseResult:
    """Describe the installed packages as a candidate.

    Raises:
        UsageError: the name is taken.
        ReleaseError: an installed package is broken.
    """
    from dagcast.release import propose
    from dagcast.trial import load_tried

    data = f"simulated:regions={REGIONS}:weeks={WEEKS}:seed={SEED}"
    manifest = propose(releases, load_tried(), name=name, data=data, sources=sources)
    return _result(manifest, "proposed", releases)


def verify_release(
    name: str,
    *,
    releases: Path = RELEASES,
    together: bool = False,
    afresh: str = "",
    measure: "Callable[[], Iterable[Metric]] | None" = None,
    progress: Progress = silent,
) -> ReleaseResult:
    """Run every gate on a candidate; a failed one is kept with its reasons.

    Args:
        name: of the candidate.
        releases: folder of releases.
        together: allow several changed packages at once.
        afresh: why figures of other data than the current release's begin anew.
        measure: figures of the candidate; by default error and regret on a simulated market.
        progress: told what is going on.
    """
    from dagcast.release import default_gates, verify
    from dagcast.trial import load_tried
    from dagcast.vocabulary import first_config
    from dagcast.workflow.common._assembled import demands

    plugins = load_tried()
    gates = default_gates(
        plugins,
        measure or (lambda: measured_figures(progress=progress)),
        **demands(first_config(plugins)),
    )
    manifest = verify(releases, name, plugins, gates, together=together, afresh=afresh)
    return _result(manifest, "verified", releases)


def promote_release(name: str, *, releases: Path = RELEASES) -> ReleaseResult:
    """Make a verified candidate the current release.

    Raises:
        ReleaseError: a gate failed, or a figure is worse than the current release allows.
    """
    from dagcast.release import promote

    return _result(promote(releases, name), "promoted", releases)


def rollback_release(*, to: str | None = None, releases: Path = RELEASES) -> ReleaseResult:
    """Make an earlier release current again."""
    from dagcast.release import rollback

    return _result(rollback(releases, to), "current again", releases)


def show_release(name: str | None = None, *, releases: Path = RELEASES) -> ReleaseResult:
    """Describe a release, by default the current one."""
    from dagcast.release import show

    return _result(show(releases, name).manifest, "shown", releases)


def measured_figures(*, progress: Progress = silent) -> "tuple[Metric, ...]":
    """Error and regret on the seeded simulated marketplace.

    Error is the MASE of the end-to-end backtest, by quantity. Regret is that of a plan of the next
    week, in the objective's unit, by the truth of that marketplace and not by the candidate's own
    models: a model that believes in no effect never regrets anything.
    """
    from dagcast.project import open_project
    from dagcast.release import Metric
    from dagcast.workflow.common._data_id import data_id, id_of
    from dagcast.workflow.stages._backtest import backtest
    from dagcast.workflow.stages._fit import fit
    from dagcast.workflow.stages._ingest import ingest
    from dagcast.workflow.stages._plan import plan
    from dagcast.workflow.stages._simulate import simulate

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "world"
        simulate(folder, regions=REGIONS, weeks=WEEKS, seed=SEED, progress=progress)
        project = open_project(folder, environment={})
        ingest(project, progress=progress)
        measured_on = data_id(folder / "events")
        result = backtest(project, progress=progress)
        fit(project, progress=progress)
        plan(project, progress=progress)
        progress("regret of the plan, by the market's truth", None)
        regret, rules = _regret(project, project.journal.find(None).plan)
    windows = f"{len(result.origins)} windows of {result.horizon} h to {result.origins[-1][:10]}"
    # What the rules earn is the market's truth, whoever plans.
    earned = id_of([f"{value:.4g}" for value in rules])[:8]
    return (
        *(
            Metric(
                f"mase.{row.quantity}",
                row.mase,
                TOLERANCE,
                seeds=(SEED,),
                data=f"events {measured_on}, {windows}",
                parts=result.by_origin[row.quantity],
            )
            for row in result.rows
        ),
        Metric(
            "regret.truth",
            regret,
            TOLERANCE * (max(rules) - min(rules)),
            seeds=(SEED,),
            data=f"events {measured_on}, rules {earned}",
        ),
    )


# What each of the rules spends, as a share of what is going on: all of them keep its budget.
_RULES = (0.0, 0.25, 0.5, 0.75, 1.0)


def true_regret(project: "Project", plan: str) -> tuple[float, float]:
    """What the best of some plain rules would have earned more than a plan, in a simulated market.

    Each rule spends one share of what is going on at present, whatever models say, so that two
    candidates are measured against the same. A plan that beats all rules has a regret below zero.

    Args:
        project: whose events come from a simulated market.
        plan: its name.

    Returns:
        The regret, and how far the rules lie apart, both in the objective's unit.

    Raises:
        ProjectError: the events come from no simulated market.
        UsageError: the market does not tell what the objective counts.
    """
    regret, rules = _regret(project, plan)
    return regret, max(rules) - min(rules)


def _regret(project: "Project", plan: str) -> tuple[float, list[float]]:
    """The regret, and what each of the rules earns."""
    from dagcast.errors import UsageError
    from dagcast.plans import VALUE
    from dagcast.workflow.common._plan_files import load_decisions
    from dagcast.workflow.common._problem import make_setting
    from dagcast.workflow.common._proposals import as_frame
    from dagcast.workflow.common._session import open_session
    from dagcast.workflow.common._worlds import open_world

    world, _, _ = open_world(project)
    weights = project.config.objective.weights

    def earned(decisions: "DataFrame") -> float:
        outcome = world.outcome(decisions)
        if missing := [name for name in weights if name not in outcome]:
            raise UsageError(
                "a market that tells what the objective counts",
                f"none of {', '.join(missing)}",
                "Weigh what it tells.",
            )
        return float(sum(weight * outcome[name].sum() for name, weight in weights.items()))

    setting = make_setting(open_session(project))
    present = as_frame(setting.current, setting.quantities)
    rules = [earned(present.assign(**{VALUE: present[VALUE] * share})) for share in _RULES]
    return max(rules) - earned(load_decisions(project, plan)), rules


def _result(manifest: "Manifest", action: str, releases: Path) -> ReleaseResult:
    from dagcast.release import changed, current, needed_versions, show

    held = current(releases)
    shown = show(releases, manifest.name) if action == "shown" else None
    difference = shown.changed if shown else changed(manifest, _parent(manifest, releases))
    is_current = held is not None and held.name == manifest.name
    parent = _parent(manifest, releases)
    before = {p.distribution: p for p in parent.packages} if parent is not None else {}
    needed = tuple(
        (item.distribution, item.released, item.version, item.bump, item.least)
        for item in needed_versions(manifest.packages, before)
    )
    return ReleaseResult(manifest, action, is_current, tuple(difference), releases, needed)


def _parent(manifest: "Manifest", releases: Path) -> "Manifest | None":
    from dagcast.release import show

    return show(releases, manifest.parent).manifest if manifest.parent else None
