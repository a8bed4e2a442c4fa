"""Changes that somebody makes by hand, with hashes made right where that is possible.

A new kind joins by a line in ``CHANGES``: its name, what it does, and the command that uses what
was changed and has to notice it.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from _trials import Tampering
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from dagcast.workflow.common._seal import SEAL, seal
from dagcast_core.data._manifest import sampled

APPROVE = ("approve", "plan-0001", "--why", "x")
PLAN = ("plan", "--set", "uncertainty.draws=2")
CHECK = ("check",)
DEEP = ("check", "--deep")

Lines = Callable[[list[bytes]], list[bytes]]


def _log(change: Lines) -> Callable[[Path], None]:
    def does(folder: Path) -> None:
        path = folder / "log.jsonl"
        lines = path.read_bytes().splitlines()
        changed = change(list(lines))
        assert changed != lines
        path.write_bytes(b"".join(line + b"\n" for line in changed))

    return does


def _line(number: int, old: bytes, new: bytes) -> Callable[[Path], None]:
    def change(lines: list[bytes]) -> list[bytes]:
        assert old in lines[number], lines[number]
        lines[number] = lines[number].replace(old, new, 1)
        return lines

    return _log(change)


def _without_digest(lines: list[bytes]) -> list[bytes]:
    values = json.loads(lines[-1])
    del values["prev"]
    return [*lines[:-1], json.dumps(values).encode()]


def _file(place: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def does(folder: Path) -> None:
        path = next(iter(sorted(folder.glob(place))))
        before = path.read_bytes()
        assert change(before) != before
        path.write_bytes(change(before))

    return does


def _gone(place: str) -> Callable[[Path], None]:
    def does(folder: Path) -> None:
        path = next(iter(sorted(folder.glob(place))))
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()

    return does


def _flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def _sealed(place: str, change: Callable[[Path], None]) -> Callable[[Path], None]:
    """Change a plan or fit and seal it anew."""

    def does(folder: Path) -> None:
        change(folder)
        (folder / place / SEAL).unlink()
        seal(folder / place)

    return does


def _times(path: Path, factor: float) -> None:
    """A valid Parquet file with other figures."""
    frame = pd.read_parquet(path)
    for name in frame.select_dtypes("number").columns:
        frame[name] = frame[name] * factor
    frame.to_parquet(path, index=False)


def _ledger(folder: Path) -> Path:
    return next(iter(sorted((folder / "store/ledgers/spend").glob("*.parquet"))))


def _ledger_times_3(folder: Path) -> None:
    _times(_ledger(folder), 3)


def _ledger_remade(folder: Path) -> None:
    """The manifest says what the changed ledger holds."""
    path = _ledger(folder)
    _times(path, 3)
    manifest = folder / "store/store.json"
    document = json.loads(manifest.read_text())
    name = path.relative_to(folder / "store").as_posix()
    for ledger in filter(None, (batch["ledger"] for batch in document["batches"])):
        if ledger["path"] == name:
            ledger["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
            ledger["size"], ledger["sample"] = path.stat().st_size, sampled(path)
    manifest.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")


def _older_manifest(folder: Path) -> None:
    manifest = folder / "store/store.json"
    document = json.loads(manifest.read_text())
    document["batches"] = document["batches"][:-1]
    manifest.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")


def _more_accepted(folder: Path) -> None:
    manifest = folder / "store/store.json"
    document = json.loads(manifest.read_text())
    document["accepted"] = {"region": ["ATLANTIS"]}
    manifest.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")


def _stranger(folder: Path) -> None:
    path = _ledger(folder)
    shutil.copy(path, path.with_name("0" * 32 + ".parquet"))


def _cache_times_10(folder: Path) -> None:
    path = next(iter(sorted((folder / "store/cache").glob("*.safetensors"))))
    with safe_open(path, framework="pt") as opened:
        metadata = opened.metadata()
    save_file({k: v * 10 for k, v in load_file(path).items()}, path, metadata)


def _shifted(folder: Path) -> None:
    """Parameters moved, and the sums of the fit's own model made right."""
    model = folder / "models/fit-0001/model"
    path = model / "state.safetensors"
    save_file({k: v + 0.1 for k, v in load_file(path).items()}, path)
    sums = model / "SHA256SUMS"
    names = [line.split()[1] for line in sums.read_text().splitlines()]
    digests = ((hashlib.sha256((model / name).read_bytes()).hexdigest(), name) for name in names)
    sums.write_text("".join(f"{digest}  {name}\n" for digest, name in digests))


def _decisions_scaled(folder: Path) -> None:
    _times(folder / "plans/plan-0001/decisions.parquet", 2)


def _added(place: str) -> Callable[[Path], None]:
    return lambda folder: (folder / place).write_text("{}") and None


def _linked(place: str) -> Callable[[Path], None]:
    def does(folder: Path) -> None:
        (folder / place).rename(folder.parent / "elsewhere")
        (folder / place).symlink_to(folder.parent / "elsewhere")

    return does


CHANGES = (
    # the log
    Tampering("log: a figure in the middle", _line(1, b'"rows"', b'"Rows"'), APPROVE),
    Tampering("log: who did it", _line(2, b'"who": "', b'"who": "not '), APPROVE),
    Tampering("log: when it was", _line(3, b"20", b"19"), APPROVE),
    Tampering("log: the seal of the plan", _line(-1, b'"seal": "', b'"seal": "0'), APPROVE),
    Tampering("log: the seal of the fit", _line(3, b'"seal": "', b'"seal": "0'), PLAN),
    Tampering("log: a line doubled", _log(lambda a: [*a[:3], a[2], *a[3:]]), APPROVE),
    Tampering("log: the last line doubled", _log(lambda a: [*a, a[-1]]), APPROVE),
    Tampering("log: two lines exchanged", _log(lambda a: [*a[:2], a[3], a[2], *a[4:]]), APPROVE),
    Tampering("log: a line taken out", _log(lambda a: [*a[:2], *a[3:]]), APPROVE),
    Tampering("log: cut off at the end", _log(lambda a: a[:-1]), APPROVE),
    Tampering("log: the first line gone", _log(lambda a: a[1:]), APPROVE),
    Tampering("log: emptied", _log(lambda a: []), APPROVE),
    Tampering("log: a line without its digest", _log(_without_digest), APPROVE),
    Tampering("log: a blank line", _log(lambda a: [*a[:2], b"", *a[2:]]), APPROVE),
    Tampering("log: a hidden key", _line(2, b'"who"', b'"who": "eve", "who"'), APPROVE),
    Tampering("log: its head gone", _gone("log.head"), APPROVE),
    Tampering("log: another head", _file("log.head", _flipped), APPROVE),
    Tampering("log: elsewhere", _linked("log.jsonl"), APPROVE),
    # the plan
    Tampering("plan: decisions doubled", _decisions_scaled, APPROVE),
    Tampering("plan: sealed anew", _sealed("plans/plan-0001", _decisions_scaled), APPROVE),
    Tampering("plan: a byte", _file("plans/plan-0001/outlook.safetensors", _flipped), APPROVE),
    Tampering("plan: without its seal", _gone("plans/plan-0001/sha256.json"), APPROVE),
    Tampering("plan: a file gone", _gone("plans/plan-0001/solved/*.json"), APPROVE),
    Tampering("plan: a file more", _added("plans/plan-0001/more.json"), APPROVE),
    Tampering("plan: gone", _gone("plans/plan-0001"), APPROVE),
    Tampering("plan: elsewhere", _linked("plans"), APPROVE),
    # the fit
    Tampering("fit: parameters moved", _shifted, PLAN),
    Tampering("fit: sealed anew", _sealed("models/fit-0001", _shifted), PLAN),
    Tampering("fit: its provenance", _file("models/fit-0001/fit.json", _flipped), PLAN),
    Tampering("fit: draws gone", _gone("models/fit-0001/model/draws.safetensors"), PLAN),
    Tampering("fit: a file more", _added("models/fit-0001/more.json"), PLAN),
    Tampering("fit: gone", _gone("models/fit-0001"), PLAN),
    # the store
    Tampering("ledger: times 3", _ledger_times_3, PLAN),
    Tampering("ledger: times 3, and approval", _ledger_times_3, CHECK),
    Tampering("ledger: times 3, manifest made right", _ledger_remade, PLAN),
    Tampering("ledger: the same, and approval", _ledger_remade, APPROVE),
    Tampering("ledger: a bit", _file("store/ledgers/sessions/*", _flipped), DEEP),
    Tampering("ledger: gone", _gone("store/ledgers/spend/*"), PLAN),
    Tampering("ledger: one more", _stranger, CHECK),
    Tampering("keys: a bit", _file("store/keys/*/*", _flipped), DEEP),
    Tampering("set aside: a bit", _file("store/quarantine/*/*", _flipped), DEEP),
    Tampering("manifest: gone", _gone("store/store.json"), APPROVE),
    Tampering("manifest: an older one", _older_manifest, APPROVE),
    Tampering("manifest: a label more", _more_accepted, PLAN),
    Tampering("cache: times 10", _cache_times_10, CHECK),
    Tampering("cache: a bit", _file("store/cache/*", _flipped), CHECK),
)
