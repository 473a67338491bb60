"""Leases of a store in memory, and what they say of shards that are about to be born."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

from storage import leases
from storage.base import Arrival, Birth


@dataclass(slots=True)
class Claim:
    """The lease of one shard; `token` is "" when nobody holds it. `arrival` stays with what is born."""

    birth: Birth
    epoch: int = 0
    token: str = ""
    holder: str = ""
    arrival: Arrival | None = None

    def living(self) -> str:
        """The holder, "" if there is none."""
        return self.holder if leases.has_owner(self.token) else ""


Claims = Mapping[tuple[str, int], Claim]


def births_beside(claims: Claims, world: str, shard: int) -> list[Birth]:
    """How those who hold other shards of an unborn world are about to bear it."""
    return [claim.birth for claim in _others(claims, world, shard).values() if claim.living()]


def arrivals_beside(
    claims: Claims, born: Container[int], world: str, shard: int
) -> dict[int, Arrival | None]:
    """The other shards of a world that are born, or about to be, and with which they come."""
    others = _others(claims, world, shard)
    return {other: claim.arrival for other, claim in others.items() if other in born or claim.living()}


def _others(claims: Claims, world: str, shard: int) -> dict[int, Claim]:
    return {other: claim for (name, other), claim in claims.items() if name == world and other != shard}
