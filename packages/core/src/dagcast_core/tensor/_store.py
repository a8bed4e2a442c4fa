"""Labelled tensors on disk: safetensors for values, Arrow for labels, JSON for the rest.

A folder is plain data. Nothing in it is executed on loading, as a pickle would be.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import pandas as pd
import torch

from dagcast_core.tensor._base import Labelled
from dagcast_core.tensor._errors import AlignmentError
from dagcast_core.tensor._index import Axis

FORMAT = "dagcast-tensors/1"
_VALUES = "values.safetensors"
_MANIFEST = "tensors.json"


class Store(Labelled):
    """How an `IndexTensor` is kept on disk."""

    __slots__ = ()

    def save(self, folder: str | Path) -> None:
        """Write the tensor to a folder, which is created.

        Args:
            folder: where to write; files of an earlier save are replaced.

        Example:
            >>> import tempfile
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([1.0], {"region": ["SFO"]}, "rides")
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     a.save(folder)
            ...     IndexTensor.load(folder).layout is a.layout
            True
        """
        save_tensors({"tensor": self}, folder)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a tensor that `save` wrote.

        Args:
            folder: where it was written.

        Raises:
            FileNotFoundError: there is nothing to read.
            ValueError: the folder holds several tensors, or another format.

        Example:
            >>> import tempfile
            >>> from dagcast_core.tensor import IndexTensor
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     IndexTensor([1.0], {"region": ["SFO"]}, "rides").save(folder)
            ...     IndexTensor.load(folder).name
            'rides'
        """
        tensors = load_tensors(folder, cls)
        if list(tensors) != ["tensor"]:
            raise ValueError(
                f"cannot load one tensor from {Path(folder).name!r}: it holds {list(tensors)}. "
                "Use Panel.load()."
            )
        loaded: Self = tensors["tensor"]
        return loaded


def save_tensors(tensors: Mapping[str, Any], folder: str | Path) -> None:
    """Write several tensors to one folder; labels that they share are written once.

    Example:
        >>> import tempfile
        >>> from dagcast_core.tensor import IndexTensor
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_tensors({"a": IndexTensor(1.0, {})}, folder)
    """
    import pyarrow as pa
    import pyarrow.feather as feather
    from safetensors.torch import save

    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    for stale in path.glob("labels-*.arrow"):
        stale.unlink()
    numbers: dict[Axis, int] = {}
    entries: dict[str, Any] = {}
    values: dict[str, torch.Tensor] = {}
    for key, tensor in tensors.items():
        for axis in tensor.layout.axes:
            numbers.setdefault(axis, len(numbers))
        entries[key] = {
            "name": tensor.name,
            "axes": [numbers[axis] for axis in tensor.layout.axes],
        }
        # A clone: safetensors refuses tensors that share memory, as views and expansions do.
        values[key] = tensor.tensor.detach().cpu().contiguous().clone()
    axes: list[dict[str, Any]] = []
    for axis, number in numbers.items():
        table, description = _labels_to_arrow(axis, pa)
        feather.write_feather(table, str(path / f"labels-{number}.arrow"), compression="zstd")
        axes.append({"dim": axis.dim, "size": axis.size, **description})
    # Not `save_file`, whose files only their owner can read, whatever the umask says.
    (path / _VALUES).write_bytes(save(values))
    manifest = {"format": FORMAT, "axes": axes, "tensors": entries}
    (path / _MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def load_tensors(folder: str | Path, cls: Any) -> dict[str, Any]:
    """Read the tensors of a folder, in the order in which they were written.

    Raises:
        FileNotFoundError: there is nothing to read.
        ValueError: the folder is of another format.

    Example:
        >>> import tempfile
        >>> from dagcast_core.tensor import IndexTensor
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_tensors({"a": IndexTensor(1.0, {})}, folder)
        ...     list(load_tensors(folder, IndexTensor))
        ['a']
    """
    import pyarrow.feather as feather
    from safetensors.torch import load_file

    path = Path(folder)
    if not (path / _MANIFEST).exists():
        raise FileNotFoundError(f"cannot load tensors: {path / _MANIFEST} does not exist.")
    manifest = json.loads((path / _MANIFEST).read_text(encoding="utf-8"))
    if manifest.get("format") != FORMAT:
        raise ValueError(
            f"cannot load tensors from {path.name!r}: expected the format {FORMAT!r}, "
            f"found {manifest.get('format')!r}."
        )
    axes: list[tuple[str, pd.Index]] = []
    for number, entry in enumerate(manifest["axes"]):
        table = feather.read_table(str(path / f"labels-{number}.arrow"), memory_map=False)
        axes.append((entry["dim"], _labels_from_arrow(table, entry)))
    values = load_file(str(path / _VALUES))
    return {
        key: cls(values[key], dict(axes[number] for number in entry["axes"]), entry["name"])
        for key, entry in manifest["tensors"].items()
    }


def _labels_to_arrow(axis: Axis, pa: Any) -> tuple[Any, dict[str, Any]]:
    index = axis.index
    if isinstance(index, pd.MultiIndex):
        levels = [index.get_level_values(level) for level in range(index.nlevels)]
        description = {"levels": list(index.names), "dtypes": [str(x.dtype) for x in levels]}
    else:
        levels = [index]
        description = {"dtypes": [str(index.dtype)]}
        if isinstance(index, pd.CategoricalIndex):
            description["ordered"] = index.ordered
    try:
        columns = {str(i): pa.Array.from_pandas(pd.Series(x)) for i, x in enumerate(levels)}
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise AlignmentError(
            f"cannot save labels along {axis.dim!r}: Arrow has no form for labels that are "
            f"{axis.kind}. Relabel them first.",
            dim=axis.dim,
        ) from error
    return pa.table(columns), description


def _labels_from_arrow(table: Any, entry: Mapping[str, Any]) -> pd.Index:
    levels = []
    for column, dtype in zip(table.columns, entry["dtypes"], strict=True):
        series = column.to_pandas()
        if str(series.dtype) != dtype and dtype != "category":
            series = series.astype(dtype)
        levels.append(pd.Index(series))
    if "levels" in entry:
        return pd.MultiIndex.from_arrays(levels, names=entry["levels"])
    first: pd.Index = levels[0]
    return first
