"""Small markets for tests, where everything happens often, and bids that vary from tick to tick.

`busy_world` has the market of AdMarket-v0 (one slot, one fatigue, nobody returns, no rivals' ads), and
`full_world` that of AdMarket-v1 with everything on.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gaelp_env.config import MarketConfig
from gaelp_env.market import Market, Tick

NO_RIVALS = {"rival_gain": 0.0}


def merged(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """A nested mapping with the values of another laid over it."""
    both = dict(base)
    for name, value in more.items():
        old = both.get(name)
        both[name] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return both


def busy_world(per_episode: float = 1000.0) -> MarketConfig:
    """A small world where everything happens often: visits, orders, clocks, leavers, floors, wear."""
    return MarketConfig.model_validate(
        {
            "clock": {"tick_minutes": 60.0},
            "people": {"users": 150, "stay_days": 5.0, "media_per_day": 30.0, "visits_per_day": 4.0,
                       "device_redraw": 0.0},
            "channels": {
                "search": {"rule": "second", "share": 0.15, "reference_cpm": 20.0, "winnable": 0.8,
                           "audience": [0.3, 0.4, 0.6, 0.8, 0.2], "click_rate": [0.05, 0.1, 0.2, 0.3, 0.1],
                           "forward_push": [0.5] * 3, "awareness_gain": 0.02} | NO_RIVALS,
                "social": {"rule": "first", "share": 0.3, "reference_cpm": 6.0, "awareness_gain": 0.06,
                           "click_rate": [0.05] * 5} | NO_RIVALS,
                "display": {"rule": "second", "share": 0.25, "reference_cpm": 2.5, "view_rate": 0.6,
                            "click_rate": [0.02, 0.03, 0.05, 0.05, 0.01]} | NO_RIVALS,
                "video": {"rule": "first", "share": 0.12, "reference_cpm": 10.0,
                          "awareness_gain": 0.1} | NO_RIVALS,
                "email": {"rule": "owned", "share": 0.18, "reference_cpm": 1.0, "send_cost_cpm": 0.5,
                          "known_only": True, "view_rate": 0.5, "click_rate": [0.1] * 5} | NO_RIVALS,
            },
            "rivals": {"share_of_voice": False},
            "response": {"awareness_half_life_d": 3.0, "fatigue_half_life_d": 1.0, "intent_half_life_d": 0.7,
                         "creative_quality": [1.0, 0.8, 0.9, 0.5], "fatigue_by": "campaign",
                         "creatives": [1.0], "adstock_visit": 0.0, "frequency_gain": 0.0,
                         "intent_per_view": 0.0, "intent_per_cart": 0.0},
            "journey": {"backward_half_life_d": [0.7, 0.5, 0.2, 0.4], "forward_base": [-1.5, -2.0, -2.0],
                        "awareness_intent_push": 0.0},
            "visits": {"return_probability": [0.0] * 5, "return_buyer": 0.0, "source_again": 0.0},
            "conversion": {"visit_rate": [0.1, 0.2, 0.4, 0.6, 0.2], "buy_rate": [0.03, 0.06, 0.2, 0.4, 0.05],
                           "device_buy": [1.0] * 3, "delay_means_h": [0.25, 5.0, 40.0], "delay_max_h": 60.0,
                           "attribution_window_d": 0.5},
            "budget": {"per_episode": per_episode},
        }
    )  # fmt: skip


def full_world(per_episode: float = 1000.0, **changes: Any) -> MarketConfig:
    """A small world of AdMarket-v1 where everything happens often, and everything is on that can be at once.

    Args:
      changes: sections of the configuration, laid over those of this world.
    """
    world: dict[str, Any] = {
        "channels": {
            "search": {"rule": "gsp", "charge": "click", "slots": 3, "rivals": 4, "quality_score": 1.3,
                       "predicted_click_rate": 0.1, "view_rate": 0.9, "slot_click": [1.0, 0.9, 0.7, 0.6],
                       "forward_push": [0.5, 0.2, -0.5], "rival_gain": 0.02, "adstock_half_life_d": 0.5},
            "social": {"rival_gain": 0.05, "fatigue_exponent": 0.43, "soft_floor_cpm": 5.0},
            "display": {"soft_floor_cpm": 4.0, "rival_gain": 0.03, "targeting": [1.2, 1.0, 0.5, 0.8]},
            "video": {"rule": "gsp", "slots": 4, "rivals": 3, "rival_gain": 0.05, "quality_score": 0.8,
                      "adstock_half_life_d": 2.0, "targeting": [1.0, 0.7, 1.5, 0.0]},
            "email": {"rival_gain": 0.0, "adstock_half_life_d": 1.0},
        },
        "people": {"device_shares": [0.5, 0.4, 0.1], "device_redraw": 0.4, "inactivity_days": 0.5},
        "rivals": {"share_of_voice": True},
        "response": {"fatigue_by": "creative", "creatives": [1.0, 0.9, 0.7], "rotation": "even",
                     "adstock_click": 0.8, "adstock_visit": 0.6, "frequency_gain": 0.7, "frequency_half": 4.0,
                     "intent_base": 0.05, "intent_per_view": 0.1,
                     "intent_per_cart": 0.2, "spacing_loss": 0.5, "spacing_h": 5.0},
        "journey": {"awareness_half": 0.2, "awareness_slope": 1.5, "awareness_intent_push": 0.5,
                    "visit_push": [2.0, 1.5, 1.0], "awareness_push": [2.0, 1.5, 1.0],
                    "intent_push": [0.5, 1.0, 1.5]},
        "visits": {"return_probability": [0.1, 0.2, 0.3, 0.4, 0.3], "return_buyer": 0.6, "gap_days": 1.5,
                   "return_propensity": 0.7, "source_again": 0.6},
        "conversion": {"device_buy": [0.98, 1.03, 0.96], "device_click": [0.9, 1.2, 1.0]},
        "budget": {"frequency_cap": 6, "frequency_window_h": 12.0},
    }  # fmt: skip
    base = merged(busy_world(per_episode).model_dump(), world)
    return MarketConfig.model_validate(merged(base, changes))


def bids_of(seed: int, tick: int, reference: np.ndarray) -> np.ndarray:
    """Bids that vary from tick to tick, from a tenth to ten times the reference, often none."""
    rng = np.random.default_rng([seed, tick])
    bids = reference * 10.0 ** rng.uniform(-1.0, 1.0, 5)
    return np.where(rng.random(5) < 0.25, 0.0, bids)


def bids_by_audience(seed: int, tick: int, reference: np.ndarray) -> np.ndarray:
    """The same with bids of their own for each audience, `[5, 4]`."""
    return np.stack([bids_of(seed + 100 * audience, tick, reference) for audience in range(4)], axis=1)


def reference_cpm(config: MarketConfig) -> np.ndarray:
    """Reference prices by channel, CPM."""
    return np.array([channel.reference_cpm for channel in config.channels.in_order()])


def state_of(market: Market) -> bytes:
    """All that the next tick depends on: every user's record, and the market record."""
    return market.population.rows(slice(None)).tobytes() + market.record_bytes()


def told(tick: Tick) -> tuple[bytes, ...]:
    """All that a tick reports."""
    events = (tick.touchpoints, tick.click_probability, tick.visits, tick.conversions)
    return tick.ledger.tobytes(), *(rows.tobytes() for rows in events)


def play(market: Market, ticks: int, seed: int = 1) -> list[tuple[bytes, ...]]:
    """Plays on with varied bids, by the market's own clock; returns what every tick told."""
    story = []
    for _ in range(ticks):
        bids = bids_of(seed, int(market.record["tick"]), reference_cpm(market.config))
        story.append(told(market.advance(bids)))
    return story
