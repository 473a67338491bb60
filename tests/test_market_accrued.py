"""What accrues at the moment of an ad has the expectation of what the ad changes later.

Over any policy, the sum of the accrued margin equals in expectation the paired difference from the
never-bidding twin: margin decided, and the prospect of everybody at the end.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from numba import njit

from gaelp_env.config import CHANNELS, MarketConfig
from gaelp_env.constants import as_record, constants_of
from gaelp_env.ledger import MICRO, MOMENT
from gaelp_env.market import Market
from gaelp_env.prospect import prospect, prospect_table
from gaelp_env.response import fade
from gaelp_env.upkeep import let_clock_run
from tests.markets import merged, reference_cpm

DAYS = 20


@njit
def prospects(constants, moment, table, hot, now_h):  # type: ignore[no-untyped-def]
    """Sum of the prospects of all who are still there, brought up to date; changes `hot`."""
    c, total = constants[0], 0.0
    for i in range(len(hot)):
        row = hot[i]
        if row.leaves_h > now_h:
            let_clock_run(c, moment[0], row, now_h)
            awareness = fade(row.awareness, now_h - row.seen_h, c.awareness_half_life_h)
            intent = fade(row.intent, now_h - row.seen_h, c.intent_half_life_h)
            stage = 4 if row.due_h >= 0.0 else row.stage  # an order decided and not yet due: a buyer
            total += row.propensity * prospect(table, stage, awareness, intent)
    return total


def effect_world() -> MarketConfig:
    """Orders are many and delays short, so that the difference shows; nobody waits long for an order."""
    return MarketConfig.model_validate(
        {
            "clock": {"tick_minutes": 120.0},
            "people": {"users": 1200, "stay_days": 12.0, "media_per_day": 2.0, "visits_per_day": 1.0,
                       "traffic": "flat", "weekdays": "flat"},
            "channels": {name: {"click_rate": [0.03] * 5, "rival_gain": 0.0} for name in CHANNELS},
            "rivals": {"share_of_voice": False},
            "journey": {"awareness_intent_push": 0.0},
            "visits": {"return_probability": [0.0] * 5, "return_buyer": 0.0},
            "conversion": {"visit_rate": [0.02, 0.06, 0.2, 0.4, 0.1], "order_log_sd": 0.2,
                           "device_buy": [1.0] * 3,
                           "buy_rate": [0.004, 0.01, 0.03, 0.08, 0.01],
                           "delay_weights": [1.0, 0.0, 0.0], "delay_means_h": [0.25, 0.5, 1.0]},
            "response": {"click_by_hour": "flat", "adstock_visit": 0.0, "frequency_gain": 0.0,
                         "fatigue_by": "campaign", "creatives": [1.0], "intent_per_view": 0.0,
                         "intent_per_cart": 0.0},
            "budget": {"per_episode": 1e6},
        }
    )  # fmt: skip


def outcome(config: MarketConfig, seed: int, bids: np.ndarray) -> tuple[float, float]:
    """(accrued margin, margin decided and prospect at the end) of one life of the world."""
    market = Market.born(config, seed)
    market.begin_episode()
    accrued = decided = 0
    for _ in range(DAYS * 12):
        ledger = market.advance(bids).ledger
        accrued, decided = accrued + int(ledger["accrued_micro"]), decided + int(ledger["decided_micro"])
    hot = market.population.hot[: market.population.size].copy()
    constants, moment = as_record(constants_of(config)), np.zeros(1, MOMENT)
    moment["key"] = market.record["key"]
    left = prospects(constants, moment, prospect_table(config), hot, market.hour)
    return accrued / MICRO, decided / MICRO + left


def paired(config: MarketConfig, seeds: range) -> tuple[np.ndarray, np.ndarray]:
    """Accrued margin, and difference from the never-bidding twin, by seed."""
    bids = 2.0 * reference_cpm(config)
    accrued, difference = [], []
    for seed in seeds:
        ours, theirs = outcome(config, seed, bids), outcome(config, seed, np.zeros(5))
        assert theirs[0] == 0.0
        accrued.append(ours[0])
        difference.append(ours[1] - theirs[1])
    return np.array(accrued), np.array(difference)


def test_accrued_margin_has_the_mean_of_the_paired_difference_from_the_twin() -> None:
    accrued, difference = paired(effect_world(), range(45))
    gap = difference - accrued
    error = gap.std(ddof=1) / math.sqrt(len(gap))
    assert accrued.mean() > 0.0
    assert error < 0.1 * accrued.mean(), "the test is too noisy to say anything"
    assert abs(gap.mean()) < 2.5 * error + 0.03 * accrued.mean()
    assert difference.mean() == pytest.approx(accrued.mean(), rel=0.10 + 2.5 * error / accrued.mean())


def everything(config: MarketConfig) -> MarketConfig:
    """The same world with what AdMarket-v1 adds: rivals' ads, returns, adstock, frequency, creatives."""
    v1 = MarketConfig().model_dump()
    channels = {name: {"rival_gain": v1["channels"][name]["rival_gain"]} for name in CHANNELS}
    added = (
        "adstock_visit",
        "frequency_gain",
        "fatigue_by",
        "creatives",
        "intent_per_view",
        "intent_per_cart",
    )
    more = {
        "channels": channels,
        "rivals": v1["rivals"],
        "response": {name: v1["response"][name] for name in added},
        "visits": v1["visits"],
        "conversion": {"device_buy": v1["conversion"]["device_buy"]},
    }
    return MarketConfig.model_validate(merged(config.model_dump(), more))


def test_with_everything_on_the_accrued_margin_is_near_the_paired_difference() -> None:
    """The prospect takes rivals at their mean and returns at their mean gap, so it is near and not equal."""
    accrued, difference = paired(everything(effect_world()), range(15))
    error = (difference - accrued).std(ddof=1) / math.sqrt(len(accrued))
    assert error < 0.03 * accrued.mean(), "the test is too noisy to say anything"
    assert difference.mean() == pytest.approx(accrued.mean(), rel=0.15 + 2.5 * error / accrued.mean())
