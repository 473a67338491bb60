"""The sections of a market: what they refuse, in sentences with key, value, range and the nearest name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gaelp_env.auction import RULES
from gaelp_env.config import CHANNELS, MarketConfig
from gaelp_env.config_load import ConfigError, load_config
from gaelp_env.config_words import entries
from gaelp_env.creatives import ROTATIONS
from gaelp_env.market import Market
from gaelp_env.prices import FAMILIES
from gaelp_env.rivalry import drawn_tables
from gaelp_env.rivals import STRATEGIES
from gaelp_env.sections import Part, inside
from gaelp_env.sections_market import Channel, Rival, Rivals
from gaelp_env.sections_people import Budget, Goals
from gaelp_env.sections_person import Visits
from gaelp_env.sessions import return_rate


def refusal(source: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(source)
    return str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("channels.search.rule", "gps", "must be second, first, gsp or owned; the nearest is gsp."),
        ("channels.video.charge", "clicks", "must be impression or click; the nearest is click."),
        ("prices.family", "log-normal", "exponential, uniform or quantiles; the nearest is lognormal."),
        ("rivals.kind", "bidder", "must be drawn or bidders; the nearest is bidders."),
        ("rivals.two.strategy", "learn", "truthful, shading, paced or learning; the nearest is learning."),
        ("response.rotation", "fresh", "must be even, sequential or freshest; the nearest is freshest."),
        ("response.fatigue_by", "creatives", "must be campaign or creative; the nearest is creative."),
        ("budget.pacing", "evenly", "must be none or even; the nearest is even."),
    ],
)  # fmt: skip
def test_an_unknown_name_is_told_the_known_ones_and_the_nearest(key: str, value: str, words: str) -> None:
    told = refusal({key: value})
    assert told.startswith(f"{key} is {value!r}; it must be ")
    assert told.endswith(words)


def test_a_name_like_none_is_told_all_of_them() -> None:
    told = refusal({"channels.search.rule": "dutch"})
    assert told == "channels.search.rule is 'dutch'; it must be second, first, gsp or owned."


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("channels.search.slots", 5, "a whole number from 1 to 4"),
        ("channels.search.slots", 2.5, "a whole number from 1 to 4"),
        ("channels.search.rivals", 0, "a whole number from 1 to 64"),
        ("channels.search.quality_score", 0.0, "a number above 0 and at most 100"),
        ("channels.search.predicted_click_rate", 0.0, "a number above 0 and at most 1"),
        ("channels.social.soft_floor_cpm", -1.0, "a number from 0 to 100000"),
        ("channels.social.rival_gain", 1.0, "a number at least 0 and below 1"),
        ("channels.social.adstock_half_life_d", 0.0, "a number above 0 and at most 36500"),
        ("prices.shape", 0.0, "a number above 0 and at most 100"),
        ("rivals.learning_rate", 2.0, "a number from 0 to 1"),
        ("rivals.standing", 0.0, "a number above 0 and at most 100"),
        ("rivals.outside", -0.1, "a number from 0 to 100"),
        ("rivals.power", 11.0, "a number above 0 and at most 10"),
        ("rivals.one.shade", 0.01, "a number from 0.05 to 1"),
        ("rivals.one.value", 0.0, "a number above 0 and at most 1000"),
        ("rivals.one.value_log_sd", 0.0, "a number from 0.01 to 3"),
        ("response.adstock_half", 0.0, "a number above 0 and at most 10000"),
        ("response.adstock_slope", 0.4, "a number from 0.5 to 10"),
        ("response.frequency_slope", 11.0, "a number from 0.5 to 10"),
        ("response.spacing_loss", 1.5, "a number from 0 to 1"),
        ("response.intent_per_cart", -0.1, "a number from 0 to 1"),
        ("visits.return_buyer", 1.0, "a number from 0 to 0.95"),
        ("visits.same_day_share", 1.1, "a number from 0 to 1"),
        ("visits.cart_rate", 0.0, "a number above 0 and at most 1"),
        ("people.device_redraw", -0.5, "a number from 0 to 1"),
        ("budget.frequency_cap", 9, "a whole number from 0 to 8"),
        ("budget.frequency_window_h", 0.0, "a number above 0 and at most 100000"),
        ("budget.per_day", -1.0, "a number from 0 to 9000000000"),
        ("budget.lifetime", 1e10, "a number from 0 to 9000000000"),
        ("budget.pacing_gain", 0.0, "a number above 0 and at most 100"),
        ("goals.target_cpa", 0.0, "a number above 0 and at most 1000000000"),
        ("goals.target_roas", -3.0, "a number above 0 and at most 1000000"),
    ],
)
def test_a_constant_outside_its_bounds_is_refused_by_key_value_and_range(
    key: str, value: float, allowed: str
) -> None:
    told = refusal({key: value})
    assert told.startswith(f"{key} is {value!r}; it must be {allowed}") or told.startswith(
        f"{key} is {value:.0f}; it must be {allowed}"
    )
    assert told.endswith(".")


@pytest.mark.parametrize(
    ("key", "values", "allowed"),
    [
        ("channels.search.slot_view", [1.0, 0.8, 1.2, 0.5], "a list of 4 numbers, each from 0 to 1"),
        ("channels.search.slot_click", [1.0, 1.0, 1.0], "a list of 4 numbers, each from 0 to 1"),
        ("channels.email.targeting", [1.0, 1.0, 1.0, -1.0], "a list of 4 numbers, each from 0 to 100"),
        ("response.creatives", [], "a list of 1 to 4 numbers, each from 0 to 1"),
        ("response.creatives", [1.0] * 5, "a list of 1 to 4 numbers, each from 0 to 1"),
        ("visits.return_probability", [0.1, 0.1, 0.1, 0.1, 0.99], "a list of 5 numbers, each from 0 to 0.95"),
        ("conversion.device_buy", [1.0, 1.0, 11.0], "a list of 3 numbers, each from 0 to 10"),
        ("people.device_shares", [0.5, 0.4, 0.2], "which sum to 1"),
        ("visits.source_shares", [0.5, 0.4, 0.2, 0.0], "which sum to 1"),
        ("prices.quantiles", [1.0], "a list of 2 to 129 numbers"),
        ("prices.quantiles", [0.0, 1.0], "a list of 2 to 129 numbers"),
    ],
)
def test_a_list_outside_its_bounds_is_refused_by_key_and_rule(
    key: str, values: list[float], allowed: str
) -> None:
    told = refusal({key: values})
    assert told.startswith(f"{key} is [")
    assert allowed in told


def test_quantiles_that_fall_are_refused() -> None:
    assert refusal({"prices.quantiles": [1.0, 3.0, 2.0]}) == (
        "prices.quantiles is [1.0, 3.0, 2.0]: quantiles must not fall."
    )


def test_bidders_without_a_bidder_are_refused_with_the_remedy() -> None:
    told = refusal({"rivals.kind": "bidders"})
    assert told.startswith("rivals.kind is 'bidders': kind is bidders and no rival has a strategy; ")
    assert told.endswith("give rivals.one.strategy at least.")
    assert (
        load_config({"rivals.kind": "bidders", "rivals.four.strategy": "truthful"}).rivals.kind == "bidders"
    )


def test_a_paced_rival_without_a_budget_is_refused_with_the_remedy() -> None:
    paced = {"rivals.kind": "bidders", "rivals.four.strategy": "paced"}
    assert refusal(paced).endswith("four is paced and has no budget; give four.budget_per_day above 0.")
    assert load_config(paced | {"rivals.four.budget_per_day": 50.0}).rivals.four.budget_per_day == 50.0


def test_a_strategy_that_nobody_plays_is_refused_with_the_remedy() -> None:
    """Drawn prices have no bidders, so a strategy that is given would be ignored."""
    told = refusal({"rivals.one.strategy": "truthful", "rivals.three.strategy": "shading"})
    assert told == (
        "rivals.one.strategy is 'truthful': kind is drawn, so nobody plays the strategy of one, three; give "
        "rivals.kind bidders, or strategy none."
    )
    assert load_config({"rivals.one.value": 2.0}).rivals.kind == "drawn"


RATES = st.floats(0.0, 0.95)


@given(st.tuples(*[RATES] * 5), RATES, st.floats(0.0, 1.0), st.floats(0.1, 1000.0), st.floats(0.1, 1000.0))
def test_no_return_is_likelier_than_the_most_that_a_configuration_asks_candidates_for(
    by_stage: tuple[float, ...], buyer: float, share: float, soon_h: float, gap_d: float
) -> None:
    visits = Visits(
        return_probability=by_stage, return_buyer=buyer, same_day_share=share, same_day_h=soon_h,
        gap_days=gap_d,
    )  # fmt: skip
    likeliest = max(*by_stage, buyer)
    highest = 24.0 * return_rate(0.0, likeliest, share, soon_h, 24.0 * gap_d)
    assert visits.most_returns_per_day == pytest.approx(highest, rel=1e-12)
    for gap_h in (0.1, 3.0, 100.0):
        later = 24.0 * return_rate(gap_h, likeliest, share, soon_h, 24.0 * gap_d)
        assert later <= highest * (1.0 + 1e-9)


@pytest.mark.parametrize(
    ("source", "first", "remedy"),
    [
        ({"people.visits_per_day": 0.3}, "people.visits_per_day is 0.3: ", "at least 0.395,"),
        ({"people.visits_per_day": 0.0}, "people.visits_per_day is 0.0: ", "at least 0.395 or"),
        ({"visits.same_day_h": 4.0}, "visits.same_day_h is 4.0: ", "at least 0.575,"),
        ({"visits.return_buyer": 0.5}, "visits.return_buyer is 0.5: ", "at least 0.6584,"),
        ({"visits.same_day_h": 0.01}, "visits.same_day_h is 0.01: ", "would be cut; give longer gaps ("),
    ],
)  # fmt: skip
def test_returns_faster_than_candidates_are_refused_with_the_remedy(
    source: dict[str, Any], first: str, remedy: str
) -> None:
    """By default .3 (24 x .3 / 6 + .7 / 6) = .395 a day, and half a candidate a day."""
    told = refusal(source)
    assert told.startswith(first)
    assert remedy in told
    assert told.endswith(" or smaller return probabilities (0: nobody comes back).")


def test_what_a_refusal_of_returns_asks_for_is_let_in() -> None:
    nobody = {"visits.return_probability": [0.0] * 5, "visits.return_buyer": 0.0}
    for source in (
        {"people.visits_per_day": 0.395}, {"people.visits_per_day": 0.6584, "visits.return_buyer": 0.5},
        {"people.visits_per_day": 0.0, **nobody},
    ):  # fmt: skip
        assert load_config(source).people.visits_per_day == source["people.visits_per_day"]


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("rivals.five", "rivals.one"),
        ("rivals.one.budget", "rivals.one.budget_per_day"),
        ("budget.daily", "budget.per_day"),
        ("budget.pacing_rate", "budget.pacing"),
        ("response.adstock_half_life", "response.adstock_half"),
        ("goals.cpa", "goals.target_cpa"),
        ("visits.return_probabilty", "visits.return_probability"),
        ("channels.search.slot", "channels.search.slots"),
    ],
)
def test_an_unknown_key_of_a_new_section_is_told_a_known_one(key: str, near: str) -> None:
    told = refusal({key: 1})
    assert told.startswith(f"{key} is no key")
    assert near.rpartition(".")[2] in told


def test_the_names_of_the_configuration_are_those_of_the_code() -> None:
    def choices(key: str) -> set[str]:
        return set(entries()[key].choices)

    assert choices("channels.search.rule") == set(RULES)
    assert choices("prices.family") == set(FAMILIES)
    assert choices("rivals.one.strategy") == set(STRATEGIES)
    assert choices("response.rotation") == set(ROTATIONS)


def test_the_new_parts_can_be_switched_off_one_by_one() -> None:
    off = {
        "rivals.share_of_voice": False, "response.adstock_visit": 0.0, "response.frequency_gain": 0.0,
        "response.fatigue_by": "campaign", "people.device_redraw": 0.0, "visits.return_buyer": 0.0,
        "visits.return_probability": [0.0] * 5,
    }  # fmt: skip
    for key, value in off.items():
        config = load_config({key: value, "people.users": 20})
        market = Market.born(config, 1)
        market.begin_episode()
        for _ in range(3):
            market.advance(np.full(5, 100.0))


def test_prices_that_no_market_can_draw_are_refused_at_the_door() -> None:
    assert refusal({"prices.family": "gamma", "prices.shape": 0.01}).startswith("prices.")


def test_quantiles_further_apart_than_a_million_times_are_refused() -> None:
    told = refusal({"prices.quantiles": [1e-9, 1e9]})
    assert told == (
        "prices.quantiles is [1e-09, 1000000000.0]: quantiles must not span more than a factor of a million."
    )


@pytest.mark.parametrize("quantiles", [[1.0, 1e6], [1.0, 1.0, 1e6], [1.0] * 128 + [1e6], [1.0] + [1e6] * 128])
def test_the_widest_quantiles_that_are_let_in_can_be_drawn(quantiles: list[float]) -> None:
    config = load_config({"people.users": 5, "prices.family": "quantiles", "prices.quantiles": quantiles})
    assert np.isfinite(drawn_tables(config)).all()


@pytest.mark.parametrize("name", CHANNELS)
def test_every_channel_of_the_default_market_is_a_lawful_one(name: str) -> None:
    channel: Channel = getattr(MarketConfig().channels, name)
    assert Channel.model_validate(channel.model_dump()) == channel
    assert list(channel.slot_view) == sorted(channel.slot_view, reverse=True)
    assert channel.charge == "impression" or channel.predicted_click_rate > 0.0


@pytest.mark.parametrize("part", [Channel, Rival, Rivals, Budget, Goals])
def test_a_part_is_frozen_closed_and_finite(part: type[Part]) -> None:
    made = part()
    name = next(iter(part.model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(made, name, getattr(made, name))
    with pytest.raises(ValidationError, match="Extra inputs"):
        part.model_validate({"zzz": 1})
    numbers = [key for key, field in part.model_fields.items() if field.annotation is float]
    for key in numbers:
        with pytest.raises(ValidationError, match=key):
            part.model_validate({key: float("nan")})


def test_a_range_is_told_with_the_whole_list() -> None:
    inside("rates", (0.0, 1.0), 0.0, 1.0)
    with pytest.raises(ValueError, match=r"rates must lie in \[0, 1\] and is \(0.5, 1.5\)"):
        inside("rates", (0.5, 1.5), 0.0, 1.0)


def test_a_copy_with_fields_replaced_is_another_market() -> None:
    config = MarketConfig()
    assert config.fingerprint() == config.model_copy().fingerprint()
    other = config.model_copy(update={"clock": config.clock.model_copy(update={"episode_ticks": 7})})
    assert other != config
    assert other.fingerprint() != config.fingerprint()
