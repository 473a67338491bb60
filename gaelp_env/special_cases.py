"""Markets whose optimum is known in closed form: the same code, with all but one mechanism at rest.

Each is a configuration, registered as `AdMarket-case-<name>-v1`; `gaelp check` plays it and holds what
comes out to the formula. In all of them an ad that is seen has a known value, and nobody remembers
anything but what the case is about. A value of v CPM is made of

    click_rate x buy_rate x order_value x margin = v / 1,000

with orders that are rare and dear, so that a person waiting for one (who decides no other) is never
noticed, and the ledger's `accrued_micro` is the value of the ads seen, exactly. Formulas in units of one
are played at 100 CPM a unit.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

CHANNELS = ("search", "social", "display", "video", "email")
UNIT_CPM = 100.0
"""CPM that stand for one unit of a formula."""

Five = tuple[float, float, float, float, float]


class SpecialCase(NamedTuple):
    """A market with a closed form.

    Attributes:
      sentence: what it is, and what is known of it.
      config: what differs from the defaults, for `load_config`; JSON-able.
    """

    sentence: str
    config: dict[str, Any]


NODES: Five = (
    0.046910077030668, 0.230765344947158, 0.5, 0.769234655052842, 0.953089922969332,
)  # fmt: skip
WEIGHTS: Five = (
    0.118463442528095, 0.239314335249683, 0.284444444444444, 0.239314335249683, 0.118463442528095,
)  # fmt: skip
"""Gauss-Legendre nodes and weights on [0, 1]: five channels stand for a value that is uniform, and the
means of polynomials up to degree nine are exact."""

_BUY_RATE, _ORDER_VALUE, _MARGIN = 1e-4, 1e6, 0.5
NO_LIMIT = 9e9

_AT_REST: dict[str, Any] = {
    "people.users": 10_000,
    "people.media_per_day": 48.0,
    "people.media_log_sd": 0.0,
    "people.visits_per_day": 0.0,
    "people.propensity_log_sd": 0.0,
    "people.stay_days": 20.0,
    "people.traffic": "flat",
    "people.weekdays": "flat",
    "people.device_redraw": 0.0,
    "prices.pressure_log_sd": 0.0,
    "prices.by_hour": "flat",
    "prices.floor_share": 0.0,
    "rivals.share_of_voice": False,
    "response.fatigue_by": "campaign",
    "response.creatives": [1.0],
    "response.adstock_visit": 0.0,
    "response.frequency_gain": 0.0,
    "response.intent_per_visit": 0.0,
    "response.intent_per_view": 0.0,
    "response.intent_per_cart": 0.0,
    "response.click_by_hour": "flat",
    "journey.forward_probability": 0.0,
    "visits.return_probability": [0.0] * 5,
    "visits.return_buyer": 0.0,
    "conversion.visit_rate": [0.0] * 5,
    "conversion.buy_rate": [_BUY_RATE] * 5,
    "conversion.device_buy": [1.0] * 3,
    "conversion.intent_boost": 0.0,
    "conversion.order_value": _ORDER_VALUE,
    "conversion.order_log_sd": 0.0,
    "conversion.margin": _MARGIN,
    "conversion.delay_max_h": 0.001,
    "budget.per_episode": NO_LIMIT,
}


def click_rate_of(value_cpm: float) -> float:
    """The click rate at which an ad seen is worth `value_cpm`."""
    return value_cpm / 1000.0 / (_BUY_RATE * _ORDER_VALUE * _MARGIN)


def _case(
    sentence: str,
    rule: str,
    values_cpm: float | Five,
    reference_cpm: float,
    shares: Five = (0.2, 0.2, 0.2, 0.2, 0.2),
    **more: Any,
) -> SpecialCase:
    """A market at rest whose five channels differ in the value of an ad only.

    Args:
      more: other differences, `__` for the dot.
    """
    values = values_cpm if isinstance(values_cpm, tuple) else (values_cpm,) * 5
    config = dict(_AT_REST)
    for channel, value, share in zip(CHANNELS, values, shares, strict=True):
        config |= {
            f"channels.{channel}.{name}": setting
            for name, setting in {
                "rule": rule, "charge": "impression", "slots": 1, "share": share, "max_multiple": 20.0,
                "reference_cpm": reference_cpm, "send_cost_cpm": 0.0, "known_only": False, "view_rate": 1.0,
                "click_rate": [click_rate_of(value)] * 5, "audience": [1.0] * 5, "awareness_gain": 0.0,
                "rival_gain": 0.0, "fatigue_exponent": 0.0, "forward_push": [0.0] * 3,
            }.items()
        }  # fmt: skip
    config |= {name.replace("__", "."): setting for name, setting in more.items()}
    return SpecialCase(sentence, config)


def _highest_uniform(bids: int, top: float) -> float:
    """The median of the highest of some bids that are uniform up to `top`, CPM."""
    return UNIT_CPM * top * math.pow(2.0, -1.0 / bids)


IPINYOU_LOG_PRICE = (4.045, 0.914)
_NODES_CPM: Any = tuple(UNIT_CPM * node for node in NODES)
_UPPER_CPM: Any = tuple(UNIT_CPM * (0.5 + 0.5 * node) for node in NODES)
RIVALS = 2
"""Rivals in the two equilibria, so there are three bidders with us."""

OMEGA, RHO, DISCOUNT = 0.4, 0.2, 0.95
"""From opportunity to opportunity: a fresh user shown an ad is found fatigued at the next one, a fatigued one
who is skipped is found fresh; and what the next one is worth today."""
_SHOWS_PER_DAY = 9.6
_EVER_D = 36_500.0
FRESH_CPM = 100.0
THRESHOLD_CPM = FRESH_CPM * RHO / (RHO + OMEGA)

STAGE_SHOWS_PER_DAY, STAGE_FORWARD = 3.0, 0.1
STAGE_HALF_LIVES_D = (21.0, 7.0, 1.88)
ADSTOCK_HALF_LIVES_D: Five = (0.5, 1.0, 2.0, 3.0, 7.0)
ADSTOCK_PER_DAY = 3.0

CONVERTS_PER_DAY = 0.5
"""Visits a day, each of which ends in an order once a user has the intent."""

POSTED_CPM = 50.0


def _two_state() -> SpecialCase:
    case = _case(
        "A user is fresh or fatigued: who is fresh and shown an ad is found fatigued at the next opportunity "
        "with probability 0.4, who is fatigued and left alone is found fresh at the next with probability "
        "0.2, and who is fatigued and shown another ad stays so. Of three channels, two show always, and an "
        "ad to the fatigued is worth 0.9 and 1.1 times the threshold; display reaches fresh users only: it "
        "is the cap. Cap if and only if r_T < r_F rho / (rho + omega); where the next opportunity counts "
        "0.95, if and only if r_T < 0.3065 r_F.",
        "owned", FRESH_CPM, 1.0,
        people__stay_days=_EVER_D,
        journey__forward_probability=None,
        journey__forward_base=[0.0, 0.0, -20.0],
        journey__awareness_push=[0.0] * 3,
        journey__intent_push=[0.0] * 3,
        journey__visit_push=[-20.0] * 3,
        journey__awareness_intent_push=0.0,
        journey__backward_half_life_d=[
            math.log(2.0) * (1.0 - RHO) / (RHO * _SHOWS_PER_DAY),
            1000.0 * _EVER_D, 1000.0 * _EVER_D, 1000.0 * _EVER_D,
        ],
    )  # fmt: skip
    config = case.config
    fresh = click_rate_of(FRESH_CPM)
    tired_at_once = OMEGA / (1.0 - RHO)  # the clock of recovery runs before the next opportunity, too
    tires = math.log(tired_at_once / (1.0 - tired_at_once))
    for channel, tired_cpm in zip(CHANNELS, (0.9, 1.1, 0.0, 0.0, 0.0), strict=True):
        tired = click_rate_of(tired_cpm * THRESHOLD_CPM)
        config[f"channels.{channel}.click_rate"] = [fresh, tired, tired, tired, tired]
        config[f"channels.{channel}.forward_push"] = [tires, 20.0, -20.0]
    config["channels.display.audience"] = [1.0, 0.0, 0.0, 0.0, 0.0]
    return case


def _lasting_cap(exponent: float, ratio: float, best: int) -> SpecialCase:
    case = _case(
        f"A posted price c, ads worth {ratio:g} c that wear by (1 + n) ** -{exponent:g} and never "
        f"recover: show "
        f"as many as are worth their price, floor({ratio:g} ** (1 / {exponent:g})) = {best}.",
        "second", ratio * POSTED_CPM, POSTED_CPM,
        people__users=2_000, people__stay_days=_EVER_D, prices__log_sd=0.0,
        response__fatigue_half_life_d=_EVER_D, budget__frequency_cap=best,
        budget__frequency_window_h=100_000.0,
    )  # fmt: skip
    for channel in CHANNELS:
        case.config[f"channels.{channel}.fatigue_exponent"] = exponent
    return case


def _occupancy() -> SpecialCase:
    case = _case(
        "Three ads a day, each moves a user one stage on with probability 0.1; clocks lead back "
        "(half-lives 21, "
        "7 and 1.88 days). The shares of the stages at t are those of expm(Q t).",
        "second", 1.0, 1.0,
        people__users=100_000, people__media_per_day=STAGE_SHOWS_PER_DAY, people__stay_days=60.0,
        clock__tick_minutes=120.0, clock__episode_ticks=12, prices__log_sd=0.0,
        journey__forward_probability=STAGE_FORWARD,
        journey__backward_half_life_d=[*STAGE_HALF_LIVES_D, 30.0],
    )  # fmt: skip
    for channel in CHANNELS:
        case.config[f"channels.{channel}.click_rate"] = [1e-6, 2e-6, 3e-6, 4e-6, 5e-6]
    return case


def _time_to_convert() -> SpecialCase:
    config = _occupancy().config | {
        "people.users": 40_000,
        "people.stay_days": _EVER_D,
        "people.visits_per_day": CONVERTS_PER_DAY,
        "conversion.visit_rate": [0.0, 0.0, 0.0, 1.0, 0.0],
        "conversion.buy_rate": [0.0, 0.0, 0.0, 1.0, 0.0],
        "conversion.order_value": 100.0,
    }
    config |= {f"channels.{channel}.click_rate": [0.0] * 5 for channel in CHANNELS}
    return SpecialCase(
        "The chain of the occupancies, whose users visit twice in four days and order once they have the "
        "intent. From each stage, the mean days to the first order are -inv(Q_T) 1.",
        config,
    )


def _adstock() -> SpecialCase:
    case = _case(
        "Three ads a day on each channel, whose stocks halve in 0.5, 1, 2, 3 and 7 days. Ads that come in a "
        "Poisson stream hold the mean stock at r H / ln 2; at one moment of each day, r / (1 - 2 "
        "** (-1 / H)).",
        "second", 1.0, 1.0,
        people__users=4_000, people__media_per_day=5.0 * ADSTOCK_PER_DAY, people__stay_days=_EVER_D,
        clock__tick_minutes=120.0, clock__episode_ticks=12, prices__log_sd=0.0,
    )  # fmt: skip
    for channel, half_life_d in zip(CHANNELS, ADSTOCK_HALF_LIVES_D, strict=True):
        case.config[f"channels.{channel}.adstock_half_life_d"] = half_life_d
    return case


ORTB_THETAS: Five = (0.1, 0.25, 0.5, 1.0, 2.0)
ORTB_LAMBDA, ORTB_C = 0.01, 50.0
_ORTB_CPM: Any = tuple(theta / ORTB_LAMBDA for theta in ORTB_THETAS)

BUDGET_SHARE = 0.02
"""Budget of an auction, in units of the highest value: alpha = sqrt(6 x 0.02) = 0.346410."""
BUDGET_AUCTIONS = 480_000
"""Auctions of an episode, in the mean."""
EVEN_MULTIPLE = 0.4
"""What is bid under even pacing, as a multiple of the value: the platform has to find 0.866 of it."""
_BUDGET: dict[str, Any] = {
    "prices__family": "uniform", "prices__shape": 1.0,
    "budget__per_episode": BUDGET_SHARE * BUDGET_AUCTIONS * UNIT_CPM / 1000.0,
}  # fmt: skip

CASES: dict[str, SpecialCase] = {
    "truthful-lognormal": _case(
        "Second price among log-normal prices (iPinYou: 4.045, 0.914), an ad worth 80: bid 80.",
        "second", 80.0, math.exp(IPINYOU_LOG_PRICE[0]), prices__log_sd=IPINYOU_LOG_PRICE[1],
    ),
    "truthful-uniform": _case(
        "Second price among prices uniform in (0, 1), an ad worth 0.6: bid 0.6; surplus v ** 2 / 2.",
        "second", 0.6 * UNIT_CPM, 0.5 * UNIT_CPM, prices__family="uniform", prices__shape=1.0,
    ),
    "truthful-exponential": _case(
        "Second price among exponential prices of rate 2, an ad worth 1: bid 1; surplus v - (1 - e "
        "** -2v) / 2.",
        "second", UNIT_CPM, 0.5 * math.log(2.0) * UNIT_CPM, prices__family="exponential",
    ),
    "shading-uniform": _case(
        "First price against a price uniform in (0, 1), an ad worth 0.8: bid half of it.",
        "first", 0.8 * UNIT_CPM, 0.5 * UNIT_CPM, prices__family="uniform", prices__shape=1.0,
    ),
    "shading-rivals": _case(
        "First price against four bids that are uniform in (0, 1), an ad worth 0.8: bid v n / (n + "
        "1) = 0.64.",
        "first", 0.8 * UNIT_CPM, _highest_uniform(4, 1.0), prices__family="uniform", prices__shape=4.0,
    ),
    "shading-exponential": _case(
        "First price against an exponential price of rate 1, an ad worth 1: bid v + (1 - W(e ** (1 + v))).",
        "first", UNIT_CPM, math.log(2.0) * UNIT_CPM, prices__family="exponential",
    ),
    "shading-loglogistic": _case(
        "First price, wins b / (2 + b), an ad worth 3: bid sqrt(c ** 2 + c v) - c.",
        "first", 3.0 * UNIT_CPM, 2.0 * UNIT_CPM, prices__family="loglogistic", prices__shape=1.0,
    ),
    "shading-lognormal": _case(
        "First price against a log-normal price (0, 1), an ad worth 1: the root of v = b (1 + s Phi / phi).",
        "first", UNIT_CPM, UNIT_CPM, prices__log_sd=1.0,
    ),
    "shading-ipinyou": _case(
        "First price against iPinYou's log-normal price (4.045, 0.914), an ad worth 80: the same root.",
        "first", 80.0, math.exp(IPINYOU_LOG_PRICE[0]), prices__log_sd=IPINYOU_LOG_PRICE[1],
    ),
    "ortb1": _case(
        "ORTB1: wins b / (c + b), the bid is the cost, click rates theta and one price of money lambda.",
        "first", _ORTB_CPM, ORTB_C, prices__family="loglogistic", prices__shape=1.0,
    ),
    "ortb2": _case(
        "ORTB2: wins b ** 2 / (c ** 2 + b ** 2), the bid is the cost, click rates theta and one lambda.",
        "first", _ORTB_CPM, ORTB_C, prices__family="loglogistic", prices__shape=2.0,
    ),
    "equilibrium-first": _case(
        "First price, three bidders with uniform values, two of them bid 2/3 of theirs: so should "
        "we; the seller "
        "has (n - 1) / (n + 1).",
        "first", _NODES_CPM, _highest_uniform(RIVALS, 2.0 / 3.0), WEIGHTS,
        prices__family="uniform", prices__shape=float(RIVALS),
    ),
    "equilibrium-second": _case(
        "Second price, three bidders with uniform values, all truthful; the seller has (n - 1) / "
        "(n + 1) again.",
        "second", _NODES_CPM, _highest_uniform(RIVALS, 1.0), WEIGHTS,
        prices__family="uniform", prices__shape=float(RIVALS),
    ),
    "reserve": _case(
        "Second price, two bidders with uniform values and a reserve of 1/2: the seller has 5/12.",
        "second", _UPPER_CPM, 0.5 * UNIT_CPM, WEIGHTS, prices__family="uniform", prices__shape=1.0,
        prices__floor_share=1.0, prices__floor_median=1.0, prices__floor_log_sd=0.0,
    ),
    "budget": _case(
        "Second price, values and prices uniform in (0, 1), most value for a budget B: bid alpha v, "
        "alpha = sqrt(6 B / N), which buys N alpha / 3.",
        "second", _NODES_CPM, 0.5 * UNIT_CPM, WEIGHTS, **_BUDGET,
    ),
    "budget-even": _case(
        "The same auctions and budget; we bid 0.4 v, and `budget.pacing: even` finds the rest of alpha by "
        "itself, every three minutes.",
        "second", _NODES_CPM, 0.5 * UNIT_CPM, WEIGHTS, **_BUDGET,
        budget__pacing="even", budget__pacing_gain=0.2, clock__tick_minutes=3.0, clock__episode_ticks=480,
    ),
    "two-state-cap": _two_state(),
    "lasting-cap-social": _lasting_cap(0.43, 2.0, 5),
    "lasting-cap-display": _lasting_cap(0.2, 1.5, 7),
    "occupancy": _occupancy(),
    "time-to-convert": _time_to_convert(),
    "adstock": _adstock(),
}  # fmt: skip
"""Name -> market."""
