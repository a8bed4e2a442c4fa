"""One broken package is reported with its name, and hides no other."""

import subprocess
import sys
import textwrap
from importlib.metadata import version

import pytest

from dagcast.plugins import load_plugins, speaks
from dagcast_core.data import DataError

GOOD = """
from dagcast_core.contract import Contract, Dim, Quantity
from dagcast_core.dims import HOUR
from dagcast_core.hooks import hookimpl

REGION = Dim("region")

@hookimpl
def dagcast_contracts():
    return [Contract("{name}", outputs=(Quantity("{name}", (REGION, HOUR), "1"),))]

@hookimpl
def dagcast_models(labels):
    return []
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution with entry points the way a wheel leaves them on disk."""
    monkeypatch.syspath_prepend(tmp_path)

    def put(distribution, source=None, version="1.0.0", points=None):
        module = distribution.replace("-", "_") + "_plugin"
        points = points or {distribution: module}
        if source is not None:
            (tmp_path / f"{module}.py").write_text(textwrap.dedent(source))
        info = tmp_path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        )
        lines = "\n".join(f"{name} = {value}" for name, value in points.items())
        (info / "entry_points.txt").write_text(f"[dagcast.models]\n{lines}\n")
        return module

    put.path = [str(tmp_path)]
    yield put
    for name, module in list(sys.modules.items()):
        if str(tmp_path) in (getattr(module, "__file__", None) or ""):
            del sys.modules[name]


def load(install, **kwargs):
    plugins = load_plugins(path=install.path, **kwargs)
    return plugins, [str(problem) for problem in plugins.problems]


def test_good_packages_load_with_their_origin(install):
    install("alpha", GOOD.format(name="alpha"), version="1.2.3")
    install("beta", GOOD.format(name="beta"))
    plugins, problems = load(install)
    assert problems == []
    assert [str(plugin) for plugin in plugins.plugins] == [
        "alpha (alpha 1.2.3)",
        "beta (beta 1.0.0)",
    ]
    assert [str(item) for item in plugins.registrations] == [
        "alpha (alpha 1.2.3)",
        "beta (beta 1.0.0)",
    ]
    assert plugins.manager.has_plugin("alpha")
    assert plugins.of("Alpha")[0].name == "alpha"


def broken(install, source, distribution="broken"):
    """Load one broken package beside a good one; return the lines about the broken one."""
    install("good", GOOD.format(name="good"))
    install(distribution, source, version="0.3.0")
    plugins, problems = load(install)
    assert [plugin.name for plugin in plugins.plugins] == ["good"]
    assert not plugins.manager.has_plugin(distribution)
    return problems


def test_package_that_does_not_import_is_reported_and_the_others_load(install):
    (line,) = broken(install, "x = 1\nimport no_such_module_at_all\n")
    assert line == (
        "DC201 [<- broken (broken 0.3.0)] import of 'broken_plugin': expected a module that "
        "imports without torch and without errors; found ModuleNotFoundError: No module named "
        "'no_such_module_at_all' at broken_plugin.py:2. fix: declare and install the distribution "
        "that provides 'no_such_module_at_all', or disable 'broken'"
    )


def test_floor_that_is_too_low_says_what_is_declared_and_what_is_there(install):
    (line,) = broken(install, "from dagcast_core.contract import Tide\n")
    core = version("dagcast-core")
    assert f"; dagcast-core {core} is installed, no dagcast-core is declared. fix: raise" in line
    assert "to the first version that has 'Tide' and install that, or do without it, or dis" in line


@pytest.mark.parametrize("source", ["1 / 0", "import sys; sys.exit(3)", "def broken(:"])
def test_package_that_fails_in_any_way_is_reported(install, source):
    (line,) = broken(install, source)
    assert line.startswith("DC201 [<- broken (broken 0.3.0)]")


def test_entry_point_to_a_module_that_is_not_there_says_so(install):
    install("good", GOOD.format(name="good"))
    install("lost", points={"lost": "lost_plugin"})
    _, (line,) = load(install)
    assert "fix: write that module, or correct the entry point 'lost' in the pyproject.toml" in line


def test_contract_that_is_wrong_by_itself_is_reported(install):
    source = GOOD.format(name="bad").replace('"1")', '"")')
    (line,) = broken(install, source)
    assert line.startswith("DC205 [<- broken (broken 0.3.0)] hook call 'dagcast_contracts'")
    assert "ContractError: Quantity 'bad' has no unit" in line
    assert "at broken_plugin.py:10. fix:" in line


def test_misspelt_hook_names_the_one_that_was_meant(install):
    source = GOOD.format(name="bad").replace("def dagcast_models", "def dagcast_model")
    (line,) = broken(install, source)
    assert line.startswith("DC202 [<- broken (broken 0.3.0)] hook 'dagcast_model'")
    assert line.endswith("fix: rename it to 'dagcast_models'")


def test_hook_with_another_argument_is_refused(install):
    source = GOOD.format(name="bad").replace("(labels)", "(labels, store)")
    (line,) = broken(install, source)
    assert line.startswith("DC202 [<- broken (broken 0.3.0)] hook 'dagcast_models'")
    assert "expected dagcast_models(labels)" in line


def test_hook_that_takes_fewer_arguments_is_fine(install):
    install("alpha", GOOD.format(name="alpha").replace("(labels)", "()"))
    assert load(install)[1] == []


def test_forgotten_decorator_is_reported(install):
    source = GOOD.format(name="bad").replace("@hookimpl\ndef dagcast_models", "def dagcast_models")
    (line,) = broken(install, source)
    assert "expected the decorator @hookimpl" in line


@pytest.mark.parametrize(
    ("asked", "offered", "good"),
    [
        ("1", "1", True),
        ("1", "1.3", True),
        ("1.3", "1.2", False),
        ("2", "1", False),
        ("1", "2", False),
    ],
)
def test_plugin_api_versions(asked, offered, good):
    assert speaks(asked, offered) is good


def test_package_for_another_plugin_api_is_one_problem_though_its_hooks_are_unknown(install):
    source = GOOD.format(name="bad").replace('"1"),))', '"1"),), plugin_api="2")')
    source += "\n@hookimpl\ndef dagcast_from_the_future():\n    return []\n"
    (line,) = broken(install, source)
    assert line.startswith("DC203 [<- broken (broken 0.3.0)] plugin API of 'bad'")
    assert "expected plugin API 1.1; found plugin API 2. fix: upgrade dagcast-core" in line


@pytest.mark.parametrize(
    ("returned", "found"),
    [("None", "NoneType"), ("['eta']", "an item of type str"), ("{}", "dict")],
)
def test_hook_that_returns_something_else_is_reported(install, returned, found):
    source = GOOD.format(name="bad").replace(
        "return [Contract", f"return {returned}\n    [Contract"
    )
    (line,) = broken(install, source)
    assert line.startswith("DC206")
    assert f"found {found}. fix: return [Contract(...), ...]" in line


DECLARES = """
from dagcast_core.contract import Calendar
from dagcast_core.data import Column, EventTable, LinearMetric, MetricSpec, Sum
from dagcast_core.hooks import hookimpl

ORDERS = EventTable(
    name="orders",
    columns=(Column("site", "text"), Column("hour", "instant"), Column("count", "number")),
    time="hour",
    dims={"site": "site"},
    sums=(Sum("count", "count"),),
    metrics=(MetricSpec("orders", "count", "order/h"),),
)
OPEN = Calendar("open", lambda hours, zone: hours.hour)

@hookimpl
def dagcast_tables():
    return [ORDERS, LinearMetric("calls", "order/h", {"orders": 2.0})]

@hookimpl
def dagcast_calendars():
    return [OPEN]

@hookimpl
def dagcast_labels(events):
    from dagcast_core.contract import LabelSet

    return [LabelSet("site", ("east",))] if (events / "sites.txt").exists() else []

@hookimpl
def dagcast_project():
    return {"display": {"first": ["orders"]}}
"""


def test_a_package_without_models_declares_data_and_first_settings(install, tmp_path):
    install("alpha", DECLARES)
    plugins, problems = load(install)
    assert problems == []
    assert [(table.name, table.metrics[0].dims) for table in plugins.tables] == [
        ("orders", ("site", "hour"))
    ]
    assert [metric.name for metric in plugins.metrics] == ["calls"]
    assert [calendar.quantity for calendar in plugins.calendars] == ["open"]
    assert plugins.plugins[0].project == {"display": {"first": ["orders"]}}
    assert plugins.labels(tmp_path) == {}
    (tmp_path / "sites.txt").touch()
    assert plugins.labels(tmp_path)["site"].labels == ("east",)


def test_two_packages_that_know_other_labels_of_a_dim_are_an_error(install, tmp_path):
    install("alpha", DECLARES)
    install("beta", DECLARES.replace("'east'", "'west'").replace('"east"', '"west"'))
    (tmp_path / "sites.txt").touch()
    with pytest.raises(DataError, match="the labels of 'site'"):
        load(install)[0].labels(tmp_path)


@pytest.mark.parametrize(
    ("before", "after", "code", "expected"),
    [
        ("return [ORDERS,", "return [OPEN,", "DC206", "a list of EventTable or LinearMetric"),
        ("return [OPEN]", "return OPEN", "DC206", "a list of Calendar; found Calendar"),
        ('return {"dis', 'return 1 or {"dis', "DC206", "a mapping of settings; found int"),
        ('return {"dis', 'raise KeyError("x")  # {"dis', "DC205", "a mapping of settings"),
    ],
)
def test_a_hook_that_declares_something_else_is_reported(install, before, after, code, expected):
    assert before in DECLARES
    (line,) = broken(install, DECLARES.replace(before, after))
    assert line.startswith(f"{code} [<- broken (broken 0.3.0)]")
    assert f"expected {expected}" in line


def test_models_without_contracts_are_refused(install):
    source = """
    from dagcast_core.hooks import hookimpl

    @hookimpl
    def dagcast_models(labels):
        return []
    """
    (line,) = broken(install, source)
    assert line.startswith("DC208 [<- broken (broken 0.3.0)] missing hook 'dagcast_contracts'")


MODELS = """
from dagcast_core.hooks import hookimpl

@hookimpl
def dagcast_contracts():
    return []

@hookimpl
def dagcast_models(labels):
    return MODELS
"""


def test_an_empty_list_of_contracts_beside_models_is_refused(install):
    (line,) = broken(install, MODELS.replace("MODELS", "[Model(labels['region'])]"))
    assert "missing hook 'dagcast_contracts': expected one Contract per model" in line


def test_a_package_that_opts_out_declares_and_builds_nothing(install):
    install("quiet", MODELS.replace("MODELS", "[]"))
    assert load(install)[1] == []


def test_contracts_without_models_are_refused(install):
    source = GOOD.format(name="bad").split("@hookimpl\ndef dagcast_models")[0]
    (line,) = broken(install, source)
    assert line.startswith("DC208 [<- broken (broken 0.3.0)] missing hook 'dagcast_models'")


def test_module_without_any_hook_is_refused(install):
    (line,) = broken(install, "x = 1\n")
    assert line.startswith("DC208")


def test_two_distributions_that_claim_one_name_are_both_refused(install):
    install("good", GOOD.format(name="good"))
    install("dagcast-eta", GOOD.format(name="eta"), points={"eta": "dagcast_eta_plugin"})
    install("my-eta", GOOD.format(name="eta"), "2.0.0", points={"eta": "my_eta_plugin"})
    plugins, (line,) = load(install)
    assert [plugin.name for plugin in plugins.plugins] == ["good"]
    assert line == (
        "DC204 [<- dagcast-eta 1.0.0, my-eta 2.0.0] entry point 'eta': expected one entry point "
        "of this name; found 2; pluggy would skip all but the first in silence. fix: rename one in "
        "its pyproject.toml, or disable one of dagcast-eta, my-eta"
    )


def test_module_under_two_names_is_registered_once_and_reported(install):
    points = {"eta": "dagcast_eta_plugin", "eta-again": "dagcast_eta_plugin"}
    install("dagcast-eta", GOOD.format(name="eta"), points=points)
    plugins, (line,) = load(install)
    assert [plugin.name for plugin in plugins.plugins] == ["eta"]
    assert line.startswith("DC204 [<- dagcast-eta 1.0.0] entry point 'eta-again'")


def test_disabling_one_of_two_settles_the_claim(install):
    install("dagcast-eta", GOOD.format(name="eta"), points={"eta": "dagcast_eta_plugin"})
    install("my-eta", GOOD.format(name="eta"), "2.0.0", points={"eta": "my_eta_plugin"})
    plugins, problems = load(install, disable=["my-eta"])
    assert problems == []
    assert [plugin.distribution for plugin in plugins.plugins] == ["dagcast-eta"]


def test_disabled_plugin_is_not_even_imported(install, tmp_path):
    install("noisy", f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    _, problems = load(install, disable=["noisy"])
    assert problems == []
    assert not (tmp_path / "ran").exists()


def test_unknown_name_to_disable_names_the_nearest(install):
    install("alpha", GOOD.format(name="alpha"))
    _, (line,) = load(install, disable=["alhpa"])
    assert line.startswith("DC207 [project <-] disabled plugin 'alhpa'")
    assert line.endswith("fix: write 'alpha'")


def test_shadowed_copy_of_a_distribution_is_no_second_claim(install, tmp_path, monkeypatch):
    install("alpha", GOOD.format(name="alpha"))
    second = tmp_path / "second"
    second.mkdir()
    info = second / "alpha-0.9.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: alpha\nVersion: 0.9.0\n")
    (info / "entry_points.txt").write_text("[dagcast.models]\nalpha = alpha_plugin\n")
    plugins = load_plugins(path=[str(tmp_path), str(second)])
    assert plugins.problems == ()
    assert [plugin.version for plugin in plugins.plugins] == ["1.0.0"]


HEAVY = """
import sys; sys.path.insert(0, {folder!r})
from dagcast.plugins import load_plugins
plugins = load_plugins(path=[{folder!r}])
print(*plugins.problems, sep="\\n")
print(len(plugins.plugins), "torch" in sys.modules)
"""


def test_what_imports_torch_where_it_only_declares_is_refused_and_named(install):
    """Every package that does, in a process that has not paid for it yet."""
    for name, line in (("one", "import torch"), ("two", "from dagcast_core.model import Model")):
        install(name, line + GOOD.format(name=name))
    install("light", GOOD.format(name="light") + "if False:\n    import torch\n")
    code = HEAVY.format(folder=install.path[0])
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, second, left = ran.stdout.splitlines()
    assert "found an import of torch at one_plugin.py:1, which every check would pay for" in first
    assert "found an import of pandas at two_plugin.py:1" in second
    assert left == "1 False"
