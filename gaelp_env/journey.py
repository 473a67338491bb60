"""Stages of the journey: forward by events, backward by clocks that are kept in the state."""

from __future__ import annotations

import math

from numba import njit

from gaelp_env.exponentials import exponential

UNAWARE, AWARE, CONSIDERING, INTENT, CONVERTED = 0, 1, 2, 3, 4
NEVER_H = 1e300
"""A clock that never rings: UNAWARE has nowhere to fall."""


@njit(inline="always")
def forward_probability(base, awareness, intent, push, awareness_push, intent_push, both_push=0.0):  # type: ignore[no-untyped-def]
    """The probability of one stage forward at an event (an ad seen, a visit).

        P = 1 / (1 + exp(-(alpha_s + beta_s + gamma_s * A + zeta_s * I + xi * A * I)))

    Sources: hidden-Markov funnel of Abhishek, Fader, Hosanagar (SSRN 2158421); complements: Sahni,
    Narayanan, Kalyanam, Journal of Marketing Research 56, 2019.

    Args:
      base: alpha of the present stage, logit.
      awareness, intent: in [0, 1]; the first after its own saturation, if there is one.
      push: beta of the channel, or eta of a visit, logit.
      awareness_push, intent_push: gamma and zeta, logit per unit.
      both_push: xi, logit per unit squared.
    Returns: in (0, 1).
    """
    pull = (awareness_push + both_push * intent) * awareness + intent_push * intent
    return 1.0 / (1.0 + exponential(-(base + push + pull)))


@njit(inline="always")
def can_advance(stage):  # type: ignore[no-untyped-def]
    """Whether an event can move a user forward: INTENT is left by an order, CONVERTED by its clock."""
    return stage < INTENT


@njit(inline="always")
def stage_below(stage):  # type: ignore[no-untyped-def]
    """Where a stage falls when its clock rings: one back; a satiated buyer is AWARE again."""
    return AWARE if stage == CONVERTED else stage - 1


@njit(inline="always")
def waiting_time(u, half_life_h):  # type: ignore[no-untyped-def]
    """Hours until a stage falls back: exponential with the given half-life.

        d = -h * log2(u)

    Args:
      u: uniform in (0, 1), addressed by the moment at which the stage was entered.
      half_life_h: > 0.
    """
    return -half_life_h * math.log(u) / 0.6931471805599453
