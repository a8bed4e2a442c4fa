"""What a command shows when it ends."""

from pathlib import Path

import pytest

from dagcast.workflow import CheckResult, CompareResult, ReviewResult
from dagcast.workflow._compare import CandidateErrors


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


def test_compare_marks_every_candidate_whose_figure_reads_lowest():
    candidates = (
        CandidateErrors("eta=a", {"eta": 0.6180, "driver_hours": 0.579001}),
        CandidateErrors("eta=b", {"eta": 0.6311, "driver_hours": 0.579002}),
    )
    (table,) = CompareResult(Path("p"), candidates, origins=2).tables()
    assert table.columns == ("candidate", "eta", "driver_hours")
    assert table.rows == (
        ("eta=a", "0.618 *", "0.579 *"),
        ("eta=b", "0.631", "0.579 *"),
    )


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
