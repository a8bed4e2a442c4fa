"""What the site's builder does beyond rendering pages: it writes the reference, and checks it.

mkdocs calls these functions (`hooks` in mkdocs.yml). Reference pages are made from the packages
themselves: public names with their docstrings, commands with their options, settings with their
defaults. A public name without a docstring, or that no page shows, fails the build.
"""

import functools
import importlib
import inspect
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[2]
# mkdocs and tests load this file by its path, and know no package around it.
sys.path.insert(0, str(Path(__file__).parent))
from listings import commands_page, settings_page  # noqa: E402

sys.path.pop(0)
REFERENCE = "reference/python"
PROBLEMS = "reference/problems"
# A link that a reader may follow fetches nothing; a script, a picture or a style does.
_FETCHED = re.compile(
    r"<(?:script|img|link|iframe|source)\b[^>]*?(?:src|href)=\"(?:https?:)?//[^\"]+\""
)
_GROUP = "dagcast.models"


def source_folders(root: Path = ROOT) -> list[Path]:
    """Folders that hold the sources of a package each, the command's first and core's next."""
    folders = [root / "integration" / "src", *sorted(root.glob("packages/*/src"))]
    return sorted(folders, key=lambda f: f.parent.name not in ("integration", "core"))


def public_modules(folder: Path) -> tuple[str, ...]:
    """Modules of a package that have a page, read from the files, so that none is forgotten.

    They are the package and what lies directly in it, a file or a folder, without an underscore.
    What lies deeper is a room of its layer: the layer's ``__init__`` says what it offers of it.
    What a script names is run and not imported. A package that registers models, data or worlds
    offers what its top does: nobody imports a team's files.

    Args:
        folder: of the sources, beside the package's ``pyproject.toml``.
    """
    project = tomllib.loads((folder.parent / "pyproject.toml").read_text("utf-8"))["project"]
    loaded = {target.partition(":")[0] for target in project.get("scripts", {}).values()}
    team = _GROUP in project.get("entry-points", {})
    found = []
    for package in sorted(file.parent for file in folder.glob("*/__init__.py")):
        inside = sorted({file.stem for file in package.glob("*.py")} | _folders(package))
        names = [f"{package.name}.{name}" for name in inside if not name.startswith("_")]
        found += [package.name, *(name for name in names if not team and name not in loaded)]
    return tuple(found)


def _folders(package: Path) -> set[str]:
    return {file.parent.name for file in package.glob("*/__init__.py")}


# One page each. What a package exports at its top is shown where it is made.
PAGES = tuple(name for folder in source_folders() for name in public_modules(folder))


def on_config(config: Any) -> Any:
    """Put the pages of each module, of each problem, and those that nobody placed into the menu."""
    folder = Path(config.docs_dir)
    packages = dict.fromkeys(name.partition(".")[0] for name in PAGES)
    python = [
        {top: [f"{REFERENCE}/{name}.md" for name in PAGES if name.partition(".")[0] == top]}
        for top in packages
    ]
    problems = [f"reference/problems/{file.name}" for file in (folder / PROBLEMS).glob("*.md")]
    problems.sort(key=lambda path: ("README" not in path, path))
    for entry in config.nav:
        for title, pages in entry.items():
            if title == "Reference":
                pages += [{"Problem codes": problems}, {"Python": python}]
            elif isinstance(pages, list):
                # Those that are placed come first, in their order.
                around = Path(pages[0]).parent
                found = sorted(file.name for file in (folder / around).glob("*.md"))
                pages += [f"{around}/{name}" for name in found if f"{around}/{name}" not in pages]
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages."""
    from mkdocs.exceptions import PluginError
    from mkdocs.structure.files import File

    wrong = [line for name in PAGES for line in (*undocumented(name), *without_example(name))]
    if wrong:
        raise PluginError("the reference lacks:\n" + "\n".join(wrong))
    made = {f"{REFERENCE}/{name}.md": page_of(name) for name in PAGES}
    made["reference/commands.md"] = commands_page()
    made["reference/settings.md"] = settings_page()
    for path, text in made.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links that leave the pages, to sources, into the names of what they lead to."""
    folder = (ROOT / "docs" / page.file.src_uri).parent

    def shown(match: re.Match[str]) -> str:
        target = (folder / match["path"]).resolve()
        inside = target.is_relative_to(ROOT / "docs")
        if inside or not target.exists():
            # Of what is nowhere the builder says so itself.
            return match[0]
        return f"{match['text']} (`{target.relative_to(ROOT)}`)"

    return re.sub(r"(?<!!)\[(?P<text>[^\]]+)\]\((?P<path>\.\.?/[^)#\s]+)\)", shown, markdown)


def on_post_build(config: Any) -> None:
    """Fail if a public name has no place on its page, or a page would fetch something.

    Raises:
        PluginError: names each.
    """
    from mkdocs.exceptions import PluginError

    site = Path(config.site_dir)
    missing = []
    for name in PAGES:
        html = (site / REFERENCE / f"{name}.html").read_text(encoding="utf-8")
        anchors = set(re.findall(r'id="([^"]+)"', html))
        missing += [
            f"{name}.{public}"
            for public, path in shown_here(name).items()
            if path not in anchors and f"{name}.{public}" not in anchors
        ]
    if missing:
        raise PluginError("public names that no page shows: " + ", ".join(missing))
    fetched = {
        f"{page.relative_to(site)}: {found}"
        for page in site.rglob("*.html")
        for found in _FETCHED.findall(page.read_text(encoding="utf-8"))
    }
    if fetched:
        raise PluginError("pages that would fetch something: " + "; ".join(sorted(fetched)))


@functools.cache
def public_names(module: ModuleType) -> tuple[str, ...]:
    """What a module offers: ``__all__``, or else what its source defines without an underscore."""
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return tuple(listed)
    source = source_of(module.__name__)
    return tuple(
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and not inspect.ismodule(value)
        and name != "TYPE_CHECKING"
        and (
            getattr(value, "__module__", None) == module.__name__
            # Of a constant only the source knows whether it was made there or imported.
            or (
                not inspect.isclass(value)
                and not inspect.isfunction(value)
                and source is not None
                and name in source.members
                and not source.members[name].is_alias
            )
        )
    )


@functools.cache
def shown_here(name: str) -> dict[str, str]:
    """Names that a module's page shows in full, with the path at which each is defined.

    What several modules offer is shown by the one that it lies in, and listed by the others.
    """
    module = importlib.import_module(name)
    own = {
        public: path_of(module, public)
        for public in public_names(module)
        if not inspect.ismodule(getattr(module, public))
    }
    return {public: path for public, path in own.items() if home(public, path) == name}


def home(public: str, path: str) -> str:
    """The module on whose page a name is shown: of those that offer it, the nearest."""
    offering = [page for page in PAGES if public in public_names(importlib.import_module(page))]
    around = [page for page in offering if path.startswith(f"{page}.")]
    here = [
        page
        for page in around or offering
        if path == path_of(importlib.import_module(page), public)
    ]
    return max(here, key=len)


@functools.cache
def path_of(module: ModuleType, name: str) -> str:
    """Path of a public name where it is defined, as the renderer looks it up."""
    value = getattr(module, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        # What a decorator made is named after the inside of the decorator.
        local = "<locals>" in value.__qualname__
        return f"{value.__module__}.{name if local else value.__qualname__}"
    found = attribute(module, name)
    return found.path if found is not None else f"{module.__name__}.{name}"


def undocumented(name: str) -> Iterator[str]:
    """Public names of a module that have no docstring of their own."""
    module = importlib.import_module(name)
    for public in public_names(module):
        value = getattr(module, public)
        if not first_line(module, public):
            yield f"{name}.{public} ({type(value).__name__}): a text, written in it or below it"


def first_line(module: ModuleType, name: str) -> str:
    """The first sentence of a public name's docstring; empty where it has none."""
    value = getattr(module, name)
    if inspect.isclass(value) or inspect.isfunction(value) or inspect.ismodule(value):
        text = inspect.cleandoc(vars(value).get("__doc__") or getattr(value, "__doc__", "") or "")
        # Dataclasses without a docstring are given their signature.
        generated = inspect.isclass(value) and text.startswith(f"{name}(")
        return "" if generated else text.partition("\n\n")[0].replace("\n", " ")
    found = attribute(module, name)
    return found.docstring.value.partition("\n\n")[0].replace("\n", " ") if found else ""


def attribute(module: ModuleType, name: str) -> Any:
    """A constant or an alias where it is defined and described; Python itself keeps no such text.

    It is looked for among the modules that hold this very value: names are imported on first use,
    and no reader of the source follows that.
    """
    value = getattr(module, name)
    top = module.__name__.partition(".")[0]
    for path, other in list(sys.modules.items()):
        if path.partition(".")[0] == top and vars(other).get(name) is value:
            source = source_of(path)
            found = source.members.get(name) if source is not None else None
            # Aliases first: what they lead to may lie in a library that was not read.
            if found is not None and not found.is_alias and found.is_attribute and found.docstring:
                return found
    return None


def source_of(path: str) -> Any:
    """A module as its source says; None where it is not in this project."""
    top, *parts = path.split(".")
    found = sources(top)
    for part in parts:
        found = found.members.get(part) if found is not None else None
    return found


@functools.cache
def sources(package: str) -> Any:
    """A package as its sources say, without running it; None where they are not in this project."""
    import griffe

    folders = [folder for folder in source_folders() if (folder / package).is_dir()]
    if not folders:
        return None
    return griffe.load(package, search_paths=list(map(str, folders)), allow_inspection=False)


def page_of(name: str) -> str:
    """Markdown of a module's page: what it is for, an example, its names, each with its text."""
    module = importlib.import_module(name)
    own = shown_here(name)
    lines = [f"# `{name}`", "", inspect.cleandoc(module.__doc__ or ""), ""]
    example = example_of(name)
    if example:
        lines += ["```python", example.rstrip(), "```", ""]
    lines += ["| name | |", "|---|---|"]
    for public in sorted(public_names(module)):
        target = target_of(name, public, own)
        text = first_line(module, public).replace("``", "`").replace("|", r"\|")
        lines.append(f"| [`{public}`]({target}) | {text} |")
    for public in sorted(own):
        lines += ["", f"::: {own[public]}"]
    return "\n".join(lines) + "\n"


def target_of(module: str, name: str, own: dict[str, str]) -> str:
    """Where a name's full text is, as a link from its module's page."""
    if name in own:
        return f"#{own[name]}"
    if f"{module}.{name}" in PAGES:
        return f"{module}.{name}.md"
    path = path_of(importlib.import_module(module), name)
    return f"{home(name, path)}.md#{path}"


def example_of(name: str) -> str:
    """A module's own example; a package may show the first Python of its README instead."""
    own = ROOT / "docs" / "_site" / "examples" / f"{name}.example.py"
    if own.is_file():
        return own.read_text(encoding="utf-8")
    for folder in source_folders():
        if (folder / name).is_dir() and (folder.parent / "README.md").is_file():
            readme = (folder.parent / "README.md").read_text("utf-8")
            found = re.search(r"```python\n(.*?)```", readme, re.DOTALL)
            return found[1] if found else ""
    return ""


def without_example(name: str) -> Iterator[str]:
    """Say of a module without an example where to write one."""
    if not example_of(name):
        yield f"{name}: an example; write docs/_site/examples/{name}.example.py"
