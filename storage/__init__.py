"""Stores: places where worlds outlive the process that played them.

`open_store(url)` opens one; `storage.base` says what every store promises, `storage.siblings`
finds the sub-worlds that live in files beside the first.
"""

from storage.base import (
    BadStoreURL,
    BadWorldName,
    LeaseLost,
    NotAStore,
    Store,
    StoreError,
    StoreFull,
    WorldBusy,
    WorldExists,
    WorldMoved,
    WorldNotFound,
)
from storage.shared import open_store

__all__ = [
    "BadStoreURL",
    "BadWorldName",
    "LeaseLost",
    "NotAStore",
    "Store",
    "StoreError",
    "StoreFull",
    "WorldBusy",
    "WorldExists",
    "WorldMoved",
    "WorldNotFound",
    "open_store",
]
