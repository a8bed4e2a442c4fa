"""Saved models come back the same, and nothing else comes back."""

import json
import os
import stat

import pytest
import torch

from dagcast_core.model import (
    ModelCollection,
    ModelError,
    ParameterDraws,
    load_draws,
    load_model,
    save_model,
)


def classes(kit):
    kinds = (kit.Demand, kit.Bonus, kit.Supply, kit.Pickup)
    return {
        kind.__qualname__: lambda labels, kind=kind: kind(labels.get("region", kit.REGIONS))
        for kind in kinds
    }


def nested(kit, regions=("SFO", "LAX")):
    return ModelCollection(
        [
            ModelCollection([kit.Pickup(regions), kit.Demand(regions)], "riders", "2.1.0"),
            kit.Supply(regions),
            kit.Bonus(regions),
        ],
        "market",
    )


@pytest.fixture
def saved(kit, tmp_path):
    models = nested(kit)
    models.leaves["pickup"].elasticity.assign([0.1, 0.9])
    return models, save_model(models, tmp_path / "model")


def test_round_trip_keeps_values_labels_and_nesting(kit, saved):
    models, folder = saved
    again = load_model(folder, classes(kit))
    assert list(again.members) == list(models.members)
    assert again.members["riders"].contract.version == "2.1.0"
    for name, value in models.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)
    assert again.leaves["pickup"].elasticity.indexes["region"].tolist() == ["SFO", "LAX"]


def test_a_function_of_the_labels_can_build_the_whole(kit, saved):
    models, folder = saved
    again = load_model(folder, lambda labels: nested(kit, labels["region"]))
    assert torch.equal(
        again.leaves["pickup"].elasticity.raw, models.leaves["pickup"].elasticity.raw
    )


def test_draws_travel_with_the_model(kit, tmp_path):
    models = nested(kit)
    name = "_members.bonus.gain.raw"
    sample = ParameterDraws({name: torch.rand(5, 2).double()}, "laplace", 9)
    save_model(models, tmp_path / "model", draws=sample)
    again = load_draws(tmp_path / "model")
    assert torch.equal(again.states[name], sample.states[name])
    assert (again.method, again.seed) == ("laplace", 9)


def test_equal_draws_are_equal_bytes(kit, tmp_path):
    """The digest of a fit is in the log: one that is made again has to be the same one."""
    models = nested(kit)
    sample = ParameterDraws(
        {"_members.bonus.gain.raw": torch.arange(7).double(), "a.\u00e9": torch.ones(3)},
        "laplace",
        9,
    )
    written = set()
    for number in range(20):
        folder = save_model(models, tmp_path / str(number), draws=sample)
        written.add((folder / "draws.safetensors").read_bytes())
        assert torch.equal(load_draws(folder).states["a.\u00e9"], torch.ones(3))
    assert len(written) == 1


def test_model_saved_without_draws_has_none(saved):
    with pytest.raises(ModelError, match="has no draws"):
        load_draws(saved[1])


@pytest.mark.parametrize("name", ["state.safetensors", "model.json"])
def test_changed_file_is_refused(kit, saved, name):
    path = saved[1] / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ModelError, match=f"{name} was changed after it was saved"):
        load_model(saved[1], classes(kit))


@pytest.mark.parametrize("name", ["state.safetensors", "model.json"])
def test_missing_file_is_named(kit, saved, name):
    (saved[1] / name).unlink()
    with pytest.raises(ModelError, match=f"{name} is missing"):
        load_model(saved[1], classes(kit))


def test_folder_without_a_model_is_refused(kit, tmp_path):
    with pytest.raises(ModelError, match="holds no saved model"):
        load_model(tmp_path, classes(kit))


def test_unknown_class_is_named(kit, saved):
    known = classes(kit)
    del known["Pickup"]
    with pytest.raises(ModelError, match="holds a Pickup, and no such class is given"):
        load_model(saved[1], known)


def test_model_with_other_labels_is_refused(kit, saved):
    with pytest.raises(ModelError, match="was saved with another parameters"):
        load_model(saved[1], lambda labels: nested(kit, ("SFO", "SEA")))


def test_model_with_other_members_is_refused(kit, saved):
    with pytest.raises(ModelError, match="holds the models bonus, demand, pickup, supply"):
        load_model(saved[1], lambda labels: kit.Demand(labels["region"]))


def test_foreign_folder_is_not_overwritten(kit, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ModelError, match=r"holds something else \(notes.txt\)"):
        save_model(nested(kit), tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_saving_again_replaces_the_whole(kit, saved):
    _, folder = saved
    save_model(nested(kit), folder)
    assert load_model(folder, classes(kit)).leaves["pickup"].elasticity.value().tolist() == (
        pytest.approx([0.3, 0.3])
    )
    assert [path.name for path in folder.parent.iterdir()] == ["model"]
    assert json.loads((folder / "model.json").read_text())["format"] == 1


def test_files_can_be_read_by_whom_the_umask_lets(kit, tmp_path):
    """A fit that only its maker can read stops a team that shares a project."""
    draws = ParameterDraws({"_members.bonus.gain.raw": torch.rand(5, 2).double()}, "laplace", 9)
    before = os.umask(0o027)
    try:
        save_model(nested(kit), tmp_path / "m", draws=draws)
        save_model(nested(kit), tmp_path / "m", draws=draws)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "m").iterdir()}
    assert set(modes.values()) == {0o640}
    assert stat.S_IMODE((tmp_path / "m").stat().st_mode) == 0o750
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
