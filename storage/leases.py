"""Leases given out by this process, and which of them still have an owner."""

from __future__ import annotations

import gc
import uuid
from weakref import WeakValueDictionary

from storage.base import Lease

_owned: WeakValueDictionary[str, Lease] = WeakValueDictionary()


def grant(world: str, shard: int, epoch: int, holder: str) -> Lease:
    """Makes a lease that lives as long as somebody keeps the object."""
    lease = Lease(world, shard, epoch, holder, uuid.uuid4().hex)
    _owned[lease.token] = lease
    return lease


def revoke(token: str) -> None:
    """Makes a lease count as without an owner, though its object may still be kept."""
    _owned.pop(token, None)


def has_owner(token: str) -> bool:
    """Whether the lease object of a token given out here is still kept by anybody."""
    return token in _owned


def has_owner_for_sure(token: str) -> bool:
    """As `has_owner`, after garbage in reference cycles has been collected: slow, for refusals."""
    if token in _owned:
        gc.collect()
    return token in _owned
