"""The site's pages are read from the packages: nothing has to be listed, nothing is forgotten."""

import ast
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import click
import pytest

from dagcast.cli import app
from dagcast.errors import EXIT_CODES
from dagcast_testing.template import render

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs" / "_site"))
import exits  # noqa: E402
import hooks  # noqa: E402

sys.path.pop(0)


@pytest.fixture
def acme(tmp_path):
    """A package with sources, as the site finds them."""
    source = tmp_path / "src" / "acme_site"
    source.mkdir(parents=True)
    (source / "__init__.py").write_text('"""Acme."""\n\n__all__ = ()\n')
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "acme-site"\n[project.scripts]\nacme = "acme_site.run:main"\n'
    )
    yield source
    for name in [name for name in sys.modules if name.partition(".")[0] == "acme_site"]:
        del sys.modules[name]
    hooks.sources.cache_clear()


def test_module_that_somebody_adds_has_a_page(acme):
    assert hooks.public_modules(acme.parent) == ("acme_site",)
    (acme / "journal.py").write_text("")
    (acme / "_private.py").write_text("")
    (acme / "run.py").write_text("def main(): ...\n")
    folder = acme / "trial"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "deeper.py").write_text("")
    assert hooks.public_modules(acme.parent) == (
        "acme_site",
        "acme_site.journal",
        "acme_site.trial",
    )


def test_team_offers_what_its_package_does(acme):
    (acme / "model.py").write_text("")
    project = acme.parents[1] / "pyproject.toml"
    project.write_text(project.read_text() + '[project.entry-points."dagcast.models"]\na = "b"\n')
    assert hooks.public_modules(acme.parent) == ("acme_site",)


def test_module_without_texts_or_example_fails_the_build(acme, monkeypatch):
    # The builder itself is in no environment but that of the docs.
    for name in ("mkdocs", "mkdocs.exceptions", "mkdocs.structure", "mkdocs.structure.files"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules["mkdocs.exceptions"].PluginError = RuntimeError
    sys.modules["mkdocs.structure.files"].File = None
    (acme / "journal.py").write_text("LIMIT = 3\ndef said():\n    'Says.'\n")
    monkeypatch.syspath_prepend(acme.parent)
    monkeypatch.setattr(hooks, "source_folders", lambda: [acme.parent])
    monkeypatch.setattr(hooks, "PAGES", hooks.public_modules(acme.parent))
    with pytest.raises(RuntimeError, match="the reference lacks") as refused:
        hooks.on_files([], None)
    assert str(refused.value).splitlines()[1:] == [
        "acme_site: an example; write docs/_site/examples/acme_site.example.py",
        "acme_site.journal.LIMIT (int): a text, written in it or below it",
        "acme_site.journal: an example; write docs/_site/examples/acme_site.journal.example.py",
    ]


def test_constant_that_is_imported_is_not_a_name_of_the_module(acme, monkeypatch):
    (acme / "usual.py").write_text("from math import pi\nSHARE = 0.5\n'''A share.'''\n")
    monkeypatch.syspath_prepend(acme.parent)
    monkeypatch.setattr(hooks, "source_folders", lambda: [acme.parent])
    import acme_site.usual

    assert hooks.public_names(acme_site.usual) == ("SHARE",)


def test_every_public_module_has_a_page_and_each_page_an_example():
    assert {f"dagcast.{name}" for name in ("journal", "sources", "plugins", "trial", "usual")} < {
        *hooks.PAGES
    }
    assert [line for page in hooks.PAGES for line in hooks.without_example(page)] == []


def test_nobody_uses_a_room_of_a_layer_from_outside():
    """What a layer's top does not offer has no page, so nothing outside the layer rests on it."""
    found = []
    for folder in hooks.source_folders():
        for file in folder.rglob("*.py"):
            own = ".".join(file.relative_to(folder).with_suffix("").parts)
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                source = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
                layer = ".".join(source.split(".")[:2])
                deep = source.count(".") > 1 and not source.rpartition(".")[2].startswith("_")
                if layer in hooks.PAGES and deep and not own.startswith(layer):
                    found.append(f"{file.relative_to(ROOT)}:{node.lineno}: {source}")
    assert found == []


def test_ci_on_the_page_is_the_one_that_a_new_repository_has():
    page = (ROOT / "docs" / "how-to" / "write-a-team-package.md").read_text("utf-8")
    shown = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    made = render("weather-sessions", "repository")
    assert shown == [made[".github/workflows/ci.yml"], made[".gitlab-ci.yml"]]


def test_curves_of_the_models_pages_are_those_of_the_models(tmp_path, monkeypatch):
    """Drawn again, no point lies elsewhere by more than rounding does."""
    folder = ROOT / "docs" / "models"
    spec = importlib.util.spec_from_file_location("site_draw", folder / "draw.py")
    draw = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(draw)
    monkeypatch.setattr(draw, "FOLDER", tmp_path)
    draw.main()
    drawn = {file.name: file.read_text() for file in tmp_path.glob("*.svg")}
    kept = {file.name: file.read_text() for file in (folder / "figures").glob("*.svg")}
    assert sorted(drawn) == sorted(kept)
    for name, text in drawn.items():
        found, shown = (re.findall(r"-?\d+(?:\.\d+)?", which) for which in (text, kept[name]))
        assert [float(n) for n in found] == pytest.approx([float(n) for n in shown], abs=0.21), (
            f"{name}: run docs/models/draw.py"
        )


def command(*words):
    found = app
    for word in words:
        found = found.get_command(click.Context(found), word)
    return found


@pytest.mark.parametrize(
    ("words", "codes"),
    [
        ("week", {0, 3, 4, 5}),
        ("status", {0, 3, 4, 5}),
        ("plan", {0, 3, 4, 130}),
        ("fit", {0, 3}),
        ("log", {0, 3}),
        ("approve", {0, 3}),
        ("release verify", {0, 3}),
        ("ingest", {0, 1}),
    ],
)
def test_exit_codes_of_a_command_are_those_that_its_code_has(words, codes):
    found = set(exits.codes_of(command(*words.split()).callback))
    assert codes <= found
    assert ({3, 4, 5} & found) == ({3, 4, 5} & codes)


def test_commands_page_says_every_code_and_whose_it_is():
    text = hooks.commands_page()
    for code, said in EXIT_CODES.items():
        assert f"| {code} | {said} |" in text
    week = text.partition("## `dagcast week`")[2].partition("\n## ")[0]
    assert "with 5, `week` waits for a person." in week
    assert "\x08" not in text
    assert "```text\ndagcast week --project north --json\ndagcast week" in week
    assert "Usage: `dagcast week [OPTIONS]`." in week
    readme = " ".join((ROOT / "integration" / "README.md").read_text("utf-8").split())
    assert ", ".join(f"{code} {said}" for code, said in EXIT_CODES.items()) in readme


def test_code_that_a_new_result_has_is_found(monkeypatch):
    """Fed a command whose result says 4 and a helper that raises an error of code 3."""
    source = (
        "from dagcast.errors import GateError\n"
        "class Result:\n"
        "    def exit_code(self) -> int:\n"
        "        return 4 if self.late else 0\n"
        "def helper() -> None:\n"
        "    raise GateError('a', 'b', 'c')\n"
        "def made() -> Result:\n"
        "    helper()\n"
    )
    command = "from dagcast.made_up import made\ndef late():\n    return made()\n"
    for name, text in (("dagcast.made_up", source), ("dagcast.cli._made_up", command)):
        module = ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        exec(text, vars(module))
    texts = {"dagcast.made_up": source, "dagcast.cli._made_up": command}
    read = exits._read
    monkeypatch.setattr(
        exits,
        "_read",
        lambda m: exits._parsed(texts[m], m.rpartition(".")[0]) if m in texts else read(m),
    )
    assert exits.codes_of(sys.modules["dagcast.cli._made_up"].late) == (0, 3, 4)
