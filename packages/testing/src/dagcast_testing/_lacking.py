"""A name that an installed package lacks: what is declared, what is there, and what to do.

A floor lower than what the code needs shows as an import that fails, which says neither.
"""

import importlib.metadata
import re
from dataclasses import dataclass
from types import ModuleType

from dagcast_core.hooks import ENTRY_POINT_GROUP


@dataclass(frozen=True, slots=True)
class Lack:
    """What some package imports and an installed distribution does not have.

    Attributes:
        distribution: that lacks it.
        version: which of it is installed.
        what: the name that it lacks.
    """

    distribution: str
    version: str
    what: str

    def found(self, importer: str) -> str:
        """Say what is there and what ``importer``, a distribution, declares."""
        declared = [n for n in _needs(importer) if _normalised(_named(n)) == self.distribution]
        range_ = f"{', '.join(declared)} is" if declared else f"no {self.distribution} is"
        return f"{self.distribution} {self.version} is installed, {range_} declared"

    @property
    def fix(self) -> str:
        """Say what to write."""
        return (
            f"raise the floor of {self.distribution} to the first version that has {self.what!r} "
            "and install that, or do without it"
        )


def lacking(error: BaseException, own: str) -> Lack | None:
    """Return what an import that failed, or a look-up in a module, did not find in which package.

    Args:
        error: as it was raised.
        own: the package whose code it was; what that lacks itself is no matter of versions.

    Returns:
        None where something else went wrong, or where the whole package is missing.

    Example:
        >>> lack = lacking(error, "dagcast_weather")
        >>> lack.found("dagcast-weather")
        'dagcast-core 0.1.0 is installed, dagcast-core>=0.1 is declared'
    """
    if isinstance(error, AttributeError) and isinstance(error.obj, ModuleType):
        module, what = error.obj.__name__, error.name
    elif isinstance(error, ModuleNotFoundError) and "." in (error.name or ""):
        module, _, what = str(error.name).rpartition(".")
    elif isinstance(error, ImportError) and error.name:
        name = re.match(r"cannot import name '(\w+)'", str(error))
        module, what = error.name, name[1] if name else None
    else:
        return None
    package = module.partition(".")[0]
    if what is None or package == own:
        return None
    for distribution in importlib.metadata.packages_distributions().get(package, (package,)):
        try:
            version = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
        return Lack(_normalised(distribution), version, what)
    return None


def registered(package: str) -> str:
    """Return the distribution that registers models in an importable package, if one does."""
    for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
        if point.module.partition(".")[0] == package and point.dist is not None:
            return str(point.dist.metadata["Name"])
    return ""


def _needs(distribution: str) -> list[str]:
    try:
        needs = importlib.metadata.requires(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    return [need.partition(";")[0].strip() for need in needs]


def _named(requirement: str) -> str:
    return re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0]


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
