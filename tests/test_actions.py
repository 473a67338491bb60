"""What an action means in money."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gaelp_env.actions import NO_BID_BELOW, action_for, bids_cpm
from gaelp_env.config import CHANNELS, MarketConfig

CONFIG = MarketConfig()
REFERENCE = np.array([channel.reference_cpm for channel in CONFIG.channels.in_order()])
HIGHEST = REFERENCE * np.array([channel.max_multiple for channel in CONFIG.channels.in_order()])
ACTIONS = arrays(np.float32, 5, elements=st.floats(-1.0, 1.0, width=32))


def test_zero_is_the_reference_and_one_the_highest_bid() -> None:
    assert bids_cpm(np.zeros(5), CONFIG) == pytest.approx(REFERENCE)
    assert bids_cpm(np.ones(5), CONFIG) == pytest.approx(HIGHEST)
    assert bids_cpm(np.full(5, -0.9), CONFIG) == pytest.approx(REFERENCE * (HIGHEST / REFERENCE) ** -0.9)


def test_below_minus_nine_tenths_is_no_bid() -> None:
    assert bids_cpm([-1.0, -0.9001, -0.9, -0.899, -5.0], CONFIG).astype(bool).tolist() == [
        False, False, True, True, False,
    ]  # fmt: skip


@given(ACTIONS)
def test_a_bid_is_nothing_or_between_its_ends_and_actions_are_clipped(action: np.ndarray) -> None:
    bids = bids_cpm(action, CONFIG)
    assert ((bids == 0.0) == (action.astype(np.float64) < NO_BID_BELOW)).all()
    assert (bids <= HIGHEST * (1 + 1e-12)).all()
    assert bids_cpm(np.where(action >= 0.99, 7.0, action), CONFIG) == pytest.approx(
        np.where(action >= 0.99, HIGHEST, bids)
    )


@given(ACTIONS)
def test_an_action_survives_the_way_to_money_and_back(action: np.ndarray) -> None:
    again = action_for(bids_cpm(action, CONFIG), CONFIG)
    assert again.dtype == np.float32
    expected = np.where(action.astype(np.float64) < NO_BID_BELOW, -1.0, action)
    assert again == pytest.approx(expected, abs=1e-6)


@given(arrays(np.float64, 5, elements=st.floats(0.0, 1e6)))
def test_any_bid_has_an_action_that_bids_or_not_as_it_does(bids: np.ndarray) -> None:
    action = action_for(bids, CONFIG)
    assert ((action >= -1.0) & (action <= 1.0)).all()
    assert ((bids_cpm(action, CONFIG) > 0.0) == (bids > 0.0)).all()


@given(ACTIONS, ACTIONS)
def test_a_higher_action_never_means_a_lower_bid(one: np.ndarray, two: np.ndarray) -> None:
    low, high = bids_cpm(np.minimum(one, two), CONFIG), bids_cpm(np.maximum(one, two), CONFIG)
    assert (low <= high).all()


@pytest.mark.parametrize("action", [np.zeros(4), np.zeros((1, 5)), 0.0])
def test_a_wrong_shape_is_refused_in_words(action: object) -> None:
    with pytest.raises(ValueError, match=f"one number for each of {CHANNELS[0]}.*shape"):
        bids_cpm(action, CONFIG)


@pytest.mark.parametrize(
    ("action", "shown"),
    [
        ("abc", "'abc'"),
        ({"a": 1}, r"\{'a': 1\}"),
        (None, "None"),
        ([1j, 0, 0, 0, 0], r"\[1j, 0, 0, 0, 0\]"),
        (np.zeros(5, complex), "array"),
        ([[0.0], [0.0, 1.0], 0, 0, 0], r"\[\[0\.0\]"),
        (["1", "0", "0", "0", "0"], r"\['1'"),
    ],
)
def test_what_is_no_row_of_numbers_is_refused_in_words(action: object, shown: str) -> None:
    with pytest.raises(ValueError, match=rf"one number for each of .* and this one is {shown}"):
        bids_cpm(action, CONFIG)


@pytest.mark.parametrize(
    "action", [[0, 1, 0, -1, 0], np.array([0, 1, 0, -1, 0], np.int8), (0.0, 1, 0, -1, 0)]
)
def test_whole_numbers_are_numbers(action: object) -> None:
    assert (bids_cpm(action, CONFIG) == bids_cpm(np.array([0.0, 1.0, 0.0, -1.0, 0.0]), CONFIG)).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_by_channel(bad: float) -> None:
    words = f"must be finite, and for {CHANNELS[2]} it is {bad}; give a number from -1 .* to 1"
    with pytest.raises(ValueError, match=words):
        bids_cpm([0.0, 0.0, bad, 0.0, 0.0], CONFIG)


TWENTY = arrays(np.float32, 20, elements=st.floats(-1.0, 1.0, width=32))


@given(TWENTY)
def test_with_audiences_a_row_is_a_channel_and_each_number_means_what_it_means_alone(
    action: np.ndarray,
) -> None:
    bids = bids_cpm(action, CONFIG, 4)
    assert bids.shape == (5, 4)
    for audience in range(4):
        alone = bids_cpm(action.reshape(5, 4)[:, audience], CONFIG)
        assert bids[:, audience].tolist() == alone.tolist()


@given(ACTIONS)
def test_equal_numbers_for_all_audiences_are_the_bids_by_channel(action: np.ndarray) -> None:
    bids = bids_cpm(np.repeat(action, 4), CONFIG, 4)
    assert (bids == bids_cpm(action, CONFIG)[:, None]).all()


def test_the_first_four_numbers_are_the_first_channels() -> None:
    action = np.full(20, -1.0)
    action[:4] = [0.0, 1.0, -1.0, 0.0]
    bids = bids_cpm(action, CONFIG, 4)
    assert bids[0] == pytest.approx([REFERENCE[0], HIGHEST[0], 0.0, REFERENCE[0]])
    assert not bids[1:].any()


@pytest.mark.parametrize("action", [np.zeros(5), np.zeros((5, 4)), np.zeros(19)])
def test_a_wrong_number_of_audiences_is_refused_in_words(action: object) -> None:
    words = r"4 numbers \(one an audience\) for each of search, .*: shape \(20,\), and this one has shape"
    with pytest.raises(ValueError, match=words):
        bids_cpm(action, CONFIG, 4)


@pytest.mark.parametrize(("place", "channel"), [(0, "search"), (7, "social"), (19, "email")])
def test_what_is_not_finite_is_refused_by_its_channel_with_audiences_too(place: int, channel: str) -> None:
    action = np.zeros(20)
    action[place] = np.nan
    with pytest.raises(ValueError, match=f"for {channel} it is nan"):
        bids_cpm(action, CONFIG, 4)
