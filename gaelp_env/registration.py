"""The names under which Gymnasium knows our markets. Variants are named registrations, not flags."""

from __future__ import annotations

from typing import Any

import gymnasium

from gaelp_env.special_cases import CASES

MARKETS = ("gaelp_env.env:AdMarketEnv", "gaelp_env.vector:AdMarketVectorEnv")
IMPRESSIONS = (
    "gaelp_env.impression:AdMarketImpressionEnv", "gaelp_env.impression_vector:AdMarketImpressionVectorEnv"
)  # fmt: skip

IDS: dict[str, dict[str, Any]] = {
    "AdMarket-v1": {},
    "AdMarket-tiny-v1": {"config": "tiny"},
    "AdMarket-audiences-v1": {"per_audience": True},
    "AdMarket-calibrated-v1": {"config": "calibrated"},
    "AdMarket-rivals-v1": {"config": "rivals"},
    "AdMarket-v0": {"config": "v0"},
    "AdMarket-tiny-v0": {"config": "tiny_v0"},
    "AdMarketImpression-v0": {},
    "AdMarketImpression-tiny-v0": {"config": "tiny"},
    **{f"AdMarket-case-{name}-v1": {"config": case.config} for name, case in CASES.items()},
}
"""Environment id -> the arguments that make it."""


def register_envs() -> None:
    """Registers every id once; safe to call again."""
    for name, arguments in IDS.items():
        if name not in gymnasium.registry:
            one, many = IMPRESSIONS if name.startswith("AdMarketImpression") else MARKETS
            gymnasium.register(id=name, entry_point=one, vector_entry_point=many, kwargs=dict(arguments))
