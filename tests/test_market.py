"""What a tick keeps: money adds up, budgets hold, and the same people come whatever we bid."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from gaelp_env.config import CHANNELS, MarketConfig
from gaelp_env.config_load import load_config
from gaelp_env.constants import season_of
from gaelp_env.ledger import TRAIL
from gaelp_env.market import Market, Tick
from tests.markets import bids_of, busy_world, full_world, play, reference_cpm, state_of, told

BUSY, FULL = busy_world(), full_world()
EACH = pytest.mark.parametrize("config", [BUSY, FULL], ids=["busy", "full"])
CPM = reference_cpm(BUSY)
FUNNEL = ("opportunities", "bids", "wins", "views", "clicks")


def opened(config: MarketConfig = BUSY, seed: int = 4) -> Market:
    market = Market.born(config, seed)
    market.begin_episode()
    return market


def ticks_of(market: Market, count: int, seed: int = 1) -> list[Tick]:
    cpm = reference_cpm(market.config)
    return [market.advance(bids_of(seed, int(market.record["tick"]), cpm)) for _ in range(count)]


@pytest.mark.parametrize("bids", [np.zeros(4), np.zeros((5, 1)), [1, 2, 3, 4, np.nan], [np.inf, 0, 0, 0, 0]])
def test_bids_that_are_not_five_finite_numbers_are_refused_and_change_nothing(bids: object) -> None:
    market = opened()
    before = state_of(market)
    with pytest.raises(ValueError, match="5 finite numbers"):
        market.advance(bids)
    assert state_of(market) == before


@EACH
def test_equal_seeds_are_equal_markets_and_others_are_not(config: MarketConfig) -> None:
    one, two = opened(config, seed=4), opened(config, seed=4)
    assert play(one, 30) == play(two, 30)
    assert state_of(one) == state_of(two)
    assert state_of(opened(seed=5)) != state_of(opened(seed=4))


def test_other_luck_meets_the_same_people() -> None:
    one, two, three = opened(), opened(), opened()
    two.rekey(99)
    three.rekey(99)
    assert one.population.rows(slice(None)).tobytes() == two.population.rows(slice(None)).tobytes()
    other = play(two, 5)
    assert play(one, 5) != other
    assert play(three, 5) == other


@EACH
def test_counts_narrow_down_the_funnel_and_money_adds_up(config: MarketConfig) -> None:
    market, spent = opened(config), 0
    for t, tick in enumerate(ticks_of(market, 120)):
        ledger, touches = tick.ledger, tick.touchpoints
        counts = [ledger[name] for name in FUNNEL]
        assert all((wide >= narrow).all() for wide, narrow in itertools.pairwise(counts))
        assert ledger["opportunities"].sum() <= ledger["candidates"]
        assert ledger["visits"] >= ledger["clicks"].sum()
        assert ledger["tick"] == t
        for k, channel in enumerate(config.channels.in_order()):
            own = touches[touches["channel"] == k]
            assert ledger["bids"][k] + ledger["capped"][k] <= ledger["opportunities"][k]
            assert ledger["floor_bound"][k] <= ledger["wins"][k]
            assert ledger["rival_views"][k] <= channel.slots * ledger["opportunities"][k] - ledger["wins"][k]
            assert (len(own), own["clicked"].sum()) == (ledger["views"][k], ledger["clicks"][k])
            assert own["price_micro"].sum() <= ledger["spend_micro"][k]
        assert len(tick.visits) == ledger["visits"]
        assert (tick.visits["depth"] == 4).sum() == ledger["decisions"]
        assert (tick.visits["channel"] >= 0).sum() == ledger["clicks"].sum()
        assert len(tick.click_probability) == len(touches)
        assert len(tick.conversions) == ledger["conversions"]
        assert tick.conversions["value_micro"].sum() == ledger["revenue_micro"]
        assert tick.conversions["margin_micro"].sum() == ledger["margin_micro"]
        credited = tick.conversions[tick.conversions["attributed_channel"] >= 0]
        assert len(credited) == ledger["attributed"]
        assert credited["margin_micro"].sum() == ledger["attributed_micro"]
        assert credited["value_micro"].sum() == ledger["attributed_revenue_micro"]
        spent += int(ledger["spend_micro"].sum())
        assert ledger["episode_spend_micro"] == spent
    assert market.record["spent_micro"] == spent


def test_where_every_won_slot_is_seen_the_money_out_is_the_sum_of_the_prices() -> None:
    seen = {name: {"view_rate": 1.0} for name in CHANNELS}
    people = {"users": 400, "media_per_day": 40.0}
    market = opened(MarketConfig.model_validate({"people": people, "channels": seen}))
    spent = 0
    for tick in ticks_of(market, 40):
        for k in range(len(CHANNELS)):
            prices = tick.touchpoints["price_micro"][tick.touchpoints["channel"] == k]
            assert prices.sum() == tick.ledger["spend_micro"][k]
        spent += int(tick.ledger["spend_micro"].sum())
    assert spent == market.record["spend_micro"] == market.record["spent_micro"] > 0


def test_prices_are_at_most_the_bid_and_follow_the_rule_of_the_channel() -> None:
    market = opened()
    for t in range(80):
        bids = bids_of(1, t, CPM)
        touches = market.advance(bids).touchpoints
        for k, name in enumerate(CHANNELS):
            prices, rule = touches["price_micro"][touches["channel"] == k], getattr(BUSY.channels, name).rule
            if rule == "owned":
                assert (prices == round(1000 * BUSY.channels.email.send_cost_cpm)).all()
            else:
                assert (prices <= round(1000 * bids[k])).all()
            if rule == "first":
                assert (prices == np.floor(1000 * bids[k] + 0.5)).all()


def test_a_channel_that_is_paid_by_click_charges_at_clicks_only() -> None:
    """CPM / (1,000 x predicted click rate): at most the bid over the predicted rate, and only at a click."""
    market, search = opened(FULL), CHANNELS.index("search")
    clicks = 0
    for t in range(240):
        bids = bids_of(1, t, reference_cpm(FULL))
        touches = market.advance(bids).touchpoints
        own = touches[touches["channel"] == search]
        assert ((own["price_micro"] > 0) == (own["clicked"] == 1)).all()
        assert (own["price_micro"] <= np.ceil(1000.0 * bids[search] / 0.1)).all()
        clicks += int(own["clicked"].sum())
    assert clicks > 10


def test_bids_by_audience_that_are_equal_are_one_bid() -> None:
    one, four = opened(FULL), opened(FULL)
    for t in range(40):
        bids = bids_of(1, t, reference_cpm(FULL))
        assert told(one.advance(bids)) == told(four.advance(np.repeat(bids[:, None], 4, axis=1)))
    assert state_of(one) == state_of(four)


def test_an_audience_that_is_left_out_sees_no_ad() -> None:
    """Bids for the new only: nobody sees a second ad, nor one after a visit."""
    market, bids = opened(FULL), np.zeros((5, 4))
    bids[:, 0] = 10.0 * reference_cpm(FULL)
    for _ in range(40):
        market.advance(bids)
    rows = market.population.rows(slice(None))
    assert rows["touches"].max() == 1
    assert rows["touches"].sum() > 30
    assert market.record["touches"] >= rows["touches"].sum()


def test_nobody_sees_more_ads_than_the_cap_allows() -> None:
    cap = {"frequency_cap": 2, "frequency_window_h": 12.0}
    market, seen = opened(full_world(budget=cap)), {}
    for _ in range(100):
        touches = market.advance(10.0 * reference_cpm(FULL)).touchpoints
        for number, at in zip(touches["number"].tolist(), touches["at"], strict=True):
            seen.setdefault(number, []).append(at)
    window = np.timedelta64(12, "h")
    gaps = [later - at for times in seen.values() for at, later in zip(times, times[2:], strict=False)]
    assert len(gaps) > 300
    assert min(gaps) > window
    assert min(gaps) < np.timedelta64(13, "h")


def test_budgets_of_the_day_and_of_life_are_never_crossed_and_the_day_begins_anew() -> None:
    market = opened(full_world(budget={"per_day": 4.0, "lifetime": 14.0, "frequency_cap": 0}))
    spent = [0] * 5
    for t in range(120):
        ledger = market.advance(3.0 * reference_cpm(FULL)).ledger
        spent[t // 24] += int(ledger["spend_micro"].sum())
        assert max(spent) <= 4_000_000
        assert sum(spent) <= 14_000_000
    assert min(spent[:3]) > 3_500_000
    assert sum(spent) > 13_500_000
    assert market.record["all_over"] == 1
    assert market.budget_left == pytest.approx(14.0 - sum(spent) / 1e6)


def test_even_pacing_spends_through_the_day() -> None:
    """The budget that is gone before noon unpaced still buys in the evening when the platform paces."""
    last = {}
    for pacing in ("none", "even"):
        budget = {"pacing": pacing, "frequency_cap": 0}
        market = opened(full_world(6.0, budget=budget, clock={"episode_ticks": 24}))
        ledgers = [market.advance(5.0 * reference_cpm(FULL)).ledger for _ in range(24)]
        spend = [int(ledger["spend_micro"].sum()) for ledger in ledgers]
        assert sum(spend) <= 6_000_000
        last[pacing] = max(t for t in range(24) if spend[t] > 0)
    assert last["none"] < 14 < 18 < last["even"]


def test_touchpoints_come_by_moment_within_the_tick_and_are_ours() -> None:
    market, epoch = opened(), np.datetime64(BUSY.clock.epoch)
    for t, tick in enumerate(ticks_of(market, 60)):
        touches = tick.touchpoints
        at = touches["at"]
        assert (np.diff(at.astype(np.int64)) >= 0).all()
        assert ((at >= epoch + np.timedelta64(t, "h")) & (at <= epoch + np.timedelta64(t + 1, "h"))).all()
        assert (touches["own"] == 1).all()
        assert (touches["episode"] == 1).all()
        assert (touches["tick"] == t).all()
        assert tick.clicks.tobytes() == touches[touches["clicked"] == 1].tobytes()
        due = tick.conversions["at"]
        assert (due <= epoch + np.timedelta64(t + 1, "h")).all()
        assert (tick.conversions["decided"] <= due).all()


def test_what_a_tick_reports_is_the_callers_own() -> None:
    market = opened()
    first = market.advance(10.0 * CPM)
    before = told(first)
    play(market, 10)
    assert told(first) == before
    state = state_of(market)
    first.ledger["visits"] = 7
    first.touchpoints["number"] = 7
    assert state_of(market) == state


def test_nothing_is_bid_won_or_spent_where_the_bid_is_zero() -> None:
    market = opened()
    for bids in (np.zeros(5), -CPM, np.where(np.arange(5) == 1, CPM, 0.0)):
        ledger = market.advance(bids).ledger
        for name in ("bids", "wins", "views", "clicks", "spend_micro"):
            assert not ledger[name][bids <= 0.0].any()
        assert ledger["opportunities"].sum() > 0
    assert ledger["bids"][1] == ledger["opportunities"][1] > 0


@pytest.mark.parametrize("budget", [1.0, 5.0])
def test_a_budget_is_never_crossed_and_what_came_before_is_untouched(budget: float) -> None:
    rich, poor = opened(), opened(busy_world(budget))
    stopped = False
    for t in range(40):
        bids = bids_of(1, t, CPM)
        theirs, ours = rich.advance(bids), poor.advance(bids)
        assert poor.record["spent_micro"] <= round(budget * 1e6)
        assert ours.ledger["candidates"] == theirs.ledger["candidates"]
        if not stopped:
            played = len(ours.touchpoints)
            assert ours.touchpoints.tobytes() == theirs.touchpoints[:played].tobytes()
            assert played == len(theirs.touchpoints) or ours.ledger["stopped"]
            stopped = bool(ours.ledger["stopped"])
            if stopped:
                dearest = round(1000 * max(bids.max(), 0.5))
                assert poor.record["spent_micro"] + dearest >= round(budget * 1e6)
        else:
            assert not ours.ledger["bids"].any()
            assert not ours.ledger["stopped"]
            assert ours.ledger["opportunities"].sum() > 0 or t % 24 < 6
    assert stopped
    poor.end_episode()
    poor.begin_episode()
    assert poor.budget_left == budget
    assert poor.advance(CPM).ledger["bids"].any()


def test_a_budget_of_nothing_buys_nothing() -> None:
    market = opened(busy_world(0.0))
    for tick in ticks_of(market, 30):
        assert not tick.ledger["spend_micro"].any()
        assert not tick.ledger["views"][:4].any()


def test_the_same_people_come_whatever_we_bid() -> None:
    """Candidates and births are exogenous, over episodes and through the archive of leavers."""
    policies = [np.zeros(5), CPM, 10.0 * CPM, CPM * [0, 0, 0, 0, 1]]
    markets = [Market.born(BUSY, 8) for _ in policies]
    for episode in range(4):
        for market in markets:
            if episode:
                market.end_episode()
                market.take_changes()
            market.begin_episode()
        for _ in range(30):
            ledgers = [market.advance(bids).ledger for market, bids in zip(markets, policies, strict=True)]
            assert len({int(ledger["candidates"]) for ledger in ledgers}) == 1
            assert len({int(ledger["births"]) for ledger in ledgers}) == 1
    assert len({int(market.record["next_number"]) for market in markets}) == 1
    luck = [market.population.rows(slice(None)) for market in markets]
    for rows in luck[1:]:
        both, mine, theirs = np.intersect1d(luck[0]["number"], rows["number"], return_indices=True)
        assert len(both) > 100
        for name in ("rate", "propensity", "device", "leaves_h", "first_seen_s"):
            assert (luck[0][name][mine] == rows[name][theirs]).all()
    assert markets[0].record["touches"] == 0 < markets[2].record["touches"]


def test_a_visit_that_would_come_anyway_comes_in_both_worlds() -> None:
    """With ads that do nothing, bidding changes the spend and nothing else."""
    idle = {name: {"awareness_gain": 0.0, "click_rate": [0.0] * 5, "rival_gain": 0.0} for name in CHANNELS}
    config = MarketConfig.model_validate(
        {
            "channels": idle,
            "conversion": {"visit_rate": [0.3] * 5, "buy_rate": [0.2] * 5},
            "journey": {"forward_probability": 0.0},
            "response": {"adstock_visit": 0.0, "frequency_gain": 0.0},
            "people": {"users": 400, "media_per_day": 20.0, "visits_per_day": 5.0, "device_redraw": 0.0},
        }
    )
    quiet, loud = opened(config), opened(config)
    for _ in range(60):
        theirs, ours = quiet.advance(np.zeros(5)), loud.advance(10.0 * reference_cpm(config))
        for name in ("visits", "decisions", "decided_micro", "conversions", "margin_micro"):
            assert ours.ledger[name] == theirs.ledger[name]
        assert ours.ledger["accrued_micro"] == 0
    assert loud.record["touches"] > 500
    assert loud.record["conversions"] > 20


def test_the_market_has_no_unit_of_money() -> None:
    """Twice the prices, bids, order values and budget: the same story at twice the money."""
    double = BUSY.model_dump()
    for channel in double["channels"].values():
        channel["reference_cpm"] *= 2.0
        channel["send_cost_cpm"] *= 2.0
    double["conversion"]["order_value"] *= 2.0
    double["budget"]["per_episode"] *= 2.0
    one, two = opened(), opened(MarketConfig.model_validate(double))
    for t in range(60):
        bids = bids_of(1, t, CPM)
        single, twice = one.advance(bids).ledger, two.advance(2.0 * bids).ledger
        for name in (*FUNNEL, "visits", "decisions", "conversions", "attributed"):
            assert (single[name] == twice[name]).all(), name
        for name in ("spend_micro", "margin_micro", "accrued_micro", "attributed_micro"):
            assert np.asarray(twice[name]) == pytest.approx(2 * np.asarray(single[name]), rel=1e-6, abs=150)


def test_totals_and_trailing_counters_are_those_of_the_ledgers() -> None:
    market = opened()
    ledgers = [tick.ledger for tick in ticks_of(market, 50)]
    record = market.record
    for total, name in (("touches", "views"), ("clicks", "clicks"), ("spend_micro", "spend_micro")):
        assert record[total] == sum(int(ledger[name].sum()) for ledger in ledgers)
    for name in ("visits", "conversions", "attributed", "margin_micro"):
        assert record[name] == sum(int(ledger[name]) for ledger in ledgers)
    age_d = np.arange(len(ledgers))[::-1] / 24.0
    for k, name in enumerate(TRAIL):
        decayed = sum(ledger[name] * 0.5**age for ledger, age in zip(ledgers, age_d, strict=True))
        assert record["trail"][k] == pytest.approx(decayed)
    orders = sum(ledger["conversions"] * 0.5**age for ledger, age in zip(ledgers, age_d, strict=True))
    assert record["trail_orders"] == pytest.approx(orders)
    assert record["last"] == ledgers[-1]
    assert (record["bid_cpm"] == np.maximum(bids_of(1, 49, CPM), 0.0)).all()


def test_candidates_follow_the_hours_and_the_days() -> None:
    config = MarketConfig.model_validate(
        {"people": {"users": 3000, "media_per_day": 60.0, "media_log_sd": 0.3, "stay_days": 36_500.0}}
    )
    market, weights = opened(config), season_of(config).traffic
    rate = market.population.rate[: market.population.size].astype(float).sum()
    for tick in ticks_of(market, 336):
        hour = int(tick.ledger["tick"]) // 2
        expected = rate * weights[hour] / 48.0
        assert int(tick.ledger["candidates"]) == pytest.approx(expected, abs=5.0 * np.sqrt(expected))


def test_births_keep_the_market_in_balance() -> None:
    market = opened()
    for _ in range(8):
        play(market, 40)
        market.end_episode()
        market.take_changes()
        market.begin_episode()
    assert market.record["next_number"] > 400
    assert 90 < market.record["active"] < 230


def test_an_ad_without_any_effect_changes_nothing_that_people_do() -> None:
    """The twin meets the same luck: with gains, pushes and clicks at zero, bids move no visit or order."""
    config = load_config(
        {
            "people.users": 2_000, "people.media_per_day": 20.0, "people.visits_per_day": 6.0,
            "people.device_redraw": 0.5, "conversion.device_buy": [0.5, 1.5, 1.0],
            "conversion.visit_rate": [0.2] * 5, "budget.per_episode": 1e6,
            "rivals.share_of_voice": False, "response.adstock_visit": 0.0, "response.frequency_gain": 0.0,
            "journey.forward_base": [-20.0, -20.0, -20.0],
        }
        | {f"channels.{name}.{key}": value for name in CHANNELS for key, value in NO_EFFECT.items()}
    )  # fmt: skip
    stories, views = [], []
    for bid in (0.0, 200.0):
        market = Market.born(config, 5)
        market.begin_episode()
        ticks = [market.advance(np.full(5, bid)) for _ in range(96)]
        stories.append(np.concatenate([tick.visits[list(ASKED)] for tick in ticks]))
        views.append(sum(int(tick.ledger["views"].sum()) for tick in ticks))
    assert views[0] == 0 and views[1] > 10_000
    assert len(stories[0]) > 1_000 and stories[0].tobytes() == stories[1].tobytes()


NO_EFFECT = {"awareness_gain": 0.0, "click_rate": [0.0] * 5, "forward_push": [-20.0] * 3}
ASKED = ("number", "at_h", "buy", "source", "device", "depth")
"""What a visit is, the advertiser's count of journeys apart."""
