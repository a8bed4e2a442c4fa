"""Arrays of a page as whole numbers in one compressed text.

A page shows figures with so many decimals and holds exactly those: ``round(value * 10**digits)``.
What is left of them after a prediction (another array, or the hour before) is small, and deflate
does the rest: 300 rows by 168 hours take about as many bytes as they have cells.
"""

import base64
import hashlib
import zlib
from collections.abc import Sequence
from typing import Any, final

import numpy as np
import numpy.typing as npt

from dagcast.review._content import Array

# Codes stay below it, so that differences of two still fit into 32 bits.
_MOST = 2**30
_MOST_DIGITS = 6


def digits_of(values: Array) -> int:
    """Decimals that show three significant digits of the larger values, none above a hundred."""
    known = np.abs(values[np.isfinite(values)])
    large = float(np.quantile(known, 0.9)) if known.size else 0.0
    if large <= 0:
        return 1
    return int(np.clip(2 - np.floor(np.log10(large)), 0, _MOST_DIGITS))


@final
class Packing:
    """Collects the arrays of a page; each is known by its number."""

    def __init__(self) -> None:
        self._heads: list[list[Any]] = []
        self._bytes: list[bytes] = []
        self._codes: list[npt.NDArray[np.int64] | None] = []
        # The same values are kept once, however often they are given.
        self._known: dict[tuple[bytes, int], int] = {}

    def add(self, values: Array, digits: int, near: Sequence[tuple[int, int]] = ()) -> int:
        """Keep an array (rows, columns).

        Args:
            values: to keep.
            digits: decimals that are shown of it.
            near: number and sign of arrays whose sum it is close to.
        """
        shaped = np.ascontiguousarray(np.atleast_2d(values), dtype=np.float64)
        content = hashlib.blake2b(shaped.tobytes(), digest_size=16)
        content.update(repr(shaped.shape).encode())
        key = (content.digest(), digits)
        if key not in self._known:
            self._known[key] = self._add(shaped, digits, near)
        return self._known[key]

    def heads(self) -> list[list[Any]]:
        """How to read every array: rows, columns, decimals, bytes of a value, way, what is near.

        The way is 0 for differences to the arrays nearby, 1 for their changes from column to
        column, and 2 for plain float32, which holds what is no number or too large.
        """
        return self._heads

    def text(self) -> str:
        """All arrays, deflated, as base64."""
        return base64.b64encode(zlib.compress(b"".join(self._bytes), 6)).decode()

    def _add(self, values: Array, digits: int, near: Sequence[tuple[int, int]]) -> int:
        rows, columns = values.shape
        scaled = values * 10.0**digits
        if values.size and not (np.abs(scaled) < _MOST).all():
            narrow = np.ascontiguousarray(values, dtype="<f4")
            return self._put([rows, columns, digits, 4, 2, []], narrow.tobytes(), None)
        codes = np.rint(scaled).astype(np.int64)
        left, used = codes, []
        for number, sign in near:
            other = self._codes[number]
            if (
                other is not None
                and other.shape == codes.shape
                and self._heads[number][2] == digits
                and np.abs(left - sign * other).max(initial=0) < _MOST
            ):
                left = left - sign * other
                used.append([number, sign])
        steps = np.diff(left, axis=1, prepend=0)
        way = int(np.log1p(np.abs(steps)).sum() < np.log1p(np.abs(left)).sum())
        chosen = steps if way else left
        folded = np.where(chosen < 0, -2 * chosen - 1, 2 * chosen).astype("<u4")
        most = int(folded.max(initial=0))
        width = 1 if most < 2**8 else 2 if most < 2**16 else 4
        # Bytes of one place side by side: the high ones are nearly all 0.
        planes = folded.reshape(-1).view(np.uint8).reshape(-1, 4)[:, :width].T
        return self._put([rows, columns, digits, width, way, used], planes.tobytes(), codes)

    def _put(self, head: list[Any], data: bytes, codes: npt.NDArray[np.int64] | None) -> int:
        self._heads.append(head)
        self._bytes.append(data)
        self._codes.append(codes)
        return len(self._heads) - 1
