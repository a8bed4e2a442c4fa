"""Contracts in force, without the packages that bring them: one JSON file, or a wheel around it.

A team checks its package against all others from it, and installs none of them.
"""

import http.client
import importlib.metadata
import json
import time
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagcast._held import LARGEST, held
from dagcast._wheel import content_of, installed_content
from dagcast.errors import UsageError
from dagcast_core.contract import Contract, ContractError, Registration, read_snapshot

if TYPE_CHECKING:
    from dagcast.plugins import Plugins

EXPORT_SCHEMA = "dagcast.exported/1"
"""How a file of exported contracts says what it is."""
RELEASE_SCHEMA = "dagcast.release/1"
"""How the manifest of a release says what it is."""
_POINTER_SCHEMA = "dagcast.current-release/1"
_WHAT = "exported contracts, a release manifest, a contract.json, or a folder that holds some"
# For an answer to begin, and for all of it.
_SECONDS = 30.0
# A wheel begins so, by whatever address it came.
_ZIPPED = b"PK\x03\x04"


@dataclass(frozen=True, slots=True)
class Exported:
    """What packages promise and ask, as somebody who has them wrote it down.

    Attributes:
        registrations: their contracts.
        known_ahead: quantities that can be known of hours to come; None where nobody said, and
            then whatever no model makes is taken to be there.
        required: quantities that plans rest on, with the unit in which they are counted.
        weights: quantities that a limit's mean is weighted by.
        levers: quantities that are decided.
    """

    registrations: tuple[Registration, ...]
    known_ahead: frozenset[str] | None = None
    required: Mapping[str, str] = field(default_factory=dict)
    weights: tuple[str, ...] = ()
    levers: tuple[str, ...] = ()

    def by_distribution(self) -> dict[str, tuple[Contract, ...]]:
        """Contracts by who brings them."""
        found: dict[str, tuple[Contract, ...]] = {}
        for item in self.registrations:
            found[item.distribution] = (*found.get(item.distribution, ()), item.contract)
        return found

    def not_installed(self) -> tuple[Registration, ...]:
        """The contracts whose distributions are not here, installed or switched off."""
        return tuple(item for item in self.registrations if not _installed(item.distribution))

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        versions = {item.distribution: item.version for item in self.registrations}
        return {
            "schema": EXPORT_SCHEMA,
            "packages": [
                {
                    "distribution": name,
                    "version": versions[name],
                    "contracts": [contract.to_json() for contract in contracts],
                }
                for name, contracts in self.by_distribution().items()
            ],
            "known_ahead": None if self.known_ahead is None else sorted(self.known_ahead),
            "required": dict(self.required),
            "weights": list(self.weights),
            "levers": list(self.levers),
        }


def _of_folder(folder: Path) -> Exported:
    pointer = folder / "current.json"
    if pointer.is_file():
        return read_exported(str(pointer))
    files = sorted({*folder.glob("contract.json"), *folder.glob("*/contract.json")})
    if files:
        found = [read_exported(str(file)) for file in files]
        return Exported(tuple(r for item in found for r in item.registrations))
    whole = [file for file in sorted(folder.glob("*")) if _is_exported(file)]
    if len(whole) != 1:
        names = ", ".join(file.name for file in whole[:3]) + ", ..." * (len(whole) > 3)
        raise UsageError(
            _WHAT,
            f"the folder {folder} with {names}" if whole else f"the folder {folder} without any",
            "Name one of them." if whole else "Name a file, or a folder of packages or releases.",
        )
    return read_exported(str(whole[0]))


def _is_exported(file: Path) -> bool:
    if not file.is_file() or file.suffix not in (".json", ".whl"):
        return False
    try:
        return _held(file).get("schema") in (EXPORT_SCHEMA, RELEASE_SCHEMA)
    except UsageError:
        return False


def _held(file: Path) -> dict[str, Any]:
    """What a file holds, JSON or a wheel of it."""
    content = _bytes(file, _WHAT)
    if file.suffix == ".whl":
        return _parsed(content_of(content, str(file)), str(file))
    return _parsed(content, str(file))


def export_contracts(plugins: "Plugins", asked: Mapping[str, Any]) -> Exported:
    """Write down what installed packages promise and ask.

    Args:
        plugins: from ``load_plugins``.
        asked: what a project asks of them: ``required``, ``weights`` and ``levers``, as
            ``check_assembly`` takes them.
    """
    from dagcast.vocabulary import known_ahead

    ahead = known_ahead(plugins)
    return Exported(
        plugins.registrations,
        ahead if plugins.plugins else None,
        dict(asked["required"]),
        tuple(asked["weights"]),
        tuple(asked["levers"]),
    )


def read_exported(source: str) -> Exported:
    """Read contracts from a file, a folder, an address or what is installed.

    Args:
        source: a file that ``dagcast contracts export`` wrote, JSON or wheel, a release manifest, a
            ``contract.json``, a folder (of releases: the current one; of packages: each
            ``contract.json``; else the one file of these kinds that it holds), an ``https://``
            address of a file, or the name of an installed distribution that such a wheel became.

    Raises:
        UsageError: there is nothing of that kind.
    """
    if not source.strip():
        raise UsageError(_WHAT, "an empty name", "Name a file, a folder or an address.")
    if "://" in source:
        fetched = _fetched(source)
        wheel = fetched.startswith(_ZIPPED)
        return _exported(_parsed(content_of(fetched, source) if wheel else fetched, source), source)
    path = Path(source)
    installed = None if path.exists() else installed_content(source)
    if installed is not None:
        return _exported(_parsed(installed, source), source)
    if path.is_dir():
        return _of_folder(path)
    data = _held(path)
    if data.get("schema") == _POINTER_SCHEMA:
        return _current(path, data.get("release"))
    return _exported(data, source)


def _current(pointer: Path, release: object) -> Exported:
    """The release that a pointer names; what it promises is beside it."""
    if not isinstance(release, str) or Path(release).name != release:
        raise UsageError(
            "the name of a release beside it", f"{release!r} in {pointer}", "Promote one again."
        )
    file = pointer.with_name(f"{release}.json")
    return _exported(read_json(file, _WHAT), str(file))


def read_json(path: Path, what: str) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        UsageError: there is no such file, or it holds no JSON object.
    """
    return _parsed(_bytes(path, what), str(path), what)


def _bytes(path: Path, what: str) -> bytes:
    try:
        return held(path)
    except FileNotFoundError:
        raise UsageError(what, f"no file {path}", "Check the path.") from None
    except OSError as error:
        raise UsageError(what, f"{path}: {error.strerror}", "Check the path.") from error


def _parsed(text: str | bytes, source: str, what: str = _WHAT) -> dict[str, Any]:
    if len(text) > LARGEST:
        raise UsageError(what, f"{source}, with more than {LARGEST >> 20} MiB", "Check the name.")
    try:
        data = json.loads(text)
    # ValueError: no JSON, no text, or a number of thousands of digits.
    except (ValueError, RecursionError) as error:
        raise UsageError(what, f"{source}, which is no JSON: {error}", "Check the name.") from error
    if not isinstance(data, dict):
        raise UsageError(what, f"{source}, which holds no JSON object", "Check the name.")
    return data


def _exported(data: Mapping[str, Any], source: str) -> Exported:
    try:
        if data.get("schema") in (EXPORT_SCHEMA, RELEASE_SCHEMA):
            ahead = data.get("known_ahead")
            required = data.get("required", {})
            return Exported(
                tuple(item for package in data["packages"] for item in _registered(package)),
                None if ahead is None else frozenset(_names("known_ahead", ahead)),
                dict(zip(required, _names("required", required.values()), strict=True)),
                _names("weights", data.get("weights", ())),
                _names("levers", data.get("levers", ())),
            )
        name, contracts = read_snapshot(data)
    except (AttributeError, ContractError, KeyError, TypeError, ValueError) as error:
        raise UsageError(
            _WHAT,
            f"{source}, in which {type(error).__name__}: {error}",
            "Take the file from the release it belongs to.",
        ) from error
    return Exported(tuple(Registration(contract, name, "as committed") for contract in contracts))


def _registered(package: Mapping[str, Any]) -> tuple[Registration, ...]:
    name, version = _names("packages", (package["distribution"], package.get("version", "")))
    if not name:
        raise ValueError("a package has no name")
    contracts = package["contracts"]
    return tuple(Registration(Contract.from_json(item), name, version) for item in contracts)


def _names(key: str, values: Iterable[Any]) -> tuple[str, ...]:
    found = tuple(values)
    if isinstance(values, str) or not all(isinstance(value, str) for value in found):
        raise TypeError(f"{key} holds {values!r}; expected texts")
    return found


def _fetched(address: str) -> bytes:
    scheme = address.partition("://")[0].lower()
    if scheme not in ("https", "http", "file"):
        raise UsageError(
            "a file, a folder, or an https:// address", f"{address!r}", "Check the address."
        )
    try:
        with urllib.request.urlopen(address, timeout=_SECONDS) as answer:
            return _received(answer)
    # ValueError and HTTPException: no address, or a server that speaks another language.
    except (OSError, ValueError, http.client.HTTPException) as error:
        said = str(error) or type(error).__name__
        raise UsageError(
            _WHAT, f"no answer from {address}: {said}", "Check the address and the network."
        ) from error


def _received(answer: "http.client.HTTPResponse") -> bytes:
    """What an answer holds; one that trickles in or never ends is given up."""
    until = time.monotonic() + _SECONDS
    read = bytearray()
    while len(read) <= LARGEST and (some := answer.read1(1 << 20)):
        read += some
        if time.monotonic() > until:
            raise TimeoutError(f"{len(read)} bytes in {_SECONDS:.0f} s")
    return bytes(read)


def _installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return False
    return True
