"""The market and its plain twin (oracle.py) agree event by event."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gaelp_env.config import MarketConfig
from gaelp_env.constants import epoch_of
from gaelp_env.market import Market
from gaelp_env.population import BOUGHT, CLICKED, GONE, KNOWN, NEVER_S, REACHED, RING, RING_ORDERS
from gaelp_env.sessions import NO_SOURCE
from tests.markets import bids_by_audience, bids_of, busy_world, full_world, reference_cpm
from tests.oracle import OracleMarket
from tests.oracle_person import User
from tests.oracle_site import BY_CHANNEL, COUNTS, Tick

TICKS, EPISODE = 200, 40
MONEY = {name for name in (*COUNTS, *BY_CHANNEL) if name.endswith("_micro")}
EVEN = {"pacing": "even", "pacing_gain": 2.0}
FIRST = {"rule": "first", "charge": "impression"}
FIRST_PRICE = {name: FIRST for name in ("search", "social", "display", "video")}
SECOND_PRICE = {"search": {"rule": "second", "charge": "impression", "soft_floor_cpm": 12.0},
                "video": {"rule": "second", "charge": "click", "predicted_click_rate": 0.02}}  # fmt: skip
LONG_PAGE = {"quality_score": 0.6, "slots": 4, "rivals": 3, "winnable": 0.6,
             "slot_view": [0.8, 0.9, 0.7, 0.9]}  # fmt: skip

WORLDS: dict[str, tuple[MarketConfig, bool]] = {
    "v0, rich": (busy_world(), False),
    "v0, budget binds late": (busy_world(per_episode=12.0), False),
    "v0, budget binds early": (busy_world(per_episode=4.0), False),
    "all on, bids by audience": (full_world(), True),
    "all on, budget binds": (full_world(8.0), False),
    "first price, freshest creative": (
        full_world(channels=FIRST_PRICE, response={"rotation": "freshest"}, prices={"family": "exponential"}),
        True,
    ),
    "second price, soft floors, sequential, fatigue by campaign": (
        full_world(
            channels=SECOND_PRICE,
            response={"rotation": "sequential", "fatigue_by": "campaign", "adstock_slope": 2.0},
            prices={"family": "loglogistic", "shape": 2.5},
            rivals={"power": 1.7},
        ),
        False,
    ),
    "day and life budgets, paced, uniform prices, no cap": (
        full_world(
            10.0,
            prices={"family": "uniform", "shape": 7.0},
            budget={"per_day": 4.0, "lifetime": 24.0, "frequency_cap": 0} | EVEN,
            clock={"episode_ticks": EPISODE},
        ),
        True,
    ),
    "paced, tight cap over days, posted prices": (
        full_world(
            6.0,
            prices={"log_sd": 0.0, "floor_log_sd": 0.0},
            budget={"frequency_cap": 1, "frequency_window_h": 48.0} | EVEN,
            clock={"episode_ticks": EPISODE},
        ),
        False,
    ),
    "short reach, low quality, high floors, hidden slots": (
        full_world(
            channels={"search": LONG_PAGE, "display": {"winnable": 0.3}, "video": {"slots": 2, "rivals": 2}},
            prices={"floor_share": 0.8, "floor_median": 1.3},
        ),
        True,
    ),
}


@pytest.mark.parametrize("name", WORLDS)
def test_the_kernel_and_the_plain_market_tell_the_same_story(name: str) -> None:
    config, by_audience = WORLDS[name]
    seed = 1 + list(WORLDS).index(name)
    market, oracle = Market.born(config, seed), OracleMarket(config, seed)
    told = dict.fromkeys((*COUNTS, *BY_CHANNEL), 0)
    for t in range(TICKS):
        if t % EPISODE == 0:
            if t:
                market.end_episode(), oracle.end_episode()
                market.take_changes()
            market.begin_episode(), oracle.begin_episode()
        bids = (bids_by_audience if by_audience else bids_of)(seed, t, reference_cpm(config))
        ours, theirs = market.advance(bids), oracle.advance(bids.tolist())
        same_ledger(t, ours.ledger, theirs)
        same_touches(t, ours.touchpoints, ours.click_probability, theirs, epoch_of(config))
        same_visits(ours.visits, theirs)
        same_orders(t, ours.conversions, theirs, epoch_of(config))
        same_record(market.record, oracle)
        for count in COUNTS:
            told[count] += theirs.counts[count]
        for count in BY_CHANNEL:
            told[count] += sum(theirs.by_channel[count])
    same_people(market, oracle)
    much_happened(name, config, told)


def much_happened(name: str, config: MarketConfig, told: dict[str, int]) -> None:
    """A comparison of nothing with nothing proves nothing."""
    assert told["births"] > 50
    assert told["conversions"] > 40
    assert told["attributed"] > 0
    assert told["views"] > (2000 if name == "v0, rich" else 200)
    assert told["clicks"] > 10
    assert told["floor_bound"] > 0 or "first price" in name
    episodes = TICKS // EPISODE
    if name.startswith("v0"):
        assert told["stopped"] == (0 if "rich" in name else episodes)
        return
    assert told["rival_views"] > 1000
    assert told["returns"] > 500
    assert told["journeys"] > 500
    assert (told["capped"] > 100) == (config.budget.frequency_cap > 0)
    binds = config.budget.per_episode < 1000.0 and config.budget.pacing == "none"
    assert told["stopped"] >= (episodes - 1 if binds else 0)


def same_ledger(t: int, ledger: Any, plain: Tick) -> None:
    assert int(ledger["tick"]) == t
    for name in BY_CHANNEL:
        slack = 2 * np.array(plain.by_channel["wins"]) if name in MONEY else 0
        apart = np.abs(np.array(ledger[name]) - np.array(plain.by_channel[name]))
        assert (apart <= slack).all(), (t, name, ledger[name], plain.by_channel[name])
    for name in COUNTS:
        ours, theirs = int(ledger[name]), plain.counts[name]
        slack = 2e-6 * abs(theirs) + 20 * len(plain.touches) + 2 if name in MONEY else 0
        assert abs(ours - theirs) <= slack, (t, name, ours, theirs)


def microseconds(moments: np.ndarray, epoch: np.datetime64) -> list[int]:
    return (moments - epoch).astype("timedelta64[us]").astype(np.int64).tolist()


def same_touches(t: int, touches: np.ndarray, click: np.ndarray, plain: Tick, epoch: np.datetime64) -> None:
    assert len(touches) == len(plain.touches), t
    at = microseconds(touches["at"], epoch)
    for k, touch in enumerate(plain.touches):
        row = touches[k]
        assert (row["number"], row["channel"], row["clicked"], row["episode"], row["tick"], row["own"]) == (
            touch.number, touch.channel, touch.clicked, touch.episode, t, 1,
        )  # fmt: skip
        assert abs(at[k] - touch.at_h * 3.6e9) <= 1.0
        assert abs(int(row["price_micro"]) - touch.price_micro) <= 2
        assert float(click[k]) == pytest.approx(touch.click, rel=3e-6)


def same_visits(visits: np.ndarray, plain: Tick) -> None:
    names = ("number", "source", "channel", "device", "depth", "devices", "journey")
    theirs = [tuple(int(getattr(visit, name)) for name in names) for visit in plain.visits]
    assert [tuple(int(row[name]) for name in names) for row in visits] == theirs
    assert visits["at_h"].tolist() == pytest.approx([visit.at_h for visit in plain.visits], abs=1e-9)
    assert visits["buy"].tolist() == pytest.approx([visit.buy for visit in plain.visits], rel=5e-6)


def same_orders(t: int, orders: np.ndarray, plain: Tick, epoch: np.datetime64) -> None:
    assert len(orders) == len(plain.orders), t
    at, decided = microseconds(orders["at"], epoch), microseconds(orders["decided"], epoch)
    for k, order in enumerate(plain.orders):
        row = orders[k]
        assert (row["number"], row["attributed_channel"], row["episode"], row["tick"]) == (
            order.number, order.channel, order.episode, t,
        )  # fmt: skip
        assert abs(at[k] - order.at_h * 3.6e9) <= 10.0  # the delay's logarithm rounds differently
        assert abs(decided[k] - order.decided_h * 3.6e9) <= 1.0
        assert int(row["value_micro"]) == pytest.approx(order.value_micro, rel=3e-7)
        assert int(row["margin_micro"]) == pytest.approx(order.margin_micro, rel=3e-7)


def same_record(record: Any, oracle: OracleMarket) -> None:
    """Budgets, pacing and prices at the end of a tick."""
    budgets = {name: bool(record[name]) for name in oracle.over}
    assert budgets == oracle.over
    spent = {"exhausted": "spent_micro", "day_over": "day_spent_micro", "all_over": "spend_micro"}
    for budget, name in spent.items():
        if budget != "day_over" or oracle.config.budget.per_day is not None:
            assert int(record[name]) == pytest.approx(oracle.spent[budget], abs=2 * len(oracle.users) * TICKS)
    assert float(record["pace"]) == pytest.approx(oracle.pace, rel=1e-6)
    assert record["pressure"].tolist() == pytest.approx(oracle.pressure, abs=1e-8)


def same_people(market: Market, oracle: OracleMarket) -> None:
    market.take_changes()
    rows = market.population.rows(slice(None))
    people = oracle.living()
    assert rows["number"].tolist() == [user.number for user in people]
    for row, user in zip(rows, people, strict=True):
        same_counts(row, user)
        same_scores(row, user, oracle.config)
        same_rings(row, user)
    archived = [user for user in oracle.users if user.archived]
    assert len(archived) > 20
    assert int(market.record["next_number"]) == len(oracle.users)
    assert int(market.record["met"]) == sum(len(user.episodes) for user in oracle.users)


def same_counts(row: Any, user: User) -> None:
    clicks = sum(ad.clicked for ad in user.touches)
    exact = {
        "stage": user.stage,
        "device": user.device,
        "touches": len(user.touches),
        "clicks": clicks,
        "visits": len(user.visits),
        "conversions": len(user.orders),
        "journeys": len(user.journeys),
        "devices": 8 + sum(1 << device for device in user.journeys[-1]) if user.journey_open else 0,
        "source": NO_SOURCE if user.source is None else user.source,
        "visit_s": int(user.visits[-1] * 3600) if user.visits else NEVER_S,
        "first_seen_s": round(user.first_seen_h * 3600),
        "episodes": len(user.episodes),
        "last_episode": user.episodes[-1] if user.episodes else 0,
        "ring_head": len(user.touches) % RING,
        "ring_orders": min(len(user.orders), RING_ORDERS),
        "flags": KNOWN * bool(user.visits) + REACHED * bool(user.touches) + CLICKED * (clicks > 0)
        + BOUGHT * user.bought + GONE * user.archived,
    }  # fmt: skip
    assert {name: int(row[name]) for name in exact} == exact, user.number


def same_scores(row: Any, user: User, config: MarketConfig) -> None:
    clicked = [ad for ad in user.touches if ad.clicked]
    near = {
        "rate": user.rate,
        "propensity": user.propensity,
        "awareness": user.awareness,
        "rival_awareness": user.rival_awareness,
        "intent": user.intent,
        "seen_h": user.seen_h,
        "leaves_h": user.leaves_h,
        "stage_until_h": min(user.stage_until_h, 1e300),
        "due_h": -1.0 if user.due_h is None else user.due_h,
        "last_click_h": clicked[-1].at_h if clicked else -1.0,
        "decided_h": user.decided_h,
    }
    assert {name: float(row[name]) for name in near} == pytest.approx(near, rel=1e-6, abs=1e-5), user.number
    fatigue = [user.fatigue(creative, user.seen_h, config) for creative in range(4)]
    adstock = [user.adstock(channel, user.seen_h, config) for channel in range(5)]
    assert row["fatigue"].tolist() == pytest.approx(fatigue, rel=1e-5, abs=1e-5), user.number
    assert row["adstock"].tolist() == pytest.approx(adstock, rel=1e-5, abs=1e-5), user.number


def same_rings(row: Any, user: User) -> None:
    clicked = [ad for ad in user.touches if ad.clicked]
    if clicked:
        assert int(row["last_click_channel"]) == clicked[-1].channel
    ring = [(int(ad.at_h * 60), ad.channel, ad.clicked) for ad in user.touches[-RING:]]
    places = [(int(row["ring_head"]) - len(ring) + k) % RING for k in range(len(ring))]
    fields = ("ring_minute", "ring_channel", "ring_clicked")
    assert [tuple(int(row[name][p]) for name in fields) for p in places] == ring
    paid = [(int(due_h * 60), value) for due_h, value in user.orders[-RING_ORDERS:]]
    kept = [(int(row["order_minute"][k]), float(row["order_paid"][k])) for k in range(len(paid))]
    assert kept == [(minute, pytest.approx(value, rel=3e-7)) for minute, value in paid]
