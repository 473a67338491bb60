"""What an action means in money."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gaelp_env.config import CHANNELS, MarketConfig
from gaelp_env.constants import levels_of

NO_BID_BELOW = -0.9
"""Actions below this are no bid."""


def bids_cpm(action: Any, config: MarketConfig, audiences: int = 1) -> NDArray[np.float64]:
    """The bids that an action means: reference * (max / reference) ** a, and no bid for a < -0.9.

    Args:
      action: `[5]` in [-1, 1] (clipped), one a channel in the order of CHANNELS; with several audiences
        `[5 * audiences]`, those of the first channel first.
      config: of the market.
      audiences: bids a channel.
    Returns: `[5]` CPM, or `[5, audiences]`; 0 is no bid.
    Raises: ValueError if these are no numbers, the shape is wrong or a value is not finite.
    """
    a = _numbers(action, audiences)
    for channel, value in zip(np.repeat(CHANNELS, audiences).tolist(), a.tolist(), strict=True):
        if not math.isfinite(value):
            raise ValueError(
                f"An action must be finite, and for {channel} it is {value}; give a number from -1 (no bid) "
                "to 1 (the highest bid)."
            )
    reference, log_multiple = levels_of(config)[:2]
    bids = np.empty((len(CHANNELS), audiences))
    _fill(a.reshape(bids.shape), reference, log_multiple, bids)
    return bids if audiences > 1 else bids[:, 0].copy()


def all_bids_cpm(
    actions: Any, levels: NDArray[np.float64], audiences: int, going: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """The bids that the actions for many markets mean: row by row what `bids_cpm` says.

    Args:
      actions: `[N, 5]`, or `[N, 5 * audiences]`.
      levels: `[N, 2, 5]`, by market and channel the reference and ln(max / reference).
      audiences: bids a channel.
      going: `[N]`; other rows are not looked at, and bid nothing.
    Returns: `[N, 5]` CPM, or `[N, 5, audiences]`.
    Raises: ValueError if these are no numbers, the shape is wrong or a value of a going row is not finite.
    """
    a = _numbers(actions, audiences, (len(going),))
    a[~going] = -1.0
    if not np.isfinite(a).all():
        place, entry = np.argwhere(~np.isfinite(a))[0].tolist()
        raise ValueError(
            f"Actions must be finite, and that of market {place} for {CHANNELS[entry // audiences]} is "
            f"{a[place, entry]}; give a number from -1 (no bid) to 1 (the highest bid)."
        )
    bids = np.empty((len(a), len(CHANNELS), audiences))
    _fill_all(a.reshape(bids.shape), levels, bids)
    return bids if audiences > 1 else bids[:, :, 0].copy()


@njit(inline="always")
def bid_of(a, reference, log_multiple):  # type: ignore[no-untyped-def]
    """The bid that one number of an action means: reference * (max / reference) ** a, CPM; 0 is no bid.

    Args:
      a: finite, clipped to [-1, 1]; below NO_BID_BELOW it is no bid.
      reference: CPM, > 0.
      log_multiple: ln(max / reference).
    """
    if a < NO_BID_BELOW:
        return 0.0
    return reference * math.exp(log_multiple * min(a, 1.0))


@njit(cache=True)
def _fill(a, reference, log_multiple, bids):  # type: ignore[no-untyped-def]
    for k in range(bids.shape[0]):
        for j in range(bids.shape[1]):
            bids[k, j] = bid_of(a[k, j], reference[k], log_multiple[k])


@njit(cache=True)
def _fill_all(a, levels, bids):  # type: ignore[no-untyped-def]
    for market in range(len(a)):
        _fill(a[market], levels[market, 0], levels[market, 1], bids[market])


def _numbers(action: Any, audiences: int, markets: tuple[int, ...] = ()) -> NDArray[np.float64]:
    shape = (*markets, len(CHANNELS) * audiences)
    each = "one number" if audiences == 1 else f"{audiences} numbers (one an audience)"
    wanted = f"An action has {each} for each of {', '.join(CHANNELS)}: shape {shape}, and this"
    try:
        a = np.asarray(action)
    except ValueError as error:
        raise ValueError(f"{wanted} one is {action!r:.80}.") from error
    if a.dtype.kind not in "biuf":
        raise ValueError(f"{wanted} one is {action!r:.80}.")
    if a.shape != shape:
        raise ValueError(f"{wanted} one has shape {a.shape}.")
    return a.astype(np.float64)


def action_for(bids: Any, config: MarketConfig) -> NDArray[np.float32]:
    """The action that means these bids, as near as the action space allows.

    Args:
      bids: `[5]` CPM; <= 0 is no bid (-1); others are clipped to what -0.9 … 1 can say.
    """
    bids = np.asarray(bids, np.float64)
    reference, log_multiple = levels_of(config)[:2]
    a = np.log(np.maximum(bids, 1e-300) / reference) / log_multiple
    return np.where(bids <= 0.0, -1.0, np.clip(a, NO_BID_BELOW, 1.0)).astype(np.float32)
