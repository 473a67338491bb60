"""The contract of a world, clause 6: evaluation never touches what it measures."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from gaelp_env.world import World
from storage import WorldExists, WorldNotFound, open_store
from tests.worlds import SMALL, STORES, new_url, play, state, step


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store in which a world "demo" has played two episodes."""
    url = new_url(request.param, tmp_path)
    world = World.open(url, config=SMALL)
    world.reset(seed=5)
    play(world, 2)
    world.close()
    return url


def reading(url: str, pin: str = "first") -> World:
    return World.open(url, mode="read", pin=pin)


def play_on(url: str, episodes: int) -> bytes:
    world = World.open(url)
    world.reset()
    play(world, episodes)
    left = state(world)
    world.close()
    return left


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_reading_writes_nothing(url: str, tmp_path: Path) -> None:
    before = contents(tmp_path)
    world = reading(url)
    world.reset(seed=1)
    play(world, 3)
    world.reset()
    step(world)
    world.close()
    assert contents(tmp_path) == before
    store = open_store(url, read_only=True)
    assert [line.sequence for line in store.worlds()] == [2]
    assert [line.holder for line in store.worlds()] == [""]
    store.close()
    with pytest.raises(RuntimeError, match="never writes"):
        world.commit()


def test_reading_a_file_in_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    url = new_url("sqlite", tmp_path)
    World.create(url, config=SMALL).close()
    tmp_path.chmod(0o555)
    try:
        world = reading(url)
        world.reset(seed=1)
        play(world)
        world.close()
    finally:
        tmp_path.chmod(0o755)


def test_a_seed_goes_back_to_the_pin_with_the_chance_of_the_seed(url: str) -> None:
    world = reading(url)
    lives = []
    for seed in (1, 2, 1):
        world.reset(seed=seed)
        step(world)
        lives.append(state(world))
    assert lives[0] == lives[2] != lives[1]


def test_reset_takes_the_next_replicate_of_chance(url: str) -> None:
    def replicates(world: World, count: int) -> list[bytes]:
        lives = []
        for _ in range(count):
            world.reset()
            step(world)
            lives.append(state(world))
        return lives

    first, second = replicates(reading(url), 4), replicates(reading(url), 4)
    assert first == second
    assert len(set(first)) == 4
    world = reading(url)
    world.reset(seed=3)
    seeded = replicates(world, 3)
    assert not set(seeded) & set(first)
    world.reset(seed=3)
    assert replicates(world, 3) == seeded


def test_no_replicate_foresees_the_luck_that_the_world_will_have(url: str) -> None:
    world = reading(url)
    world.reset()
    play(world)
    assert state(world) != play_on(url, 1)


def test_the_first_pin_stays_and_the_latest_moves(url: str) -> None:
    first, latest = reading(url), reading(url, pin="latest")
    for world in (first, latest):
        world.reset(seed=1)
        assert world.sequence == 2
    play_on(url, 3)
    for world in (first, latest):
        world.reset(seed=1)
    assert (first.sequence, latest.sequence) == (2, 5)
    assert (first.episodes_finished, latest.episodes_finished) == (2, 5)


def test_resume_plays_on_privately(url: str) -> None:
    world = reading(url)
    world.reset(seed=1)
    for _ in range(3):
        step(world)
        world.reset(resume=True)
    assert world.episodes_finished == 5
    world.reset()
    assert world.episodes_finished == 2
    with pytest.raises(ValueError, match="give one of the two"):
        world.reset(seed=1, resume=True)


def test_a_writer_is_not_disturbed_by_readers(url: str) -> None:
    alone = new_twin(url)
    reader = reading(url, pin="latest")
    world = World.open(url)
    world.reset()
    for _ in range(3):
        play(world)
        reader.reset()
        play(reader)
    assert state(world) == alone
    world.close()


def new_twin(url: str) -> bytes:
    twin = World.open(url).fork("memory:", "twin")
    twin.reset()
    play(twin, 3)
    return state(twin)


def test_a_world_that_is_not_there_cannot_be_read(url: str) -> None:
    with pytest.raises(WorldNotFound, match="nowhere"):
        World.open(url, "nowhere", mode="read").reset()


def test_a_file_that_is_not_there_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(WorldNotFound, match="no file"):
        World.open(new_url("sqlite", tmp_path), mode="read").reset()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", STORES)
def test_a_fork_is_a_copy_that_goes_its_own_way(url: str, kind: str, tmp_path: Path) -> None:
    world = World.open(url)
    fork = world.fork(new_url(kind, tmp_path), "copy")
    fork.reset()
    play(fork, 2)
    assert fork.birth is not None
    assert (fork.birth.parent, fork.sequence) == ("demo@2", 2)
    left = state(fork)
    fork.close()
    assert play_on(url, 2) == left
    with pytest.raises(WorldExists):
        world.fork(fork.url, "copy")


def test_a_reader_forks_its_pin(url: str) -> None:
    world = reading(url)
    world.reset()
    play_on(url, 1)
    fork = world.fork("memory:", "copy")
    assert fork.birth is not None
    assert fork.birth.parent == "demo@2"
    fork.close()


def test_a_world_without_a_store_has_nothing_to_fork() -> None:
    world = World.open(config=SMALL)
    world.reset(seed=1)
    play(world)
    with pytest.raises(WorldNotFound, match="opened without a store"):
        world.fork("memory:", "copy")
