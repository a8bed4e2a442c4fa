"""A wheel that holds exported contracts and no code: what a package index can keep for teams."""

import base64
import hashlib
import importlib.metadata
import io
import re
import zipfile
import zlib

from dagcast._held import LARGEST
from dagcast.errors import UsageError

CONTENT = "contracts.json"
_NAME = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9_]*)-(?P<version>[^-]+)-py3-none-any\.whl")
# Equal contracts give equal bytes, whenever they are written.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def wheel_of(file_name: str, content: str) -> bytes:
    """Put exported contracts into a wheel.

    Args:
        file_name: of the wheel; says its distribution and version, as the format asks.
        content: the contracts as JSON.

    Raises:
        UsageError: the name is no wheel's.
    """
    from packaging.version import InvalidVersion, Version

    named = _NAME.fullmatch(file_name)
    try:
        version = Version(named["version"]) if named else None
    except InvalidVersion:
        version = None
    if named is None or version is None or str(version) != named["version"]:
        raise UsageError(
            "a wheel's name, such as contracts_in_force-2026.11.1-py3-none-any.whl",
            repr(file_name),
            "Use letters, digits and underscores for the name, and a version such as 2026.11.1.",
        )
    name, info = named["name"], f"{named['name']}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": '"""Contracts in force, in contracts.json beside this file."""\n',
        f"{name}/{CONTENT}": content,
        f"{info}/METADATA": (
            f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}\n"
            "Summary: Contracts in force of a set of dagcast packages, without their models.\n"
        ),
        f"{info}/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: dagcast\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
    }
    lines = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        lines.append(f"{path},sha256={digest.decode()},{len(text.encode())}\n")
    files[f"{info}/RECORD"] = "".join([*lines, f"{info}/RECORD,,\n"])
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in files.items():
            entry = zipfile.ZipInfo(path, _EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, text, zipfile.ZIP_DEFLATED)
    return made.getvalue()


def content_of(wheel: bytes, source: str) -> str:
    """The contracts in a wheel.

    Args:
        wheel: its bytes.
        source: where they are from, for messages.

    Raises:
        UsageError: they are no wheel, or one that holds no exported contracts.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
            inside = [name for name in archive.namelist() if name.endswith(f"/{CONTENT}")]
            if inside:
                return _unpacked(archive, inside[0])
    # RuntimeError, NotImplementedError: a wheel under a password, or packed in another way.
    except (zipfile.BadZipFile, OSError, RuntimeError, ValueError, zlib.error) as error:
        raise UsageError("a wheel", f"{source}: {error}", "Write or download it again.") from error
    raise UsageError(
        f"a wheel with {CONTENT}, as dagcast contracts export writes it",
        f"{source}, which holds none",
        "Take such a wheel; to check against a package of models, install it.",
    )


def _unpacked(archive: zipfile.ZipFile, name: str) -> str:
    with archive.open(name) as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"more than {LARGEST:,} bytes in {name}")
    return content.decode()


def installed_content(distribution: str) -> str | None:
    """The contracts that an installed distribution holds, or None where there are none."""
    try:
        files = importlib.metadata.files(distribution)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return None
    for file in files or ():
        if file.name == CONTENT and len(file.parts) == 2:
            return file.read_text(encoding="utf-8")
    return None
