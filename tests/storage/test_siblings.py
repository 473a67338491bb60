"""Sub-worlds: everybody gets one of their own, every file has one writer, and all are found again."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from storage.base import BadWorldName, NotAStore, Store, WorldBusy, WorldExists
from storage.siblings import SubWorld, all_worlds, claim, free_subworld, place_of
from tests.storage.small import batch, birth, open_store, query
from tests.storage.test_processes import HOLD, Start, said, started

__all__ = ["started"]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/my.db"


def play(place: SubWorld) -> tuple[Store, object]:
    """Opens a claimed sub-world, giving birth to it if it is new, and commits once."""
    store = open_store(place.url)
    there = {line.birth.world: line.sequence for line in store.worlds()}
    at = there.get(place.world)
    lease = store.acquire(birth(place.world), expected=at)
    store.commit([(lease, batch(0 if at is None else at + 1, [1], world=place.world))])
    return store, lease


WORKER = """
    import sys
    from storage.siblings import free_subworld
    from tests.storage.test_siblings import play
    print("ready", flush=True)
    sys.stdin.readline()
    place = free_subworld("{url}", "demo")
    kept = play(place)
    print(place.world, place.url, flush=True)
    sys.stdin.readline()
    kept[0].close()
"""


def test_workers_that_start_together_get_a_world_each(url: str, tmp_path: Path, started: Start) -> None:
    for rounds in (1, 2):
        workers = [started(WORKER.format(url=url)) for _ in range(4)]
        assert [said(worker) for worker in workers] == ["ready"] * 4
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        places = sorted(said(worker).split() for worker in workers)
        assert [world for world, _ in places] == ["demo/0", "demo/1", "demo/2", "demo/3"]
        assert len({where for _, where in places}) == 4
        for worker in workers:
            worker.communicate("stop\n", timeout=30)
            assert worker.returncode == 0
        found = {line.birth.world: (where, line.sequence) for where, line in all_worlds(url)}
        assert found == {world: (where, rounds - 1) for world, where in places}
    assert sorted(entry.suffix for entry in tmp_path.iterdir()) == [".db"] * 4
    stores = [play(free) for free in (SubWorld(place_of(url, w, write=True), w) for w, _ in places)]
    assert sorted(line.sequence for _, line in all_worlds(url)) == [2] * 4
    for store, _ in stores:
        store.close()


def test_envs_of_one_process_share_the_file(url: str, tmp_path: Path) -> None:
    places = [free_subworld(url, "demo") for _ in range(3)]
    assert [tuple(place) for place in places] == [(url, f"demo/{number}") for number in range(3)]
    opened = [play(place) for place in places]
    del places
    gc.collect()
    # The leases alone keep the worlds now.
    assert free_subworld(url, "demo").world == "demo/3"
    opened[1][0].close()
    assert free_subworld(url, "demo").world == "demo/1"
    for store, _ in opened:
        store.close()
    assert free_subworld(url, "demo").world == "demo/0"
    gc.collect()
    assert claim(url, "demo/0") is not None
    assert query(tmp_path / "my.db", "SELECT count(*) FROM worlds") == [(3,)]


def test_a_claim_ends_with_its_object(url: str, tmp_path: Path) -> None:
    place = free_subworld(url, "demo")
    assert {entry.name for entry in tmp_path.iterdir()} == {"my.db.lock", "my.demo-0.db.lock"}
    store = open_store(place.url)
    del place
    store.close()
    assert list(tmp_path.iterdir()) == []


def test_memory_has_sub_worlds_too() -> None:
    assert tuple(free_subworld("memory:", "demo")) == ("memory:", "demo/0")
    url = "memory:siblings"
    first = free_subworld(url, "demo")
    opened = play(first)
    second = free_subworld(url, "demo")
    assert (first.world, second.world) == ("demo/0", "demo/1")
    del second
    opened[0].close()
    del first, opened
    gc.collect()
    assert free_subworld(url, "demo").world == "demo/0"
    assert [line.birth.world for _, line in all_worlds(url)] == ["demo/0"]
    assert place_of(url, "demo/7", write=True) == url


def test_a_new_sub_world_lives_beside_a_file_that_is_being_written(
    url: str, tmp_path: Path, started: Start
) -> None:
    process = started(HOLD.format(url=url, world="demo"))
    assert said(process) == "held"
    beside = f"sqlite:///{tmp_path}/my.demo-1.db"
    assert place_of(url, "demo/1", write=False) == url
    assert place_of(url, "demo/1", write=True) == beside
    assert place_of(url, "demo", write=True) == url
    place = claim(url, "demo/1")
    assert place is not None
    assert place.url == beside
    store, lease = play(place)
    process.communicate("go\n", timeout=30)
    # The file is free now, but the world lives where it was born.
    assert place_of(url, "demo/1", write=True) == place_of(url, "demo/1", write=False) == beside
    main = open_store(url)
    with pytest.raises(WorldExists, match=r"lives in the file .*my\.demo-1\.db"):
        main.acquire(birth("demo/1"), expected=None)
    store.close()
    del lease
    assert [line.birth.world for _, line in all_worlds(url)] == ["demo", "demo/1"]
    main.close()


def test_a_sub_world_of_the_file_is_not_born_beside_it(url: str, tmp_path: Path) -> None:
    store = open_store(url)
    lease = store.acquire(birth("demo/0"), expected=None)
    beside = open_store(f"sqlite:///{tmp_path}/my.demo-0.db")
    with pytest.raises(WorldExists, match=r"lives in the file .*my\.db"):
        beside.acquire(birth("demo/0"), expected=None)
    store.commit([(lease, batch(0, [1], world="demo/0"))])
    store.close()
    with pytest.raises(WorldExists, match=r"lives in the file .*my\.db"):
        beside.acquire(birth("demo/0"), expected=None)
    beside.close()


def test_another_process_cannot_have_a_claimed_sub_world(url: str, started: Start) -> None:
    place = free_subworld(url, "demo")
    process = started(WORKER.format(url=url))
    assert said(process) == "ready"
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    world, where = said(process).split()
    assert (place.world, world) == ("demo/0", "demo/1")
    assert where == url.replace("my.db", "my.demo-1.db")
    with pytest.raises(WorldBusy, match=f"process {process.pid}"):
        open_store(url).acquire(birth("demo/1"), expected=None)


def test_a_copy_beside_the_store_does_not_double_its_worlds(url: str, tmp_path: Path) -> None:
    store, _ = play(free_subworld(url, "demo"))
    store.close()
    (tmp_path / "my.back-up.db").write_bytes((tmp_path / "my.db").read_bytes())
    (tmp_path / "my.notes.db").write_text("no store, and no sibling's name")
    assert [(where, line.birth.world) for where, line in all_worlds(url)] == [(url, "demo/0")]
    (tmp_path / "my.demo-1.db").write_text("no store, but where demo/1 would live")
    with pytest.raises(NotAStore, match=r"my\.demo-1\.db"):
        all_worlds(url)


def test_relative_urls_stay_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: Start) -> None:
    monkeypatch.chdir(tmp_path)
    process = started(HOLD.format(url=f"sqlite:///{tmp_path}/my.db", world="demo"))
    assert said(process) == "held"
    assert place_of("sqlite:///my.db", "demo/1", write=True) == "sqlite:///my.demo-1.db"
    assert place_of("sqlite:///./my.db", "demo/1", write=True) == f"sqlite:///{tmp_path}/my.demo-1.db"


@pytest.mark.parametrize("stem", ["a/b", "", "*"])
def test_a_stem_that_no_world_can_have_is_refused(url: str, stem: str) -> None:
    with pytest.raises(BadWorldName):
        free_subworld(url, stem)
