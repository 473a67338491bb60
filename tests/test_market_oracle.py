"""The market and its plain twin (oracle.py) agree event by event."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gaelp_env.config import MarketConfig
from gaelp_env.constants import epoch_of
from gaelp_env.market import Market
from gaelp_env.population import BOUGHT, CLICKED, GONE, KNOWN, REACHED, RING, RING_ORDERS
from tests.markets import bids_of, busy_world, reference_cpm
from tests.oracle import BY_CHANNEL, COUNTS, OracleMarket, Tick, User

TICKS, EPISODE = 200, 40
MONEY = {"spend_micro", "decided_micro", "revenue_micro", "margin_micro", "attributed_micro", "accrued_micro"}


@pytest.mark.parametrize(
    ("seed", "config"),
    [
        (1, busy_world()),
        (2, busy_world(per_episode=12.0)),
        (3, busy_world(per_episode=4.0)),
    ],
    ids=["rich", "budget binds late", "budget binds early"],
)
def test_the_kernel_and_the_plain_market_tell_the_same_story(seed: int, config: MarketConfig) -> None:
    market, oracle = Market.born(config, seed), OracleMarket(config, seed)
    stops = touches = orders = births = 0
    for t in range(TICKS):
        if t % EPISODE == 0:
            if t:
                market.end_episode(), oracle.end_episode()
                market.take_changes()
            market.begin_episode(), oracle.begin_episode()
        bids = bids_of(seed, t, reference_cpm(config))
        ours, theirs = market.advance(bids), oracle.advance(bids.tolist())
        same_ledger(t, ours.ledger, theirs)
        same_touches(t, ours.touchpoints, theirs, epoch_of(config))
        same_orders(t, ours.conversions, theirs, epoch_of(config))
        stops += theirs.counts["stopped"]
        touches, orders = touches + len(theirs.touches), orders + len(theirs.orders)
        births += theirs.counts["births"]
    same_people(market, oracle)
    assert touches > (2000 if seed == 1 else 300)
    assert orders > 50
    assert births > 50
    assert stops == (0 if seed == 1 else TICKS / EPISODE)


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


def same_touches(t: int, touches: np.ndarray, plain: Tick, epoch: np.datetime64) -> None:
    assert len(touches) == len(plain.touches), t
    at = microseconds(touches["at"], epoch)
    for k, touch in enumerate(plain.touches):
        row = touches[k]
        assert (row["number"], row["channel"], row["clicked"], row["episode"], row["tick"], row["own"]) == (
            touch.number, touch.channel, touch.clicked, touch.episode, t, 1,
        )  # fmt: skip
        assert abs(at[k] - touch.at_h * 3.6e9) <= 1.0
        assert abs(int(row["price_micro"]) - touch.price_micro) <= 2


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


def same_people(market: Market, oracle: OracleMarket) -> None:
    market.take_changes()
    rows = market.population.rows(slice(None))
    people = oracle.living()
    assert rows["number"].tolist() == [user.number for user in people]
    for row, user in zip(rows, people, strict=True):
        same_person(row, user)
    archived = [user for user in oracle.users if user.archived]
    assert len(archived) > 20
    assert int(market.record["next_number"]) == len(oracle.users)


def same_person(row: Any, user: User) -> None:
    clicks = [(at_h, k) for at_h, k, clicked in user.touches if clicked]
    exact = {
        "stage": user.stage,
        "device": user.device,
        "touches": len(user.touches),
        "clicks": len(clicks),
        "visits": user.visits,
        "conversions": len(user.orders),
        "episodes": len(user.episodes),
        "last_episode": user.episodes[-1] if user.episodes else 0,
        "ring_head": len(user.touches) % RING,
        "ring_orders": min(len(user.orders), RING_ORDERS),
        "flags": KNOWN * (user.visits > 0) + REACHED * (len(user.touches) > 0) + CLICKED * (len(clicks) > 0)
        + BOUGHT * user.bought + GONE * user.archived,
    }  # fmt: skip
    assert {name: int(row[name]) for name in exact} == exact, user.number
    near = {
        "rate": user.rate,
        "propensity": user.propensity,
        "awareness": user.awareness,
        "fatigue": user.fatigue,
        "intent": user.intent,
        "seen_h": user.seen_h,
        "first_seen_h": user.first_seen_h,
        "leaves_h": user.leaves_h,
        "stage_until_h": min(user.stage_until_h, 1e300),
        "due_h": -1.0 if user.due_h is None else user.due_h,
        "last_click_h": clicks[-1][0] if clicks else -1.0,
        "decided_h": user.decided_h,
    }
    assert {name: float(row[name]) for name in near} == pytest.approx(near, rel=1e-6, abs=1e-5), user.number
    if clicks:
        assert int(row["last_click_channel"]) == clicks[-1][1]
    ring = [(int(at_h * 60), k, clicked) for at_h, k, clicked in user.touches[-RING:]]
    places = [(int(row["ring_head"]) - len(ring) + k) % RING for k in range(len(ring))]
    fields = ("ring_minute", "ring_channel", "ring_clicked")
    assert [tuple(int(row[name][p]) for name in fields) for p in places] == ring
    paid = [(int(due_h * 60), value) for due_h, value in user.orders[-RING_ORDERS:]]
    kept = [(int(row["order_minute"][k]), float(row["order_paid"][k])) for k in range(len(paid))]
    assert kept == [(minute, pytest.approx(value, rel=3e-7)) for minute, value in paid]
