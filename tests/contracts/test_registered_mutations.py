"""What breaks the way in which a package hands over its models is caught by its own tests.

Each change is made to the hooks of one small package, installed as a wheel leaves it, and has a
harmless twin.
"""

import os
import subprocess
import sys

import pytest
from _mutations import Change, TeamPackage

from dagcast_testing._problems import first_line
from dagcast_testing._registered import check_registered


def plugin(old, new):
    return Change("plugin.py", old, new)


BUILD = 'return [Rides(tuple(labels["region"]))]'
IMPORTS = "from dagcast_core.hooks import hookimpl\n"
HOOKS = {
    "no contract": (
        plugin("return [CONTRACT]", "return []"),
        plugin("return [CONTRACT]", "return [*(CONTRACT,)]"),
        "to return the contract of the model; found an empty list, so that no check",
    ),
    "another contract of the name": (
        plugin("return [CONTRACT]", 'return [Contract("rides", outputs=CONTRACT.outputs)]'),
        plugin("return [CONTRACT]", "return list((CONTRACT,))"),
        "to return the contract that the model has; found another of the name 'rides'",
    ),
    "labels ignored": (
        plugin(BUILD, 'return [Rides(("north", "south"))]'),
        plugin(BUILD, 'return [Rides(list(labels["region"])[::-1])]'),
        "expected dagcast_models to make 'share' for the labels of 'region' that it is given; "
        "found north, south where region of a project, region elsewhere, region 3 and 27 more were",
    ),
    "some labels ignored": (
        plugin(BUILD, 'return [Rides(tuple(labels["region"])[:1])]'),
        plugin(BUILD, 'return [Rides(tuple(labels["region"])[:])]'),
        "found region of a project where region of a project, region elsewhere, region 3 and 27",
    ),
    "the tenth label and all after it ignored": (
        plugin(BUILD, 'return [Rides(tuple(labels["region"])[:9])]'),
        plugin(BUILD, 'return [Rides(tuple(labels["region"])[:999])]'),
        "region 3 and 6 more where region of a project, region elsewhere, region 3 and 27 more",
    ),
    "a start by position": (
        Change("model.py", "start=0.8", "start=[0.5 + n / 99 for n in range(len(regions))]"),
        Change("model.py", "start=0.8", "start=[0.5 + len(r) / 99 for r in regions]"),
        "expected 'share' to start by label; found other values where the labels come in another",
    ),
    "a label that it does not expect": (
        plugin(BUILD, 'return [Rides(tuple(labels["city"]))]'),
        plugin(BUILD, 'return [Rides(tuple(labels.get("region", ())))]'),
        "found KeyError at plugin.py:",
    ),
    "no model": (
        plugin(BUILD, "return []"),
        plugin(BUILD, 'built = Rides(tuple(labels["region"]))\n    return [built]'),
        "expected dagcast_models to build a model with each declared contract; found none",
    ),
    "hook that fails": (
        plugin("return [CONTRACT]", "return [CONTRACTS]"),
        plugin("return [CONTRACT]", "return [CONTRACT for _ in range(1)]"),
        "to say what the package declares; found NameError at plugin.py:",
    ),
}


def installed(folder, *changes):
    """The package, found as one that is installed."""
    package = TeamPackage(folder, *changes)
    name = package.name.replace("_", "-")
    info = folder / f"{package.name}-0.1.0.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
    points = f"[dagcast.models]\n{name} = {package.name}.plugin\n"
    info.joinpath("entry_points.txt").write_text(points)
    return package


def registered(folder, monkeypatch, change):
    package = installed(folder, change)
    monkeypatch.syspath_prepend(folder)
    model = package.module("model").Rides(("north", "south"))
    check_registered(model)


@pytest.mark.parametrize(("change", "twin", "words"), HOOKS.values(), ids=HOOKS)
def test_fault_in_the_hooks_is_one_line_and_its_twin_none(
    tmp_path, monkeypatch, change, twin, words
):
    with pytest.raises(AssertionError) as caught:
        registered(tmp_path, monkeypatch, change)
    assert words in first_line(str(caught.value))
    registered(tmp_path, monkeypatch, twin)


HEAVY = {
    "torch": (plugin(IMPORTS, IMPORTS + "import torch\n"), "an import of torch at plugin.py:8"),
    "a model": (
        plugin(IMPORTS, IMPORTS + "from dagcast_core.model import Model as Built\n"),
        "an import of pandas at plugin.py:8",
    ),
    "the contract's module": (
        Change("contract.py", "BY_CELL = ", "import torch\n\nBY_CELL = "),
        "an import of torch at contract.py:7",
    ),
}


def test_import_of_torch_where_a_package_only_declares_is_found_and_named(tmp_path):
    """In a process that has not imported it yet, all packages at once."""
    names = [installed(tmp_path, change).name.replace("_", "-") for change, _ in HEAVY.values()]
    light = plugin(IMPORTS, IMPORTS + "if TYPE_CHECKING:\n    import torch\n")
    for twin in (light, plugin("    from dagcast", "    import torch\n    from dagcast")):
        names.append(installed(tmp_path, twin).name.replace("_", "-"))
    code = (
        "import sys; from dagcast_testing._declaring import heavy; "
        "print(*heavy(sys.argv[1:]).values(), 'torch' in sys.modules, sep='\\n')"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, *names],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    *found, imported = ran.stdout.splitlines()
    assert sorted(found) == sorted(words for _, words in HEAVY.values())
    assert imported == "False"
