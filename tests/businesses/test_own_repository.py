"""A team with a repository of its own passes its CI from wheels, without any other team's package.

The lines of both CI files are run as they stand there.
"""

import json
import re

import pytest


@pytest.fixture(scope="module")
def wheels(wheel_environment):
    return wheel_environment


@pytest.fixture(scope="module")
def others(market_environment, tmp_path_factory):
    """The contracts in force, written down where the packages are."""
    folder = tmp_path_factory.mktemp("market")
    market_environment.run("dagcast contracts export others.json", folder)
    return folder / "others.json"


@pytest.fixture(scope="module")
def repository(wheels, others, tmp_path_factory):
    folder = tmp_path_factory.mktemp("elsewhere")
    wheels.run(f"dagcast new night-sessions --against {others.as_uri()}", folder)
    return folder / "dagcast-night-sessions"


def steps(repository):
    github = (repository / ".github" / "workflows" / "ci.yml").read_text()
    gitlab = (repository / ".gitlab-ci.yml").read_text()
    first = re.findall(r"^ +- run: (.+)$", github, re.MULTILINE)
    second = re.findall(r"^    - (.+)$", gitlab.partition("script:")[2], re.MULTILINE)
    return first, second


def test_package_of_an_own_repository_passes_its_own_ci(wheels, repository):
    first, second = steps(repository)
    assert first == second
    assert len(first) == 3
    output = [wheels.run(step, repository).stdout for step in first]
    # Installed, so that a second process can build the model too.
    assert "29 passed" in output[1]
    assert "skipped" not in output[1]
    assert "with the contracts of dagcast-driver-hours, dagcast-eta" in " ".join(output[2].split())


def test_what_no_longer_fits_the_others_is_found_without_their_packages(wheels, repository):
    file = repository / "src" / "dagcast_night_sessions" / "contract.py"
    before = file.read_text()
    file.write_text(before.replace('"night_sessions_draft"', '"organic_sessions"'))
    command = "dagcast check --against others.json; test $? = 3"
    lines = wheels.run(f"uv pip install --no-deps -e . && {command}", repository).stdout
    file.write_text(before)
    found = [line for line in lines.splitlines() if line.startswith("DC103")]
    assert len(found) == 1
    assert "organic-sessions (dagcast-sessions 0.1.0)" in found[0]


def test_undeclared_import_is_found_in_the_packages_own_folder(wheels, repository):
    file = repository / "src" / "dagcast_night_sessions" / "model.py"
    before = file.read_text()
    file.write_text(before.replace("from typing", "import scipy\nfrom typing"))
    lines = wheels.run("dagcast check --against others.json; test $? = 3", repository).stdout
    file.write_text(before)
    (found,) = [line for line in lines.splitlines() if line.startswith("DC2")]
    assert found.startswith("DC213 [<- dagcast-night-sessions model.py:")
    assert "write 'scipy>=" in found


def test_stale_snapshot_is_found_there_and_renewed(wheels, repository):
    file = repository / "contract.json"
    before = file.read_text()
    data = json.loads(before)
    data["contracts"][0]["outputs"][0]["description"] = "another"
    file.write_text(json.dumps(data))
    lines = wheels.run("dagcast check --against others.json; test $? = 3", repository).stdout
    assert "DC209 [<- dagcast-night-sessions] snapshot 'contract.json'" in lines
    wheels.run("dagcast snapshot", repository)
    assert file.read_text() == before


def test_a_breaking_change_is_found_before_and_after_the_snapshot_is_renewed(wheels, repository):
    file = repository / "src" / "dagcast_night_sessions" / "contract.py"
    before, held = file.read_text(), (repository / "contract.json").read_text()
    # Of another length: bytecode is told from its source by the second and the size alone.
    file.write_text(before.replace('"night_sessions_draft"', '"night_sessions_summed"'))
    wheels.run("uv pip install --no-deps -e . && dagcast snapshot; test $? = 3", repository)
    lines = wheels.run("dagcast check --against others.json; test $? = 3", repository).stdout
    assert (repository / "contract.json").read_text() == held
    file.write_text(before)
    (found,) = [line for line in lines.splitlines() if line.startswith("DC")]
    assert found.startswith("DC301 [<- dagcast-night-sessions]")
    assert "renamed 'night_sessions_summed'" in found
    assert "write version='0.2.0' in its Contract and run dagcast snapshot" in found


def test_one_file_for_a_notebook_keeps_its_contract(wheels, tmp_path):
    wheels.run("dagcast new night-sessions --as notebook", tmp_path)
    ran = wheels.run("python night_sessions.py", tmp_path)
    assert re.fullmatch(r"\d\d tests passed\n", ran.stdout)
