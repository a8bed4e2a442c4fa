from dataclasses import replace

import pytest

from dagcast_core.contract import (
    Contract,
    ContractError,
    Dim,
    Effect,
    Input,
    Quantity,
    Weighted,
    differences,
    evolution_problem,
    evolution_problems,
    least_bump,
    least_version,
    read_snapshot,
    snapshot,
)
from dagcast_core.dims import HOUR

REGION = Dim("region")

OUT = Quantity("eta", (REGION, HOUR), "min", bounds=(0, 60))
NULLABLE = replace(OUT, nullable=True)
IN = Input(Quantity("sessions", (REGION, HOUR), "session/h", bounds=(0, 100)))
OPTIONAL = Input(Quantity("rain", (REGION, HOUR), "mm/h"), required=False, default=0.0)
LAGGED = Input(Quantity("trend", (REGION, HOUR), "1"), lag=24)
PLUS = Effect("sessions", "eta", "+", evidence="eta-1")
OPEN = Effect("rain", "eta", "?")
STEP = Effect("trend", "eta", "?", differentiable=False)


def contract(inputs=(IN, OPTIONAL, LAGGED), outputs=(OUT,), effects=(PLUS, OPEN, STEP), **terms):
    return Contract(
        "eta", inputs=inputs, outputs=outputs, effects=effects, **{"look_ahead": 3, **terms}
    )


def output(**changes):
    return contract(outputs=(replace(OUT, **changes),))


def reading(**changes):
    changed = Input(replace(IN.quantity, **changes))
    return contract(inputs=(changed, OPTIONAL, LAGGED))


def effects(*changed):
    return contract(effects=changed)


NOTHING_CLAIMED = contract(
    (Input(replace(IN.quantity, typical=(1, 2))), OPTIONAL, LAGGED), effects=(OPEN,)
)
BEFORE = contract()
DAY = replace(HOUR, frequency="D")
# Each rule with a change that it forbids in a smaller version, beside one that it allows there.
RULES = [
    ("output removed", contract(outputs=(OUT, replace(OUT, name="wait"))), BEFORE, "major"),
    ("output added", BEFORE, contract(outputs=(OUT, replace(OUT, name="wait"))), "minor"),
    ("output bounds wider", BEFORE, output(bounds=(0, 90)), "major"),
    ("output bounds open", BEFORE, output(bounds=(0, None)), "major"),
    ("output bounds narrower", BEFORE, output(bounds=(1, 60)), "minor"),
    ("output nullable", BEFORE, output(nullable=True), "major"),
    ("output no longer nullable", contract(outputs=(NULLABLE,)), BEFORE, "minor"),
    (
        "required input added",
        contract(inputs=(IN, OPTIONAL, LAGGED)),
        contract(inputs=(IN, OPTIONAL, LAGGED, Input(Quantity("fare", (REGION,), "USD")))),
        "major",
    ),
    (
        "optional input added",
        contract(inputs=(IN, LAGGED), effects=(PLUS,)),
        contract(effects=(PLUS,)),
        "minor",
    ),
    (
        "input removed",
        contract(effects=(PLUS,)),
        contract(inputs=(IN, LAGGED), effects=(PLUS,)),
        "minor",
    ),
    ("input required", BEFORE, contract(inputs=(IN, Input(OPTIONAL.quantity), LAGGED)), "major"),
    ("input optional", contract(inputs=(IN, Input(OPTIONAL.quantity), LAGGED)), BEFORE, "minor"),
    (
        "default changed",
        BEFORE,
        contract(inputs=(IN, replace(OPTIONAL, default=1.0), LAGGED)),
        "major",
    ),
    ("input bounds narrower", BEFORE, reading(bounds=(0, 50)), "major"),
    ("input bounds wider", BEFORE, reading(bounds=(0, None)), "minor"),
    ("input takes missing cells", BEFORE, reading(nullable=True), "minor"),
    ("input refuses missing cells", reading(nullable=True), BEFORE, "major"),
    ("lag longer", BEFORE, contract(inputs=(IN, OPTIONAL, replace(LAGGED, lag=48))), "major"),
    ("lag shorter", BEFORE, contract(inputs=(IN, OPTIONAL, replace(LAGGED, lag=1))), "major"),
    ("look-ahead wider", BEFORE, contract(look_ahead=4), "major"),
    ("look-ahead narrower", BEFORE, contract(look_ahead=0), "minor"),
    ("effect removed", BEFORE, effects(PLUS, STEP), "major"),
    ("effect added", effects(PLUS, STEP), BEFORE, "minor"),
    ("effect turned", BEFORE, effects(replace(PLUS, sign="-"), OPEN, STEP), "major"),
    ("claim taken back", BEFORE, effects(replace(PLUS, sign="?"), OPEN, STEP), "major"),
    ("claim made", BEFORE, effects(PLUS, replace(OPEN, sign="-"), STEP), "minor"),
    (
        "no longer differentiable",
        BEFORE,
        effects(replace(PLUS, differentiable=False), OPEN, STEP),
        "major",
    ),
    (
        "now differentiable",
        BEFORE,
        effects(PLUS, OPEN, replace(STEP, differentiable=True)),
        "minor",
    ),
    ("evidence renewed", BEFORE, effects(replace(PLUS, evidence="eta-2"), OPEN, STEP), "patch"),
    ("plugin API major", BEFORE, contract(plugin_api="2"), "major"),
    ("plugin API minor", BEFORE, contract(plugin_api="1.1"), "minor"),
    ("description", BEFORE, contract(description="better words"), "none"),
    ("title", BEFORE, output(title="Wait", better="lower", display="number"), "none"),
    ("typical range of an output", BEFORE, output(typical=(1, 9)), "none"),
    ("typical range narrower", BEFORE, reading(typical=(20, 30)), "major"),
    ("typical range moved", reading(typical=(1, 9)), reading(typical=(5, 20)), "major"),
    ("typical range wider", reading(typical=(1, 9)), reading(typical=(1, 20)), "minor"),
    ("typical range wider than the bounds say", reading(typical=(1, 9)), BEFORE, "minor"),
    ("typical range without claims", contract(effects=(OPEN,)), NOTHING_CLAIMED, "patch"),
    ("order of dims of an output", BEFORE, output(dims=(HOUR, REGION)), "none"),
    ("order of dims of an input", BEFORE, reading(dims=(HOUR, REGION)), "none"),
]
DEFINITIONS = {
    "dims": {"dims": (REGION, HOUR, Dim("incentive"))},
    "dtype": {"dtype": "float32"},
    "unit": {"unit": "h"},
    "aggregation": {"aggregation": {"hour": Weighted("rides")}},
    "frequency": {"dims": (REGION, DAY)},
    "zone": {"dims": (REGION, replace(HOUR, zone="Europe/Berlin"))},
    "vocabulary": {"dims": (replace(REGION, vocabulary="region/v2"), HOUR)},
}
for _term, _change in DEFINITIONS.items():
    RULES.append((f"{_term} of an output", BEFORE, output(**_change), "major"))
    RULES.append((f"{_term} of an input", BEFORE, reading(**_change), "major"))

VERSIONS = {"major": "2.0.0", "minor": "1.1.0", "patch": "1.0.1", "none": "1.0.0"}


@pytest.mark.parametrize(("rule", "before", "after", "bump"), RULES, ids=[r[0] for r in RULES])
def test_rule_moves_the_version_as_far_as_it_must_and_no_further(rule, before, after, bump):
    assert least_bump(differences(before, after)) == bump
    enough = replace_version(after, VERSIONS[bump])
    assert evolution_problem(before, enough) is None
    smaller = {"major": "1.9.9", "minor": "1.0.9", "patch": "1.0.0", "none": None}[bump]
    if smaller is not None:
        problem = evolution_problem(before, replace_version(after, smaller))
        assert problem is not None
        assert problem.code == "DC301"
        assert problem.expected.startswith(f"at least {VERSIONS[bump]} ({bump}: ")
        assert problem.fix.startswith(f"write version='{VERSIONS[bump]}' in its Contract")


def replace_version(contract, version):
    return Contract.from_json({**contract.to_json(), "version": version})


def test_unchanged_contract_needs_no_new_version():
    assert differences(BEFORE, contract()) == ()
    assert evolution_problem(BEFORE, contract()) is None


def test_problem_names_what_changed_from_what_to_what():
    problem = evolution_problem(BEFORE, output(unit="h"), producer="eta (dagcast-eta 0.4.1)")
    assert str(problem) == (
        "DC301 [<- eta (dagcast-eta 0.4.1)] contract version of 'eta': expected at least 2.0.0 "
        "(major: unit of output 'eta': min -> h); found 1.0.0. fix: write version='2.0.0' in its "
        "Contract, or add an output of its own with the new meaning"
    )


def test_all_changes_are_listed_worst_first():
    changed = contract(outputs=(replace(OUT, unit="h", bounds=(1, 60)),), look_ahead=4)
    assert evolution_problem(BEFORE, changed).expected == (
        "at least 2.0.0 (major: unit of output 'eta': min -> h; look-ahead: 3 -> 4; "
        "minor: bounds of output 'eta': [0, 60] -> [1, 60])"
    )


FARE = Quantity("fare", (REGION, HOUR), "USD/ride")
WAIT = replace(OUT, name="wait")
WORDS = [
    (
        "sign dropped",
        effects(replace(PLUS, sign="?")),
        "sessions -> eta: sign +, no longer claimed",
    ),
    ("effect dropped", effects(OPEN), "effect sessions -> eta: sign +, no longer claimed"),
    (
        "sign turned",
        effects(replace(PLUS, sign="-")),
        "sign of the effect sessions -> eta: '+' -> '-'",
    ),
    (
        "output gone",
        contract(outputs=(FARE,), effects=()),
        "output 'eta': produced, no longer produced",
    ),
    (
        "input gone",
        contract(inputs=(OPTIONAL, LAGGED), effects=()),
        "input 'sessions': read, no longer read",
    ),
    (
        "input added",
        contract(inputs=(IN, OPTIONAL, LAGGED, Input(FARE))),
        "input 'fare': now required",
    ),
    (
        "optional input added",
        contract(inputs=(IN, OPTIONAL, LAGGED, Input(FARE, required=False, default=3.0))),
        "input 'fare': now read where it is there, else 3",
    ),
    (
        "output renamed",
        contract(outputs=(WAIT,), effects=(Effect("sessions", "wait", evidence="eta-1"),)),
        "output 'eta': renamed 'wait' (same unit 'min' and dims [region, hour])",
    ),
    (
        "claim on less",
        reading(typical=(20, 30)),
        "0 to 100 -> 20 to 30, so the claimed signs now hold on less",
    ),
]


@pytest.mark.parametrize(("case", "after", "words"), WORDS, ids=[w[0] for w in WORDS])
def test_what_is_not_there_is_said_in_words(case, after, words):
    found = [str(item) for item in differences(BEFORE, after)]
    assert any(item.endswith(words) for item in found), found
    assert not any("-> -" in item.replace("'-'", "") for item in found)


def test_rename_is_one_change_and_both_ways_out_are_offered():
    renamed = contract(
        outputs=(WAIT,),
        effects=(
            Effect("sessions", "wait", evidence="eta-1"),
            replace(OPEN, outcome="wait"),
            replace(STEP, outcome="wait"),
        ),
    )
    assert len(differences(BEFORE, renamed)) == 1
    assert evolution_problem(BEFORE, renamed).fix == (
        "write version='2.0.0' in its Contract, or go on making 'eta' beside 'wait' until its "
        "readers have moved"
    )


def test_output_of_another_unit_is_no_rename():
    found = differences(BEFORE, contract(outputs=(replace(WAIT, unit="s"),), effects=()))
    assert {str(item) for item in found} >= {
        "output 'eta': produced, no longer produced",
        "output 'wait': now produced",
    }


def test_required_input_offers_the_optional_one():
    after = contract(inputs=(IN, OPTIONAL, LAGGED, Input(FARE)))
    assert evolution_problem(BEFORE, after).fix == (
        "write version='2.0.0' in its Contract, or declare 'fare' with required=False and a "
        "default that reproduces the old result"
    )


def test_narrower_claim_is_to_be_mended_not_hidden():
    problem = evolution_problem(BEFORE, reading(typical=(20, 30)))
    assert "or keep 0 to 100 and mend the model where a claim fails" in problem.fix


def test_version_never_goes_back():
    released = replace_version(BEFORE, "1.2.0")
    problem = evolution_problem(released, BEFORE)
    assert problem.expected == "at least 1.2.0 (as released)"
    assert problem.fix == "write version='1.2.0' in its Contract, or a later one"


@pytest.mark.parametrize(
    ("bump", "expected"),
    [("none", "1.2.3"), ("patch", "1.2.4"), ("minor", "1.3.0"), ("major", "2.0.0")],
)
def test_least_version(bump, expected):
    assert least_version("1.2.3", bump) == expected


def test_model_that_is_gone_is_a_problem_and_a_new_one_is_not():
    other = Contract("other", outputs=(replace(OUT, name="wait"),))
    assert evolution_problems([BEFORE], [BEFORE, other]) == ()
    (problem,) = evolution_problems([BEFORE, other], [BEFORE], producer="dagcast-eta 0.4.1")
    assert (problem.code, problem.name) == ("DC302", "other")
    assert problem.found == "only eta"


def test_renamed_model_is_recognised_by_what_it_makes():
    again = Contract.from_json({**BEFORE.to_json(), "model": "pickup"})
    (problem,) = evolution_problems([BEFORE], [again])
    assert problem.found == "'pickup', a model of another name that makes them"
    assert problem.fix.startswith("name it 'eta' again; or, ")


def test_snapshot_survives_and_unknown_schemas_are_refused():
    data = snapshot("dagcast-eta", [BEFORE])
    assert read_snapshot(data) == ("dagcast-eta", (BEFORE,))
    with pytest.raises(ContractError, match=r"snapshot is 'dagcast\.contracts/9'"):
        read_snapshot({**data, "schema": "dagcast.contracts/9"})
