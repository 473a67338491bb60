"""Records put together as bytes are what NumPy makes of them field by field."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from gaelp_env.ledger import CONVERSION, TOUCH
from gaelp_env.rows import Rows, joined


def some(dtype: Any, counts: list[int], seed: int = 0) -> list[NDArray[Any]]:
    chance = np.random.default_rng(seed)
    return [np.frombuffer(chance.bytes(count * np.dtype(dtype).itemsize), dtype) for count in counts]


@given(counts=st.lists(st.integers(0, 90), max_size=12), dtype=st.sampled_from([TOUCH, CONVERSION, np.int64]))
def test_rows_are_all_that_was_added_in_order(counts: list[int], dtype: Any) -> None:
    parts, rows = some(dtype, counts), Rows(dtype)
    for part in parts:
        rows.add(part)
    together = np.concatenate([np.zeros(0, dtype), *parts])
    assert rows.all().tobytes() == together.tobytes() == joined(parts, np.dtype(dtype)).tobytes()
    assert rows.all().dtype == joined(parts, np.dtype(dtype)).dtype == dtype
    assert rows.size == sum(counts)


def test_what_was_forgotten_does_not_come_back() -> None:
    first, second = some(TOUCH, [70, 3])
    rows = Rows(TOUCH)
    rows.add(first)
    rows.clear()
    rows.add(second)
    assert rows.all().tobytes() == second.tobytes()


def test_rows_keep_copies_and_take_rows_that_do_not_lie_side_by_side() -> None:
    given_rows = some(np.int64, [10])[0].copy()
    rows = Rows(np.int64)
    rows.add(given_rows[::2])
    kept = rows.all().copy()
    given_rows[:] = 0
    assert_array_equal(rows.all(), kept)


def test_joined_rows_are_fresh() -> None:
    (part,) = (rows.copy() for rows in some(np.int64, [4]))
    together = joined([part], np.dtype(np.int64))
    part[:] = 7
    assert not (together == 7).any()


def test_rows_of_another_layout_are_refused() -> None:
    with pytest.raises(ValueError, match="broadcast"):
        Rows(TOUCH).add(np.zeros(3, CONVERSION))
