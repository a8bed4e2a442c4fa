"""Every package declares what it imports: the shared environment would hide what is missing."""

import ast
import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = sorted([*ROOT.glob("packages/*/pyproject.toml"), ROOT / "integration/pyproject.toml"])
# What core's own interface hands out comes with core, in the versions that core works with.
WITH_CORE = {"torch", "pandas", "numpy"}
PROVIDERS = importlib.metadata.packages_distributions()


def normalised(name):
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", name, maxsplit=1)[0]).lower()


def imported(folder):
    """Top-level modules that the files in ``folder`` import, with one place each."""
    found = {}
    for file in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names = [node.module]
            for name in names:
                found.setdefault(name.partition(".")[0], f"{file.name}:{node.lineno}")
    return found


def undeclared(package, groups=()):
    """Imports of a package that nothing it declares provides."""
    data = tomllib.loads((package / "pyproject.toml").read_text())
    project = data["project"]
    needs = [*project["dependencies"]]
    for extra in project.get("optional-dependencies", {}).values():
        needs += extra
    for group in groups:
        needs += data.get("dependency-groups", {}).get(group, [])
    allowed = {normalised(need) for need in needs} | {normalised(project["name"])}
    if "dagcast-core" in allowed:
        allowed |= WITH_CORE
    folders = [package / "src", *([package / "tests"] if groups else [])]
    local = {path.stem for path in (package / "tests").rglob("*") if path.suffix in {".py", ""}}
    missing = {}
    for folder in folders:
        for module, place in imported(folder).items():
            if module in sys.stdlib_module_names or (groups and module in local):
                continue
            owners = {normalised(owner) for owner in PROVIDERS.get(module, [module])}
            if not owners & allowed:
                missing[module] = place
    return missing


def lines(missing, package, table):
    """What is wrong, and what to write where, one line for each undeclared import."""
    return [
        f"{package.name} {place}: expected {owner} among {table}, since {module!r} is imported; "
        f"found {version} installed for others. fix: write '{owner}>={floor(version)}' there"
        for module, place in missing.items()
        for owner in map(normalised, PROVIDERS.get(module, [module])[:1])
        for version in [version_of(owner)]
    ]


def version_of(distribution):
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "none"


def floor(version):
    return ".".join(version.split(".")[:2])


def none_of(problems):
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


@pytest.mark.parametrize("file", PACKAGES, ids=lambda file: file.parent.name)
def test_package_declares_what_it_imports(file):
    none_of(lines(undeclared(file.parent), file.parent, "project.dependencies"))


@pytest.mark.parametrize("file", PACKAGES, ids=lambda file: file.parent.name)
def test_package_declares_what_its_tests_import(file):
    found = undeclared(file.parent, groups=("test",))
    none_of(lines(found, file.parent, "dependency-groups.test"))


def test_import_of_another_team_without_declaring_it_is_found(tmp_path):
    (tmp_path / "src").mkdir()
    source = "import re\nimport dagcast_core.contract\nfrom dagcast_eta import PickupStretch\n"
    (tmp_path / "src" / "model.py").write_text(source)
    head = '[project]\nname = "mine"\n'
    file = tmp_path / "pyproject.toml"
    file.write_text(head + 'dependencies = ["dagcast-core>=0.1"]\n')
    assert undeclared(tmp_path) == {"dagcast_eta": "model.py:3"}
    (line,) = lines(undeclared(tmp_path), tmp_path, "project.dependencies")
    version = importlib.metadata.version("dagcast-eta")
    assert "model.py:3: expected dagcast-eta among project.dependencies" in line
    assert f"found {version} installed for others. fix: write 'dagcast-eta>=" in line
    file.write_text(head + 'dependencies = ["dagcast-core>=0.1", "dagcast_eta[x]>=0.1"]\n')
    assert undeclared(tmp_path) == {}
