"""On what a plan stands is said first, in words, and may be limited."""

from dataclasses import replace

import pytest

from dagcast.plans import EvidenceLine, Reading, Standings, evidence_rows

SPEND = Reading("Incentive spend", "USD/h", "money", "", True)
FARE = Reading("Base fare", "USD/ride", "money", "", False)
READINGS = {"spend": SPEND, "fare": FARE}


def line(label="boost", *, measured=0.0, history=0.0, prior=0.0, standing=None, **more):
    parts = {"measured": measured, "history": history, "prior": prior}
    given = {
        "lever": "spend",
        "label": label,
        "standing": standing or max(parts, key=parts.get),
        "amount": measured + history + prior,
        **parts,
        "beyond": 0.0,
        "elsewhere": 0.0,
        "trials": ("trial-1",) if measured else (),
        "stale": (),
        "dose": 5.0 if measured else None,
        "used": 4.0,
    }
    return EvidenceLine(**{**given, **more})


def test_shares_of_the_money_are_said_in_one_line():
    found = Standings((line(measured=60.0), line("streak", history=30.0, prior=10.0)))
    assert (
        found.words(READINGS) == "measured for 60%, history for 30% and prior for 10% of the money"
    )
    assert found.unmeasured(READINGS) == pytest.approx(0.4)


def test_prices_count_only_where_no_lever_is_money():
    fare = line("", prior=1e6, lever="fare")
    assert Standings((line(measured=5.0), fare)).share("measured", READINGS) == 1.0
    assert Standings((fare,)).words(READINGS) == "prior for 100% of the plan"


def test_lever_that_nobody_measured_is_named_before_any_figure():
    found = Standings((line("boost", prior=9.0), line("streak", measured=1.0)))
    first = found.warnings(READINGS)[0]
    assert first.startswith("nobody has measured the effect of incentive spend boost")
    past = Standings((line("boost", history=9.0),)).warnings(READINGS)
    assert past[0].startswith("no fresh trial measured the effect of incentive spend boost")
    assert Standings((line(measured=9.0),)).warnings(READINGS) == ()


def test_money_beyond_tested_doses_and_places_is_said_by_its_share():
    wide = line(measured=60.0, prior=40.0, beyond=40.0, elsewhere=25.0)
    doses, places = Standings((wide,)).warnings(READINGS)
    assert doses.startswith("40% of the money is spent at doses above all that trials gave")
    assert "($5/h for incentive spend boost)" in doses
    assert places.startswith("25% of the money goes to places where no such trial ran")
    little = replace(wide, beyond=0.4, elsewhere=0.4)
    assert Standings((little,)).warnings(READINGS) == ()


@pytest.mark.parametrize(("most", "over"), [(None, False), (0.5, False), (0.4, False), (0.3, True)])
def test_more_may_be_limited(most, over):
    found = Standings((line(measured=60.0, prior=40.0),), most)
    words = found.exceeded(READINGS)
    assert bool(words) is over
    if over:
        assert words == (
            "40.0% of the money goes where no fresh trial measured the effect, where 30.0% is the "
            "most"
        )
        assert found.warnings(READINGS)[0] == words


def test_old_trials_and_those_that_disagree_are_named():
    found = Standings((line(history=4.0, stale=("old-1",)),), None, ("trials disagree",))
    assert found.warnings(READINGS)[-2:] == (
        "1 trial is too old to count as measured: old-1",
        "trials disagree",
    )


def test_table_shows_shares_of_each_label():
    (row,) = evidence_rows([line(measured=60.0, prior=40.0)], READINGS)
    assert row == (
        "Incentive spend: boost",
        "measured",
        "$100",
        "60%",
        "0%",
        "40%",
        "0%",
        "trial-1",
    )
    (empty,) = evidence_rows([line("streak", standing="prior")], READINGS)
    assert empty[1:] == ("prior", "$0", "", "", "", "", "none")
