"""Last click within a window."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gaelp_env.attribution import NOBODY, last_click

WINDOW_H = 720.0


def test_the_last_click_gets_the_order_up_to_the_end_of_its_window() -> None:
    assert last_click(100.0, 3, 820.0, WINDOW_H) == 3
    assert last_click(100.0, 3, 820.001, WINDOW_H) == NOBODY


def test_nobody_is_credited_without_a_click() -> None:
    assert last_click(-1.0, 0, 10.0, WINDOW_H) == NOBODY


@given(st.floats(0.0, 1e5), st.integers(0, 4), st.floats(0.0, 2000.0), st.floats(1.0, 2000.0))
def test_the_credit_goes_to_the_channel_clicked_or_to_nobody(
    clicked_h: float, channel: int, waited_h: float, window_h: float
) -> None:
    due_h = clicked_h + waited_h
    credited = last_click(clicked_h, channel, due_h, window_h)
    assert credited == (channel if due_h - clicked_h <= window_h else NOBODY)


@given(st.floats(0.0, 1e5), st.floats(0.0, 2000.0), st.floats(1.0, 2000.0), st.floats(0.0, 2000.0))
def test_a_longer_window_never_loses_a_credit(
    clicked_h: float, waited_h: float, window_h: float, more_h: float
) -> None:
    if last_click(clicked_h, 2, clicked_h + waited_h, window_h) == 2:
        assert last_click(clicked_h, 2, clicked_h + waited_h, window_h + more_h) == 2


def test_a_click_after_the_order_is_not_credited_with_it() -> None:
    assert last_click(101.0, 3, 100.0, WINDOW_H) == NOBODY
    assert last_click(100.0, 3, 100.0, WINDOW_H) == 3
