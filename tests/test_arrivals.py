"""Candidates: a Poisson process with the profile of the hour, whatever anybody bids."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaelp_env import published
from gaelp_env.arrivals import BLOCK, count_candidates, list_comers, sort_moments, sweep
from gaelp_env.config import MarketConfig
from gaelp_env.constants import season_of
from tests import oracle_chance as plain


def candidates(key: int, tick: int, rate: np.ndarray, weight: float) -> np.ndarray:
    """How many candidates each user has, by sweep and count, and by both in one."""
    n = len(rate)
    number = np.arange(n, dtype=np.uint32)
    index, luck, counts = np.empty(n + 1, np.int64), np.empty(n + 1), np.empty(n + 1, np.int64)
    listed = sweep(np.uint64(key), tick, number, rate, 0, n, weight, index, luck)
    kept, total = count_candidates(rate, weight, index, luck, listed, counts)
    both = np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    assert list_comers(np.uint64(key), tick, number, rate, 0, n, weight, *both) == (kept, total)
    assert both[0][:kept].tolist() == index[:kept].tolist()
    assert both[1][:kept].tolist() == counts[:kept].tolist()
    out = np.zeros(n, np.int64)
    out[index[:kept]] = counts[:kept]
    assert total == out.sum()
    assert (np.diff(index[:kept]) > 0).all()
    return out


@settings(max_examples=40)
@given(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), st.floats(0.0, 1.0))
def test_the_sweep_misses_nobody(key: int, tick: int, weight: float) -> None:
    rate = np.linspace(0.0, 40.0, 60).astype(np.float32)
    expected = [
        plain.poisson(plain.draw(key, user, tick, plain.ARRIVE)[0], float(rate[user]) * weight)
        for user in range(len(rate))
    ]
    assert candidates(key, tick, rate, weight).tolist() == expected


def test_more_people_than_a_block_are_swept_whole() -> None:
    rate = np.full(2 * BLOCK + 17, 3.0, np.float32)
    once = candidates(4, 9, rate, 0.5)
    assert candidates(4, 9, rate[: BLOCK + 1], 0.5).tolist() == once[: BLOCK + 1].tolist()
    assert once[-17:].sum() > 0


@pytest.mark.parametrize("mean", [0.02, 0.8, 6.0])
def test_counts_have_the_mean_and_the_variance_of_poisson(mean: float) -> None:
    counts = candidates(1, 2, np.full(200_000, 10.0, np.float32), mean / 10.0)
    se = np.sqrt(mean / len(counts))
    assert counts.mean() == pytest.approx(mean, abs=4 * se)
    assert counts.var() == pytest.approx(mean, rel=0.03)


def test_ticks_and_people_are_independent() -> None:
    rate = np.full(50_000, 10.0, np.float32)
    now, then = candidates(1, 2, rate, 0.1), candidates(1, 3, rate, 0.1)
    assert abs(np.corrcoef(now, then)[0, 1]) < 0.02
    assert abs(np.corrcoef(now[1:], now[:-1])[0, 1]) < 0.02


def test_nobody_of_rate_zero_is_met() -> None:
    assert candidates(1, 2, np.zeros(1000, np.float32), 5.0).sum() == 0


@pytest.mark.parametrize("traffic", sorted(published.HOUR_SHARES))
@pytest.mark.parametrize("weekdays", sorted(published.DAY_WEIGHTS))
def test_traffic_has_a_mean_of_one_and_the_published_profile(traffic: str, weekdays: str) -> None:
    people = {"traffic": traffic, "weekdays": weekdays}
    weights = season_of(MarketConfig.model_validate({"people": people})).traffic
    assert weights.mean() == pytest.approx(1.0, rel=1e-12)
    week = weights.reshape(7, 24)
    hours, days = np.array(published.HOUR_SHARES[traffic]), np.array(published.DAY_WEIGHTS[weekdays])
    assert week.sum(0) / week.sum() == pytest.approx(hours / hours.sum(), rel=1e-12)
    assert week.sum(1) / week.sum() == pytest.approx(days / days.sum(), rel=1e-12)


def test_the_season_starts_at_the_hour_of_the_epoch() -> None:
    config = MarketConfig.model_validate({"clock": {"epoch": "2026-01-07T22:30:00"}})  # a Wednesday
    season = season_of(config)
    assert [season.hour_of_week(h) for h in (0.0, 0.4, 0.5, 1.5)] == [70, 70, 71, 72]
    assert season.hour_of_week(4.0 * 24.0 + 1.5) == 0


@given(st.lists(st.floats(0.0, 48.0), max_size=64))
def test_sorting_keeps_every_moment_with_its_number(moments: list[float]) -> None:
    at_h, which = np.array(moments), np.arange(len(moments))
    sort_moments(at_h, which, len(moments))
    assert at_h.tolist() == sorted(moments)
    assert which.tolist() == sorted(range(len(moments)), key=lambda k: (moments[k], k))
