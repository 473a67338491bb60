"""Shards among processes: a file and a writer each, all born together, and one barrier for all of them."""

from __future__ import annotations

import gc
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from storage import siblings
from storage.base import Birth, NotAStore, StoreError, WorldBusy, WorldExists, WorldNotFound
from storage.family_names import shard_path
from storage.identity import SILENCE_US
from storage.retention import REACH
from storage.shards import barrier_of, birth_of, claim_shard, free_shard, load_as_of, shard_url
from storage.siblings import all_worlds
from storage.sqlite import SqlitePlace
from tests.storage.small import batch, birth, open_store, query
from tests.storage.test_processes import Start, said, started

__all__ = ["started"]

FOUR = replace(birth(), shards=4)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/my.db"


def home(url: str, shard: int) -> str:
    return shard_url(url, "demo", shard, 4)


def first(shard: int) -> int:
    """The number of a shard's first user, here."""
    return 1000 * shard + 1


def play(url: str, shard: int, commits: int = 1, known: Birth = FOUR) -> Any:
    """Commits to a shard so many times, giving birth to it if it is new; returns store and lease."""
    store = open_store(shard_url(url, "demo", shard, known.shards))
    there = {each.shard: each.sequence for line in store.worlds() for each in line.shards}
    last = there.get(shard)
    lease = store.acquire(known, shard, expected=last)
    for _ in range(commits):
        last = 0 if last is None else last + 1
        store.commit([(lease, replace(batch(last, [first(shard)]), shard=shard))])
    return store, lease


def play_and_close(url: str, shard: int, commits: int = 1) -> None:
    play(url, shard, commits)[0].close()


WORKER = """
    import sys
    from storage.shards import free_shard
    from tests.storage.test_shards import play
    print("ready", flush=True)
    sys.stdin.readline()
    place = free_shard("{url}", "demo", 4)
    kept = play("{url}", place.shard)
    print(place.shard, flush=True)
    sys.stdin.readline()
    kept[0].close()
"""


def test_workers_that_start_together_get_a_shard_and_a_file_each(
    url: str, tmp_path: Path, started: Start
) -> None:
    for rounds in (0, 1):
        workers = [started(WORKER.format(url=url)) for _ in range(4)]
        assert [said(worker) for worker in workers] == ["ready"] * 4
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        assert sorted(said(worker) for worker in workers) == ["0", "1", "2", "3"]
        with pytest.raises(WorldBusy) as busy:
            free_shard(url, "demo", 4)
        for worker in workers:
            assert f"process {worker.pid} on" in str(busy.value)
        assert "since" in str(busy.value) and "Wait until one closes, or fork" in str(busy.value)
        for worker in workers:
            worker.communicate("stop\n", timeout=30)
            assert worker.returncode == 0
        ((where, line),) = all_worlds(url)
        assert (where, line.birth.world, line.sequence) == (url, "demo", rounds)
        assert [each.shard for each in line.shards] == [0, 1, 2, 3]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [f"my.demo@{k}.db" for k in range(4)]
    free = free_shard(url, "demo", 4)
    assert free.shard == 0


def test_envs_of_one_process_get_a_shard_each_in_any_store(url: str) -> None:
    for place in (url, "memory:shards-of-one"):
        claims = [free_shard(place, "demo", 4) for _ in range(3)]
        assert [claim.shard for claim in claims] == [0, 1, 2]
        kept = [play(place, claim.shard) for claim in claims]
        del claims
        gc.collect()
        # The leases alone keep the shards now.
        assert claim_shard(place, "demo", 1, 4) is None
        last = free_shard(place, "demo", 4)
        assert last.shard == 3
        with pytest.raises(WorldBusy, match=f"shard 0 by process {os.getpid()} on .* shard 3 by "):
            free_shard(place, "demo", 4)
        kept[1][0].close()
        assert free_shard(place, "demo", 4).shard == 1
        for store, _ in kept:
            store.close()
        del kept
        gc.collect()
        ((_, line),) = all_worlds(place)
        assert line.sequence == siblings.UNBORN
        assert [each.shard for each in line.shards] == [0, 1, 2]


def test_the_second_writer_of_a_shard_is_told_who_writes_it(url: str, started: Start) -> None:
    process = started(WORKER.format(url=url))
    assert said(process) == "ready"
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    assert said(process) == "0"
    store = open_store(home(url, 0))
    with pytest.raises(
        WorldBusy,
        match=rf"Shard 0 of world 'demo' .*process {process.pid} on .* since .*free one of the 4, or fork",
    ):
        store.acquire(FOUR, 0, expected=0)
    store.close()
    play_and_close(url, 2)


def test_the_first_birth_makes_a_seat_for_every_shard_and_a_lost_file_is_missed(
    url: str, tmp_path: Path
) -> None:
    assert birth_of(url, "demo") is None
    play_and_close(url, 2)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [f"my.demo@{k}.db" for k in range(4)]
    assert birth_of(url, "demo") == FOUR
    assert query(tmp_path / "my.demo@1.db", "SELECT world, shard, born, sequence FROM worlds") == [
        ("demo", 1, None, None)
    ]
    play_and_close(url, 1)
    (tmp_path / "my.demo@1.db").rename(tmp_path / "elsewhere.db")
    with pytest.raises(NotAStore, match=r"4 shards, and the file of shard 1, '.*my\.demo@1\.db', is missing"):
        birth_of(url, "demo")
    (tmp_path / "elsewhere.db").rename(tmp_path / "my.demo@1.db")
    assert birth_of(url, "demo") == FOUR


def test_what_was_only_reserved_is_no_world(url: str, tmp_path: Path) -> None:
    store = open_store(home(url, 0))
    lease = store.acquire(FOUR, 0, expected=None)
    assert birth_of(url, "demo") == FOUR
    store.release(lease)
    store.close()
    assert birth_of(url, "demo") is None
    assert all_worlds(url) == []
    os.unlink(shard_path(str(tmp_path / "my.db"), "demo", 3))
    play_and_close(url, 1)  # makes the seat again
    assert (tmp_path / "my.demo@3.db").exists()


def test_all_shards_have_one_birth(url: str) -> None:
    kept = play(url, 0)
    with pytest.raises(StoreError, match="born otherwise"):
        play(url, 1, known=replace(FOUR, shards=2))
    with pytest.raises(StoreError, match="born otherwise"):
        play(url, 1, known=replace(FOUR, config='{"other": 1}'))
    main = open_store(url)
    with pytest.raises(WorldExists, match=r"lives in the file .*my\.demo@0\.db"):
        main.acquire(birth(), expected=None)
    lease = main.acquire(birth("one"), expected=None)
    main.commit([(lease, batch(0, [1], world="one"))])
    beside = open_store(f"sqlite:///{shard_path(url.removeprefix('sqlite:///'), 'one', 1)}")
    with pytest.raises(WorldExists, match=r"lives in the file .*my\.db'"):
        beside.acquire(replace(FOUR, world="one"), 1, expected=None)
    for store in (main, beside, kept[0]):
        store.close()


def test_two_who_reserve_one_world_otherwise_do_not_both_get_it() -> None:
    store = open_store("memory:born-otherwise")
    kept = store.acquire(FOUR, 0, expected=None)
    with pytest.raises(StoreError, match="born otherwise"):
        store.acquire(replace(FOUR, shards=3), 1, expected=None)
    store.release(kept)
    store.close()


@pytest.mark.parametrize("kind", ["sqlite", "memory"])
def test_the_barrier_is_what_every_shard_has_reached_and_stays_readable(url: str, kind: str) -> None:
    place = url if kind == "sqlite" else "memory:barrier"
    for shard, commits in enumerate((3, 7, 2, 4)):
        play_and_close(place, shard, commits)
    stores = {shard: open_store(shard_url(place, "demo", shard, 4)) for shard in range(4)}
    assert barrier_of(stores, "demo") == 1
    ((_, line),) = all_worlds(place)
    assert (line.sequence, [each.sequence for each in line.shards]) == (1, [2, 6, 1, 3])
    found = [load_as_of(stores[shard], "demo", shard, 1) for shard in range(4)]
    assert [snapshot.sequence for snapshot in found] == [1] * 4
    assert [snapshot.users["number"].tolist() for snapshot in found] == [[first(k)] for k in range(4)]
    for store in stores.values():
        store.close()


def test_shards_in_step_keep_no_more_than_the_others_are_behind(url: str) -> None:
    for _ in range(3):
        for shard in range(4):
            play_and_close(url, shard)
    kept = []
    for shard in range(4):
        store = open_store(home(url, shard))
        kept.append([line.sequence for line in store.history("demo", shard)])
        store.close()
    assert kept == [[1, 2], [1, 2], [1, 2], [2]]


def test_seats_of_a_birth_that_was_given_up_keep_nobody_back(url: str, tmp_path: Path) -> None:
    store = open_store(home(url, 1))
    store.acquire(replace(FOUR, shards=6), 1, expected=None)
    store.close()
    assert (tmp_path / "my.demo@5.db").exists()
    for _ in range(3):
        for shard in range(4):
            play_and_close(url, shard)
    last = open_store(home(url, 3))
    assert [line.sequence for line in last.history("demo", 3)] == [2]
    last.close()
    ((_, line),) = all_worlds(url)
    assert (line.sequence, line.birth) == (2, FOUR)


def test_a_shard_too_far_ahead_is_read_as_near_to_the_barrier_as_it_goes(url: str) -> None:
    for shard in (0, 1, 2):
        play_and_close(url, shard)
    play_and_close(url, 3)
    play_and_close(url, 1, REACH + 5)
    stores = {shard: open_store(shard_url(url, "demo", shard, 4)) for shard in range(4)}
    assert barrier_of(stores, "demo") == 0
    assert load_as_of(stores[1], "demo", 1, 0).sequence == 5
    for store in stores.values():
        store.close()


def test_without_all_shards_there_is_no_barrier(url: str) -> None:
    play_and_close(url, 0, 3)
    stores = {shard: open_store(shard_url(url, "demo", shard, 4)) for shard in range(4)}
    with pytest.raises(WorldNotFound, match=r"Shard 1 of world 'demo' .* is not born yet.*shard=1"):
        barrier_of(stores, "demo")
    for store in stores.values():
        store.close()


PAUSED = """
    import sys
    from dataclasses import replace
    from storage import identity
    from storage.base import LeaseLost
    {elsewhere}
    from tests.storage.small import batch
    from tests.storage.test_shards import play
    store, lease = play("{url}", 2)
    print("held", flush=True)
    sys.stdin.readline()
    try:
        store.commit([(lease, replace(batch(1, [2002]), shard=2))])
        print("written", flush=True)
    except LeaseLost as error:
        print("lost", error, flush=True)
"""
ELSEWHERE = """
    here = identity.this_process()
    identity._process = lambda pid: replace(here, host="elsewhere", boot="another")
"""


def test_a_paused_writer_whose_lease_was_taken_has_written_nothing(
    url: str, tmp_path: Path, started: Start
) -> None:
    """The writer is on a machine that shares the folder but no locks: there only its silence tells."""
    process = started(PAUSED.format(url=url, elsewhere=ELSEWHERE.strip()))
    assert said(process) == "held"
    process.send_signal(signal.SIGSTOP)
    path = tmp_path / "my.demo@2.db"
    os.unlink(f"{path}.lock")  # a lock of another machine is not seen here
    wall = [0]
    place = SqlitePlace(str(path), clock=lambda: wall[0])
    wall[0] = heard(path) + SILENCE_US - 1
    with pytest.raises(
        WorldBusy, match=rf"Shard 2 of world 'demo' .*process {process.pid} on elsewhere since"
    ):
        place.acquire(FOUR, 2, expected=0)
    wall[0] += 1
    lease = place.acquire(FOUR, 2, expected=0)
    place.commit([(lease, replace(batch(1, [2003]), shard=2))])
    process.send_signal(signal.SIGCONT)
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    told = said(process)
    assert told.startswith("lost The lease of world 'demo' (shard 2, epoch 1) was")
    assert "Nothing was written" in told and f"process {os.getpid()} on" in told
    assert place.load("demo", 2).users["number"].tolist() == [2001, 2003]
    place.commit([(lease, replace(batch(2, [2004]), shard=2))])
    assert place.load("demo", 2).sequence == 2
    place.release(lease)
    place.close()


def heard(path: Path) -> int:
    """When the holder of the file's only shard was last heard of."""
    return int(query(path, "SELECT lease_heard_us FROM worlds")[0][0])


def test_a_paused_writer_on_this_machine_keeps_its_shard(url: str, started: Start) -> None:
    process = started(PAUSED.format(url=url, elsewhere=""))
    assert said(process) == "held"
    process.send_signal(signal.SIGSTOP)
    place = SqlitePlace(shard_path(url.removeprefix("sqlite:///"), "demo", 2), clock=lambda: 10**18)
    with pytest.raises(WorldBusy, match=f"process {process.pid}"):
        place.acquire(FOUR, 2, expected=0)
    assert free_shard(url, "demo", 4).shard == 0
    process.send_signal(signal.SIGCONT)
    assert process.communicate("go\n", timeout=30)[0].strip() == "written"


def test_a_killed_writer_loses_its_shard_at_once(url: str, started: Start) -> None:
    process = started(PAUSED.format(url=url, elsewhere=""))
    assert said(process) == "held"
    process.kill()
    process.wait()
    store, lease = play(url, 2)
    assert lease.epoch == 2
    assert store.load("demo", 2).sequence == 1
    store.close()
