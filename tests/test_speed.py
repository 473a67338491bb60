"""The guard against a slower tick: by a ratio taken in one process, generous, and never by seconds.

`speed.json` has the ratio as it was when it was last recorded. A change that makes the tick dearer on purpose
records it anew: `measured_ratio` of agents/bench_guard.py tells it.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from agents.bench_guard import complaint, measured_ratio, thread_seconds
from gaelp_env.market import Market, Tick

RECORDED: dict[str, float] = json.loads((Path(__file__).parent / "speed.json").read_text())
ALLOWED = 3.0
"""A busy machine, other caches and another compiler move the ratio, by far less than this."""


def test_an_opportunity_costs_what_it_did_beside_the_sweep() -> None:
    """Only if each of three series is over the limit: a disturbance passes, a slower tick does not."""
    words = ""
    for _ in range(3):
        words = complaint(measured_ratio(), RECORDED["opportunity_over_sweep"], ALLOWED)
        if not words:
            return
    raise AssertionError(words)


def test_a_tick_that_takes_four_times_as_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the guard measures is the tick: each played four times over, as dear as four, it complains."""
    plain = median(measured_ratio(3))
    advance = Market.advance

    def four(market: Market, bids_cpm: Any) -> Tick:
        """One tick, its time spent four times."""
        before = market.checkpoint()
        for _ in range(3):
            advance(market, bids_cpm)
            market.rollback(before)
        return advance(market, bids_cpm)

    monkeypatch.setattr(Market, "advance", four)
    slow = measured_ratio(3)
    assert median(slow) > 3.0 * plain
    assert complaint(slow, plain, ALLOWED)


def test_the_complaint_has_figures_and_remedy() -> None:
    assert complaint((299.0, 301.0, 300.0), 100.0, 3.0) == ""
    words = complaint((301.0, 299.0, 305.0), 100.0, 3.0)
    assert words.startswith("An opportunity costs 301 × the sweep of one user, and 100 × is on record")
    assert words.endswith("(turns: 301, 299, 305). If that is meant, record it anew.")


def test_one_disturbed_turn_is_no_complaint() -> None:
    assert complaint((90.0, 95.0, 9_000.0), 100.0, 3.0) == ""


def test_thread_seconds_do_not_count_waiting() -> None:
    assert thread_seconds(lambda: time.sleep(0.2)) < 0.1
