"""Filling in the template of a team package."""

from importlib.resources import files
from importlib.resources.abc import Traversable

_SUFFIX = ".in"


def render(name: str) -> dict[str, str]:
    """Return the files of a new team package.

    Args:
        name: lower-case words joined by hyphens, e.g. ``weather-sessions``.

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
    }
    return dict(sorted(_rendered(files(__package__), "", values)))


def _rendered(folder: Traversable, prefix: str, values: dict[str, str]) -> list[tuple[str, str]]:
    made = []
    for item in folder.iterdir():
        name = item.name.replace("__module__", values["module"])
        if item.is_dir():
            made += _rendered(item, f"{prefix}{name}/", values)
        elif name.endswith(_SUFFIX):
            text = item.read_text(encoding="utf-8")
            made.append((prefix + name.removesuffix(_SUFFIX), text.format(**values)))
    return made
