"""Installed packages as one DAG: checked without torch, then built with it."""

import pytest

from dagcast.assembly import build_collection, build_models, check_assembly
from dagcast.plugins import Plugin, Plugins, load_plugins
from dagcast_core import hooks
from dagcast_core.contract import (
    Arm,
    AssemblyError,
    Cells,
    Change,
    Contract,
    Dim,
    Effect,
    Experiment,
    Problem,
    Quantity,
)
from dagcast_core.dims import HOUR
from dagcast_core.hooks import hookimpl
from dagcast_core.model import Model, ModelCollection

REGION = Dim("region")

SPEND = Quantity("spend", (REGION, HOUR), "USD/h")
HOURS = Quantity("hours", (REGION, HOUR), "h/h")
PROFIT = Quantity("profit", (REGION, HOUR), "USD/h")
ANSWER = Contract("answer", inputs=(SPEND,), outputs=(HOURS,), effects=(Effect(SPEND, HOURS),))
MONEY = Contract("money", inputs=(HOURS,), outputs=(PROFIT,), effects=(Effect(HOURS, PROFIT),))
ASKED = {"externals": [SPEND], "levers": ["spend"], "required": ["profit"]}
LABELS = {"region": ("north", "south")}


class Doubled(Model):
    """Its output is twice its input."""

    def __init__(self, contract: Contract) -> None:
        super().__init__()
        self.contract = contract

    def forward(self, **inputs):
        (given,) = inputs.values()
        return given * 2.0


class Package:
    """A plugin as a module would be one."""

    def __init__(self, *contracts, models=None):
        self.contracts = contracts
        self.models = models or (lambda labels: [Doubled(c) for c in contracts])

    @hookimpl
    def dagcast_contracts(self):
        return list(self.contracts)

    @hookimpl
    def dagcast_models(self, labels):
        return self.models(labels)


def installed(problems=(), **packages):
    manager = load_plugins(path=[]).manager
    plugins = []
    for name, package in packages.items():
        manager.register(package, name=name)
        plugins.append(Plugin(name, f"dagcast-{name}", "1.0.0", package, package.contracts))
    return Plugins(manager, tuple(plugins), tuple(problems))


def test_packages_that_fit_are_built_in_order():
    plugins = installed(money=Package(MONEY), answer=Package(ANSWER))
    collection = build_collection(plugins, LABELS, **ASKED)
    assert collection.order == ("answer", "money")
    assert collection.contract.input_names == ("spend",)


def test_uninstalled_package_is_one_problem_and_nothing_is_built():
    plugins = installed(money=Package(MONEY))
    (problem,) = check_assembly(plugins, **ASKED).problems
    assert str(problem).startswith(
        "DC102 [money (dagcast-money 1.0.0) <-] missing quantity 'hours'"
    )
    with pytest.raises(AssemblyError, match="missing quantity 'hours'"):
        build_collection(plugins, LABELS, **ASKED)


def test_second_producer_is_one_problem_until_one_is_chosen():
    rival = Contract("rival", inputs=(SPEND,), outputs=(HOURS,), effects=(Effect(SPEND, HOURS),))
    plugins = installed(money=Package(MONEY), answer=Package(ANSWER), rival=Package(rival))
    (problem,) = check_assembly(plugins, **ASKED).problems
    assert problem.code == "DC103"
    assembly = check_assembly(plugins, **ASKED, serving={"hours": "dagcast-rival"})
    assert assembly.problems == ()
    assert assembly.order == ("rival", "money")
    models = build_models(plugins, assembly, LABELS)
    assert [model.contract.model for model in models] == ["rival", "money"]


def test_package_that_failed_to_load_is_the_only_problem():
    failed = Problem.of("DC201", "x", producer="answer", expected="a", found="b", fix="c")
    plugins = installed([failed], money=Package(MONEY))
    assert check_assembly(plugins, **ASKED).problems == (failed,)


def test_misfit_is_reported_beside_a_package_that_failed_to_load():
    failed = Problem.of("DC201", "x", producer="answer", expected="a", found="b", fix="c")
    wrong = Contract("wrong", outputs=(Quantity("hours", (REGION, HOUR), "min"),))
    plugins = installed([failed], money=Package(MONEY), wrong=Package(wrong))
    codes = [p.code for p in check_assembly(plugins, **ASKED).problems]
    assert codes == ["DC201", "DC105"]


def test_wrong_name_to_disable_hides_nothing():
    unknown = Problem.of("DC207", "x", expected="a", found="b", fix="c")
    codes = [
        p.code for p in check_assembly(installed([unknown], m=Package(MONEY)), **ASKED).problems
    ]
    assert codes == ["DC207", "DC102"]


def test_collection_of_a_package_stays_whole_unless_a_part_is_swapped():
    def build(labels):
        return [ModelCollection([Doubled(ANSWER), Doubled(MONEY)], name="both")]

    both = Package(ANSWER, MONEY, models=build)
    rival = Contract("rival", inputs=(HOURS,), outputs=(PROFIT,), effects=(Effect(HOURS, PROFIT),))
    whole = build_collection(installed(both=both), LABELS, **ASKED)
    assert list(whole.members) == ["both"]
    mixed = installed(both=both, rival=Package(rival))
    swapped = build_collection(mixed, LABELS, {"profit": "rival"}, **ASKED)
    assert list(swapped.members) == ["answer", "rival"]


def test_model_with_another_contract_than_declared_is_refused():
    other = Contract("answer", version="2.0.0", inputs=(SPEND,), outputs=(HOURS,))
    lying = Package(ANSWER, models=lambda labels: [Doubled(other)])
    plugins = installed(money=Package(MONEY), answer=lying)
    with pytest.raises(AssemblyError, match="carries another contract than the one declared"):
        build_collection(plugins, LABELS, **ASKED)


def test_model_that_is_declared_but_not_built_is_refused():
    idle = Package(ANSWER, models=lambda labels: [])
    with pytest.raises(AssemblyError, match=r"the model 'answer' .*found models only for none"):
        build_collection(installed(money=Package(MONEY), answer=idle), LABELS, **ASKED)


def test_package_that_fails_to_build_is_named():
    def fail(labels):
        raise KeyError("incentive")

    broken = Package(ANSWER, models=fail)
    with pytest.raises(AssemblyError, match=r"DC205 \[<- answer \(dagcast-answer 1.0.0\)\]"):
        build_collection(installed(money=Package(MONEY), answer=broken), LABELS, **ASKED)


def test_labels_reach_the_package():
    seen = {}

    def build(labels):
        seen.update(labels)
        return [Doubled(ANSWER)]

    plugins = installed(money=Package(MONEY), answer=Package(ANSWER, models=build))
    build_collection(plugins, {"region": ["a", "b"]}, **ASKED)
    assert seen == {"region": ("a", "b")}


def test_every_hook_is_specified_once():
    names = [name for name in vars(hooks) if name.startswith("dagcast_")]
    assert "dagcast_contracts" in names
    assert len(names) == 10


def test_lever_without_effect_is_one_problem_however_many_experiments_moved_it():
    trial = Experiment(
        "trial",
        ("spend",),
        "hours",
        cells=Cells(("north",), "2026-01-05T00:00Z", "2026-01-05T05:00Z", dim="region"),
        treatment=Arm("more", (Change("spend", "scale", 1.1),)),
        estimate=1.0,
        standard_error=0.1,
    )
    organic = Contract("organic", outputs=(HOURS,))
    plugins = installed(money=Package(MONEY), organic=Package(organic))
    (problem,) = check_assembly(plugins, experiments=[trial], **ASKED).problems
    assert (problem.code, problem.name) == ("DC118", "spend")
    asked = {**ASKED, "levers": []}
    (problem,) = check_assembly(plugins, experiments=[trial], **asked).problems
    assert problem.code == "DC115"
