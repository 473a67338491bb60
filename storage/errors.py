"""What a store says when it cannot, in sentences that say what to do. `storage.base` has them too."""

from __future__ import annotations


class StoreError(Exception):
    """A store could not do what was asked; the message says what to do."""


class BadStoreURL(StoreError, ValueError):
    """A store URL that cannot be read."""


class NotAStore(StoreError):
    """The file exists and is no gaelp store, or is of a newer schema, or is damaged."""


class BadWorldName(StoreError, ValueError):
    """A name that no world can have."""


class WorldNotFound(StoreError, LookupError):
    """No world of that name lives in the store."""


class CommitNotFound(StoreError, LookupError):
    """A commit that is not there yet, or that the world's retention has let go of."""


class WorldExists(StoreError):
    """A world of that name is there already."""


class WorldBusy(StoreError):
    """Another writer holds the world; the message names it, since when, and what to do."""


class WorldMoved(StoreError):
    """The world was committed to by somebody else since it was read."""


class LeaseLost(StoreError):
    """The lease was taken over; nothing of the refused batch was written."""


class StoreFull(StoreError, OSError):
    """The disk or quota is full, or the place is read-only; nothing was written."""
