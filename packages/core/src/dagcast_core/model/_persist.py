"""Fitted models as plain folders: safetensors, a JSON manifest, and a checksum of each file."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import secrets
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd
import torch
from safetensors.torch import load_file, save

from dagcast_core.contract import Contract
from dagcast_core.model._collection import ModelCollection, leaves_of
from dagcast_core.model._draws import ParameterDraws
from dagcast_core.model._errors import ModelError
from dagcast_core.model._model import Model

Labels: TypeAlias = Mapping[str, tuple[Any, ...]]
Build: TypeAlias = Callable[[Labels], Model]

_FORMAT = 1
_STATE, _DRAWS = "state.safetensors", "draws.safetensors"
_MANIFEST, _SUMS = "model.json", "SHA256SUMS"


def save_model(model: Model, folder: str | Path, *, draws: ParameterDraws | None = None) -> Path:
    """Write a fitted model to a folder, all or nothing.

    Args:
        model: parameters, buffers, labels, hyperparameters and contracts are written.
        folder: replaced if it holds a model; anything else there is refused.
        draws: written beside the model.

    Returns:
        The folder.

    Raises:
        ModelError: the folder exists and holds something else than a model.
    """
    target = Path(folder)
    if target.exists() and any(target.iterdir()) and not (target / _MANIFEST).exists():
        raise ModelError(
            f"cannot write a model to {target}: the folder holds something else "
            f"({next(target.iterdir()).name}). Name a new folder."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    # With the mode that the umask says, which temporary folders and `save_file` do not ask for.
    work = target.with_name(f".{target.name}-{secrets.token_hex(4)}")
    work.mkdir()
    try:
        state = {name: value.detach().contiguous() for name, value in model.state_dict().items()}
        (work / _STATE).write_bytes(save(_unshared(state)))
        if draws is not None:
            meta = {"method": draws.method, "seed": str(draws.seed)}
            content = save(_unshared(dict(draws.states)), metadata=meta)
            (work / _DRAWS).write_bytes(_in_order(content))
        (work / _MANIFEST).write_text(json.dumps(_manifest(model, draws), indent=2) + "\n")
        files = sorted(path.name for path in work.iterdir())
        sums = "".join(f"{_digest(work / name)}  {name}\n" for name in files)
        (work / _SUMS).write_text(sums)
        if target.exists():
            old = target.with_name(f".{target.name}-old-{secrets.token_hex(4)}")
            target.replace(old)
            work.replace(target)
            shutil.rmtree(old)
        else:
            work.replace(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def load_model(folder: str | Path, classes: Build | Mapping[str, Build]) -> Model:
    """Read a model that `save_model` wrote.

    No code is taken from the folder: the caller says how models are made, and what was saved must
    fit what is made.

    Args:
        folder: what `save_model` wrote.
        classes: makes the unfitted model from labels by dim; or, by name of the class, what makes
            each innermost model, and the collections are put together as they were.

    Raises:
        ModelError: a file is missing or was changed, or the model made is of another form.
    """
    source = Path(folder)
    _verify(source)
    manifest = json.loads((source / _MANIFEST).read_text())
    if manifest.get("format") != _FORMAT:
        raise ModelError(
            f"{source} was written in format {manifest.get('format')}; this version reads format "
            f"{_FORMAT}. Fit and save the model again, or install the version that wrote it."
        )
    labels = {dim: _read_labels(entry) for dim, entry in manifest["labels"].items()}
    if callable(classes):
        model = classes(labels)
    else:
        model = _assembled(manifest["tree"], classes, labels, source)
    _compare(model, manifest, source)
    try:
        model.load_state_dict(load_file(source / _STATE))
    except RuntimeError as error:
        raise ModelError(f"the parameters in {source} do not fit: {error}") from error
    return model


def load_draws(folder: str | Path) -> ParameterDraws:
    """Read the draws that `save_model` wrote beside a model.

    Raises:
        ModelError: a file is missing or was changed, or the model was saved without draws.
    """
    source = Path(folder)
    _verify(source)
    if not (source / _DRAWS).exists():
        raise ModelError(f"{source} has no draws; save the model with draws=.")
    about = json.loads((source / _MANIFEST).read_text())["draws"]
    return ParameterDraws(load_file(source / _DRAWS), about["method"], about["seed"])


def _manifest(model: Model, draws: ParameterDraws | None) -> dict[str, Any]:
    labels: dict[str, Any] = {}
    for leaf in leaves_of(model):
        for _, parameter in leaf.labelled_parameters():
            for dim in parameter.dims:
                labels.setdefault(dim, _written_labels(parameter.indexes[dim]))
    return {
        "format": _FORMAT,
        "core": importlib.metadata.version("dagcast-core"),
        "torch": torch.__version__,
        "labels": labels,
        "tree": _tree(model),
        "models": {leaf.contract.model: _described(leaf) for leaf in leaves_of(model)},
        "draws": None if draws is None else {"method": draws.method, "seed": draws.seed},
    }


def _tree(model: Model) -> Any:
    if isinstance(model, ModelCollection):
        return {
            "collection": model.contract.model,
            "version": model.contract.version,
            "members": [_tree(member) for member in model.members.values()],
        }
    return {"model": model.contract.model}


def _described(leaf: Model) -> dict[str, Any]:
    chosen: Any = getattr(leaf, "hyperparameters", None)
    given = dataclasses.is_dataclass(chosen) and not isinstance(chosen, type)
    return {
        "class": type(leaf).__qualname__,
        "contract": leaf.contract.to_json(),
        "hyperparameters": dataclasses.asdict(chosen) if given else None,
        "parameters": {
            name: {dim: _written_labels(parameter.indexes[dim]) for dim in parameter.dims}
            for name, parameter in leaf.labelled_parameters()
        },
    }


def _assembled(
    tree: Mapping[str, Any], classes: Mapping[str, Build], labels: Labels, source: Path
) -> Model:
    if "collection" in tree:
        members = [_assembled(member, classes, labels, source) for member in tree["members"]]
        return ModelCollection(members, tree["collection"], tree["version"])
    manifest = json.loads((source / _MANIFEST).read_text())
    wanted = manifest["models"][tree["model"]]["class"]
    if wanted not in classes:
        raise ModelError(
            f"{source} holds a {wanted}, and no such class is given; given are "
            f"{', '.join(sorted(classes)) or 'none'}. Install the package that has it."
        )
    return classes[wanted](labels)


def _compare(model: Model, manifest: Mapping[str, Any], source: Path) -> None:
    made = {leaf.contract.model: leaf for leaf in leaves_of(model)}
    saved = manifest["models"]
    if set(made) != set(saved):
        raise ModelError(
            f"{source} holds the models {', '.join(sorted(saved))}; made were "
            f"{', '.join(sorted(made))}. Install or enable the same packages, or fit again."
        )
    for name, leaf in made.items():
        entry = json.loads(json.dumps(_described(leaf)))
        for part, now in entry.items():
            then = saved[name][part]
            if part == "contract":
                # Only what is exchanged matters; wording may improve between releases.
                now, then = _interface(now), _interface(then)
            if now != then:
                raise ModelError(
                    f"{name} in {source} was saved with another {part}: saved {_short(then)}; "
                    f"made {_short(now)}. Fit again with the installed version."
                )


def _interface(contract: Mapping[str, Any]) -> Any:
    read = Contract.from_json(contract)
    return (
        read.model,
        [
            (item.name, item.quantity.dim_names, item.quantity.unit, item.lag)
            for item in read.inputs
        ],
        [(output.name, output.dim_names, output.unit) for output in read.outputs],
    )


def _verify(source: Path) -> None:
    if not (source / _SUMS).exists():
        raise ModelError(f"{source} holds no saved model: {_SUMS} is missing.")
    lines = [line.split(maxsplit=1) for line in (source / _SUMS).read_text().splitlines()]
    listed = {line[-1]: line[0] for line in lines if line}
    for name in (_STATE, _MANIFEST, *listed):
        if name not in listed:
            raise ModelError(f"{source / _SUMS} does not list {name}; the model is not complete.")
        if not (source / name).exists():
            raise ModelError(f"{source} is not complete: {name} is missing. Save the model again.")
        if _digest(source / name) != listed[name]:
            raise ModelError(
                f"{source / name} was changed after it was saved: its sha256 is not the one in "
                f"{_SUMS}. Restore it, or fit and save again."
            )


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _unshared(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    # safetensors refuses tensors that share memory.
    return {name: value.detach().clone().contiguous() for name, value in state.items()}


def _in_order(content: bytes) -> bytes:
    """A safetensors file whose notes stand in one order: equal draws are equal bytes.

    The library writes them as its hash map happens to hold them.
    """
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    # What follows begins at a multiple of eight.
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def _written_labels(index: pd.Index) -> dict[str, Any]:
    if isinstance(index, pd.DatetimeIndex):
        return {"kind": "time", "labels": [label.isoformat() for label in index]}
    return {"kind": "plain", "labels": index.tolist()}


def _read_labels(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    if entry["kind"] == "time":
        return tuple(pd.to_datetime(entry["labels"], utc=True))
    return tuple(entry["labels"])


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 160 else text[:157] + "..."
