"""What is installed: versions, contents and contracts of the packages of a set."""

import hashlib
import importlib.metadata
import importlib.util
import subprocess
from collections.abc import Iterable
from pathlib import Path

from dagcast.errors import UsageError
from dagcast.plugins import Plugins
from dagcast.plugins._claims import normalised
from dagcast.release._manifest import Package

FRAMEWORK = ("dagcast", "dagcast-core", "dagcast-testing")


def installed_packages(plugins: Plugins) -> tuple[Package, ...]:
    """Describe the framework and every package that registers a plugin.

    Raises:
        UsageError: a package's files cannot be found.
    """
    names = {*FRAMEWORK, *(plugin.distribution for plugin in plugins.plugins)}
    found = []
    for name in sorted(names):
        contracts = tuple(c for plugin in plugins.of(name) for c in plugin.contracts)
        held = next(iter(plugins.of(name)), None)
        module = held.package if held is not None else name.replace("-", "_")
        version = importlib.metadata.version(name)
        found.append(Package(name, version, content_hash(module), contracts))
    return tuple(found)


def content_hash(module: str) -> str:
    """Return the sha256 over path and bytes of every file of an importable package or module.

    Raises:
        UsageError: it cannot be found, or has no files.
    """
    spec = importlib.util.find_spec(module)
    if spec is None or not (spec.submodule_search_locations or spec.has_location):
        raise UsageError(
            f"an importable package {module!r}", "none", "Install the distribution that has it."
        )
    if not spec.submodule_search_locations:
        return hashlib.sha256(Path(str(spec.origin)).read_bytes()).hexdigest()
    total = hashlib.sha256()
    for root in map(Path, sorted(spec.submodule_search_locations)):
        for file in sorted(_files(root)):
            total.update(f"{file.relative_to(root).as_posix()}\0".encode())
            total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def _files(root: Path) -> Iterable[Path]:
    # Caches are made by running, not by releasing.
    return (
        path
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    )


def needed_environment(distributions: Iterable[str]) -> tuple[str, ...]:
    """List what some distributions need, themselves included, as ``name==version``.

    Whatever else is installed, such as tools of developers, is no part of a release.

    Args:
        distributions: whose requirements count, and those of what they require, as far as they hold
            on this machine and name extras that somebody asked for.
    """
    from packaging.requirements import Requirement

    found: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    asked = [(name, "") for name in distributions]
    for name, extra in asked:
        key = (normalised(name), extra)
        if key in seen:
            continue
        seen.add(key)
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            # Whether something is missing is for the installer to say.
            continue
        found[key[0]] = distribution.version
        for text in distribution.requires or ():
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                asked += [(needed.name, item) for item in ("", *sorted(needed.extras))]
    return tuple(f"{name}=={version}" for name, version in sorted(found.items()))


def source_commit(folder: Path) -> str:
    """Return the commit that ``folder`` is at, with ``+changes`` if files differ; else nothing."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return ""
    return commit + ("+changes" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    ran = subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return ran.stdout.strip()
