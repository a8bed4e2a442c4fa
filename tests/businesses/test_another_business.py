"""Depots instead of a marketplace: its own packages, and nothing of ride-hailing is there."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from _pages import code_blocks, differing_blocks, visible_text

DEPOTS = Path(__file__).parent / "depots"
PAGE = "bring-another-business.md"
SMALL = (
    "export DAGCAST_UNCERTAINTY__DRAWS=8 DAGCAST_BACKTEST__ORIGINS=1 DAGCAST_BACKTEST__WORKERS=1"
    # However slow the machine: the time limit ends no plan.
    " DAGCAST_SOLVER__SECONDS=600"
)
# What belongs to another business, and has no place in this one.
FOREIGN = re.compile(r"region|\bride|driver|incentive|session|marketplace|\bUSD\b|\$\d", re.I)


@pytest.fixture(scope="module")
def shop(bare_environment, tmp_path_factory):
    """The project that the page leads to, and what its commands printed."""
    place = tmp_path_factory.mktemp("depots")
    shutil.copytree(DEPOTS, place, dirs_exist_ok=True)
    printed = []
    for block in code_blocks(PAGE, "bash"):
        for command in block.splitlines():
            ran = bare_environment.run(f"{SMALL}; {command}", place)
            printed.append((command, ran.stdout))
    return place / "shop", printed


def test_the_page_shows_the_packages_as_they_are(tmp_path):
    assert differing_blocks(PAGE, DEPOTS) == []
    assert len(code_blocks(PAGE, "python")) >= 5


def test_the_page_goes_through_every_stage(shop):
    _, printed = shop
    stages = [re.match(r"dagcast (\w+)", command) for command, _ in printed]
    assert [found[1] for found in stages if found] == [
        "init", "ingest", "check", "fit", "validate", "backtest", "plan", "review", "approve",
        "ingest", "retro",
    ]  # fmt: skip


def test_nothing_of_the_marketplace_is_installed(bare_environment, tmp_path):
    found = bare_environment.run(
        'python -c "from importlib.metadata import entry_points;'
        "print(sorted(p.name for p in entry_points(group='dagcast.models')))\"",
        tmp_path,
    ).stdout
    assert set(json.loads(found.replace("'", '"'))) <= {"depots", "orders", "picking"}


def test_the_plan_spends_its_lever_and_prices_its_limit(shop):
    folder, _ = shop
    summary = json.loads((folder / "plans" / "plan-0001" / "summary.json").read_text())
    assert summary["status"] in ("optimal", "feasible")
    (budget,) = summary["budgets"]
    assert budget["binding"]
    assert budget["price"] > 0
    assert budget["used"] == pytest.approx(budget["limit"], rel=1e-4)
    assert {row["label"] for row in summary["guardrails"]} == {"HAM", "LIS", "MAD"}


def test_models_agree_with_the_experiments_and_beat_the_last_week(shop):
    printed = dict(shop[1])
    assert "of 3 experiments 3 agree" in printed["dagcast validate --project shop"]
    rows = re.findall(
        r"(?:orders|wait|sent_in_time) +([\d.]+)", printed["dagcast backtest --project shop"]
    )
    assert len(rows) == 3
    assert all(float(mase) < 1.0 for mase in rows)


def test_the_clock_is_each_depots_own():
    """Clocks change within the history: slots stay with the local hour."""
    import pandas as pd

    sys.path.insert(0, str(DEPOTS / "depots" / "src"))
    try:
        from depots.plugin import slot_of_week
    finally:
        sys.path.remove(str(DEPOTS / "depots" / "src"))
    hours = pd.DatetimeIndex(["2026-03-27T07:00Z", "2026-03-30T07:00Z"])
    assert slot_of_week(hours, "Europe/Berlin").tolist() == [4 * 8 + 2, 3]
    assert slot_of_week(hours, "Europe/Lisbon").tolist() == [4 * 8 + 2, 2]


def test_the_retro_shares_the_regret_among_its_models(shop):
    folder, _ = shop
    found = json.loads((folder / "reports" / "retro-plan-0001.json").read_text())["hindsight"]
    shares = {item["member"]: item["value"] for item in found["shares"]}
    assert set(shares) == {"orders", "picking", "extra-hands"}
    assert shares["orders"] != 0 != shares["picking"]
    parts = found["execution_gap"] + sum(shares.values())
    assert parts == pytest.approx(found["regret"], abs=1e-6 * max(1.0, found["attainable"]))


def test_no_word_of_another_business_is_said(shop):
    folder, printed = shop
    for command, text in printed:
        assert not FOREIGN.search(text), command
    pages = sorted((folder / "reports").glob("*.html"))
    assert len(pages) == 2
    for page in pages:
        body = visible_text(page)
        assert not FOREIGN.search(body), (page.name, FOREIGN.search(body))
        assert "Overtime pay" in body
        assert "\N{EURO SIGN}" in body
