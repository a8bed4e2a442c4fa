"""The plugin speaks for tests of the suite alone; the rest is pytest's to report."""

import pytest

# Here first: pytester forgets what a run in this process imports, and numpy loads only once.
import dagcast_core.model  # noqa: F401
import dagcast_testing._suite  # noqa: F401

pytest_plugins = ["pytester"]

MODEL = """
import pytest
from dagcast_core.contract import Contract, Dim, Effect, Quantity
from dagcast_core.dims import HOUR
from dagcast_core.model import Model
from dagcast_testing import ModelContract

REGION = Dim("region")
PRICE = Quantity("price", (REGION, HOUR), "USD", bounds=(1, 100), typical=(5, 20))
RIDES = Quantity("rides", (REGION, HOUR), "ride/h", bounds=(0, None))
CONTRACT = Contract(
    "rides", inputs=(PRICE,), outputs=(RIDES,), effects=(Effect(PRICE, RIDES, sign="-"),)
)


class Rides(Model):
    contract = CONTRACT

    def __init__(self):
        super().__init__()
        self.share = self.parameter(REGION, labels=("north", "south"), start=1.0)

    def forward(self, price, {extra}):
        return self.share.at(price).exp() * price ** {power}

    def loss_terms(self):
        return ()


class TestRides(ModelContract):
    @pytest.fixture
    def model(self):
        return Rides()

    def test_of_our_own(self, model):
        assert len(RIDES.dims) == {dims}


def test_without_a_class():
    assert RIDES.unit == {unit!r}
"""


def run(pytester, *, extra="", power=-1.0, dims=2, unit="ride/h"):
    pytester.makepyfile(MODEL.format(extra=extra, power=power, dims=dims, unit=unit))
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-q")
    return result, [line for line in result.outlines if line.startswith("DC")]


def test_model_that_keeps_its_contract_prints_nothing(pytester):
    result, lines = run(pytester)
    assert result.parseoutcomes()["passed"] > 20
    assert lines == []


@pytest.mark.parametrize("wrong", [{"dims": 3}, {"unit": "ride"}], ids=["in-the-class", "beside"])
def test_a_teams_own_test_is_reported_as_any_other(pytester, wrong):
    result, lines = run(pytester, **wrong)
    assert result.parseoutcomes()["failed"] == 1
    assert lines == []
    # pytest's own report, with the values.
    assert any(line.startswith("E ") and "assert" in line for line in result.outlines)


def test_broken_contract_and_own_test_are_told_apart(pytester):
    result, lines = run(pytester, power=1.0, unit="ride")
    assert result.parseoutcomes()["failed"] == 2
    (line,) = lines
    assert line.startswith("DC401 [<- rides] conformance 'test_effects_have_the_declared_sign")


def test_argument_that_the_contract_lacks_is_one_line_at_collection(pytester):
    _, lines = run(pytester, extra="snow")
    (line,) = lines
    assert "it reads snow, which the contract does not declare" in line


def test_declaration_that_is_none_is_one_line_and_no_verdict_on_a_model(pytester):
    text = MODEL.format(extra="", power=-1.0, dims=2, unit="")
    pytester.makepyfile(text.replace('"ride/h", bounds=(0, None)', '"ride/h", bounds=(1, 0)'))
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-q")
    assert result.parseoutcomes() == {"errors": 1}
    assert not any(line.startswith("DC") for line in result.outlines)
    assert any("ContractError: " in line for line in result.outlines)


def test_module_that_cannot_be_imported_is_pytests_to_report(pytester):
    pytester.makepyfile("import no_such_module")
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-q")
    assert result.parseoutcomes() == {"errors": 1}
    assert not any(line.startswith("DC") for line in result.outlines)
    assert any("ModuleNotFoundError" in line for line in result.outlines)


@pytest.mark.parametrize(
    ("mark", "name"),
    [("skip(reason='later')", "skip"), ("xfail", "xfail"), ("skipif(True, reason='x')", "skipif")],
)
def test_mark_that_drops_inherited_tests_is_refused(pytester, mark, name):
    text = MODEL.format(extra="", power=-1.0, dims=2, unit="ride/h")
    pytester.makepyfile(text.replace("class TestRides", f"@pytest.mark.{mark}\nclass TestRides"))
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-q")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"is marked '{name}', which would drop a test of the model contract" in "\n".join(
        result.errlines
    )
