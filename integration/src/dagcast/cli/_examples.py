"""Two examples for every command, as its help shows them; the test suite runs each of them.

They follow one another in one folder: what an earlier one made, a later one uses.
"""

from collections.abc import Mapping, Sequence

import click

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "": (
        "dagcast demo --project north --regions 4 --weeks 10",
        "dagcast status --project north",
    ),
    "init": (
        "dagcast init --project own --name 'My market'",
        "dagcast init --project trips --from trips.csv",
    ),
    "simulate": (
        "dagcast simulate --project north --regions 4 --weeks 10",
        "dagcast simulate --project hard --weeks 8 --scenario thresholds --seed 7",
    ),
    "ingest": (
        "dagcast ingest --project north",
        "dagcast ingest --project own --from deliveries/monday --json",
    ),
    "data": (
        "dagcast data list --project north",
        "dagcast data quality --project north",
    ),
    "data accept": (
        "dagcast data accept region LAX --project north",
        "dagcast data accept region LAX SEA --project north --json",
    ),
    "data list": (
        "dagcast data list --project north",
        "dagcast data list --project north --json",
    ),
    "data show": (
        "dagcast data show rides --project north",
        "dagcast data show rides --as-of 2026-03-02T00:00Z --project north",
    ),
    "data quality": (
        "dagcast data quality --project north",
        "dagcast data quality --project north --json",
    ),
    "data diff": (
        "dagcast data diff --as-of 2026-03-02 --project north",
        "dagcast data diff rides --as-of 2026-02-23 --to 2026-03-02 --project north",
    ),
    "experiments": (
        "dagcast experiments list --project north",
        "dagcast experiments show boost-hours --project north",
    ),
    "experiments add": (
        "dagcast experiments add boost.toml --project north --why 'trial of March'",
        "dagcast experiments add found.json --project north --json",
    ),
    "experiments list": (
        "dagcast experiments list --project north",
        "dagcast experiments list --project north --json",
    ),
    "experiments show": (
        "dagcast experiments show boost-hours --project north",
        "dagcast experiments show boost-hours --project north --json",
    ),
    "experiments design": (
        "dagcast experiments design driver_hours --weeks 3 --project north",
        "dagcast experiments design rides --effect 2.5 --draws 100 --project north",
    ),
    "check": (
        "dagcast check --project north",
        "dagcast check --no-project --conformance dagcast-eta",
    ),
    "graph": (
        "dagcast graph --project north",
        "dagcast graph --no-project --as mermaid",
    ),
    "fit": (
        "dagcast fit --project north",
        "dagcast fit --project north --set data.history_weeks=8",
    ),
    "forecast": (
        "dagcast forecast --project north",
        "dagcast forecast --project north --quantity rides --json",
    ),
    "validate": (
        "dagcast validate --project north",
        "dagcast validate --project north --leave-one-out",
    ),
    "backtest": (
        "dagcast backtest --project north --quantity rides",
        "dagcast backtest --project north --by regret --set backtest.origins=2",
    ),
    "try": (
        "dagcast try eta --project north",
        "dagcast try dagcast-eta --with-downstream --keep --project north",
    ),
    "compare": (
        "dagcast compare eta=dagcast-eta eta=usual --project north",
        "dagcast compare eta=dagcast-eta eta=usual --by regret --project north",
    ),
    "plan": (
        "dagcast plan --project north",
        "dagcast plan --project north --risk cvar --set solver.seconds=60",
    ),
    "what-if": (
        "dagcast what-if proposal.csv --project north",
        "dagcast what-if proposal.csv --project north --json",
    ),
    "review": (
        "dagcast review --project north",
        "dagcast review --plan plan-0001 --project north",
    ),
    "approve": (
        "dagcast approve plan-0001 --project north --why 'within the budget'",
        "dagcast approve --project north --despite 'the trial failed' --who ana",
    ),
    "reject": (
        "dagcast reject plan-0001 --project north --why 'too much on Friday'",
        "dagcast reject --project north --who ana --why 'a newer one is coming'",
    ),
    "edit": (
        "dagcast edit --project north --scale 0.9 --where region=NYC --why 'less'",
        "dagcast edit plan-0001 --project north --cells cells.csv --why 'a concert'",
    ),
    "send-back": (
        "dagcast send-back --why 'less at night' --project north",
        "dagcast send-back plan-0001 --why 'less at night' --who ada --project north",
    ),
    "comment": (
        "dagcast comment --why 'fewer flights on Monday' --project north",
        "dagcast comment plan-0001 --why 'fewer flights' --who ada --project north",
    ),
    "halt": (
        "dagcast halt --why 'prices are wrong' --project north",
        "dagcast halt --why 'prices are wrong' --who ada --project north",
    ),
    "resume": (
        "dagcast resume --why 'prices are mended' --project north",
        "dagcast resume --why 'prices are mended' --who ada --project north",
    ),
    "serve": (
        "dagcast serve --project north",
        "dagcast serve --project north --port 8080",
    ),
    "access": (
        "dagcast access list --project north",
        "dagcast access add ada --days 30 --project north",
    ),
    "access add": (
        "dagcast access add ada --project north",
        "dagcast access add ben --days 30 --project north",
    ),
    "access list": (
        "dagcast access list --project north",
        "dagcast access list --project north --json",
    ),
    "access remove": (
        "dagcast access remove ada-1a2b3c --project north",
        "dagcast access remove ben-4d5e6f --project north --json",
    ),
    "export": (
        "dagcast export --project north --to plan.csv",
        "dagcast export plan-0001 --project north --what totals --to totals.parquet",
    ),
    "log": (
        "dagcast log --project north",
        "dagcast log --project north --json",
    ),
    "retro": (
        "dagcast retro --project north",
        "dagcast retro --plan plan-0001 --project north --json",
    ),
    "promises": (
        "dagcast promises --project north",
        "dagcast promises --project north --json",
    ),
    "week": (
        "dagcast week --project north --json",
        "dagcast week --project north --who scheduler --now 2026-03-09T06:00Z",
    ),
    "status": (
        "dagcast status --project north",
        "dagcast status --project north --now 2026-03-09T06:00Z --json",
    ),
    "doctor": (
        "dagcast doctor",
        "dagcast doctor --project north --json",
    ),
    "loop": (
        "dagcast loop --project world --weeks 12 --regions 4 --history 12",
        "dagcast loop --project drift --weeks 8 --scenario tiring --json",
    ),
    "demo": (
        "dagcast demo",
        "dagcast demo --project small --regions 4 --weeks 8 --seed 3",
    ),
    "new": (
        "dagcast new surge --as repository",
        "dagcast new tips --as notebook",
    ),
    "contracts": (
        "dagcast contracts list",
        "dagcast contracts export contracts.json",
    ),
    "contracts list": (
        "dagcast contracts list",
        "dagcast contracts list --from contracts.json --json",
    ),
    "contracts show": (
        "dagcast contracts show eta",
        "dagcast contracts show eta --from contracts.json",
    ),
    "contracts copy": (
        "dagcast contracts copy eta",
        "dagcast contracts copy rides >> contract.py",
    ),
    "contracts export": (
        "dagcast contracts export contracts.json",
        "dagcast contracts export in_force-2026.11.1-py3-none-any.whl",
    ),
    "snapshot": (
        "dagcast snapshot --workspace dagcast-surge",
        "dagcast snapshot --workspace dagcast-surge --json",
    ),
    "release": (
        "dagcast release show",
        "dagcast release propose 2026.11.1",
    ),
    "release plan": (
        "dagcast release plan --project north",
        "dagcast release plan plan-0001 --who ada --project north --json",
    ),
    "release propose": (
        "dagcast release propose 2026.11.1",
        "dagcast release propose 2026.11.1 --releases releases --sources .",
    ),
    "release verify": (
        "dagcast release verify 2026.11.1",
        "dagcast release verify 2026.11.1 --together --afresh 'a new world'",
    ),
    "release promote": (
        "dagcast release promote 2026.11.1",
        "dagcast release promote 2026.11.1 --releases releases --json",
    ),
    "release rollback": (
        "dagcast release rollback",
        "dagcast release rollback --to 2026.10.1",
    ),
    "release show": (
        "dagcast release show",
        "dagcast release show 2026.11.1 --json",
    ),
}


def epilog(examples: Sequence[str]) -> str:
    """Examples as click leaves them: one to a line."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in examples)


def show_examples(command: click.Command, path: str) -> None:
    """Put the examples of a command, and of those that it holds, behind its options.

    Args:
        command: that was asked for.
        path: its words behind ``dagcast``.
    """
    if path in EXAMPLES and not command.epilog:
        command.epilog = epilog(EXAMPLES[path])
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            show_examples(inner, f"{path} {name}")
