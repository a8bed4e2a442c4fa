"""What an approved plan is handed over as: steps, clocks, digests, and a receiver that is told."""

import hashlib
import hmac
import http.server
import json
import threading
import time

import pandas as pd
import pytest

from dagcast import workflow
from dagcast.errors import GateError, PlanStateError, ProjectError, UsageError
from dagcast.journal import Journal
from dagcast.workflow.common._damage import _in_results
from dagcast.workflow.common._released import _along
from dagcast.workflow.stages import _decide

HOURS = 48


def approved(market, **flags):
    name = market.propose(values={"east": [0.129] * HOURS, "west": [0.0, 2.5] * (HOURS // 2)})
    project = market.under(**flags)
    return project, workflow.approve(project, name, who="ben")


def test_approved_plan_is_released_as_csv_and_parquet_with_both_clocks(market):
    project, result = approved(market)
    assert (result.state, result.remark) == ("approved", "")
    folder = project.released / "plan-0001"
    csv = pd.read_csv(folder / "plan-0001.csv")
    parquet = pd.read_parquet(folder / "plan-0001.parquet")
    pd.testing.assert_frame_equal(csv, parquet, check_dtype=False)
    first = csv.iloc[0]
    assert (first["region"], first["hour_utc"], first["hour_local"], first["zone"]) == (
        "east",
        "2026-03-02T00:00:00Z",
        "2026-03-01T19:00:00-05:00",
        "America/New_York",
    )
    assert set(csv["zone"]) == {"America/New_York", "America/Los_Angeles"}
    line = project.journal.entries()[-1]
    assert (line.event, line.plan, line.who) == ("approved", "plan-0001", "ben")
    for name, digest in line.details["released"]["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert project.journal.find(None).released == line


@pytest.mark.parametrize("step", [0.01, 0.05, 0.5, 1.0])
def test_amounts_are_steps_that_never_sum_to_more(market, step):
    project, _ = approved(market, levers__spend__step=step, levers__spend__upper="9")
    made = pd.read_csv(project.released / "plan-0001" / "plan-0001.csv")
    for region, planned in (("east", 0.129 * HOURS), ("west", 2.5 * HOURS / 2)):
        own = made[made["region"] == region]["value"]
        counts = own / step
        assert ((counts - counts.round()).abs() < 1e-9).all()
        # Written as people write it.
        assert all(len(str(value)) < 8 for value in own)
        assert planned - step < own.sum() <= planned + 1e-9
    west = made[made["region"] == "west"]["value"]
    # Nothing is paid in hours in which nothing was planned.
    assert (west.iloc[::2] == 0).all()


@pytest.mark.parametrize(
    ("values", "step", "low", "high", "found"),
    [
        ([0.3, 0.3, 0.3, 0.3], 0.5, 0.0, 9.0, [0.0, 0.5, 0.0, 0.5]),
        ([0.3, 0.0, 0.3], 0.5, 0.0, 9.0, [0.0, 0.0, 0.5]),
        ([0.7, 0.7, 0.7], 0.5, 0.0, 0.7, [0.5, 0.5, 0.5]),
        ([0.7, 0.7], 0.5, 0.6, 9.0, [1.0, 1.0]),
        ([0.1, 0.2, 0.3], 0.1, 0.0, 9.0, [0.1, 0.2, 0.3]),
        ([5.0], 2.0, 0.0, float("inf"), [4.0]),
    ],
)
def test_rounding_along_hours(values, step, low, high, found):
    assert _along(values, step, low, high) == found


def test_released_plan_is_never_released_again_nor_without_approval(market):
    market.propose()
    project = market.under()
    with pytest.raises(ProjectError, match="an approved plan"):
        workflow.release_plan(project, who="ben")
    with pytest.raises(PlanStateError, match="to be approved"):
        workflow.release_plan(project, "plan-0001", who="ben")
    workflow.approve(project, who="ben")
    with pytest.raises(PlanStateError, match="files of .* by ben"):
        workflow.release_plan(project, "plan-0001", who="dan")
    with pytest.raises(GateError, match="one of ben"):
        workflow.release_plan(project, "plan-0001", who="ana")


@pytest.mark.parametrize("broken", ["written", "decide"])
def test_approval_without_its_files_is_none(market, monkeypatch, broken):
    market.propose()
    project = market.under()
    before = project.journal.entries()

    def full(*given, **named):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        owner = _decide if broken == "written" else Journal
        patched.setattr(owner, broken, full)
        with pytest.raises(OSError, match="No space"):
            workflow.approve(project, who="ben")
    assert project.journal.entries() == before
    assert list(project.released.iterdir()) == []
    assert workflow.approve(project, who="ben").state == "approved"
    assert project.journal.find(None).released is not None


def test_plan_approved_by_an_earlier_version_is_released_by_itself(market):
    name = market.propose()
    project = market.under()
    project.journal.decide(name, "approved", who="ben", why="", rules=project.rules)
    made = workflow.release_plan(project, who="dan")
    assert (made.plan, sorted(made.files)) == (name, [f"{name}.csv", f"{name}.parquet"])
    line = project.journal.find(name).released
    assert (line.event, line.details["released"]["files"]) == ("released", made.files)


def test_nothing_is_released_while_that_is_stopped(market):
    name = market.propose()
    project = market.under()
    project.journal.decide(name, "approved", who="ben", why="", rules=project.rules)
    workflow.halt(project, who="dan", why="wait")
    with pytest.raises(GateError, match="stopped by dan: wait"):
        workflow.release_plan(project, who="ben")


def test_check_knows_what_was_released(market):
    project, _ = approved(market)
    (project.models / "fit-0001").mkdir()

    def found():
        return list(_in_results(project, project.journal.entries()))

    before = [text for text in found() if "released" in text or "plans" in text]
    assert before == []
    path = project.released / "plan-0001" / "plan-0001.csv"
    path.write_text(path.read_text().replace("2.5", "9.5"))
    (text,) = (text for text in found() if "released" in text)
    assert "another plan-0001.csv than was written" in text


def test_changed_files_are_not_handed_out(market):
    project, _ = approved(market)
    assert workflow.released_file(project, "plan-0001", "plan-0001.csv").is_file()
    for name in ("../../dagcast.toml", "sha256.json", ""):
        with pytest.raises(UsageError, match="a file of the released"):
            workflow.released_file(project, "plan-0001", name)
    (project.released / "plan-0001" / "plan-0001.csv").write_text("lever,value\n")
    with pytest.raises(ProjectError, match="another plan-0001.csv"):
        workflow.released_file(project, "plan-0001", "plan-0001.csv")


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes messages, or answers what it is told to."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        time.sleep(self.server.slow)
        if self.server.status == 200:
            self.server.got.append((json.loads(body), dict(self.headers.items()), body))
        self.send_response(self.server.status)
        if self.server.status == 302:
            self.send_header("location", "/elsewhere")
        self.end_headers()

    do_GET = do_POST

    def log_message(self, *given):
        pass


@pytest.fixture
def receiver():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.got, server.status, server.slow = [], 200, 0.0
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_port}/plans"
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def heard(server):
    return [(message["event"], message["plan"]) for message, _, _ in server.got]


def test_receiver_hears_of_proposals_approvals_and_releases_once_and_in_order(market, receiver):
    market.propose()
    project = market.under(webhook__url=f'"{receiver.url}"')
    workflow.comment(project, who="ana", why="nice")
    assert workflow.notify(project) == ""
    workflow.approve(project, who="ben", why="fine")
    assert workflow.notify(project) == ""
    assert workflow.notify(project) == ""
    name = "plan-0001"
    assert heard(receiver) == [("proposed", name), ("approved", name), ("released", name)]
    first, second, third = (message for message, _, _ in receiver.got)
    assert (second["who"], second["why"]) == ("ben", "fine")
    assert second["details"]["seal"] == first["details"]["seal"]
    assert set(third["details"]["released"]["files"]) == {f"{name}.csv", f"{name}.parquet"}
    assert len({message["id"] for message, _, _ in receiver.got}) == 3


@pytest.mark.parametrize("status", [500, 302, 404])
def test_what_a_receiver_does_not_take_is_said_and_sent_with_the_next(market, receiver, status):
    market.propose()
    project = market.under(webhook__url=f'"{receiver.url}"')
    receiver.status = status
    assert workflow.approve(project, who="ben").state == "approved"
    said = workflow.notify(project)
    assert "2 lines of the log to be told" in said
    assert receiver.got == []
    receiver.status = 200
    assert workflow.notify(project) == ""
    assert [event for event, _ in heard(receiver)] == ["proposed", "approved", "released"]


def test_receiver_that_never_answers_holds_nobody_up(market, receiver):
    market.propose()
    project = market.under(webhook__url=f'"{receiver.url}"', webhook__timeout_seconds="0.1")
    receiver.slow = 0.6
    begun = time.monotonic()
    assert "webhook:" in workflow.notify(project)
    assert time.monotonic() - begun < 5
    time.sleep(0.7)


def test_messages_are_signed_by_the_key_of_a_variable(market, receiver, monkeypatch):
    market.propose()
    monkeypatch.setenv("DESK_KEY", "secret")
    project = market.under(webhook__url=f'"{receiver.url}"', webhook__secret_env='"DESK_KEY"')
    assert workflow.notify(project) == ""
    ((_, headers, body),) = receiver.got
    expected = hmac.new(b"secret", body, hashlib.sha256).hexdigest()
    found = {name.lower(): value for name, value in headers.items()}
    assert found["x-dagcast-signature"] == f"sha256={expected}"


def test_robot_that_goes_no_further_calls_a_person(market, receiver):
    market.propose()
    project = market.under(webhook__url=f'"{receiver.url}"')
    details = {"step": "approve", "plan": "plan-0001", "beyond": "spend moves by 40%"}
    project.record("week", details=details)
    workflow.notify(project)
    message = receiver.got[-1][0]
    assert (message["event"], message["plan"], message["why"]) == (
        *("needs you", "plan-0001"),
        "spend moves by 40%",
    )


def test_nobody_is_told_without_an_address(market):
    market.propose()
    assert workflow.notify(market.under()) == ""
    assert not (market.project.folder / "webhook.json").exists()
