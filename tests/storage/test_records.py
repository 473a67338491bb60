"""Record dtypes survive a store exactly, however their fields lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from storage.base import NotAStore, StoreError
from storage.records import dtype_from, dtype_text, records_of, rows_of

ODD = [
    np.dtype({"names": ["b", "number"], "formats": ["<f8", ">u4"], "offsets": [9, 1], "itemsize": 40}),
    np.dtype(
        [("number", "u4"), ("inner", [("x", "f4"), ("y", "<M8[h]", (2, 3))]), ("note", "S5")], align=True
    ),
    np.dtype([("number", "<u2"), ("pad", "V3"), ("word", "<U4"), ("flag", "?")]),
]


@given(hnp.array_dtypes(allow_subarrays=True) | st.sampled_from(ODD), st.integers(0, 5), st.randoms())
def test_a_dtype_and_every_byte_come_back(dtype: np.dtype[Any], count: int, chance: Any) -> None:
    again = dtype_from(dtype_text(dtype))
    assert again == dtype
    assert (again.itemsize, again.isalignedstruct, again.fields) == (
        dtype.itemsize,
        dtype.isalignedstruct,
        dtype.fields,
    )
    rows = [chance.randbytes(dtype.itemsize) for _ in range(count)] if dtype.itemsize else []
    records = records_of(rows, again)
    assert records.flags.writeable
    assert rows_of(records) == rows


def test_damaged_rows_and_python_objects_are_refused() -> None:
    with pytest.raises(NotAStore, match="2 users hold 9 bytes where 10 were written"):
        records_of([b"12345", b"1234"], np.dtype("S5"))
    with pytest.raises(StoreError, match="Python objects"):
        dtype_text(np.dtype([("number", "u4"), ("anything", "O")]))
