"""A changed model tried on a tiny marketplace: seconds to whether it is better."""

import pytest
import torch

from dagcast import workflow
from dagcast.errors import ProjectError, UsageError
from dagcast.project import open_project
from dagcast_eta._level import StretchedEta

torch.set_num_threads(1)

SETTINGS = {
    "backtest.origins": "3",
    "backtest.workers": "1",
    "backtest.horizon_hours": "48",
    "backtest.step_hours": "48",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("try") / "project"
    workflow.simulate(folder, regions=2, weeks=6, seed=5)
    made = open_project(folder, flags=SETTINGS, environment={})
    workflow.ingest(made)
    return made


@pytest.fixture(scope="module")
def kept(project):
    return workflow.try_(project, "eta", conformance=False)


def tried(project, **options):
    return workflow.try_(project, "eta", conformance=False, **options)


def test_the_first_time_the_model_is_kept_and_nothing_is_said_of_a_change(kept):
    assert kept.kept
    assert (kept.pairs, kept.experiments, kept.parameters) == ((), (), ())
    assert {"eta", "eta_alone", "rides"} <= set(kept.errors)
    # Reading what happened, it makes no smaller errors by chance: others' errors are not its own.
    assert kept.errors["eta_alone"][1] < kept.errors["eta"][1]
    assert kept.exit_code() == 0


def test_a_model_that_did_not_change_is_the_same_bit_by_bit(project, kept):
    result = tried(project)
    assert {pair.verdict for pair in result.pairs} == {"same"}
    assert result.errors == kept.errors
    assert result.parameters == ()
    assert [(e.before, e.z_before) for e in result.experiments] == [
        (e.after, e.z_after) for e in result.experiments
    ]
    assert {"supply-eta-tight", "supply-rides"} <= {e.experiment for e in result.experiments}
    assert result.exit_code() == 0


def test_a_planted_defect_is_named_where_it_is_and_where_it_leads(project, kept, monkeypatch):
    forward = StretchedEta.forward

    def slow(self, **inputs):
        # No fit can make up for it: waits have a floor that is nowhere in the data.
        return forward(self, **inputs).clamp(min=6.0)

    monkeypatch.setattr(StretchedEta, "forward", slow)
    result = tried(project)
    verdicts = {pair.quantity: pair.verdict for pair in result.pairs}
    assert verdicts["eta_alone"] == "worse"
    assert result.exit_code() == 3
    force, now = result.errors["eta_alone"]
    assert force == kept.errors["eta_alone"][1]
    assert now > 1.2 * force
    assert result.parameters


def as_set(project, **flags):
    flags = {**SETTINGS, **{name.replace("__", "."): value for name, value in flags.items()}}
    return open_project(project.folder, flags=flags, environment={})


def test_what_else_of_its_package_changed_is_said_and_tried_by_the_package_s_name(project, kept):
    with pytest.raises(ProjectError, match=r"pickup-stretch .* another hyperparameters.*\n?.*"):
        tried(as_set(project, models__eta__trip_time="25"))


def test_a_hyperparameter_is_a_change_until_it_is_kept(project):
    def of_package(**options):
        chosen = as_set(project, backtest__origins="1", **options.pop("flags", {}))
        return workflow.try_(chosen, "dagcast-eta", conformance=False, **options)

    other = {"models__eta__trip_time": "25"}
    first = of_package()
    assert first.kept
    assert first.refitted == ("pickup-stretch", "eta")
    result = of_package(flags=other)
    assert not result.kept
    assert result.parameters
    assert {item.parameter.partition(".")[0] for item in result.parameters} <= set(first.refitted)
    (shown, *_) = result.tables()
    assert shown.columns[:3] == ("quantity", "in force", "as it is now")
    assert {name: force for name, (force, _) in result.errors.items()} == {
        name: now for name, (_, now) in first.errors.items()
    }
    # One window tells nothing, whatever it shows.
    assert "better" not in {pair.verdict for pair in result.pairs}
    assert of_package(flags=other, keep=True).kept
    assert {pair.verdict for pair in of_package(flags=other).pairs} == {"same"}


def test_what_follows_is_fitted_too_where_it_is_asked_for(project):
    result = tried(as_set(project, backtest__origins="1"), downstream=True)
    assert result.kept
    assert result.refitted[0] == "eta"
    assert {"conversion", "rides"} <= set(result.refitted)
    assert "sessions" not in result.refitted


def test_with_other_windows_there_is_nothing_to_compare_with(project, kept):
    assert tried(as_set(project, backtest__origins="1")).kept
    # What nothing can be compared with any more is gone.
    (left,) = (project.reports / ".try" / "eta").glob("[!.]*[!m]")
    assert len(list((left / "forecasts").iterdir())) == 1


def test_bad_names_are_said_before_anything_is_fitted(project):
    with pytest.raises(UsageError, match="Did you mean 'eta'"):
        workflow.try_(project, "etta")
