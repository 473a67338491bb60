"""Worlds that move into a dataset: the same to every reader, and they go on alike."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.base import Store, StoreError, WorldNotFound
from storage.moving import Portion
from tests.storage.small import batch, birth, open_store, seen
from tests.storage.test_contract_moving import digest, lived, move, new_store


@pytest.fixture
def there(bigquery_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("GAELP_OUTBOX", str(tmp_path / "outbox"))
    opened = open_store(bigquery_url)
    yield opened
    opened.public = None
    opened.close()


def test_a_world_goes_into_a_dataset_and_comes_out_the_same(there: Store, tmp_path: Path) -> None:
    stores = [new_store("memory", tmp_path), there, new_store("sqlite", tmp_path)]
    lease = lived(stores[0])
    for source, target in itertools.pairwise(stores):
        move(source, target)
    assert seen(there) == seen(stores[0]) == seen(stores[2])
    assert len({digest(store) for store in stores}) == 1
    taken = there.acquire(birth(), expected=3)
    for place, held in ((stores[0], lease), (there, taken)):
        named = {2: "sara_mobile", 40: "new"}
        place.commit([(held, batch(4, [2, 40], names=named, archived=[2, 3], touch=1))])
        for again in (batch(5, [4]), batch(5, [50], names={50: "mike"}), batch(5, archived=[1])):
            with pytest.raises(StoreError):
                place.commit([(held, again)])
    there.fold()
    mine, theirs = seen(stores[0]), seen(there)
    for row in (*mine["persistent_users"], *theirs["persistent_users"]):
        row.pop("updated_at")
        if row["user_id"] == "new":
            row.pop("created_at")
    assert theirs == mine
    stores[2].close()


def test_shards_move_into_a_dataset(there: Store) -> None:
    source = open_store("memory:")
    whole = birth(shards=2)
    left, right = (source.acquire(whole, shard, expected=None) for shard in (0, 1))
    source.commit([(left, batch(0, [1], touch=1)), (right, batch(0, [2], shard=1, names={2: "r"}))])
    source.commit([(left, batch(1, [1]))])
    move(source, there)
    assert [there.load("demo", shard).sequence for shard in (0, 1)] == [1, 0]
    assert digest(there) == digest(source)


def test_an_adoption_that_was_broken_off_leaves_no_trace_and_is_done_again(there: Store) -> None:
    source = open_store("memory:")
    held = lived(source)
    portions = list(source.unload("demo"))
    lease = there.acquire(birth(), expected=None)

    def broken() -> Iterator[Portion]:
        yield from portions[:4]
        raise OSError("the line is dead")

    with pytest.raises(OSError, match="line is dead"):
        there.adopt([lease], broken())
    assert there.worlds() == []
    with pytest.raises(WorldNotFound):
        there.load("demo")
    there.adopt([lease], iter(portions))
    assert digest(there) == digest(source)
    there.commit([(lease, batch(4, [0]))])
    assert there.load("demo").sequence == 4
    del held
