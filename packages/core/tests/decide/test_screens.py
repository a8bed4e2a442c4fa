"""What notebooks show of a plan, a problem, a contract and a collection: one screen, escaped."""

import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest

from dagcast_core.contract import Contract, Quantity, Screen
from dagcast_core.decide import Objective, OutcomeLimit, solve
from dagcast_core.dims import HOUR


def fits(shown):
    lines = shown.splitlines()
    return len(lines) <= 20 and max(map(len, lines)) <= 100


@pytest.fixture
def named(problem):
    """The problem with an objective that HTML would take for an element."""
    return replace(problem, objective=Objective("rides", label="rides <b>now</b>"))


def test_a_problem_says_what_is_decided_for_what_and_within_which_limits(named):
    shown = repr(named)
    assert fits(shown)
    assert "72 cells" in shown
    assert "max rides <b>now</b>" in shown
    assert "spend (incentive, region, hour) from 0 to 60 USD/h" in shown
    assert "sum of spend <= 2000" in shown
    assert "eta <= 4.03 to 4.6 in 3 of region" in shown
    assert fits(repr(replace(named, constraints=[
        OutcomeLimit("rides", ">=", float(k), reduce="sum", where={"region": ("A",)})
        for k in range(40)
    ])))  # fmt: skip
    element = ElementTree.fromstring(named._repr_html_())
    assert not list(element.iter("b"))


def test_a_plan_says_its_status_and_what_binds(named):
    plan = solve(named)
    shown = repr(plan)
    assert fits(shown)
    assert shown.startswith(f"Plan, {plan.status}: rides <b>now</b>")
    assert "spend (incentive: 2, region: 3, hour: 12)" in shown
    assert "binding" in shown
    long = replace(plan, warnings=tuple(f"warning {k}\nof two lines" for k in range(60)))
    assert fits(repr(long))
    assert "more" in repr(long).splitlines()[-1]
    assert not list(ElementTree.fromstring(plan._repr_html_()).iter("b"))


def test_a_collection_draws_its_graph(make):
    collection = make.market()
    shown = repr(collection)
    assert fits(shown)
    assert "supply, sessions -> eta" in shown
    root = ElementTree.fromstring(collection._repr_html_())
    space = "{http://www.w3.org/2000/svg}"
    assert len(list(root.iter(f"{space}rect"))) == len(collection.order) == 4


def test_a_contract_is_escaped_and_cut():
    many = tuple(Quantity(f"quantity_{k}", (HOUR,), "<i>") for k in range(40))
    contract = Contract("much", inputs=many[:20], outputs=many[20:], description="a & <b>" * 30)
    assert fits(repr(contract))
    assert "and 22 more" in repr(contract)
    root = ElementTree.fromstring(contract._repr_html_())
    assert not [*root.iter("i"), *root.iter("b")]


def test_a_screen_holds_twenty_lines():
    """Exactly twenty stay; the twenty-first is counted."""
    rows = tuple((f"r{k}", "x" * 200) for k in range(20))
    assert "more" not in str(Screen("t", rows[:19]))
    assert str(Screen("t", rows)).splitlines()[-1].split() == ["...", "and", "2", "more"]
    assert fits(str(Screen("t", rows)))
