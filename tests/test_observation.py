"""What an agent sees: named, bounded, fresh, and from the market record alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaelp_env.config import CHANNELS, MarketConfig
from gaelp_env.ledger import LEDGER, MOMENT, RECORD, SCORE_UNIT, A
from gaelp_env.market import Market
from gaelp_env.observation import OBSERVE, names, observe_market, space
from gaelp_env.opening import open_tick
from gaelp_env.population import STAGES
from gaelp_env.rivalry import drawn_tables

CONFIG = MarketConfig.model_validate({"people": {"users": 300, "media_per_day": 30.0}})


def seen(record: object, observe: str = "full", config: MarketConfig = CONFIG) -> dict[str, float]:
    values = observe_market(record, config, observe)
    return dict(zip(names(observe), values.tolist(), strict=True))


def played(ticks: int, bid: float = 1.0) -> Market:
    market = Market.born(CONFIG, 5)
    market.begin_episode()
    reference = np.array([channel.reference_cpm for channel in CONFIG.channels.in_order()])
    for _ in range(ticks):
        market.advance(bid * reference)
    return market


@pytest.mark.parametrize("observe", OBSERVE)
def test_every_entry_has_a_name_of_its_own_and_a_finite_bound(observe: str) -> None:
    box = space(observe)
    assert len(set(names(observe))) == len(names(observe)) == box.shape[0]
    assert box.dtype == np.float32
    assert np.isfinite(box.low).all()
    assert np.isfinite(box.high).all()
    for ticks in (0, 1, 60):
        assert box.contains(observe_market(played(ticks).record, CONFIG, observe))


def test_the_full_view_begins_with_the_advertisers() -> None:
    record, count = played(30).record, len(names("advertiser"))
    assert names("full")[:count] == names("advertiser")
    hidden = set(names("full")[count:])
    shares = {f"share_{stage.lower()}" for stage in STAGES}
    assert hidden == {"mean_awareness", "mean_fatigue", "mean_intent"} | shares
    alike = observe_market(record, CONFIG, "advertiser") == observe_market(record, CONFIG, "full")[:count]
    assert alike.all()


def test_an_observation_is_a_fresh_array_and_changes_nothing() -> None:
    market = played(10)
    before = market.record_bytes()
    one, two = observe_market(market.record, CONFIG), observe_market(market.record, CONFIG)
    one[:] = 7.0
    assert (two != 7.0).all()
    assert market.record_bytes() == before
    kept = two.copy()
    market.advance(np.zeros(5))
    assert (two == kept).all()


def test_what_the_advertiser_sees_does_not_hang_on_hidden_scores() -> None:
    record = np.array(played(30).record)
    before = observe_market(record, CONFIG)
    for name in ("awareness_sum", "fatigue_sum", "intent_sum", "stage_count", "visits", "key"):
        record[name] = 3
    assert (observe_market(record, CONFIG) == before).all()


def test_time_and_budget_worked_by_hand() -> None:
    record = np.zeros((), RECORD)
    record["tick"], record["episode_tick"] = 12 + 48, 12  # Tuesday 6 h, a quarter of the episode
    record["spent_micro"] = int(0.75 * CONFIG.budget.per_episode * 1e6)
    entries = seen(record)
    assert entries["hour_sin"] == pytest.approx(1.0)
    assert entries["hour_cos"] == pytest.approx(0.0, abs=1e-7)
    assert entries["weekday_sin"] == pytest.approx(np.sin(2 * np.pi * 30 / 168))
    assert entries["episode_progress"] == pytest.approx(0.25)
    assert entries["budget_left"] == pytest.approx(0.25)
    assert entries["spent_against_time"] == pytest.approx(0.5)


EPOCH = "2026-01-05T18:00:00"
BUDGETS = MarketConfig.model_validate(
    {
        "clock": {"tick_minutes": 60.0, "episode_ticks": 24, "epoch": EPOCH},
        "budget": {"per_episode": 100.0, "per_day": 40.0, "lifetime": 1000.0},
    }
)


@pytest.mark.parametrize(
    ("tick", "spent", "left", "ahead"),
    [
        # 3 h of 24 of the episode, and of the 6 h that the first day has
        (3, (10.0, 10.0, 10.0), 0.75, 0.1 - 3.0 / 24.0),
        (3, (10.0, 30.0, 10.0), 0.25, 0.75 - 3.0 / 6.0),
        # 12 h of 24 of the episode, and 6 h of the 24 of the second day
        (12, (60.0, 10.0, 60.0), 0.4, 0.6 - 12.0 / 24.0),
        (12, (60.0, 32.0, 60.0), 0.2, 0.8 - 6.0 / 24.0),
        (12, (60.0, 10.0, 900.0), 0.1, 0.6 - 12.0 / 24.0),
    ],
)
def test_several_budgets_worked_by_hand(
    tick: int, spent: tuple[float, float, float], left: float, ahead: float
) -> None:
    """What is left is that of the tightest; ahead of its time is whichever is so most, the life's never."""
    record = np.zeros((), RECORD)
    record["tick"] = record["episode_tick"] = tick
    micro = (int(one * 1e6) for one in spent)
    record["spent_micro"], record["day_spent_micro"], record["spend_micro"] = micro
    entries = seen(record, "advertiser", BUDGETS)
    assert entries["budget_left"] == pytest.approx(left, abs=1e-6)
    assert entries["spent_against_time"] == pytest.approx(ahead, abs=1e-6)


def test_a_budget_of_nothing_has_nothing_left() -> None:
    for name in ("per_day", "lifetime"):
        config = BUDGETS.model_copy(update={"budget": BUDGETS.budget.model_copy(update={name: 0.0})})
        assert seen(np.zeros((), RECORD), "advertiser", config)["budget_left"] == 0.0


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 300))
def test_a_budget_more_leaves_no_more(spent: int, today: int, tick: int) -> None:
    record = np.zeros((), RECORD)
    record["tick"], record["episode_tick"] = tick, tick % 24
    record["spent_micro"], record["day_spent_micro"], record["spend_micro"] = spent, today, spent
    alone = MarketConfig(clock=BUDGETS.clock, budget=BUDGETS.budget.model_copy(update={"per_day": None}))
    one, both = seen(record, "advertiser", alone), seen(record, "advertiser", BUDGETS)
    assert both["budget_left"] <= one["budget_left"]
    assert both["spent_against_time"] >= one["spent_against_time"]
    others = set(one) - {"budget_left", "spent_against_time"}
    assert all(one[name] == both[name] for name in others)


def test_a_bid_is_seen_as_it_goes_to_the_auction() -> None:
    """Twice the reference, paced to a half, is the reference: 0 on the scale of the action."""
    record = np.zeros((), RECORD)
    reference = CONFIG.channels.search.reference_cpm
    record["bid_cpm"][0] = 2.0 * reference
    for pace, expected in ((1.0, np.log(2.0) / np.log(CONFIG.channels.search.max_multiple)), (0.5, 0.0)):
        record["pace"] = pace
        assert seen(record)["search_bid"] == pytest.approx(expected, abs=1e-6)
        assert seen(record)["social_bid"] == -1.0


def test_the_past_worked_by_hand() -> None:
    record = np.zeros((), RECORD)
    record["active"], record["reached"], record["clicked"], record["bought"] = 1000, 250, 100, 10
    record["pace"] = 1.0
    record["awareness_sum"] = int(0.125 * SCORE_UNIT * 1000)
    record["stage_count"] = [500, 250, 125, 75, 50]
    last = np.zeros((), LEDGER)
    last["opportunities"], last["wins"] = [100, 0, 0, 0, 0], [25, 0, 0, 0, 0]
    record["last"] = last
    record["trail"][0], record["trail"][1] = [400.0] + [0.0] * 4, [100.0] + [0.0] * 4
    reference = CONFIG.channels.search.reference_cpm
    record["trail"][4][0] = 100.0 * reference * 1000.0  # paid the reference for each of the hundred
    record["bid_cpm"][0] = reference * CONFIG.channels.search.max_multiple**0.5
    entries = seen(record)
    assert entries["reached_share"] == pytest.approx(0.25)
    assert entries["clicked_share"] == pytest.approx(0.5)
    assert entries["bought_share"] == pytest.approx(0.5)
    assert entries["mean_awareness"] == pytest.approx(0.125)
    assert [entries[f"share_{s.lower()}"] for s in STAGES] == pytest.approx([0.5, 0.25, 0.125, 0.075, 0.05])
    assert entries["search_win_rate"] == pytest.approx(0.25)
    assert entries["search_win_rate_day"] == pytest.approx(0.25)
    assert entries["search_price_day"] == pytest.approx(0.5)
    assert entries["search_bid"] == pytest.approx(0.5)
    assert entries["social_bid"] == -1.0
    assert entries["social_win_rate"] == 0.0


@pytest.mark.parametrize("channel", CHANNELS)
def test_price_guidance_is_on_the_scale_of_the_action(channel: str) -> None:
    """Bidding the guidance as an action wins half of the slots without a reserve."""
    market = played(3)
    guidance = seen(market.record)[f"{channel}_price_guidance"]
    part = getattr(CONFIG.channels, channel)
    bid = np.where(np.array(CHANNELS) == channel, part.reference_cpm * part.max_multiple**guidance, 0.0)
    moment = np.zeros(1, MOMENT)
    open_tick(moment, market.record, CONFIG, np.outer(bid, np.ones(A)), drawn_tables(CONFIG))
    assert moment["beats_rivals"][0, CHANNELS.index(channel)] == pytest.approx(np.full(A, 0.5), abs=1e-6)


@given(st.binary(min_size=RECORD.itemsize, max_size=RECORD.itemsize))
def test_bounds_hold_for_counters_of_any_size(raw: bytes) -> None:
    wild = np.frombuffer(raw, RECORD)[0]
    record = np.zeros((), RECORD)
    for name in RECORD.names or ():
        if RECORD[name].base.kind == "i":
            record[name] = np.abs(np.asarray(wild[name], np.int64)) % 10**12
    record["tick"] %= 10**6
    record["trail"] = np.abs(np.asarray(wild["trail"]).view(np.int64)) % 10**9
    values = observe_market(record, CONFIG, "full")
    assert space("full").contains(values)


def test_an_unknown_observation_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no observation 'all'.*advertiser, full"):
        names("all")
    with pytest.raises(ValueError, match="no observation"):
        observe_market(np.zeros((), RECORD), CONFIG, "all")
