"""Settings of a new project, before anybody typed a number."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from dagcast.config import (
    Budget,
    Config,
    Display,
    Guardrail,
    Lever,
    Objective,
    RampLimit,
    Seeds,
    config_text,
    load_config,
)


def marketplace_config(name: str, *, seed: int = 0) -> Config:
    """Settings for the levers and outcomes that the five team packages serve.

    Limits are multiples of recent weeks: less money than the operator spent, waits and prices close
    to what riders know.
    """
    return Config(
        name=name,
        levers={"incentive_spend": Lever(lower=0.0, upper_of_recent=2.0)},
        budgets=(
            Budget(lever="incentive_spend", of_recent=0.8),
            Budget(lever="incentive_spend", of_recent=1.2, by=("region",)),
        ),
        guardrails=(
            Guardrail(quantity="eta", of_recent=1.05, by=("region",), weight="sessions"),
            Guardrail(quantity="prime_time", of_recent=1.15, by=("region",), weight="sessions"),
            Guardrail(quantity="profit", sense=">=", of_recent=0.9, reduce="sum"),
        ),
        ramps=(RampLimit(lever="incentive_spend", step=24, of_upper=0.5),),
        # A ride is worth more than its profit of today: its rider comes back.
        objective=Objective(weights={"profit": 1.0, "rides": 4.0}, unit="USD"),
        display=Display(first=("profit", "rides", "eta", "prime_time")),
        seeds=Seeds(world=seed, draws=seed, plan=seed),
    )


def configured(config: Config, flags: Mapping[str, str] | None) -> Config:
    """Apply dotted flags to the settings of a project that is not on disk yet."""
    if not flags:
        return config
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "dagcast.toml"
        path.write_text(config_text(config), encoding="utf-8")
        return load_config(path, flags=flags)
