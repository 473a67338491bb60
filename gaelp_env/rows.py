"""Rows of records, put together as bytes: NumPy would compare the layouts field by field each time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST = 64


class Rows:
    """Records of one layout in one array that grows.

    Attributes:
      size: how many there are.
    """

    def __init__(self, dtype: np.dtype[Any] | type) -> None:
        self.size = 0
        self._room = np.zeros(0, dtype)
        self._octets = octets(self._room)

    def add(self, rows: NDArray[Any]) -> None:
        """Copies rows `[R]` of the same layout to the end."""
        end = self.size + len(rows)
        if end > len(self._room):
            longer = np.empty(max(LEAST, end + end // 2), self._room.dtype)
            octets(longer)[: self.size] = self._octets[: self.size]
            self._room, self._octets = longer, octets(longer)
        self._octets[self.size : end] = octets(rows)
        self.size = end

    def clear(self) -> None:
        """Forgets all of them, and keeps the room."""
        self.size = 0

    def all(self) -> NDArray[Any]:
        """All rows, `[size]`, live: until the next `add`."""
        return self._room[: self.size]


def octets(rows: NDArray[Any]) -> NDArray[np.uint8]:
    """Records as rows of bytes, sharing memory if they lie side by side."""
    return np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), rows.dtype.itemsize)


def joined(parts: Sequence[NDArray[Any]], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Rows of one layout, one part after the other, in fresh memory; of no parts, none."""
    if not parts:
        return np.zeros(0, dtype)
    rows: NDArray[Any] = np.concatenate([octets(part) for part in parts]).view(dtype).reshape(-1)
    return rows
