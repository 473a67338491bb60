"""The names under which Gymnasium knows our markets. Variants are named registrations, not flags."""

from __future__ import annotations

from typing import Any

import gymnasium

ENTRY_POINT = "gaelp_env.env:AdMarketEnv"

IDS: dict[str, dict[str, Any]] = {
    "AdMarket-v0": {},
    "AdMarket-tiny-v0": {"config": "tiny"},
}
"""Environment id -> the arguments that make it."""


def register_envs() -> None:
    """Registers every id once; safe to call again."""
    for name, arguments in IDS.items():
        if name not in gymnasium.registry:
            gymnasium.register(id=name, entry_point=ENTRY_POINT, kwargs=dict(arguments))
