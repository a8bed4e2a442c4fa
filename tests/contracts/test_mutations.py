"""What breaks a team's model or contract is caught by the team's own CI, in one line.

Each case is a change of one small package's source and, beside it, a harmless twin: the first fails
exactly one test, whose line says where and what to do, and the second fails none.
"""

import os
import subprocess
import sys

import pytest
import torch
from _mutations import TEAM, Change, TeamPackage, changed_files

from dagcast.config import Config
from dagcast.conformance import check_conformance
from dagcast.units import unit_problems
from dagcast.workflow.common._assembled import demands
from dagcast_core.contract import Dim, Quantity, Registration, assemble, evolution_problem
from dagcast_core.dims import HOUR
from dagcast_testing import examine

torch.set_num_threads(1)

REGION = Dim("region")
AHEAD = "test_never_reads_past_the_look_ahead"
BACK = "test_reads_back_no_further_than_its_memory"
RIDES = "        rides = sessions.clamp(min=0.0) * chance\n"
CHANCE = "        dear = self.cost * price\n"


def model(old, new):
    return Change("model.py", old, new)


def contract(old, new):
    return Change("contract.py", old, new)


def after_rides(lines):
    """A change that adds ``lines`` once the rides are computed."""
    return model(RIDES, RIDES + "".join(f"        {line}\n" for line in lines.split("\n")))


def after_start(lines):
    """A change that adds ``lines`` to the constructor."""
    last = "        self.wet = self.parameter(start=0.02)\n"
    return model(last, last + "".join(f"        {line}\n" for line in lines.split("\n")))


EXP = '        self.cost = self.parameter(REGION, labels=regions, start=0.05, transform="exp")\n'
NOW = "        dear = dear * (d.now().year > 0)\n"
THEN = "        dear = dear * (d(2026, 1, 5).year > 0)\n"
JOIN = "    contract = CONTRACT\n"
INNER = '    join = "inner"\n'
IMPORT = "import torch\n"
# name, what breaks, its harmless twin, the test that catches it, what the line says
CASES = [
    (
        "input changed in place",
        after_rides("with torch.no_grad():\n    sessions.tensor.mul_(1.01)"),
        after_rides("with torch.no_grad():\n    sessions.tensor.clone().mul_(1.01)"),
        "test_prediction_changes_nothing",
        "expected input 'sessions' unchanged; found it changed in place",
    ),
    (
        "undeclared argument of forward",
        model(
            "        rain: IndexTensor,\n",
            "        rain: IndexTensor,\n        snow: IndexTensor,\n",
        ),
        model("        rain: IndexTensor,\n", "        rain: IndexTensor | IndexTensor,\n"),
        "model",
        "ContractError: forward of Rides does not match the contract 'rides': it reads snow",
    ),
    (
        "not a number",
        after_rides("rides = rides * (sessions - sessions) / (sessions - sessions)"),
        after_rides("rides = rides * (sessions + 1.0) / (sessions + 1.0)"),
        "test_output_keeps_bounds_and_is_a_number",
        "expected numbers in output 'rides'; found NaN at (region=north, hour=2026-01-05 00:00",
    ),
    (
        "negative output",
        after_rides("rides = rides - 10.0"),
        after_rides("rides = (rides - 10.0).softplus()"),
        "test_output_keeps_bounds_and_is_a_number",
        "expected output 'rides' in (0.0, None); found -",
    ),
    (
        "inner join with the trained regions",
        (model(JOIN, JOIN + INNER), model("self.cost * price", "self.cost.value() * price")),
        (model(JOIN, JOIN + INNER), model("self.cost * price", "price * self.cost.at(price)")),
        "test_unseen_labels_are_pooled",
        "expected output 'chance' along 'region' to have the 4 labels of its inputs in their "
        "order; found missing unseen region",
    ),
    (
        "one output of two loses a new region",
        after_rides("with align('inner'):\n    rides = self.cost.value() * 0.0 + rides"),
        after_rides("with align('inner'):\n    rides = self.cost.at(rides) * 0.0 + rides"),
        "test_unseen_labels_are_pooled",
        "expected output 'rides' along 'region'",
    ),
    (
        "looks one hour ahead at 08:00 only",
        after_rides(
            "early = torch.tensor(sessions.index('hour').hour.to_numpy() == 8)\n"
            "later = torch.cat([rides.tensor[:, 1:], rides.tensor[:, -1:]], 1)\n"
            "rides = rides.with_tensor(torch.where(early, later, rides.tensor))"
        ),
        after_rides(
            "early = torch.tensor(sessions.index('hour').hour.to_numpy() == 8)\n"
            "rides = rides.with_tensor(torch.where(early, 0.9 * rides.tensor, rides.tensor))"
        ),
        AHEAD,
        "08:00:00+00:00) and 2 more cells when 'sessions' changed from 2026-01-05 09:00",
    ),
    (
        "waits for the horizon's end",
        after_rides(
            "last = torch.cat([rides.tensor[:, :-1], 2.0 * rides.tensor[:, -1:]], 1)\n"
            "rides = rides.with_tensor(last)"
        ),
        after_rides(
            "same = torch.cat([rides.tensor[:, :-1], rides.tensor[:, -1:]], 1)\n"
            "rides = rides.with_tensor(same)"
        ),
        AHEAD,
        "expected 'rides' not to depend on where the horizon ends",
    ),
    (
        "gradient cut for part of the cells",
        after_rides(
            "quiet = sessions.tensor < 30.0\n"
            "rides = rides.with_tensor(torch.where(quiet, rides.tensor.detach(), rides.tensor))"
        ),
        after_rides(
            "quiet = sessions.tensor < 30.0\n"
            "rides = rides.with_tensor(torch.where(quiet, rides.tensor.clone(), rides.tensor))"
        ),
        "test_gradients_equal_finite_differences",
        "found 0 at (region=",
    ),
    (
        "gradient cut in one cell",
        after_rides(
            "flat = rides.tensor.clone()\nflat[..., 7:8] = flat[..., 7:8].detach()\n"
            "rides = rides.with_tensor(flat)"
        ),
        after_rides(
            "flat = rides.tensor.clone()\nflat[..., 7:8] = flat[..., 7:8] * 1.0\n"
            "rides = rides.with_tensor(flat)"
        ),
        "test_gradients_equal_finite_differences",
        "found 0 at (region=north, hour=2026-01-05 07:00:00+00:00), the first such cell",
    ),
    (
        "state outside state_dict from another team's quantity",
        (
            model(
                'self.usual.fill_(history["bookings"].tensor.mean())',
                'self.booked = float(history["bookings"].tensor.mean())',
            ),
            after_rides('rides = rides * getattr(self, "booked", 1.0)'),
        ),
        model("tensor.mean())", "tensor.double().mean())"),
        "test_state_dict_round_trip",
        "found that warm_start left something outside",
    ),
    (
        "right but one hour late",
        after_rides(
            "rides = rides.with_tensor(torch.cat([rides.tensor[:, :1], rides.tensor[:, :-1]], 1))"
        ),
        after_rides(
            "rides = rides.with_tensor(torch.cat([rides.tensor[:, :1], rides.tensor[:, 1:]], 1))"
        ),
        BACK,
        "expected 'rides' not to depend on inputs more than 0 steps back",
    ),
    (
        "start values that differ between two constructions",
        model("start=0.02", "start=0.02 * float(torch.rand(()))"),
        model("start=0.02", "start=0.02 * float(torch.ones(()))"),
        "test_two_constructions_agree",
        "expected 'wet.raw' to start the same in every construction",
    ),
    (
        "a wall clock read",
        Change("model.py", CHANCE, CHANCE + "        dear = dear * (1.0 + (time.time() > 0))\n"),
        Change(
            "model.py", CHANCE, CHANCE + "        dear = dear * (1.0 + (time.gmtime(0)[0] > 0))\n"
        ),
        "test_prediction_is_repeatable",
        "reads the clock, time.time()",
    ),
    (
        "a calendar date read",
        Change(
            "model.py", CHANCE, CHANCE + "        dear = dear * (pd.Timestamp.now().year > 0)\n"
        ),
        Change("model.py", CHANCE, CHANCE + "        dear = dear * (pd.Timestamp(0).year > 0)\n"),
        "test_prediction_is_repeatable",
        "reads the clock, pd.Timestamp.now()",
    ),
    (
        "a clock read in a function's own import",
        model(CHANCE, "        from datetime import datetime as d\n\n" + CHANCE + NOW),
        model(CHANCE, "        from datetime import datetime as d\n\n" + CHANCE + THEN),
        "test_prediction_is_repeatable",
        "reads the clock, d.now()",
    ),
    (
        "a global generator",
        after_rides("rides = rides * float(np.random.rand())"),
        after_rides("rides = rides * float(np.random.default_rng(0).random())"),
        "test_prediction_is_repeatable",
        "expected the same 'rides' from the same inputs; found a difference between two calls",
    ),
    (
        "weights by position",
        after_rides(
            "place = 1.0 + (torch.arange(rides.tensor.shape[0]) % 2).double()\n"
            "rides = rides.with_tensor(rides.tensor * place[:, None])"
        ),
        after_rides(
            "place = 1.0 + 0.0 * torch.arange(rides.tensor.shape[0]).double()\n"
            "rides = rides.with_tensor(rides.tensor * place[:, None])"
        ),
        "test_label_order_does_not_matter",
        "by label to be the same when the labels of 'region' come in another order",
    ),
    (
        "a position in the window",
        after_rides(
            "step = torch.arange(rides.tensor.shape[1]).double()\n"
            "rides = rides.with_tensor(rides.tensor * (1.0 + 1e-3 * step))"
        ),
        after_rides(
            "step = torch.tensor([float(label.day) for label in sessions.index('hour')])\n"
            "rides = rides.with_tensor(rides.tensor * (1.0 + 1e-3 * step))"
        ),
        "test_other_windows",
        "expected 'rides' not to depend on where a window begins",
    ),
    (
        "a day of the year beyond 365",
        after_rides(
            "table = torch.ones(365, dtype=torch.float64)\n"
            "day = torch.tensor([label.day_of_year - 1 for label in sessions.index('hour')], "
            "dtype=torch.long)\n"
            "rides = rides.with_tensor(rides.tensor * table[day + (day > 58)])"
        ),
        after_rides(
            "table = torch.ones(367, dtype=torch.float64)\n"
            "day = torch.tensor([label.day_of_year - 1 for label in sessions.index('hour')], "
            "dtype=torch.long)\n"
            "rides = rides.with_tensor(rides.tensor * table[day + (day > 58)])"
        ),
        "test_other_windows",
        "expected a prediction over a year's end; found IndexError",
    ),
    (
        "an hour that the clocks skip",
        after_rides(
            "local = sessions.index('hour').tz_convert('Europe/Berlin').tz_localize(None)\n"
            "rides = rides.isel(hour=[i for i, d in enumerate(local.duplicated()) if not d])"
        ),
        after_rides(
            "local = sessions.index('hour').tz_convert('Europe/Berlin')\n"
            "rides = rides.isel(hour=[i for i, d in enumerate(local.duplicated()) if not d])"
        ),
        "test_other_windows",
        "expected output 'rides' along 'hour' to have the 24 labels of its inputs",
    ),
    (
        "a horizon of one hour",
        after_rides("rides = rides.with_tensor(rides.tensor + 0.0 * rides.tensor[:, [1]])"),
        after_rides("rides = rides.with_tensor(rides.tensor + 0.0 * rides.tensor)"),
        "test_short_horizons",
        "expected a prediction over a horizon of 1 steps; found",
    ),
    (
        "overflow",
        after_rides("rides = rides * (0.001 * (1.0 + rain).log() * rain * 1e3).exp().log1p()"),
        after_rides("rides = rides * (0.001 * rain).tanh().exp().log1p()"),
        "test_large_values_and_single_precision",
        "found an infinite value at",
    ),
    (
        "float32 half-way",
        after_rides("rides = (rides.to(torch.float32) * 1.0).to(torch.float64)"),
        after_rides("rides = (rides.to(torch.float64) * 1.0).to(torch.float64)"),
        "test_gradients_equal_finite_differences",
        "to equal the finite difference",
    ),
    (
        "digits that cancel in float32",
        after_rides("rides = rides + ((sessions + 1e7) - 1e7).abs()"),
        after_rides("rides = rides + ((sessions + 1.0) - 1.0).abs()"),
        "test_large_values_and_single_precision",
        "expected 'rides' of inputs in float32 to equal that of the same in float64",
    ),
    (
        "a share that is summed",
        contract("aggregation=BY_SESSIONS", "aggregation=SUM"),
        contract("aggregation=BY_SESSIONS", 'aggregation={"region": Weighted("sessions")}'),
        "test_outputs_roll_up_as_declared",
        "expected output 'chance' in (0.0, 1.0); found",
    ),
    (
        "a rate per ride that is summed",
        contract(
            'RIDES = Quantity("rides", BY_CELL, "ride/h"',
            'RIDES = Quantity("rides", BY_CELL, "ride/session"',
        ),
        contract(
            'RIDES = Quantity("rides", BY_CELL, "ride/h"',
            'RIDES = Quantity("rides", BY_CELL, "ride/day"',
        ),
        "test_outputs_roll_up_as_declared",
        "expected output 'rides' in ride/session to be averaged along 'region'",
    ),
    (
        "a turned sign",
        model("(-dear - 0.1", "(dear - 6.0 - 0.1"),
        model("(-dear - 0.1", "(-1.1 * dear - 0.1"),
        "test_effects_have_the_declared_sign_in_every_region",
        "expected the effect price -> chance (-) to have the sign '-' everywhere",
    ),
    (
        "a path without an effect",
        contract('        Effect(RAIN, RIDES, sign="?"),\n', ""),
        contract(
            '        Effect(RAIN, RIDES, sign="?"),\n', '        Effect(RAIN, RIDES, sign="-"),\n'
        ),
        "test_every_path_is_declared",
        "expected an Effect('rain', 'rides')",
    ),
]
MODULES = "\n".join(
    (
        "import time",
        "import numpy as np",
        "import pandas as pd",
        IMPORT,
        "from dagcast_core import align\n",
    )
)


@pytest.mark.parametrize(
    ("change", "twin", "test", "line"),
    [case[1:] for case in CASES],
    ids=[case[0].replace(" ", "-") for case in CASES],
)
def test_mutation_fails_one_test_in_one_line_and_its_twin_none(tmp_path, change, twin, test, line):
    found = failures(tmp_path, change)
    assert [f.test for f in found] == [test], "\n".join(f"{f.test}: {f.text}" for f in found)
    (failed,) = found
    assert line in failed.text
    assert "\n" not in failed.text
    assert [f.text for f in failures(tmp_path, twin)] == []


def failures(folder, *changes):
    flat = [c for change in changes for c in (change if isinstance(change, tuple) else (change,))]
    package = TeamPackage(folder, *flat, model(IMPORT, MODULES))

    def build():
        return package.module("model").Rides(("north", "south", "west"))

    return [finding for finding in examine(build) if finding.outcome == "failed"]


def test_what_follows_from_a_failure_is_skipped_and_says_of_which(tmp_path):
    package = TeamPackage(tmp_path, after_rides("rides = rides - 10.0"))
    found = examine(lambda: package.module("model").Rides(("north", "south")))
    skipped = {finding.text for finding in found if finding.outcome == "skipped"}
    assert "follows from test_output_keeps_bounds_and_is_a_number" in skipped
    assert sum(finding.outcome == "skipped" for finding in found) > 10


# Evolution: name, change, words of the problem, or None where the change needs no new version.
RELEASED_PRICE = 'PRICE = Quantity("price", BY_CELL, "USD/ride", bounds=(0, 100), typical=(5, 20))'
EVOLUTION = [
    (
        "sign dropped",
        contract('Effect(PRICE, RIDES, sign="-", ', 'Effect(PRICE, RIDES, sign="?", '),
        "effect price -> rides: sign -, no longer claimed",
    ),
    (
        "output renamed",
        contract('RIDES = Quantity("rides"', 'RIDES = Quantity("trips"'),
        "output 'rides': renamed 'trips' (same unit 'ride/h' and dims [region, hour])); found "
        "1.0.0. fix: write version='2.0.0' in its Contract, or go on making 'rides' beside 'trips'",
    ),
    ("output described", contract('"ride/h"', '"ride/h", description="completed"'), None),
    (
        "required input added",
        Change(
            "contract.py",
            "inputs=(SESSIONS,",
            'inputs=(Quantity("wind", BY_CELL, "m/s"), SESSIONS,',
        ),
        "or declare 'wind' with required=False and a default that reproduces the old result",
    ),
    ("input moved", contract("inputs=(SESSIONS, PRICE,", "inputs=(PRICE, SESSIONS,"), None),
    (
        "typical narrowed",
        contract("typical=(5, 20)", "typical=(5, 6)"),
        "typical range of input 'price': 5 to 20 -> 5 to 6, so the claimed signs now hold on less",
    ),
    (
        "output described as usual",
        contract("bounds=(0, 1))", "bounds=(0, 1), typical=(0.2, 0.4))"),
        None,
    ),
]


@pytest.mark.parametrize(
    ("change", "words"), [case[1:] for case in EVOLUTION], ids=[case[0] for case in EVOLUTION]
)
def test_evolution_says_what_changed_and_both_ways_out(tmp_path, change, words):
    released = TeamPackage(tmp_path).module("contract").CONTRACT
    now = TeamPackage(tmp_path, change).module("contract").CONTRACT
    problem = evolution_problem(released, now)
    if words is None:
        assert problem is None
    else:
        assert words in str(problem)
        assert "- -> -" not in str(problem)


def test_dims_in_another_order_fit_and_other_dims_do_not(tmp_path):
    source = Quantity(
        "sessions",
        (REGION, HOUR),
        "session/h",
        aggregation={"region": "sum", "hour": "sum"},
        bounds=(0, None),
    )
    swapped = TeamPackage(tmp_path, contract('"sessions", BY_CELL', '"sessions", (HOUR, REGION)'))
    fewer = TeamPackage(
        tmp_path,
        contract(
            '"sessions", BY_CELL, "session/h", aggregation=SUM',
            '"sessions", (HOUR,), "session/h", aggregation={"hour": "sum"}',
        ),
    )
    for package, codes in ((swapped, []), (fewer, ["DC104"])):
        found = assemble(
            [package.module("contract").CONTRACT],
            externals=(source, "price", "hour_of_week", "rain"),
        )
        assert [problem.code for problem in found.problems] == codes


@pytest.mark.parametrize(
    ("unit", "weights", "refused"),
    [
        ("cent/h", {"rides": 1.0, "tips": 0.5}, True),
        ("cent/h", {"rides": 1.0}, True),
        ("cent/h", {"rides": 0.01, "tips": 0.5}, False),
        ("USD/h", {"rides": 1.0, "tips": 0.5}, False),
    ],
)
def test_objective_in_dollars_over_cents_is_refused(tmp_path, unit, weights, refused):
    package = TeamPackage(tmp_path, contract('"ride/h"', f'"{unit}"'))
    item = Registration(package.module("contract").CONTRACT, "rides-team", "1.0.0")
    config = Config.model_validate({"objective": {"weights": weights, "unit": "USD"}})
    required = {"rides": demands(config)["required"]["rides"]}
    joined = assemble([item], externals=None, required=required).problems
    found = (*joined, *unit_problems(config, [item]))
    assert [problem.code for problem in found] == ["DC105"] * refused
    assert all("rides" in p.fix and "cent" in p.found for p in found)


# In processes of their own, as a team runs them.


def installed(folder, *changes):
    """The rides package installed in ``folder``, and the environment in which it is found."""
    package = folder / "dagcast_rides"
    package.mkdir()
    for name, text in changed_files(*changes).items():
        (package / name).write_text(text)
    info = folder / "dagcast_rides-0.1.0.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text(
        "Metadata-Version: 2.1\nName: dagcast-rides\nVersion: 0.1.0\n"
    )
    info.joinpath("entry_points.txt").write_text("[dagcast.models]\nrides = dagcast_rides.plugin\n")
    return {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}


def team_ci(folder, *changes):
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"),
            *(str(TEAM / "tests" / "suite_rides.py"), "-c", os.devnull, "--rootdir", str(folder)),
        ],
        # One order of sets here; the second process chooses another.
        env={**installed(folder, *changes), "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


SET = (
    "        for place, name in enumerate({'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'}):\n"
    "            dear = dear * (1.0 + 1e-3 * place * ord(name))\n"
)


def test_order_of_a_set_is_seen_by_a_second_process(tmp_path):
    ran = team_ci(tmp_path, model(CHANCE, CHANCE + SET))
    lines = [line for line in ran.stdout.splitlines() if line.startswith("DC401")]
    assert len(lines) == 1, ran.stdout + ran.stderr
    assert "expected the same 'output chance' in every process" in lines[0]
    assert "1 failed" in ran.stdout


def test_sorted_set_passes_in_every_process(tmp_path):
    ran = team_ci(
        tmp_path, model(CHANCE, CHANCE + SET.replace("({'a'", "(sorted({'a'").replace("})", "}))"))
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "skipped" not in ran.stdout


def test_model_that_cannot_be_built_is_one_line(tmp_path):
    change = model('transform="sigmoid"', 'transform="sigmoids"')
    ran = team_ci(tmp_path, change)
    lines = [line for line in ran.stdout.splitlines() if line.startswith("DC401")]
    assert len(lines) == 1, ran.stdout + ran.stderr
    assert "at model.py:" in lines[0]


def test_undeclared_argument_is_one_line_where_the_tests_import_the_model(tmp_path):
    change = model(
        "        rain: IndexTensor,\n", "        rain: IndexTensor,\n        snow=None,\n"
    )
    ran = team_ci(tmp_path, change)
    # pytest's own summary repeats the error, cut or not as the terminal and $CI have it.
    lines = [line for line in ran.stdout.splitlines() if line[:5] in ("Contr", "DC401")]
    assert [line[:5] for line in lines] == ["Contr", "DC401"], ran.stdout + ran.stderr
    assert "it reads snow, which the contract does not declare" in lines[1]
    assert "at model.py:" in lines[1]


def test_two_broken_packages_are_both_named(tmp_path, monkeypatch):
    for name in ("eta", "pricing"):
        module = tmp_path / f"dagcast_{name}"
        module.mkdir()
        module.joinpath("__init__.py").write_text("")
        module.joinpath("plugin.py").write_text(f"raise RuntimeError('{name} is broken')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    results = check_conformance(["dagcast-eta", "dagcast-pricing"])
    lines = [str(problem) for result in results for problem in result.problems]
    assert len(lines) == 2
    assert "eta is broken" in lines[0]
    assert "pricing is broken" in lines[1]
