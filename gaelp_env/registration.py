"""The names under which Gymnasium knows our markets. Variants are named registrations, not flags."""

from __future__ import annotations

from typing import Any

import gymnasium

from gaelp_env.special_cases import CASES

ENTRY_POINT = "gaelp_env.env:AdMarketEnv"
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
            one, many = _entry_points(name)
            gymnasium.register(id=name, entry_point=one, vector_entry_point=many, kwargs=dict(arguments))


def _entry_points(name: str) -> tuple[str, str | None]:
    return IMPRESSIONS if name.startswith("AdMarketImpression") else (ENTRY_POINT, None)
