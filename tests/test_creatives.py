"""Which creative is shown, what spacing leaves, and what is counted apart."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gaelp_env.config_load import ConfigError, load_config
from gaelp_env.creatives import EVEN, FRESHEST, MOST, ROTATIONS, SEQUENTIAL, creative_of, spaced
from gaelp_env.ledger import K
from gaelp_env.market import Market

COUNT = st.integers(1, MOST)
UNIT = st.floats(1e-9, 1.0 - 1e-9)
FATIGUE = arrays(np.float32, MOST, elements=st.floats(0.0, 50.0, width=32))
ROTATION = st.sampled_from(sorted(ROTATIONS.values()))


@given(ROTATION, COUNT, st.integers(0, 10_000), FATIGUE, UNIT)
def test_a_creative_is_one_of_those_there_are(
    rotation: int, count: int, touches: int, fatigue: np.ndarray, u: float
) -> None:
    assert 0 <= creative_of(rotation, count, touches, fatigue, u) < count


@given(COUNT, st.integers(0, 10_000), FATIGUE, UNIT)
def test_in_turn_all_are_shown_before_one_comes_again(
    count: int, touches: int, fatigue: np.ndarray, u: float
) -> None:
    shown = [creative_of(SEQUENTIAL, count, touches + k, fatigue, u) for k in range(2 * count)]
    assert sorted(shown[:count]) == list(range(count))
    assert shown[:count] == shown[count:]


@given(COUNT, FATIGUE)
def test_at_random_each_has_its_even_share(count: int, fatigue: np.ndarray) -> None:
    grid = (np.arange(1200) + 0.5) / 1200.0
    shown = [creative_of(EVEN, count, 0, fatigue, float(u)) for u in grid]
    assert np.bincount(shown, minlength=count).tolist() == [1200 // count] * count


@given(COUNT, FATIGUE, UNIT)
def test_the_freshest_is_the_one_that_has_worn_least_and_the_first_of_equals(
    count: int, fatigue: np.ndarray, u: float
) -> None:
    assert creative_of(FRESHEST, count, 7, fatigue, u) == int(np.argmin(fatigue[:count]))


def test_creatives_worked_by_hand() -> None:
    fatigue = np.array([2.0, 0.5, 0.5, 0.0], np.float32)
    assert ROTATIONS == {"even": EVEN, "sequential": SEQUENTIAL, "freshest": FRESHEST}
    assert [creative_of(SEQUENTIAL, 3, touches, fatigue, 0.9) for touches in (0, 4, 5)] == [0, 1, 2]
    assert [creative_of(EVEN, 3, 0, fatigue, u) for u in (0.32, 0.34, 0.99)] == [0, 1, 2]
    assert creative_of(FRESHEST, 3, 0, fatigue, 0.9) == 1
    assert creative_of(FRESHEST, 1, 0, fatigue, 0.9) == 0


@given(st.floats(0.0, 1e4), st.floats(0.0, 1e3), st.floats(0.0, 1.0), st.floats(0.1, 1e4))
def test_spacing_leaves_a_share_that_rises_with_the_gap(
    gap_h: float, more_h: float, loss: float, span_h: float
) -> None:
    assert 1.0 - loss <= spaced(gap_h, loss, span_h) <= spaced(gap_h + more_h, loss, span_h) <= 1.0
    assert spaced(gap_h, 0.0, span_h) == 1.0
    assert spaced(0.0, loss, span_h) == 1.0 - loss
    assert spaced(100.0 * span_h, loss, span_h) == pytest.approx(1.0, abs=1e-12)


def test_spacing_worked_by_hand() -> None:
    assert spaced(24.0, 0.5, 24.0) == pytest.approx(1.0 - 0.5 / math.e, rel=1e-15)
    assert spaced(24.0 * math.log(2.0), 0.5, 24.0) == pytest.approx(0.75, rel=1e-14)


def shown(**response: object) -> Any:
    """What a user carries after seven ads of ours in one moment."""
    market = Market.born(load_config({"people.users": 2, "response": response}), 3)
    market.begin_episode()
    number = market.name_user()
    for _ in range(7):
        market.touch(number, 1)
    return market.population.rows(slice(None))[market.population.index_of(number)]


@pytest.mark.parametrize("rotation", ["sequential", "freshest"])
def test_each_creative_of_a_user_has_a_count_of_its_own(rotation: str) -> None:
    assert shown(rotation=rotation, creatives=[1.0, 1.0, 1.0])["fatigue"].tolist() == [3.0, 2.0, 2.0, 0.0]


@pytest.mark.parametrize("rotation", ["even", "sequential"])
def test_all_count_as_one_where_fatigue_is_by_campaign(rotation: str) -> None:
    row = shown(rotation=rotation, creatives=[1.0, 0.5], fatigue_by="campaign")
    assert row["fatigue"].tolist() == [7.0, 0.0, 0.0, 0.0]


def test_the_freshest_is_refused_where_creatives_are_not_counted_apart() -> None:
    with pytest.raises(ConfigError, match="rotation is freshest and fatigue_by is campaign"):
        load_config({"response.rotation": "freshest", "response.fatigue_by": "campaign"})


def test_rotating_wears_less_and_quality_counts() -> None:
    """Awareness after seven ads: A' = 1 - (1 - A)(1 - kappa q (1 + F) ** -b), ad by ad."""
    kappa, b = 0.06, 0.43

    def expected(order: list[int], quality: list[float]) -> float:
        awareness, counts = 0.0, [0] * len(quality)
        for k in order:
            awareness = 1.0 - (1.0 - awareness) * (1.0 - kappa * quality[k] * (1.0 + counts[k]) ** -b)
            counts[k] += 1
        return awareness

    one = shown(creatives=[1.0])["awareness"]
    two = shown(creatives=[1.0, 1.0], rotation="sequential")["awareness"]
    poor = shown(creatives=[1.0, 0.5], rotation="sequential")["awareness"]
    assert one == pytest.approx(expected([0] * 7, [1.0]), rel=1e-5)
    assert two == pytest.approx(expected([0, 1] * 3 + [0], [1.0, 1.0]), rel=1e-5)
    assert poor == pytest.approx(expected([0, 1] * 3 + [0], [1.0, 0.5]), rel=1e-5)
    assert one < two


def test_massed_ads_teach_less_than_spaced_ones() -> None:
    """With rho = 1 only the first of seven ads of one moment teaches anything."""
    massed = shown(creatives=[1.0], spacing_loss=1.0)["awareness"]
    assert massed == pytest.approx(0.06, rel=0.01)


def test_at_random_a_market_shows_each_creative_as_often() -> None:
    config = load_config(
        {"people.users": 400, "people.media_per_day": 30.0, "budget.per_episode": 1e6,
         "response": {"creatives": [1.0] * 3, "fatigue_half_life_d": 36_500.0}}
    )  # fmt: skip
    market = Market.born(config, 4)
    market.begin_episode()
    for _ in range(24):
        market.advance(np.full(K, 500.0))
    counts = market.population.rows(slice(None))["fatigue"].sum(axis=0)
    assert counts[3] == 0.0
    assert counts.sum() > 2000
    assert counts[:3] / counts.sum() == pytest.approx([1 / 3] * 3, abs=4.0 * math.sqrt(0.25 / counts.sum()))
