"""gaelp_env: an ad market as a Gymnasium environment, in which users remember.

    import gymnasium as gym
    env = gym.make("gaelp_env:AdMarket-v1", store="sqlite:///my.db", world="demo")

Importing this package imports Gymnasium and nothing heavier; the rest comes with its first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gaelp_env import _cache
from gaelp_env.registration import register_envs

if TYPE_CHECKING:
    from gaelp_env.config import MarketConfig as MarketConfig
    from gaelp_env.config_load import load_config as load_config
    from gaelp_env.env import AdMarketEnv as AdMarketEnv
    from gaelp_env.vector import AdMarketVectorEnv as AdMarketVectorEnv
    from gaelp_env.world import World as World
    from gaelp_env.wrappers import DiscreteBids as DiscreteBids

__version__ = "0.1.0"

_HOMES = {
    "AdMarketEnv": "gaelp_env.env",
    "AdMarketVectorEnv": "gaelp_env.vector",
    "DiscreteBids": "gaelp_env.wrappers",
    "MarketConfig": "gaelp_env.config",
    "World": "gaelp_env.world",
    "load_config": "gaelp_env.config_load",
}

__all__ = [
    "AdMarketEnv",
    "AdMarketVectorEnv",
    "DiscreteBids",
    "MarketConfig",
    "World",
    "__version__",
    "load_config",
]

_cache.settle()
register_envs()


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
