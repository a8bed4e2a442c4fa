"""What a command shows when it ends."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from dagcast.workflow import CheckResult, CompareResult, ReviewResult
from dagcast.workflow.common._paired import PairedErrors
from dagcast.workflow.common._regret_result import CandidateRegret, RegretResult, WeekRegret, paired
from dagcast.workflow.stages._compare import CandidateErrors


def test_check_shows_conformance_and_changes_beside_problems():
    result = CheckResult(
        None,
        (),
        ("DC103 two producers of 'eta'",),
        evolution=("DC301 version of 'eta'",),
        conformance={"dagcast-my-eta my-eta": "failed: 17 passed, 1 failed"},
    )
    titles = [table.title for table in result.tables()]
    assert titles == [
        "Assembly",
        "1 problem",
        "Changes that need another version",
        "Conformance",
    ]
    assert result.exit_code() == 3


def test_compare_says_no_more_than_its_windows_can_tell():
    candidates = (
        CandidateErrors("eta=a", {"eta": 0.6180}, {"eta": (0.6180, 0.6180)}),
        CandidateErrors("eta=b", {"eta": 0.6311}, {"eta": (0.6311, 0.6311)}),
    )
    pairs = (
        PairedErrors("eta=b", "eta", 0.0131, 0.004, 0.0222, "worse"),
        PairedErrors("eta=c", "eta", 0.0131, -0.004, 0.0302, "undecided"),
        PairedErrors("eta=d", "eta", 0.0131, -math.inf, math.inf, "undecided"),
        PairedErrors("eta=e", "eta", 0.0, 0.0, 0.0, "same"),
    )
    result = CompareResult(Path("p"), candidates, 2, pairs)
    errors, against = result.tables()
    assert errors.rows == (("eta=a", "0.618"), ("eta=b", "0.631"))
    assert against.title == "Against eta=a"
    assert [row[3:] for row in against.rows] == [
        ("+0.004 to +0.022", "worse"),
        ("-0.004 to +0.030", "no difference that these origins can tell"),
        (
            "none: too few windows, or they overlap",
            "no difference that these origins can tell",
        ),
        ("-", "the same forecasts"),
    ]
    assert result.exit_code() == 3
    assert replace(result, pairs=pairs[1:]).exit_code() == 0


@pytest.mark.parametrize(
    ("state", "command"),
    [
        ("proposed", "dagcast approve plan-0001 --project p"),
        ("approved", "dagcast retro --project p"),
        ("rejected", "dagcast plan --project p"),
        ("superseded", "dagcast plan --project p"),
    ],
)
def test_review_proposes_to_approve_only_what_can_be_approved(state, command):
    result = ReviewResult(Path("p"), "plan-0001", Path("p/page.html"), 1, state)
    assert result.next_command().startswith(command)


def regrets_of(name, *weeks):
    """A candidate whose regrets by the judges a and b are given week by week."""
    return CandidateRegret(
        name,
        tuple(
            WeekRegret(
                f"2026-03-{2 + 7 * n:02d}T00:00:00+00:00",
                "optimal",
                {"eta=a": by_a, "eta=b": by_b},
                1000.0,
                {"eta": by_a, "pricing": 0.0},
            )
            for n, (by_a, by_b) in enumerate(weeks)
        ),
        {"incentive_spend": 0.12},
    )


FIRST = ((100.0, 140.0), (300.0, 320.0), (50.0, 70.0), (200.0, 260.0))


@pytest.mark.parametrize(
    ("change", "verdict", "code"),
    [
        ((40.0, 44.0, 52.0, 46.0), "worse", 3),
        ((-40.0, -44.0, -52.0, -46.0), "better", 0),
        ((40.0, -44.0, 52.0, -46.0), "undecided", 0),
        ((0.001, 0.001, 0.001, 0.001), "undecided", 0),
    ],
)
def test_a_model_change_is_judged_week_by_week(change, verdict, code):
    first = regrets_of("eta=a", *FIRST)
    moved = [(a + d, b + d) for (a, b), d in zip(FIRST, change, strict=True)]
    other = regrets_of("eta=b", *moved)
    pair = paired(other, first, "USD")
    assert pair.verdict == verdict
    assert pair.difference == pytest.approx(sum(change) / 4)
    # Weeks differ far more from one another than the two candidates do in any of them.
    assert max(abs(pair.low), abs(pair.high)) < 100
    result = RegretResult(Path("p"), (first, other), "USD", (pair,))
    assert result.exit_code() == code
    titles = [table.title for table in result.tables()]
    assert titles[-1] == "Against eta=a"
    assert len(titles) == 4


def test_a_judge_who_contradicts_the_other_is_shown():
    first = regrets_of("eta=a", *FIRST)
    other = regrets_of("eta=b", *[(a + 30.0, b - 30.0) for a, b in FIRST])
    pair = paired(other, first, "USD")
    assert pair.by_judge == {"eta=a": pytest.approx(30.0), "eta=b": pytest.approx(-30.0)}
    assert pair.verdict == "undecided"


def test_one_week_is_no_verdict():
    pair = paired(regrets_of("eta=b", (900.0, 900.0)), regrets_of("eta=a", (1.0, 1.0)), "USD")
    assert pair.verdict == "undecided"
    result = RegretResult(Path("p"), (), "USD", (pair,))
    # JSON knows no infinity.
    assert result.to_json()["pairs"][0]["low"] is None


def test_regret_is_shown_with_its_share_and_an_infeasible_week():
    first = regrets_of("eta=a", *FIRST)
    broken = replace(first.weeks[0], status="infeasible")
    result = RegretResult(Path("p"), (CandidateRegret("eta=a", (broken,), {}),), "USD")
    summary, by_week, by_member = result.tables()
    assert summary.rows == (("eta=a", "$120", "12.0%", "-"),)
    assert by_week.rows == (("2026-03-02", "$120 (infeasible)"),)
    assert by_member.rows == (("eta", "+$100"), ("pricing", "$0"))
    assert result.next_command() == "dagcast plan --project p"
