"""A new team package, complete and passing its tests, in one step."""

import importlib.metadata
import importlib.util
import json
import keyword
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagcast._held import held_text, parsed_toml
from dagcast._toml_text import with_item, with_line
from dagcast._whole import staged, sweep, write_text
from dagcast.errors import UsageError
from dagcast_core.contract import Contract, snapshot
from dagcast_core.hooks import ENTRY_POINT_GROUP

if TYPE_CHECKING:
    from dagcast.exported import Exported
    from dagcast_testing.template import Kind

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z][a-z0-9]*)*")


@dataclass(frozen=True, slots=True)
class NewPackage:
    """What was made.

    Attributes:
        folder: of the package.
        distribution: its name in the registry; empty for a single file.
        module: its import name.
        files: made, relative to the workspace or the folder it was made in; the workspace's own
            file is not among them.
        next_commands: to run now.
    """

    folder: Path
    distribution: str
    module: str
    files: tuple[str, ...]
    next_commands: tuple[str, ...]


def new_package(name: str, workspace: Path) -> NewPackage:
    """Make a team package from the template and add it to the workspace.

    Args:
        name: lower-case words joined by hyphens; the distribution is ``dagcast-<name>``.
        workspace: folder whose ``pyproject.toml`` is the root of a uv workspace.

    Raises:
        UsageError: the name is not usable or taken, or ``workspace`` is none. Nothing was
            written then.
    """
    root = workspace / "pyproject.toml"
    _check_name(name)
    before = _root_text(root)
    folder = workspace / "packages" / name
    distribution = f"dagcast-{name}"
    _check_free(name, folder, distribution)
    after = _with_member(before, distribution, root)
    made = _made(name, folder, "member", {}, first=lambda: write_text(root, after))
    return NewPackage(
        folder,
        distribution,
        _module(name),
        tuple(f"packages/{name}/{path}" for path in made),
        (
            "uv sync --all-packages --group test && source .venv/bin/activate",
            f"pytest packages/{name}",
            "dagcast check",
        ),
    )


def new_repository(name: str, parent: Path, others: "Exported") -> NewPackage:
    """Make a team package in a repository of its own, with the CI of GitHub and of GitLab.

    Args:
        name: lower-case words joined by hyphens; the distribution is ``dagcast-<name>``.
        parent: folder in which ``dagcast-<name>`` is made.
        others: the contracts that its CI checks it against.

    Raises:
        UsageError: the name is not usable or taken. Nothing was written then.
    """
    _check_name(name)
    distribution = f"dagcast-{name}"
    folder = parent / distribution
    _check_free(name, folder, distribution)
    text = json.dumps(others.to_json(), indent=1, ensure_ascii=False) + "\n"
    made = _made(name, folder, "repository", {"others.json": text})
    return NewPackage(
        folder,
        distribution,
        _module(name),
        tuple(f"{distribution}/{path}" for path in made),
        (
            f"cd {folder}",
            'uv venv && source .venv/bin/activate && uv pip install --editable ".[test]"',
            "pytest",
            "dagcast check --against others.json",
        ),
    )


def new_notebook(name: str, parent: Path) -> NewPackage:
    """Make one file that holds a contract, its model and a look at both, for a notebook.

    Args:
        name: lower-case words joined by hyphens; the file is named after it.
        parent: folder in which the file is made.

    Raises:
        UsageError: the name is not usable or taken. Nothing was written then.
    """
    from dagcast_testing.template import render

    _check_name(name)
    ((path, text),) = render(name, "notebook").items()
    file = parent / path
    if file.exists():
        raise UsageError("a name that is free", f"the file {file}", "Choose another name.")
    # Python takes what lies beside a script first: its own `import json` would be the script.
    if importlib.util.find_spec(file.stem) is not None:
        raise UsageError(
            "a name that no module has", f"the module {file.stem}", "Choose another name."
        )
    parent.mkdir(parents=True, exist_ok=True)
    write_text(file, text)
    return NewPackage(parent, "", file.stem, (path,), (f"python {file}",))


def is_workspace(folder: Path) -> bool:
    """Tell whether a folder is the root of a uv workspace."""
    try:
        data = parsed_toml(held_text(folder / "pyproject.toml"))
        return "workspace" in data["tool"]["uv"]
    except (OSError, KeyError, TypeError, ValueError):
        return False


def _made(
    name: str,
    folder: Path,
    kind: "Kind",
    more: Mapping[str, str],
    first: Callable[[], None] = lambda: None,
) -> list[str]:
    """Make a package's folder, whole or not at all, and list its files.

    Args:
        name: of the package.
        folder: to make.
        kind: of template.
        more: further files.
        first: what else has to be written, before the folder has its name: who is stopped between
            both runs the command again, which a folder that is there would refuse.
    """
    from dagcast_testing.template import render

    files = {**render(name, kind), **more}
    distribution = f"dagcast-{name}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    sweep(folder.parent)
    # A half-written package would break every check.
    with staged(folder) as draft:
        for path, text in files.items():
            (draft / path).parent.mkdir(parents=True, exist_ok=True)
            (draft / path).write_text(text, encoding="utf-8")
        contract = _declared(draft / "src" / _module(name) / "contract.py")
        shown = json.dumps(snapshot(distribution, [contract]), indent=1) + "\n"
        (draft / "contract.json").write_text(shown)
        first()
    return sorted([*files, "contract.json"])


def _module(name: str) -> str:
    return f"dagcast_{name.replace('-', '_')}"


def _check_name(name: str) -> None:
    reserved = keyword.iskeyword(name)
    if not _NAME.fullmatch(name) or reserved:
        raise UsageError(
            "lower-case words joined by hyphens, such as weather-sessions",
            f"the package name {name!r}{', a word of Python itself' if reserved else ''}",
            "Choose another name.",
        )


def _check_free(name: str, folder: Path, distribution: str) -> None:
    if folder.exists():
        raise UsageError(
            "a name that is not taken yet",
            f"the folder {folder}",
            "Choose another name, or remove the folder.",
        )
    if _is_installed(distribution):
        raise UsageError(
            "a name that no installed package has",
            f"the installed package {distribution}",
            "Choose another name, or uninstall that package.",
        )
    for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
        owner = point.dist.metadata["Name"] if point.dist is not None else "another package"
        if point.name == name:
            raise UsageError(
                "a name that no installed package has",
                f"{name!r}, the entry point of {owner}",
                "Choose another name, or uninstall that package.",
            )


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _root_text(root: Path) -> str:
    try:
        text = held_text(root)
        members = parsed_toml(text)["tool"]["uv"]["workspace"]["members"]
    # ValueError: no TOML, or no text; TypeError: what should be a table is none.
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UsageError(
            "the root of a uv workspace, a pyproject.toml with [tool.uv.workspace]",
            f"{root}, which is none ({type(error).__name__}: {error})",
            "Run the command in the workspace's root, or name it with --workspace; --as repository "
            "makes a package that needs none.",
        ) from error
    if not isinstance(members, list) or "packages/*" not in members:
        raise UsageError(
            "a workspace with the members packages/*",
            f"{members} in {root}",
            "Add 'packages/*' to the members.",
        )
    return text


def _with_member(text: str, distribution: str, root: Path) -> str:
    """Add ``distribution`` to the root's dependencies and sources, keeping all comments."""
    data = parsed_toml(text)
    # A root that is no package itself needs nobody: `uv sync --all-packages` takes members; and
    # whoever was killed once the root was written runs the command again.
    if "project" not in data or _has_member(data, distribution):
        return text
    listed = with_item(text, "project", "dependencies", distribution)
    after = with_line(listed or text, "tool.uv.sources", f"{distribution} = {{ workspace = true }}")
    try:
        added = _has_member(parsed_toml(after), distribution)
    except ValueError:
        added = False
    if not added:
        raise UsageError(
            "a root with the lists project.dependencies and tool.uv.sources",
            f"{root}, to which {distribution} could not be added",
            "Add it to both by hand, after the package is made elsewhere.",
        )
    return after


def _has_member(data: Mapping[str, Any], distribution: str) -> bool:
    try:
        needed, sources = data["project"]["dependencies"], data["tool"]["uv"]["sources"]
        return distribution in needed and distribution in sources
    except (KeyError, TypeError):
        return False


def _declared(file: Path) -> Contract:
    spec = importlib.util.spec_from_file_location("dagcast_new_contract", file)
    if spec is None or spec.loader is None:
        raise RuntimeError(f"cannot load {file}, which the template has just made")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    contract = module.CONTRACT
    if not isinstance(contract, Contract):
        raise TypeError(f"CONTRACT of the template is a {type(contract).__name__}")
    return contract
