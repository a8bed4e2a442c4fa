"""What follows from what, and the suite without pytest."""

import torch

from dagcast_core.contract import Contract, Dim, Quantity
from dagcast_core.dims import HOUR
from dagcast_core.model import Model
from dagcast_testing import ModelContract, examine
from dagcast_testing._order import _APART, _FIRST, _FURTHER, follows_from
from dagcast_testing._problems import first_line, problem_of

torch.set_num_threads(1)

REGION = Dim("region")
DEMAND = Quantity("demand", (REGION, HOUR), "1", bounds=(0, None))
SUPPLY = Quantity("supply", (REGION, HOUR), "1", bounds=(0, None))


class Copy(Model):
    contract = Contract("copy", inputs=(DEMAND,), outputs=(SUPPLY,), effects=())

    def forward(self, demand):
        return self.made(demand)

    def made(self, demand):
        return demand.detach() * 0.0 + 1.0


class Negative(Copy):
    def made(self, demand):
        return demand.detach() * 0.0 - 1.0


class Remembering(Copy):
    first = None

    def made(self, demand):
        if self.first is None:
            self.first = demand.detach().mean()
        return demand.detach() * 0.0 + self.first


class Broken(Copy):
    def __init__(self) -> None:
        super().__init__()
        raise ValueError("no such thing")


def test_order_speaks_of_tests_that_exist_and_come_before():
    tests = [name for name in vars(ModelContract) if name.startswith("test_")]
    for name, causes in _FURTHER.items():
        for cause in causes:
            # A test that runs for several things follows from itself.
            assert tests.index(cause) <= tests.index(name)
    assert [name for name in tests if name in _FIRST] == list(_FIRST)
    assert set(_APART) < set(tests)


def test_what_needs_no_prediction_follows_from_nothing():
    assert follows_from("test_contract_survives_json", _FIRST) is None
    assert follows_from("test_short_horizons", _FIRST[3:4]) == _FIRST[3]
    assert follows_from(_FIRST[0], _FIRST) is None
    assert follows_from("test_short_horizons", ()) is None


def test_honest_model_fails_nothing():
    assert [finding.text for finding in examine(Copy) if finding.outcome == "failed"] == []


def test_one_cause_is_one_finding_and_the_rest_says_so():
    found = examine(Negative)
    (failed,) = [finding for finding in found if finding.outcome == "failed"]
    assert failed.text.startswith("copy: expected output 'supply' in (0.0, None); found -1 at (")
    skipped = [finding for finding in found if finding.outcome == "skipped"]
    apart = "no installed package registers a module of 'packages'"
    assert {finding.text for finding in skipped} == {f"follows from {failed.test}", apart}
    assert [finding.test for finding in found if finding.outcome == "passed"]


def test_what_a_model_remembers_of_other_tests_is_caught_in_the_suite():
    failed = [finding for finding in examine(Remembering) if finding.outcome == "failed"]
    assert [finding.test for finding in failed] == ["test_prediction_is_repeatable"]


def test_model_that_cannot_be_built_is_the_only_finding():
    (finding,) = examine(Broken)
    assert finding.outcome == "failed"
    assert finding.text.startswith("ValueError: no such thing at test_order.py:")


def test_problem_takes_a_message_apart_and_says_how_to_try_again():
    problem = problem_of("test_x", "eta: expected a; found b. fix: c", distribution="dagcast-eta")
    assert str(problem) == (
        "DC401 [<- eta (dagcast-eta)] conformance 'test_x': expected a; found b. fix: c; try "
        "again with DAGCAST_CONFORMANCE=dagcast-eta pytest --pyargs dagcast_testing.conformance "
        "-k test_x"
    )
    other = problem_of("test_x", "KeyError: 'region' at model.py:3", model="eta")
    assert (other.expected, other.producer) == ("the test to pass", "eta")


def test_what_pytest_adds_to_an_assertion_is_left_out():
    assert first_line("AssertionError: a: expected b;\n found c\nassert False") == (
        "a: expected b; found c"
    )
