"""Every package declares what it imports: the shared environment would hide what is missing."""

import importlib.metadata
from pathlib import Path

import pytest

from dagcast.packaging import is_team_package, packaging_problems, undeclared_imports

ROOT = Path(__file__).parents[2]
PACKAGES = sorted([*ROOT.glob("packages/*/pyproject.toml"), ROOT / "integration/pyproject.toml"])
HEAD = '[project]\nname = "mine"\nversion = "0.3.0"\n'


def none_of(problems):
    if problems:
        pytest.fail("\n".join(map(str, problems)), pytrace=False)


@pytest.mark.parametrize("file", PACKAGES, ids=lambda file: file.parent.name)
def test_package_declares_what_it_imports(file):
    none_of(packaging_problems(file.parent))


@pytest.mark.parametrize("file", PACKAGES, ids=lambda file: file.parent.name)
def test_package_declares_what_its_tests_import(file):
    none_of(packaging_problems(file.parent, groups=("test",)))


@pytest.fixture
def package(tmp_path):
    (tmp_path / "src").mkdir()

    def made(source, needs):
        (tmp_path / "src" / "model.py").write_text(source)
        (tmp_path / "pyproject.toml").write_text(f"{HEAD}dependencies = {needs}\n")
        return tmp_path

    return made


SOURCE = "import re\nimport dagcast_core.contract\nfrom dagcast_eta import PickupStretch\n"


def test_import_of_another_team_without_declaring_it_is_found(package):
    folder = package(SOURCE, '["dagcast-core>=0.1"]')
    assert undeclared_imports(folder) == {"dagcast_eta": "model.py:3"}
    (problem,) = packaging_problems(folder)
    version = importlib.metadata.version("dagcast-eta")
    floor = ".".join(version.split(".")[:2])
    assert str(problem) == (
        "DC213 [<- mine model.py:3] undeclared import of 'dagcast_eta': expected dagcast-eta "
        f"among project.dependencies; found dagcast-core>=0.1 declared; dagcast-eta {version} "
        f"installed for others. fix: write 'dagcast-eta>={floor}' there"
    )


def test_declared_import_passes_however_it_is_written(package):
    folder = package(SOURCE, '["dagcast-core>=0.1", "dagcast_eta[x]>=0.1"]')
    assert packaging_problems(folder) == ()


def test_import_of_what_is_not_installed_is_found_too(package):
    (problem,) = packaging_problems(package("import no_such_module\n", '["dagcast-core>=0.1"]'))
    assert "no-such-module which is not installed" in problem.found


def test_installed_version_outside_the_declared_range_is_found(package):
    folder = package("import dagcast_core\n", '["dagcast-core>=0.1,<0.1.dev0"]')
    (problem,) = packaging_problems(folder)
    version = importlib.metadata.version("dagcast-core")
    assert str(problem).startswith(
        "DC214 [mine 0.3.0 <-] requirement 'dagcast-core': expected dagcast-core"
    )
    assert f"found {version} installed. fix: install a version in that range, or" in str(problem)


def test_requirement_for_another_system_is_left_alone(package):
    needs = """["dagcast-core<0.0.1; python_version < '3.0'", "dagcast-core>=0.1"]"""
    assert packaging_problems(package("import dagcast_core\n", needs)) == ()


def test_a_team_package_is_told_from_other_folders(package):
    folder = package("", "[]")
    assert not is_team_package(folder)
    assert is_team_package(ROOT / "packages" / "eta")
    assert packaging_problems(folder / "src") == ()
