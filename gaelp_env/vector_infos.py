"""Infos in Gymnasium's vector form: under each name an array, under `_name` whose values it holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def as_infos(columns: Mapping[str, NDArray[Any]], has: NDArray[np.bool_]) -> dict[str, Any]:
    """Columns as Gymnasium's infos: zero where a world has none; nothing at all if no world has any.

    Args:
      columns: name -> `[N]` of numbers; taken over.
      has: `[N]`, which worlds have them.
    """
    if not has.any():
        return {}
    whole = has.all()
    masks = np.repeat(has[None], len(columns), axis=0)
    infos: dict[str, Any] = {}
    for (name, values), mask in zip(columns.items(), masks, strict=True):
        infos[name] = values if whole else np.where(has, values, values.dtype.type(0))
        infos[f"_{name}"] = mask
    return infos
