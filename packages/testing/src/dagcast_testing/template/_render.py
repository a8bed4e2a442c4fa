"""Filling in the template of a team package."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Literal

_SUFFIX = ".in"
# Folders with an underscore are for one kind alone, and come on top of the rest.
_ONLY = "_"
# Of a workspace's release; a repository of one package has its own way.
_WORKSPACE = "changelog.d/"

Kind = Literal["member", "repository", "notebook"]
"""What a new package is: in a workspace, in a repository of its own, or one file."""


def render(name: str, kind: Kind = "member") -> dict[str, str]:
    """Return the files of a new team package.

    Args:
        name: lower-case words joined by hyphens, e.g. ``weather-sessions``.
        kind: a ``member`` of a workspace, a ``repository`` of its own with CI, or one file for a
            ``notebook``.

    Returns:
        Text by path inside the package's folder.
    """
    words = name.split("-")
    quantity = "_".join([*words, "draft"])
    values = {
        "name": name,
        "distribution": f"dagcast-{name}",
        "module": "_".join(["dagcast", *words]),
        "quantity": quantity,
        "constant": quantity.upper(),
        "model": "".join(word.capitalize() for word in words),
        "file": "_".join(words),
    }
    folder = files(__package__)
    if kind == "notebook":
        return dict(_rendered(folder / "_notebook", "", values))
    made = dict(_rendered(folder, "", values))
    if kind == "repository":
        made = {path: text for path, text in made.items() if not path.startswith(_WORKSPACE)}
        made |= _rendered(folder / "_repository", "", values)
    return dict(sorted(made.items()))


def _rendered(folder: Traversable, prefix: str, values: dict[str, str]) -> list[tuple[str, str]]:
    made = []
    for item in folder.iterdir():
        name = item.name.replace("__module__", values["module"])
        name = name.replace("__file__", values["file"]).replace("dot_", ".")
        if item.is_dir() and item.name.startswith(_ONLY) and not item.name.startswith("__module"):
            continue
        if item.is_dir():
            made += _rendered(item, f"{prefix}{name}/", values)
        elif name.endswith(_SUFFIX):
            text = item.read_text(encoding="utf-8")
            made.append((prefix + name.removesuffix(_SUFFIX), text.format(**values)))
    return made
