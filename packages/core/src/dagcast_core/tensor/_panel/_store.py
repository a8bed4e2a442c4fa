"""Panels on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from dagcast_core.tensor._panel._members import Members
from dagcast_core.tensor._store import load_tensors, save_tensors
from dagcast_core.tensor._tensor import IndexTensor


class Store(Members):
    """How a `Panel` is kept on disk."""

    __slots__ = ()

    def save(self, folder: str | Path) -> None:
        """Write the panel to a folder of safetensors, Arrow and JSON files.

        Args:
            folder: where to write; created.

        Example:
            >>> from dagcast_core.tensor import IndexTensor, Panel
            >>> import tempfile
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     Panel([IndexTensor(1.0, {}, "a")]).save(folder)
            ...     list(Panel.load(folder))
            ['a']
        """
        save_tensors(self._tensors, folder)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a panel that `save` wrote.

        Raises:
            FileNotFoundError: there is nothing to read.
            ValueError: the folder is of another format.

        Example:
            >>> from dagcast_core.tensor import IndexTensor, Panel
            >>> import tempfile
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     Panel([IndexTensor(1.0, {}, "a")]).save(folder)
            ...     Panel.load(folder)["a"].item()
            1.0
        """
        return cls(load_tensors(folder, IndexTensor))
