"""Arrays that take memory page by page, as they are written, and not as they are long.

What has room for the worst case is mostly never written. NumPy asks for large pages, so that a few bytes here
and there hold as much as the whole; these arrays ask for small ones.
"""

from __future__ import annotations

import contextlib
import math
import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST_BYTES = 1 << 20
"""Below this a plain array is as good."""


def paged(shape: int | tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """An array of zeros whose pages are not there until they are written to.

    Args:
      shape, dtype: as for `numpy.zeros`.
    """
    sides = (shape,) if isinstance(shape, int) else shape
    kind, count = np.dtype(dtype), math.prod(sides)
    size = count * kind.itemsize
    if size < LEAST_BYTES or not hasattr(mmap, "MAP_PRIVATE"):
        return np.zeros(sides, kind)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
    space = mmap.mmap(-1, size, flags=flags)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without large pages knows no such advice
            space.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(space, kind).reshape(sides)
