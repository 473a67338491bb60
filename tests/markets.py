"""Small markets for tests, where everything happens often, and bids that vary from tick to tick."""

from __future__ import annotations

import numpy as np

from gaelp_env.config import MarketConfig
from gaelp_env.market import Market, Tick


def busy_world(per_episode: float = 1000.0) -> MarketConfig:
    """A small world where everything happens often: visits, orders, clocks, leavers, floors, wear."""
    return MarketConfig.model_validate(
        {
            "clock": {"tick_minutes": 60.0},
            "people": {"users": 150, "stay_days": 5.0, "media_per_day": 30.0, "visits_per_day": 4.0},
            "channels": {
                "search": {"rule": "second", "share": 0.15, "reference_cpm": 20.0, "winnable": 0.8,
                           "audience": [0.3, 0.4, 0.6, 0.8, 0.2], "click_rate": [0.05, 0.1, 0.2, 0.3, 0.1],
                           "forward_push": 0.5, "awareness_gain": 0.02},
                "social": {"rule": "first", "share": 0.3, "reference_cpm": 6.0, "awareness_gain": 0.06,
                           "click_rate": [0.05] * 5},
                "display": {"rule": "second", "share": 0.25, "reference_cpm": 2.5, "view_rate": 0.6,
                            "click_rate": [0.02, 0.03, 0.05, 0.05, 0.01]},
                "video": {"rule": "first", "share": 0.12, "reference_cpm": 10.0, "awareness_gain": 0.1},
                "email": {"rule": "owned", "share": 0.18, "reference_cpm": 1.0, "send_cost_cpm": 0.5,
                          "known_only": True, "view_rate": 0.5, "click_rate": [0.1] * 5},
            },
            "response": {"awareness_half_life_d": 3.0, "fatigue_half_life_d": 1.0, "intent_half_life_d": 0.7,
                         "creative_quality": [1.0, 0.8, 0.9, 0.5]},
            "journey": {"backward_half_life_d": [0.7, 0.5, 0.2, 0.4], "forward_base": [-1.5, -2.0, -2.0]},
            "conversion": {"visit_rate": [0.1, 0.2, 0.4, 0.6, 0.2], "buy_rate": [0.03, 0.06, 0.2, 0.4, 0.05],
                           "delay_means_h": [0.25, 5.0, 40.0], "delay_max_h": 60.0,
                           "attribution_window_d": 0.5},
            "budget": {"per_episode": per_episode},
        }
    )  # fmt: skip


def bids_of(seed: int, tick: int, reference: np.ndarray) -> np.ndarray:
    """Bids that vary from tick to tick, from a tenth to ten times the reference, often none."""
    rng = np.random.default_rng([seed, tick])
    bids = reference * 10.0 ** rng.uniform(-1.0, 1.0, 5)
    return np.where(rng.random(5) < 0.25, 0.0, bids)


def reference_cpm(config: MarketConfig) -> np.ndarray:
    """Reference prices by channel, CPM."""
    return np.array([channel.reference_cpm for channel in config.channels.in_order()])


def state_of(market: Market) -> bytes:
    """All that the next tick depends on: every user's record, and the market record."""
    return market.population.rows(slice(None)).tobytes() + market.record_bytes()


def told(tick: Tick) -> tuple[bytes, ...]:
    """All that a tick reports."""
    return tick.ledger.tobytes(), tick.touchpoints.tobytes(), tick.conversions.tobytes()


def play(market: Market, ticks: int, seed: int = 1) -> list[tuple[bytes, ...]]:
    """Plays on with varied bids, by the market's own clock; returns what every tick told."""
    story = []
    for _ in range(ticks):
        bids = bids_of(seed, int(market.record["tick"]), reference_cpm(market.config))
        story.append(told(market.advance(bids)))
    return story
