"""Worlds of several shards that come into being by one act: until all are there nobody reads or plays any.

Most worlds of several shards grow as they are played: whoever plays a shard first bears its people. The
shards of a world that is created, copied or forked have theirs already, and nobody else may be born in the
place of those who are still to come.
"""

from __future__ import annotations

from collections.abc import Mapping

from storage import refusals
from storage.base import Arrival, Birth

Born = Mapping[int, Arrival | None]
"""Shard -> with which others it comes; None for one that came alone."""


def lacking(birth: Birth, there: Born) -> tuple[int, str] | None:
    """The first shard of a world that is still to come, and the act that brings it; None for a world that is
    whole, or grows.

    Args:
      there: the shards that are born.
    """
    comes = {shard: each.act for each in there.values() if each is not None for shard in each.shards}
    if birth.parent:
        comes = dict.fromkeys(range(birth.shards), "fork") | comes
    missing = sorted(comes.keys() - there.keys())
    return (missing[0], comes[missing[0]]) if there and missing else None


def check_arrival(birth: Birth, shard: int, arrival: Arrival | None, beside: Born, where: str) -> None:
    """Raises if a new shard does not belong to those that are there.

    Args:
      arrival: with which it comes.
      beside: the other shards that are born, or that somebody living is about to bear.
    Raises: StoreError if it is another act's to bring; WorldExists if it comes with one that another brought.
    """
    for other, theirs in beside.items():
        if theirs is not None and shard in theirs.shards and (arrival is None or arrival.act != theirs.act):
            raise refusals.unfinished(birth, where, shard, theirs.act)
        if arrival is not None and other in arrival.shards and (theirs is None or theirs.act != arrival.act):
            raise refusals.exists(birth.world, where)
