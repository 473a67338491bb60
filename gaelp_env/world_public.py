"""The public rows of people, made of their records: what `persistent_users` is folded by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaelp_env.config import CHANNELS
from gaelp_env.population import public_columns
from gaelp_env.world_upgrade import FIRST_USER, users_from_first
from storage.base import Birth


def public_of(birth: Birth, users: NDArray[Any], names: Mapping[int, str]) -> dict[str, Any]:
    """The public columns of users, all but the two that a store stamps; see `population.public_columns`.

    Args:
      birth: of their world; its configuration tells when the clock began.
      users: `[U]` records, of USER or of the first release.
      names: user_id of those whom somebody named.
    """
    if users.dtype == FIRST_USER:
        users = users_from_first(users)
    return public_columns(users, names, _epoch_of(birth.config), CHANNELS)


@lru_cache(maxsize=64)
def _epoch_of(config: str) -> np.datetime64:
    """The moment of hour 0, UTC, of a configuration as JSON."""
    return np.datetime64(json.loads(config)["clock"]["epoch"], "us")
