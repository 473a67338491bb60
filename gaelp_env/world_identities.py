"""Who is the same person: the identities of one in a store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol


class Asked(Protocol):
    """A store, or a world of several shards as one."""

    def rows(
        self, world: str, table: str, *, where: Mapping[str, Any] | None = None
    ) -> Iterator[dict[str, Any]]: ...

    def numbers(self, world: str, user_ids: Sequence[str]) -> Mapping[str, int]: ...


def identities_of(store: Asked, world: str, *user_ids: str) -> dict[int, str]:
    """See Place.identities; of all shards in a store."""
    ids = set(user_ids)
    for user_id in user_ids:
        for row in list(store.rows(world, "persistent_users", where={"user_id": user_id})):
            same = {"canonical_user_id": row["canonical_user_id"]}
            ids |= {str(one["user_id"]) for one in store.rows(world, "persistent_users", where=same)}
    return {number: name for name, number in sorted(store.numbers(world, sorted(ids)).items())}
