"""The reference is made from the packages: nothing public is left out of it or without a text."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from dagcast.cli import _COMMANDS
from dagcast.config import Config

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "docs" / "_site" / "examples").glob("*.example.py"))


@pytest.fixture(scope="module")
def hooks():
    spec = importlib.util.spec_from_file_location("site_hooks", ROOT / "docs/_site/hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_public_name_has_a_docstring(hooks):
    assert [line for page in hooks.PAGES for line in hooks.undocumented(page)] == []


def test_every_package_has_a_page(hooks):
    packages = {path.parent.name for path in ROOT.glob("packages/*/src/*/__init__.py")}
    assert {*packages, "dagcast"} <= set(hooks.PAGES)


def test_every_public_name_is_shown_on_one_page_and_listed_on_each_that_offers_it(hooks):
    shown = [path for page in hooks.PAGES for path in hooks.shown_here(page).values()]
    assert len(shown) == len(set(shown)) > 400
    text = hooks.page_of("dagcast_core.decide")
    # It lies in the solver, and decisions offer it too.
    assert "[`Certificate`](dagcast_core.solver.md#dagcast_core.solver" in text
    assert "::: dagcast_core.decide.declare" in text


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name.partition(".example")[0])
def test_example_of_a_page_runs(file):
    exec(compile(file.read_text(), file.name, "exec"), {"__name__": file.stem})


def test_every_package_and_every_layer_of_core_has_an_example(hooks):
    packages = {path.parent.name for path in ROOT.glob("packages/*/src/*/__init__.py")}
    layers = {page for page in hooks.PAGES if page.startswith("dagcast_core.")}
    assert [p for p in sorted({*packages, *layers, "dagcast"}) if not hooks.example_of(p)] == []


def test_name_without_a_docstring_is_found(hooks, monkeypatch):
    module = ModuleType("acme_silent", "A module.")
    exec("class Silent: pass\ndef said():\n    'Says.'\nLIMIT = 3", vars(module))
    module.__all__ = ["LIMIT", "Silent", "said"]
    monkeypatch.setitem(sys.modules, "acme_silent", module)
    assert [line.split()[0] for line in hooks.undocumented("acme_silent")] == [
        "acme_silent.LIMIT",
        "acme_silent.Silent",
    ]


def test_every_command_and_setting_is_in_the_reference(hooks):
    commands = hooks.commands_page()
    for name in _COMMANDS:
        assert f"\n## `dagcast {name}`\n" in commands
    assert "### `dagcast release propose`" in commands
    assert "| `--against FILE_OR_ADDRESS` |" in commands
    settings = hooks.settings_page()
    for name in Config.model_fields:
        assert f"| `{name}` |" in settings
    assert "## `[[guardrails]]`" in settings


def test_link_to_sources_becomes_a_name_and_others_stay(hooks):
    class File:
        src_uri = "how-to/page.md"

    class Page:
        file = File()

    text = "[rides](../../packages/eta), [more](../index.md), [gone](../nowhere.md), [out](https://example.org)"
    assert hooks.on_page_markdown(text, Page()) == (
        "rides (`packages/eta`), [more](../index.md), [gone](../nowhere.md), [out](https://example.org)"
    )
