"""The next version of a package follows from its fragments, and from nothing else."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from dagcast.errors import UsageError
from dagcast.release import plan_bump, write_bump
from dagcast_core.contract import Contract, Dim, Quantity, snapshot
from dagcast_core.dims import HOUR

REGION = Dim("region")

ETA = Quantity("eta", (REGION, HOUR), "min", bounds=(0, 60))
RELEASED = Contract("eta", outputs=(ETA,))
NARROWER = Contract("eta", outputs=(replace(ETA, bounds=(0, 50)),))
OTHER_UNIT = Contract("eta", outputs=(replace(ETA, unit="h"),))
START = "<!-- towncrier release notes start -->\n"


@pytest.fixture
def package(tmp_path):
    """A package that was released as 1.2.3."""
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "dagcast-eta"\nversion = "1.2.3" # static\n'.replace(" # static", "")
        + '\n[tool.x]\nother = "1.2.3"\n'
    )
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n{START}\n## 1.2.3 (2026-01-01)\n")
    (tmp_path / "changelog.d").mkdir()
    return tmp_path


def fragment(package, name):
    (package / "changelog.d" / name).write_text("What changed.\n")


@pytest.mark.parametrize(
    ("names", "version"),
    [
        (["+a.fixed.md"], "1.2.4"),
        (["+a.fixed.md", "+b.added.md"], "1.3.0"),
        (["+a.changed.md"], "1.3.0"),
        (["+a.fixed.md", "+b.breaking.md", "+c.added.md"], "2.0.0"),
        (["12.removed.md"], "2.0.0"),
    ],
)
def test_fragments_move_the_version(package, names, version):
    for name in names:
        fragment(package, name)
    plan = plan_bump(package)
    assert (plan.before, plan.after, plan.problems) == ("1.2.3", version, ())
    write_bump(package, plan)
    text = (package / "pyproject.toml").read_text()
    assert f'version = "{version}"' in text
    assert 'other = "1.2.3"' in text


def test_first_release_keeps_the_version_it_was_given(package):
    (package / "CHANGELOG.md").write_text(f"# Changelog\n\n{START}")
    fragment(package, "+first.added.md")
    assert plan_bump(package).after == "1.2.3"


def test_package_of_an_integration_release_is_out_whatever_its_changelog_says(package):
    (package / "CHANGELOG.md").write_text(f"# Changelog\n\n{START}")
    fragment(package, "+first.added.md")
    fragment(package, "+unit.breaking.md")
    assert plan_bump(package, [RELEASED], "1.2.3").after == "2.0.0"
    assert plan_bump(package, [RELEASED], "1.1.0").after == "1.2.3"
    (package / "contract.json").write_text(json.dumps(snapshot("dagcast-eta", [OTHER_UNIT])))
    manifest = package / "2026.11.1.json"
    released = {"distribution": "dagcast-eta", "version": "1.2.3"}
    released["contracts"] = [RELEASED.to_json()]
    manifest.write_text(json.dumps({"schema": "dagcast.release/1", "packages": [released]}))
    assert run(package, "--against", manifest).stdout == "2.0.0\n"


def test_nothing_to_say_is_nothing_to_release(package):
    plan = plan_bump(package)
    assert str(plan.problems[0]).startswith("DC303 [<- dagcast-eta] change fragments of")
    with pytest.raises(UsageError, match="to be ready for release"):
        write_bump(package, plan)


@pytest.mark.parametrize(
    ("contract", "kind", "ready"),
    [
        (RELEASED, "fixed", True),
        (NARROWER, "fixed", False),
        (NARROWER, "added", True),
        (OTHER_UNIT, "added", False),
        (OTHER_UNIT, "breaking", True),
    ],
)
def test_fragments_say_as_much_as_the_contract_changed(package, contract, kind, ready):
    (package / "contract.json").write_text(json.dumps(snapshot("dagcast-eta", [contract])))
    fragment(package, f"+x.{kind}.md")
    assert (plan_bump(package, [RELEASED]).problems == ()) is ready


def test_fragment_of_an_unknown_kind_is_refused(package):
    fragment(package, "+x.improved.md")
    with pytest.raises(UsageError, match="expected a fragment named SUBJECT.KIND.md with KIND one"):
        plan_bump(package)


def test_folder_that_is_no_package_is_refused(tmp_path):
    with pytest.raises(UsageError, match="expected a package's folder; found no file"):
        plan_bump(tmp_path)


def run(*arguments):
    command = [sys.executable, "-m", "dagcast.release", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_command_prints_the_version_and_writes_it_on_request(package):
    fragment(package, "+x.added.md")
    before = (package / "pyproject.toml").read_text()
    assert (run(package).stdout, (package / "pyproject.toml").read_text()) == ("1.3.0\n", before)
    assert run(package, "--write").returncode == 0
    assert plan_bump(package).before == "1.3.0"


def test_command_says_what_is_missing(package):
    ran = run(package)
    assert (ran.returncode, ran.stdout) == (3, "")
    assert ran.stderr.startswith("DC303 ")
    assert run(package / "none").returncode == 2
