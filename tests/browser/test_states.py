"""Six states of a plan look as they were looked at: small pictures, kept beside this file.

They were seen by people when they were written. To write them anew, after a change that somebody
wants: `DAGCAST_TEST_REFERENCES=write nox -s browser -- -k states`, and look at what changed.
"""

import base64
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from _plans import market

REFERENCES = Path(__file__).parent / "references"
WRITE = os.environ.get("DAGCAST_TEST_REFERENCES") == "write"
LABELS = ("AUS", "BOS", "EWR", "NYC", "SFO")
# Width and height of the window, and what else makes the look.
LOOKS = {
    "light": {"width": 1280, "height": 900},
    "dark": {"width": 1280, "height": 900, "dark": True},
    "telephone": {"width": 390, "height": 844},
    "print": {"width": 794, "height": 1123},
}
# A reference is so many times smaller: letters blur, and blocks, colours and order stay.
TIMES = 8
# Of 255, over all pixels; and the share of pixels that may be off by a fifth of the range. Another
# font moves lines by a few pixels; a colour, a box or a sentence too many is more.
MEAN, FAR, SHARE = 4.0, 51, 0.03
_COMPARED = """async ([now, then, times, far]) => {
  const load = async (text) => { const image = new Image(); image.src = `data:image/png;base64,${text}`; await image.decode(); return image; };
  const shown = await load(now);
  const [width, height] = [shown.width, shown.height].map((side) => Math.round(side / times));
  const pixels = (image) => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(image, 0, 0, width, height);
    return [canvas, context.getImageData(0, 0, width, height).data];
  };
  const [canvas, own] = pixels(shown);
  const small = canvas.toDataURL("image/png").split(",")[1];
  if (!then) return { small };
  const [, other] = pixels(await load(then));
  let sum = 0, beyond = 0;
  for (let i = 0; i < own.length; i += 4) {
    const off = [0, 1, 2].map((k) => Math.abs(own[i + k] - other[i + k]));
    sum += off[0] + off[1] + off[2];
    if (Math.max(...off) > far) beyond++;
  }
  return { small, mean: sum / (0.75 * own.length), share: beyond / (own.length / 4) };
}"""  # noqa: E501


def page_of(state):
    """The page of a plan in one of the six states."""
    if state == "worse":
        return market(labels=LABELS, seed=5, gain=-1.0, losers=(1,)).page()
    made = market(labels=LABELS, seed=5, losers=(1,))
    if state in ("infeasible", "edited"):
        first, *rest = made.summary.budgets
        over = replace(first, limit=0.9 * first.used, binding=False, words="", price=0.0)
        budgets = (over, *rest)
        summary = replace(made.summary, status="infeasible", budgets=budgets, worst_violation=0.11)
        if state == "infeasible":
            conflicts = ("incentive spend is at most $2,558", "pickup ETA in EWR is at most 4 min")
            return replace(made, summary=replace(summary, conflicts=conflicts)).page()
        summary = replace(summary, kind="edited")
        return replace(made, summary=summary).page(author="ana", parent="plan-0006")
    more = {
        "optimal": {},
        "stale": {"against": ("data were ingested since it was made", "a newer fit was made")},
        "approved": {"state": "approved by ben, 3 Mar 2026 09:00 UTC: within the budget"},
    }[state]
    return made.page(**more)


STATES = ("optimal", "worse", "infeasible", "edited", "stale", "approved")


@pytest.fixture(scope="module")
def blank(browser):
    """A page on which pictures are compared."""
    tab = browser.new_page()
    yield tab
    tab.close()


def compared(blank, now, then):
    texts = [base64.b64encode(one).decode() if one else "" for one in (now, then)]
    return blank.evaluate(_COMPARED, [*texts, TIMES, FAR])


def alike(found):
    return found["mean"] <= MEAN and found["share"] <= SHARE


@pytest.mark.parametrize("look", list(LOOKS))
@pytest.mark.parametrize("state", STATES)
def test_states_look_as_they_were_looked_at(opened, blank, tmp_path, state, look):
    found = opened(page_of(state), **LOOKS[look])
    if look == "print":
        found.tab.emulate_media(media="print")
    found.tab.wait_for_timeout(150)
    shown = found.tab.screenshot()
    path = REFERENCES / f"{state}-{look}.png"
    if WRITE:
        path.write_bytes(base64.b64decode(compared(blank, shown, b"")["small"]))
    told = compared(blank, shown, path.read_bytes())
    if not alike(told):
        actual = tmp_path / path.name
        actual.write_bytes(shown)
        pytest.fail(f"{actual} is not as {path}: {told['mean']:.1f}, {told['share']:.1%} far off")


@pytest.mark.parametrize("look", list(LOOKS))
def test_states_are_told_apart_by_their_pictures(blank, look):
    """A picture of another state is a wrong answer, which the comparison has to see."""
    pictures = {s: (REFERENCES / f"{s}-{look}.png").read_bytes() for s in STATES}
    for state in ("worse", "infeasible", "edited", "stale"):
        # Both are small already.
        texts = [base64.b64encode(pictures[s]).decode() for s in (state, "optimal")]
        assert not alike(blank.evaluate(_COMPARED, [*texts, 1, FAR])), state


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("optimal", "optimal under its models"),
        ("worse", "optimal under its models"),
        ("infeasible", "some limits cannot be kept"),
        ("edited", "decided by people; 1 limit broken"),
        ("stale", "optimal under its models"),
        ("approved", "optimal under its models"),
    ],
)
def test_states_are_said_in_words_too(opened, state, said):
    found = opened(page_of(state))
    assert said in found.text(".status").lower()
    head, facts = found.text("h1"), found.text(".facts")
    assert ("Going on as before is worth" in head) == (state == "worse")
    assert ("No plan keeps all limits" in head) == (state == "infeasible")
    assert ("over the budget" in head) == (state == "edited")
    assert (found.tab.locator(".against").count() == 1) == (state == "stale")
    assert ("approved by ben" in facts) == (state == "approved")
