"""A world of several shards: each a market of its own, played by anybody, and one world together."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from gaelp_env.config import MarketConfig
from gaelp_env.config_load import ConfigError, load_config
from gaelp_env.env import AdMarketEnv
from gaelp_env.ledger import MICRO
from gaelp_env.market import Market
from gaelp_env.vector import AdMarketVectorEnv
from gaelp_env.world import World
from gaelp_env.world_shards import NUMBERS, Share
from storage import open_store
from storage.base import StoreError, WorldBusy, WorldExists, WorldNotFound
from storage.shards import MOST_SHARDS, shard_url
from storage.siblings import all_worlds
from tests.worlds import SMALL, STORES, TICKS, new_url, play, state, step

S = 4
CONFIG = {"people.users": 62, "people.media_per_day": 12.0, "clock.episode_ticks": TICKS}


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return new_url(request.param, tmp_path)


def part(url: str, shard: int, **terms: Any) -> World:
    """A shard of a small world, born from seed 5."""
    world = World.open(url, config=load_config(CONFIG), shards=S, shard=shard, **terms)
    world.reset(seed=5)
    return world


def snapshots(url: str, world: str = "demo", shards: int = S) -> list[Any]:
    """All that a store holds of every shard, the wall clock apart."""
    found = []
    for shard in range(shards):
        store = open_store(shard_url(url, world, shard, shards), read_only=True)
        try:
            snapshot = store.load(world, shard)
            rows = {
                table: [
                    {k: v for k, v in row.items() if k not in ("created_at", "updated_at")}
                    for row in store.rows(world, table)
                ]
                for table in ("persistent_users", "touchpoints", "conversions", "episodes")
            }
        finally:
            store.close()
        found.append(
            (snapshot.sequence, snapshot.users.tobytes(), snapshot.market, dict(snapshot.names), rows)
        )
    return found


@given(
    users=st.integers(1, 1000),
    money=st.floats(0.0, 1e6),
    shards=st.integers(1, MOST_SHARDS),
)
def test_people_and_money_are_split_and_nothing_is_lost(users: int, money: float, shards: int) -> None:
    config = load_config({"people.users": users, "budget.per_episode": money, "budget.per_day": money})
    if users < shards:
        with pytest.raises(ConfigError, match=f"people.users is {users}, and a world of {shards} shards"):
            Share(0, shards).of(config)
        return
    parts = [Share(shard, shards).of(config) for shard in range(shards)]
    assert sum(each.people.users for each in parts) == users
    assert max(each.people.users for each in parts) - min(each.people.users for each in parts) <= 1
    micro = [round(each.budget.per_episode * MICRO) for each in parts]
    assert sum(micro) == round(money * MICRO)
    assert max(micro) - min(micro) <= 1
    assert all(each.budget.per_day == each.budget.per_episode for each in parts)
    assert all(each.budget.lifetime is None for each in parts)


def test_one_shard_is_the_world_as_it_was() -> None:
    config = MarketConfig()
    assert Share().of(config) is config
    one, whole = Share().born(SMALL, 7), Market.born(SMALL, 7)
    assert one.record_bytes() == whole.record_bytes()
    assert one.population.rows(slice(None)).tobytes() == whole.population.rows(slice(None)).tobytes()
    assert Share().seed(7) == 7


@given(st.integers(2, MOST_SHARDS), st.integers(0, 2**40))
def test_shards_have_numbers_and_luck_of_their_own(shards: int, seed: int) -> None:
    shares = [Share(shard, shards) for shard in range(shards)]
    firsts = [share.first_number for share in shares]
    assert firsts[0] == 0 and firsts == sorted(set(firsts)) and firsts[-1] < NUMBERS <= 2**32 - 2
    assert len({share.seed(seed) for share in shares}) == shards
    for share, end in zip(shares, [*firsts[1:], NUMBERS], strict=True):
        share.check_numbers(end)
        with pytest.raises(StoreError, match="used up"):
            share.check_numbers(end + 1)


def test_people_of_all_shards_have_different_names(url: str) -> None:
    worlds = [part(url, shard) for shard in range(S)]
    for world in worlds:
        play(world, 2)
    users = [row["user_id"] for _, _, _, _, rows in snapshots(url) for row in _own(rows, url)]
    assert len(users) == len(set(users)) >= 62
    assert {"u000000000", "u1000000000", "u2000000000", "u3000000000"} <= set(users)
    assert sum(world.totals()["people_ever"] for world in worlds) == len(users)
    for world in worlds:
        world.close()


def _own(rows: dict[str, Any], url: str) -> list[Any]:
    """In memory all shards lie in one place, so every one of them shows everybody's rows."""
    found: list[Any] = rows["persistent_users"]
    if url.startswith("memory:"):
        seen: set[str] = getattr(_own, url, set())
        setattr(_own, url, seen | {row["user_id"] for row in found})
        return [row for row in found if row["user_id"] not in seen]
    return found


def test_a_shard_knows_nothing_of_who_plays_the_others(tmp_path: Path) -> None:
    together, alone = new_url("sqlite", tmp_path), new_url("sqlite", tmp_path)
    worlds = [part(together, shard) for shard in range(S)]
    for _ in range(3 * TICKS):
        for world in worlds:
            step(world)
            if world.over:
                world.end_episode()
    for world in worlds:
        world.close()
    for shard in (3, 0, 2, 1):
        world = part(alone, shard)
        play(world, 1)
        world.close()
        world = World.open(alone, shard=shard)
        world.reset()
        play(world, 2)
        world.close()
    assert snapshots(alone) == snapshots(together)
    states = [state_of(alone, shard) for shard in range(S)]
    assert len(set(states)) == S


def state_of(url: str, shard: int) -> bytes:
    world = World.open(url, shard=shard)
    world.reset()
    found = state(world)
    world.close()
    return found


def test_the_first_reset_takes_the_first_free_shard(url: str) -> None:
    envs = [AdMarketEnv(url, config=CONFIG, shards=S) for _ in range(S + 1)]
    assert envs[0].shard is None
    for place, env in enumerate(envs[:S]):
        _, info = env.reset(seed=place)
        assert (env.shard, info["shard"]) == (place, place)
    with pytest.raises(WorldBusy, match=r"All shards .*shard 0 by process .*shard 3 by process"):
        envs[S].reset()
    told = envs[2].step(np.zeros(5))[-1]
    assert told["shard"] == 2 and isinstance(told["shard"], int)
    envs[2].close()
    assert envs[S].reset()[1]["shard"] == 2
    named = AdMarketEnv(url, shard=1)
    named.reset()
    with pytest.raises(WorldBusy, match=r"(?i)shard 1"):
        named.step(np.zeros(5))
    for env in envs:
        env.close()
    again = pickle.loads(pickle.dumps(named))
    assert again.reset()[1]["shard"] == 1
    again.close()


def test_an_env_of_a_world_of_one_shard_tells_none(url: str) -> None:
    env = AdMarketEnv(url, config=CONFIG, shards=1)
    assert "shard" not in env.reset(seed=1)[1]
    assert "shard" not in env.step(np.zeros(5))[-1]
    assert env.shard == 0
    env.close()
    again = AdMarketEnv(url, shard=0)
    again.reset()
    again.close()
    with pytest.raises(StoreError, match="no shard 1"):
        AdMarketEnv(url, shard=1).reset()


def test_a_world_keeps_the_shards_that_it_was_born_with(url: str) -> None:
    world = part(url, 1)
    play(world)
    world.close()
    with pytest.raises(StoreError, match=r"born with shards=4, and shards=2 was asked for"):
        World.open(url, shards=2).reset()
    with pytest.raises(StoreError, match=r"4 shards, numbered from 0, so there is no shard 9"):
        World.open(url, shard=9).reset()
    other = World.open(url, shard=3)  # unborn: takes the world's own configuration
    other.reset(seed=5)
    assert other.playing().config == Share(3, S).of(load_config(CONFIG))
    with pytest.raises(ConfigError, match=r"people.users is 62 there and 60 here"):
        World.open(url, config=SMALL, shard=2).reset()


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({"shards": 0}, "shards is a whole number from 1 to 64"),
        ({"shards": 65}, "shards is a whole number from 1 to 64"),
        ({"shards": True}, "not True"),
        ({"shards": 2.0}, "not 2.0"),
        ({"shard": -1}, "shard is a whole number from 0 to 63"),
        ({"shards": 4, "shard": 4}, "shards 0 to 3, and no shard 4"),
        ({"world": "demo/1", "shards": 4}, "plain name, such as 'demo'"),
        ({"world": "demo/*", "shards": 4}, "plain name, such as 'demo'"),
    ],
)
def test_shards_that_cannot_be_are_refused_at_the_door(terms: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        AdMarketEnv(**terms)


@pytest.mark.parametrize(
    "terms", [{"num_envs": 3, "shards": 4}, {"num_envs": 2, "shards": 2, "world": ["a", "b"]}]
)
def test_a_vector_env_has_a_place_for_every_shard(terms: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="has a place for each"):
        AdMarketVectorEnv(**terms)


def test_more_shards_than_people_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="at least one person in each"):
        World.open(url, config=load_config({"people.users": 3}), shards=4, shard=1).reset(seed=1)


@pytest.fixture
def envs(url: str) -> Iterator[tuple[AdMarketVectorEnv, gym.vector.SyncVectorEnv]]:
    other = new_url("memory", None)
    terms: dict[str, Any] = {"world": "demo", "config": CONFIG, "shards": S}
    native = AdMarketVectorEnv(S, url, **terms)
    plain = gym.vector.SyncVectorEnv(
        [partial(AdMarketEnv, other, shard=shard, **terms) for shard in range(S)]
    )
    yield native, plain
    native.close()
    plain.close()


def test_the_vector_env_over_all_shards_is_the_envs_one_by_one(
    envs: tuple[AdMarketVectorEnv, gym.vector.SyncVectorEnv],
) -> None:
    native, plain = envs
    chance = np.random.default_rng(1)
    (seen, told), (expected, wanted) = native.reset(seed=3), plain.reset(seed=3)
    assert_array_equal(seen, expected)
    for _ in range(2 * TICKS + 3):
        assert told.keys() == wanted.keys()
        for name in wanted:
            assert_array_equal(told[name], wanted[name])
        actions = chance.uniform(-1.0, 1.0, (S, 5)).astype(np.float32)
        (*found, told), (*others, wanted) = native.step(actions), plain.step(actions)
        for value, other in zip(found, others, strict=True):
            assert_array_equal(value, other)
    assert told["shard"].tolist() == [0, 1, 2, 3]


def test_shards_of_one_place_that_end_together_are_one_commit() -> None:
    url = new_url("memory", None)
    env = AdMarketVectorEnv(S, url, "demo", CONFIG, shards=S)
    env.reset(seed=3)
    for _ in range(TICKS):
        env.step(np.zeros((S, 5)))
    store = open_store(url)
    assert len({row["updated_at"] for row in store.rows("demo", "persistent_users")}) == 1
    env.close()
    store.close()


def test_readers_see_all_shards_as_of_the_barrier(url: str) -> None:
    at = []
    for shard, episodes in enumerate((1, 3, 2, 4)):
        world = part(url, shard)
        play(world, 1)
        at.append(state(world))
        play(world, episodes - 1)
        world.close()
    ((_, line),) = all_worlds(url)
    assert line.sequence == 1
    for shard in range(S):
        reading = World.open(url, mode="read", shard=shard)
        reading.reset()
        assert (reading.sequence, reading.episodes_finished) == (1, 1)
        assert_same_people(state(reading), at[shard])
        play(reading)
        reading.close()
    with pytest.raises(StoreError, match="has 4 shards; name the one to read, such as shard=0"):
        World.open(url, mode="read").reset()
    assert [each.sequence for _, each in all_worlds(url)] == [1]


def assert_same_people(found: bytes, expected: bytes) -> None:
    """A reading world has other luck, in its record, and the same people."""
    from gaelp_env.ledger import RECORD

    assert found[: -RECORD.itemsize] == expected[: -RECORD.itemsize]


def test_a_world_is_created_with_all_its_shards(url: str) -> None:
    world = World.create(url, "new", config=SMALL, seed=3, shards=S, shard=2)
    assert (world.shard, world.shards, world.sequence) == (2, S, 0)
    ((_, line),) = all_worlds(url)
    assert (line.sequence, len(line.shards)) == (0, S)
    with pytest.raises(WorldExists):
        World.create(url, "new", config=SMALL, shards=S)
    world.close()


def test_a_world_in_parts_has_no_barrier_yet(url: str) -> None:
    world = part(url, 0)
    play(world)
    with pytest.raises(WorldNotFound, match=r"Shard 1 of world 'demo' .* is not born yet"):
        World.open(url, mode="read", shard=0).reset()
    world.close()


def test_shards_in_a_store_that_was_given_as_an_object_share_its_file(tmp_path: Path) -> None:
    url = new_url("sqlite", tmp_path)
    store = open_store(url)
    worlds = [World.open(store, config=load_config(CONFIG), shards=2) for _ in range(3)]
    for world in worlds[:2]:
        world.reset(seed=5)
        play(world)
    assert [world.shard for world in worlds] == [0, 1, None]
    with pytest.raises(WorldBusy, match="All shards"):
        worlds[2].reset()
    for world in worlds:
        world.close()
    store.close()
    assert len(list(tmp_path.iterdir())) == 1
    again = World.open(url, shard=1)
    again.reset()
    assert (again.sequence, again.url) == (1, url)
    play(again)
    again.close()
    ((_, line),) = all_worlds(url)
    assert [shard.sequence for shard in line.shards] == [1, 2]


def test_a_name_belongs_to_one_shard(url: str) -> None:
    worlds = [part(url, shard) for shard in range(S)]
    homes = []
    for name in ("sara", "tom", "ann", "lee", "kim"):
        welcome = []
        for world in worlds:
            try:
                world.get_or_create_user(name)
                welcome.append(world.shard)
            except ValueError as error:
                assert f"'{name}' belongs to shard" in str(error)
        (home,) = welcome
        homes.append(home)
    assert len(set(homes)) > 1
    for world in worlds:
        world.close()
