"""Installed contracts against released ones, and the snapshots that packages commit."""

import json
from dataclasses import replace

import pytest

from dagcast.errors import UsageError
from dagcast.evolution import check_evolution, check_snapshots, released_contracts, write_snapshots
from dagcast.plugins import Plugin, Plugins, load_plugins
from dagcast_core.contract import Contract, Dim, Quantity, snapshot
from dagcast_core.dims import HOUR

REGION = Dim("region")

ETA = Quantity("eta", (REGION, HOUR), "min")
RELEASED = Contract("eta", outputs=(ETA,))
CHANGED = Contract("eta", outputs=(Quantity("eta", (REGION, HOUR), "h"),))
RAISED = Contract("eta", version="2.0.0", outputs=CHANGED.outputs)


def replace_version(contract, version):
    return Contract.from_json({**contract.to_json(), "version": version})


def installed(*contracts):
    plugin = Plugin("eta", "dagcast-eta", "0.4.1", None, contracts)
    return Plugins(load_plugins(path=[]).manager, (plugin,), ())


@pytest.fixture
def workspace(tmp_path):
    package = tmp_path / "packages" / "eta"
    package.mkdir(parents=True)
    (package / "pyproject.toml").write_text('[project]\nname = "dagcast-eta"\n')
    return tmp_path


def test_breaking_change_without_a_new_version_is_caught_and_with_one_is_not(tmp_path):
    file = tmp_path / "contract.json"
    file.write_text(json.dumps(snapshot("dagcast-eta", [RELEASED])))
    assert check_evolution(installed(RELEASED), file) == ()
    (problem,) = check_evolution(installed(CHANGED), file)
    assert problem.code == "DC301"
    assert problem.producer == "dagcast-eta 0.4.1"
    assert check_evolution(installed(RAISED), file) == ()


def test_manifest_and_folder_of_snapshots_serve_as_well(tmp_path, workspace):
    manifest = tmp_path / "release.json"
    package = {"distribution": "dagcast-eta", "contracts": [RELEASED.to_json()]}
    manifest.write_text(json.dumps({"schema": "dagcast.release/1", "packages": [package]}))
    assert released_contracts(manifest) == {"dagcast-eta": (RELEASED,)}
    write_snapshots(installed(RELEASED), workspace)
    assert released_contracts(workspace / "packages") == {"dagcast-eta": (RELEASED,)}


def test_package_that_is_not_installed_is_not_compared(tmp_path):
    file = tmp_path / "contract.json"
    file.write_text(json.dumps(snapshot("dagcast-other", [RELEASED])))
    assert check_evolution(installed(CHANGED), file) == ()


@pytest.mark.parametrize(
    "text", ["no json", "[1]", '{"schema": "else"}', '{"schema": "dagcast.release/1"}']
)
def test_file_of_another_kind_is_refused(tmp_path, text):
    file = tmp_path / "contract.json"
    file.write_text(text)
    with pytest.raises(
        UsageError, match=r"expected exported contracts, a release manifest, a .* found"
    ):
        check_evolution(installed(RELEASED), file)


def test_missing_file_and_empty_folder_are_refused(tmp_path):
    with pytest.raises(UsageError, match="found no file"):
        check_evolution(installed(RELEASED), tmp_path / "none.json")
    with pytest.raises(UsageError, match="without any"):
        check_evolution(installed(RELEASED), tmp_path)


def test_snapshot_has_to_be_there_and_current(workspace):
    (missing,) = check_snapshots(installed(RELEASED), workspace)
    assert str(missing).startswith("DC209 [<- dagcast-eta] snapshot 'packages/eta/contract.json'")
    file = workspace / "packages" / "eta" / "contract.json"
    assert write_snapshots(installed(RELEASED), workspace) == ((file,), ())
    assert check_snapshots(installed(RELEASED), workspace) == ()
    assert write_snapshots(installed(RELEASED), workspace) == ((), ())
    (stale,) = check_snapshots(installed(DESCRIBED), workspace)
    assert stale.found == (
        """model 'eta', outputs, eta, description: "" in the file, "of a pickup" as declared"""
    )
    assert stale.fix == "run dagcast snapshot and commit the file"


DESCRIBED = Contract("eta", outputs=(replace(ETA, description="of a pickup"),))
RENAMED = Contract("eta", outputs=(replace(ETA, name="wait"),))
DRAFT = replace_version(RELEASED, "0.1.0")


def test_renewing_the_snapshot_hides_no_change(workspace):
    """The file is the promise: what breaks it needs its version, before and after a renewal."""
    write_snapshots(installed(RELEASED), workspace)
    for _ in range(2):
        (problem,) = check_snapshots(installed(RENAMED), workspace)
        assert problem.code == "DC301"
        assert "output 'eta': renamed 'wait' (same unit 'min' and dims" in problem.expected
        assert problem.fix == (
            "write version='2.0.0' in its Contract and run dagcast snapshot and commit the file, "
            "or go on making 'eta' beside 'wait' until its readers have moved"
        )
        assert write_snapshots(installed(RENAMED), workspace) == ((), (problem,))


def test_a_change_with_its_version_is_stale_until_it_is_renewed(workspace):
    write_snapshots(installed(RELEASED), workspace)
    moved = replace_version(RENAMED, "2.0.0")
    (stale,) = check_snapshots(installed(moved), workspace)
    assert stale.code == "DC209"
    assert "model 'eta': output 'eta': renamed 'wait'" in stale.found
    assert stale.fix.startswith("run dagcast snapshot and commit the file, or go on making 'eta'")
    write_snapshots(installed(moved), workspace)
    assert check_snapshots(installed(moved), workspace) == ()


def test_a_draft_moves_its_second_number_and_may_go(workspace):
    write_snapshots(installed(DRAFT), workspace)
    (problem,) = check_snapshots(installed(replace_version(RENAMED, "0.1.0")), workspace)
    assert problem.expected.startswith("at least 0.2.0 (major: output 'eta': renamed 'wait'")
    (stale,) = check_snapshots(installed(replace_version(RENAMED, "0.2.0")), workspace)
    assert stale.code == "DC209"
    (stale,) = check_snapshots(installed(SECOND), workspace)
    assert stale.code == "DC209"


def test_a_package_that_stops_declaring_what_it_committed_is_found(workspace):
    write_snapshots(installed(RELEASED), workspace)
    assert check_snapshots(installed(), workspace)[0].code == "DC302"


REORDERED = Contract("eta", outputs=(Quantity("eta", (HOUR, REGION), "min"),))
SECOND = Contract("late", outputs=(Quantity("wait", (REGION, HOUR), "min"),))


@pytest.mark.parametrize(
    ("declared", "found"),
    [
        ((REORDERED,), "model 'eta', outputs, eta, dims: another order"),
        ((RELEASED, SECOND), "model 'late': declared, not in the file"),
    ],
)
def test_stale_snapshot_names_model_and_difference(workspace, declared, found):
    write_snapshots(installed(RELEASED), workspace)
    (stale,) = check_snapshots(installed(*declared), workspace)
    assert found in stale.found


def test_package_in_a_repository_of_its_own_is_its_own_workspace(workspace):
    folder = workspace / "packages" / "eta"
    assert write_snapshots(installed(RELEASED), folder) == ((folder / "contract.json",), ())
    assert check_snapshots(installed(RELEASED), folder) == ()


def test_a_folder_without_a_package_has_no_snapshot_to_renew(tmp_path):
    with pytest.raises(UsageError, match="expected the folder of an installed package"):
        write_snapshots(installed(RELEASED), tmp_path)
    assert not list(tmp_path.iterdir())
