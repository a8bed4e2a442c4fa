"""The desk over HTTP: who gets in, what they are shown, and that they do what is theirs alone."""

import re
import threading
from datetime import UTC, datetime, timedelta

import pytest
from starlette.testclient import TestClient

from dagcast import access, workflow
from dagcast.journal import Journal
from dagcast.review import Page, Section, Text
from dagcast.serve import Desk

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&lt;"
JSON = {"accept": "application/json"}


@pytest.fixture
def page(monkeypatch):
    """A page of every plan that needs no forecast."""

    def page_of(project, record, *, progress=None):
        blocks = (Text(HOSTILE),)
        return Page(
            HOSTILE, HOSTILE, HOSTILE, HOSTILE, "neutral", (),
            (Section("s", HOSTILE, HOSTILE, blocks, HOSTILE),), (), "",
            (datetime(2026, 3, 2, tzinfo=UTC),), facts=((HOSTILE, HOSTILE),),
        )  # fmt: skip

    monkeypatch.setattr(workflow, "page_of", page_of)


class Browser:
    """Somebody at the desk."""

    def __init__(self, client, who):
        self.client, self.who = client, who

    def get(self, path, **options):
        return self.client.get(path, **options)

    def fields(self, name, act):
        """What the desk put into a form of a plan's page."""
        text = self.client.get(f"/plans/{name}").text
        form = re.search(rf'<form[^>]*action="/plans/{name}/{act}".*?</form>', text, re.DOTALL)
        if form is None:
            return None
        return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form[0]))

    def act(self, name, act, fields=None, **given):
        fields = self.fields(name, act) if fields is None else fields
        return self.client.post(
            f"/plans/{name}/{act}", data={**fields, **given}, headers=JSON, follow_redirects=False
        )


class Served:
    """The desk of a project, to which people come with tokens."""

    def __init__(self, market, **flags):
        self.project = market.under(**flags)
        self.desk = Desk(self.project.folder, market.flags(**flags), "owner")
        self.app = self.desk.app()

    def client(self, **options):
        return TestClient(self.app, base_url="http://127.0.0.1:8765", **options)

    def browser(self, who):
        client = self.client()
        given = access.grant(self.project, who)
        answer = client.post("/sign-in", data={"token": given}, follow_redirects=False)
        assert answer.status_code == 303
        return Browser(client, who)


@pytest.fixture
def served(market, page):
    return lambda **flags: Served(market, **flags)


def events(served):
    return [entry.event for entry in served.project.journal.entries()]


# --- who gets in


def test_nobody_is_shown_anything_before_they_sign_in(market, served):
    name, desk = market.propose(), served()
    client = desk.client()
    for path in ("/", f"/plans/{name}", "/log", "/compare", "/what-if"):
        answer = client.get(path, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert client.get("/", headers=JSON).status_code == 401
    before = events(desk)
    for act in ("approve", "reject", "comment", "edit", "try", "send-back"):
        assert client.post(f"/plans/{name}/{act}", data={"why": "x"}).status_code == 401
    assert client.post("/halt", data={"why": "x"}).status_code == 401
    assert events(desk) == before


@pytest.mark.parametrize("token", ["", "wrong", "x" * 4000, "\N{SNOWMAN}"])
def test_wrong_tokens_open_nothing(market, served, token):
    desk = served()
    access.grant(desk.project, "ben")
    client = desk.client()
    answer = client.post("/sign-in", data={"token": token})
    assert answer.status_code == 403
    assert "No such token" in answer.text
    assert not client.cookies
    bearer = {"authorization": f"Bearer {token.encode().hex()}", **JSON}
    assert client.get("/", headers=bearer).status_code == 401


def test_tokens_end_and_are_taken_back(market, served, monkeypatch):
    desk = served()
    browser = desk.browser("ben")
    assert browser.get("/").status_code == 200
    (held,) = access.tokens(desk.project)
    access.revoke(desk.project, held.key)
    assert browser.get("/", follow_redirects=False).status_code == 303
    given = access.grant(desk.project, "ben", days=0.0000001)
    assert desk.client().post("/sign-in", data={"token": given}).status_code == 403
    assert [e for e in events(desk) if e in ("granted", "revoked")] == [
        *("granted", "revoked", "granted"),
    ]


def test_tokens_are_kept_as_digests_that_their_owner_alone_can_read(market, served):
    given = access.grant(served().project, "ben")
    path = market.project.folder / access.FILE
    assert given not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert given not in (market.project.folder / "log.jsonl").read_text()


def test_sessions_are_signed_end_and_go_with_the_process(market, served):
    desk = served()
    until = datetime.now(UTC) - timedelta(hours=13)
    given = access.grant(desk.project, "ben")
    old = desk.desk.identities.sign_in(desk.project, given, until)
    new = desk.desk.identities.sign_in(desk.project, given)
    forged = new.replace(b"ben".hex(), b"dan".hex())
    elsewhere = Served(market)
    for cookie, where, code in (
        (new, desk, 200), (old, desk, 303), (forged, desk, 303), ("a.b.c.d.e", desk, 303),
        (new, elsewhere, 303), (new[:-1], desk, 303),
    ):  # fmt: skip
        client = where.client(cookies={"dagcast_session": cookie})
        assert client.get("/", follow_redirects=False).status_code == code


def test_cookie_is_out_of_reach_of_scripts_and_other_sites(market, served):
    desk = served()
    given = access.grant(desk.project, "ben")
    answer = desk.client().post("/sign-in", data={"token": given}, follow_redirects=False)
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_whoever_no_role_names_sees_nothing(market, served):
    market.propose()
    stranger = served().browser("stranger")
    for path in ("/", "/plans/plan-0001", "/log"):
        assert stranger.get(path).status_code == 403


def test_proxy_is_believed_from_declared_addresses_alone(market, served):
    market.propose()
    desk = served(serve__proxy_header='"X-User"', serve__proxies='["127.0.0.1"]')
    near = desk.client(client=("127.0.0.1", 5), headers={"x-user": "ben"})
    assert "You are ben, approver" in near.get("/").text
    far = desk.client(client=("10.0.0.9", 5), headers={"x-user": "ben"})
    assert far.get("/", follow_redirects=False).status_code == 303
    for headers in ([("x-user", "ben"), ("x-user", "eve")], [("x-user", "  ")]):
        both = desk.client(client=("127.0.0.1", 5))
        assert both.get("/", headers=headers, follow_redirects=False).status_code == 303
    # What a proxy's browser sends still carries a form of its own.
    browser = Browser(near, "ben")
    assert browser.act("plan-0001", "approve", {"seen": "1:a:b"}).status_code == 403
    assert browser.act("plan-0001", "approve").status_code == 200


def test_without_a_declared_proxy_its_header_is_nothing(market, served):
    client = served().client(client=("127.0.0.1", 5), headers={"x-forwarded-user": "ben"})
    assert client.get("/", follow_redirects=False).status_code == 303


@pytest.mark.parametrize("proxies", ["[]", '["10.0.0.1"]', '["localhost"]', '["*"]'])
def test_proxies_are_on_loopback(market, proxies):
    from dagcast.errors import ConfigError

    with pytest.raises(ConfigError, match="proxies"):
        market.under(serve__proxy_header='"X-User"', serve__proxies=proxies)


# --- what others' sites and browsers may not


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"host": "evil.example"}, 421),
        ({"host": "evil.example:8765"}, 421),
        ({"host": "["}, 421),
        ({"origin": "http://127.0.0.1:8765", "sec-fetch-site": "same-origin"}, 200),
    ],
)
def test_forms_of_other_sites_and_names_do_nothing(market, served, headers, code):
    name = market.propose()
    desk = served()
    ben = desk.browser("ben")
    fields = ben.fields(name, "approve")
    answer = ben.client.post(f"/plans/{name}/approve", data=fields, headers={**JSON, **headers})
    assert answer.status_code == code
    assert market.project.journal.find(name).state == ("approved" if code == 200 else "proposed")


@pytest.mark.parametrize("form", ["", "0" * 64, "others"])
def test_form_without_its_own_number_does_nothing(market, served, form):
    name = market.propose()
    desk = served()
    ben, dan = desk.browser("ben"), desk.browser("dan")
    fields = ben.fields(name, "approve")
    fields["form"] = dan.fields(name, "approve")["form"] if form == "others" else form
    answer = ben.act(name, "approve", fields)
    assert (answer.status_code, "not yours" in answer.text) == (403, True)
    assert ben.act(name, "comment", {"form": form, "why": "x"}).status_code == 403
    assert "approved" not in events(desk)
    assert "commented" not in events(desk)


def test_decisions_are_posted_never_fetched(market, served):
    name = market.propose()
    ben = served().browser("ben")
    for act in ("approve", "reject", "send-back", "comment", "edit", "try"):
        assert ben.get(f"/plans/{name}/{act}").status_code == 405


PATHS = ("/", "/sign-in", "/plans/plan-0001", "/log", "/compare", "/what-if", "/nowhere")


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_carries_the_policy(market, served, path):
    market.propose()
    ben = served().browser("ben")
    answer = ben.get(path)
    policy = answer.headers["content-security-policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["frame-ancestors"] == "'none'"
    assert (rules["base-uri"], rules["form-action"]) == ("'none'", "'self'")
    assert "unsafe" not in rules["script-src"]
    assert "unsafe" not in rules["style-src"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    # Every script and style is a file of the desk, or hashed in the policy.
    scripts = re.findall(r"<script([^>]*)>", answer.text)
    inline = [s for s in scripts if "src=" not in s and "type=" not in s]
    assert len(inline) == policy.count("sha256-") - ("<style>" in answer.text)


def test_what_is_sent_is_bounded(market, served):
    name = market.propose()
    desk = served(serve__upload_megabytes="0.5")
    ben = desk.browser("ben")
    fields = ben.fields(name, "comment")
    many = {f"f{k}": "x" for k in range(100)}
    assert ben.client.post(f"/plans/{name}/comment", data={**fields, **many}).status_code == 400
    long = ben.act(name, "comment", {**fields, "why": "x" * 300_000})
    assert long.status_code in (400, 413)
    huge = ben.client.post("/what-if", data=fields, files={"file": b"x" * 600_000})
    assert huge.status_code == 413
    two = ben.client.post("/what-if", data=fields, files=[("file", b"a"), ("file", b"b")])
    assert two.status_code == 400
    assert events(desk).count("commented") == 0


# --- nothing is rendered that is not text


def test_script_in_every_label_stays_text(market, served, monkeypatch):
    from dagcast.project import open_project

    hostile_name = "rev<b>ben</b>"
    name = market.propose(who=HOSTILE)
    flags = {
        "name": f'"{HOSTILE.replace(chr(34), chr(92) + chr(34))}"',
        "roles__approver": f'["ben", "dan", "{hostile_name}"]',
    }
    desk = served(**flags)
    ben = desk.browser(hostile_name)
    assert ben.act(name, "comment", why=HOSTILE).status_code == 200
    assert ben.act(name, "send-back", why=HOSTILE).status_code == 200
    workflow.halt(desk.project, who="dan", why=HOSTILE)
    paths = ("/", f"/plans/{name}", "/log", "/compare", "/what-if", f"/plans/{HOSTILE}", "/sign-in")
    for path in paths:
        text = ben.get(path).text
        for tag in ("<script>alert", "<img src=x", "<b>ben"):
            assert tag not in text, path
    assert "&lt;script&gt;alert(1)" in ben.get("/").text
    refused = ben.act(name, "approve", ben.fields(name, "reject"), despite=HOSTILE)
    assert refused.status_code == 403
    assert open_project(desk.project.folder, environment={}).journal.find(name).state == "proposed"


def test_markup_is_what_tag_made_and_nothing_else():
    from dagcast.serve._html import Html, joined, tag

    assert (
        tag("p", "<b>", tag("i", "&"), class_='a"b')
        == '<p class="a&quot;b">&lt;b&gt;<i>&amp;</i></p>'
    )
    assert joined("<", None, Html("<hr>")) == "&lt;<hr>"
    assert tag("input", required=True, value="x", disabled=False) == '<input required value="x">'


# --- who decides


def test_two_browsers_two_roles(market, served):
    name = market.propose()
    desk = served()
    ana, ben, cleo = (desk.browser(who) for who in ("ana", "ben", "cleo"))
    # An analyst comments and does not decide; a viewer reads.
    assert ana.fields(name, "approve") is None
    assert ana.act(name, "comment", why="EWR looks high").status_code == 200
    assert cleo.fields(name, "comment") is None
    # Forms that the desk did not offer are refused as well.
    own = {"form": ana.fields(name, "comment")["form"], "seen": ben.fields(name, "approve")["seen"]}
    for act in ("approve", "reject", "send-back"):
        assert ana.act(name, act, own, why="x").status_code == 403
    assert "EWR looks high" in cleo.get(f"/plans/{name}").text
    done = ben.act(name, "approve", why="fine")
    assert (done.status_code, done.json()["state"]) == (200, "approved")
    line = desk.project.journal.find(name)
    assert (line.entry.who, line.entry.why) == ("ben", "fine")
    assert line.entry.details["seal"] == line.proposal.details["seal"]
    assert line.released.who == "ben"
    assert f'href="/plans/{name}/released/{name}.csv"' in cleo.get(f"/plans/{name}").text
    file = cleo.get(f"/plans/{name}/released/{name}.csv")
    assert file.text.startswith("lever,region,hour_utc")
    assert cleo.get(f"/plans/{name}/released/..%2F..%2Fdagcast.toml").status_code in (400, 404)


def test_conflict_says_who_did_what_meanwhile(market, served):
    name = market.propose()
    desk = served()
    ben, dan, ana = (desk.browser(who) for who in ("ben", "dan", "ana"))
    theirs, mine = ben.fields(name, "approve"), dan.fields(name, "reject")
    ana.act(name, "comment", why="wait")
    late = ben.act(name, "approve", theirs)
    assert late.status_code == 409
    assert re.match(r"ana commented on plan-0001 at \d\d:\d\d UTC: wait", late.json()["since"][0])
    assert ben.act(name, "approve").status_code == 200
    lost = dan.act(name, "reject", mine, why="too dear")
    assert lost.status_code == 409
    assert any(text.startswith("ben approved plan-0001") for text in lost.json()["since"])
    shown = dan.client.post(f"/plans/{name}/reject", data={**mine, "why": "x"})
    assert (shown.status_code, "ben approved plan-0001" in shown.text) == (409, True)
    assert events(desk).count("approved") == 1
    assert "rejected" not in events(desk)


@pytest.mark.parametrize("seen", ["", "x", "1:2", "5::", None])
def test_decision_without_what_was_seen_is_none(market, served, seen):
    name = market.propose()
    ben = served().browser("ben")
    fields = ben.fields(name, "approve")
    fields = {k: v for k, v in {**fields, "seen": seen}.items() if v is not None}
    assert ben.act(name, "approve", fields).status_code in (400, 409)
    assert market.project.journal.find(name).state == "proposed"


def test_seen_plan_of_another_sha256_is_not_approved(market, served):
    name = market.propose()
    ben = served().browser("ben")
    fields = ben.fields(name, "approve")
    count, digest, seal = fields["seen"].split(":")
    fields["seen"] = f"{count}:{digest}:{seal[::-1]}"
    answer = ben.act(name, "approve", fields)
    assert (answer.status_code, "another sha256" in answer.json()["error"]) == (409, True)


def test_own_edit_is_never_offered_nor_taken(market, served):
    market.propose()
    name = market.propose(parent="plan-0001", who="ben")
    desk = served()
    ben, dan = desk.browser("ben"), desk.browser("dan")
    assert ben.fields(name, "approve") is None
    assert "nobody approves an edit of their own" in ben.get(f"/plans/{name}").text
    forced = ben.act(name, "approve", ben.fields(name, "reject"))
    assert (forced.status_code, "own" in forced.json()["error"]) == (403, True)
    assert dan.act(name, "approve").status_code == 200


@pytest.mark.parametrize("how", ["expired", "over", "stale"])
def test_expired_over_and_stale_plans_are_refused(market, served, world, how):
    name = market.propose()
    flags = {}
    if how == "expired":
        flags = {"approval__expires_hours": "0.000001"}
    desk = served(**flags)
    ben, eve = desk.browser("ben"), desk.browser("eve")
    if how == "over":
        world.present = "2026-03-05T00:00:00+00:00"
    if how == "stale":
        world.manifest_id = "data-2"
    fields = ben.fields(name, "reject")
    answer = ben.act(name, "approve", fields)
    words = {"expired": "it expired", "over": "is over", "stale": "ingested since it was made"}
    assert answer.status_code in (403, 409)
    assert words[how] in answer.json()["error"]
    # A reason overrules stale data by one who may; nothing overrules that it is over.
    despite = eve.act(name, "approve", eve.fields(name, "reject"), despite="we know")
    assert (despite.status_code == 200) == (how == "stale")
    if how == "stale":
        details = market.project.journal.find(name).entry.details
        assert details["despite"] == "we know"
        assert details["against"] == ["data were ingested since it was made"]


def test_broken_limit_is_for_an_overruler_with_a_reason(market, served):
    name = market.propose(broken=True)
    desk = served()
    ben, eve = desk.browser("ben"), desk.browser("eve")
    assert "Only an overruler approves it despite that" in ben.get(f"/plans/{name}").text
    fields = ben.fields(name, "reject")
    assert ben.act(name, "approve", fields, despite="please").status_code == 403
    assert eve.act(name, "approve", despite="").status_code == 403
    assert eve.act(name, "approve", despite="the board wants it").status_code == 200


def test_two_approve_above_the_amount(market, served):
    name = market.propose(spend=5000.0, limit=9000.0)
    desk = served(approval__alone_up_to="1000")
    ben, dan = desk.browser("ben"), desk.browser("dan")
    assert "Approve as the first of two" in ben.get(f"/plans/{name}").text
    first = ben.act(name, "approve")
    assert (first.status_code, first.json()["state"]) == (200, "endorsed")
    assert ben.fields(name, "approve") is None
    assert "Needs you" in dan.get("/").text
    assert dan.act(name, "approve").json()["state"] == "approved"


def test_switch_stops_the_desk(market, served):
    name = market.propose()
    desk = served()
    ben, ana = desk.browser("ben"), desk.browser("ana")
    form = {"form": ana.fields(name, "comment")["form"]}
    assert ana.client.post("/halt", data={**form, "why": "x"}).status_code == 403
    form = {"form": ben.fields(name, "approve")["form"]}
    fields = ben.fields(name, "approve")
    assert ben.client.post("/halt", data={**form, "why": "prices"}, headers=JSON).status_code == 200
    assert ben.fields(name, "approve") is None
    assert ben.act(name, "approve", fields).status_code in (403, 409)
    assert "Approvals are stopped" in ana.get("/").text
    assert ben.client.post("/resume", data={**form, "why": "ok"}, headers=JSON).status_code == 200
    assert ben.act(name, "approve").status_code == 200


def test_bearers_need_no_form_and_are_nobody_else(market, served):
    name = market.propose()
    desk = served()
    given = access.grant(desk.project, "ben")
    client = desk.client(headers={"authorization": f"Bearer {given}", **JSON})
    seen = str(desk.project.journal.seen(name)[2])
    assert client.post(f"/plans/{name}/approve", data={"seen": seen}).status_code == 200
    assert desk.project.journal.find(name).entry.who == "ben"


def test_weeks_are_sorted_by_what_they_wait_for(market, served, world):
    first = market.propose()
    desk = served()
    ben, cleo = desk.browser("ben"), desk.browser("cleo")

    def place(browser, name):
        text = browser.get("/").text
        parts = re.split(r"<section[^>]*><h2>", text)[1:]
        return next(part.split("<")[0] for part in parts if f">{name}<" in part)

    assert (place(ben, first), place(cleo, first)) == ("Needs you", "Proposed")
    ben.act(first, "send-back", why="less in the east")
    assert "less in the east" in cleo.get("/").text
    ben.act(first, "approve")
    assert place(ben, first) == "Approved"
    world.present = "2026-03-02T05:00:00+00:00"
    assert place(ben, first) == "Running"
    world.present = "2026-03-04T00:00:00+00:00"
    assert place(ben, first) == "Looked back"
    later = market.propose(start="2026-03-09T00:00:00+00:00")
    ben.act(later, "reject", why="too dear")
    assert place(ben, later) == "Put aside"


def test_broken_settings_are_nobodys_business_before_they_sign_in(market, served):
    market.propose()
    desk = served()
    ben = desk.browser("ben")
    path = desk.project.folder / "dagcast.toml"
    path.write_text(path.read_text() + '\n[nonsense]\nsecret = "hush"\n')
    for browser in (ben.client, desk.client()):
        answer = browser.get("/")
        assert (answer.status_code, "hush" in answer.text) == (503, False)


def test_page_of_a_plan_that_is_not_there(market, served):
    market.propose()
    ben = served().browser("ben")
    for name in ("plan-0009", "..%2f..", "x" * 300):
        assert ben.get(f"/plans/{name}").status_code == 404


def test_defect_tells_the_browser_nothing_of_it(market, served, monkeypatch):
    market.propose()
    desk = served()

    def broken(*given, **named):
        raise RuntimeError("secret path /etc/dagcast")

    client = TestClient(desk.app, base_url="http://127.0.0.1:8765", raise_server_exceptions=False)
    given = access.grant(desk.project, "ben")
    monkeypatch.setattr(workflow, "page_of", broken)
    answer = client.get("/plans/plan-0001", headers={"authorization": f"Bearer {given}"})
    assert (answer.status_code, "secret" in answer.text) == (500, False)


def test_two_hundred_approvals_at_one_moment_are_one(market, served):
    """Through HTTP: eight browsers of two approvers, who all saw the same."""
    name = market.propose()
    desk = served()
    browsers = [desk.browser(who) for who in ("ben", "dan") * 4]
    forms = [browser.fields(name, "approve") for browser in browsers]
    assert len({form["seen"] for form in forms}) == 1
    codes, gate = [], threading.Barrier(len(browsers))

    def press(browser, form):
        gate.wait()
        for _ in range(25):
            codes.append(browser.act(name, "approve", form).status_code)

    threads = [
        threading.Thread(target=press, args=pair) for pair in zip(browsers, forms, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(codes) == 200
    assert (codes.count(200), codes.count(409)) == (1, 199)
    assert events(desk).count("approved") == 1
    assert len(list(desk.project.released.iterdir())) == 1
    assert Journal(desk.project.folder / "log.jsonl").examine().damage is None
