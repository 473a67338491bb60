"""The contract of a world, clause 7: one writer, who takes the right to write with the first step."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gaelp_env import world_place
from gaelp_env.world import World
from storage import LeaseLost, WorldBusy, WorldMoved, open_store
from storage.siblings import all_worlds
from tests.worlds import SMALL, STORES, TICKS, begun, new_url, play, played, rows, state, step


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return new_url(request.param, tmp_path)


def holder(url: str, name: str = "demo") -> str:
    store = open_store(url)
    held: dict[str, str] = store.held()
    store.close()
    return held.get(name, "")


def test_construction_touches_nothing_and_reset_only_reads(tmp_path: Path) -> None:
    world = World.open(new_url("sqlite", tmp_path), config=SMALL)
    assert list(tmp_path.iterdir()) == []
    world.reset(seed=1)
    world.reset()
    assert list(tmp_path.iterdir()) == []
    world.close()
    assert list(tmp_path.iterdir()) == []


def test_the_first_step_takes_the_lease_and_close_gives_it_back(url: str) -> None:
    world = begun(url)
    assert holder(url) == ""
    step(world)
    assert "process" in holder(url)
    world.close()
    assert holder(url) == ""


def test_a_second_writer_is_told_who_holds_the_world(url: str) -> None:
    first, second = begun(url), begun(url)
    step(first)
    with pytest.raises(WorldBusy, match=r"(?s)demo.*process \d+"):
        step(second)
    first.close()
    second.reset()
    step(second)
    second.close()


def test_the_first_step_fails_if_the_world_has_moved_since_it_was_read(url: str) -> None:
    first = begun(url)
    play(first)
    first.close()
    late = World.open(url)
    late.reset()
    first.reset()
    play(first)
    first.close()
    with pytest.raises(WorldMoved):
        step(late)
    late.reset()
    play(late)
    assert late.episodes_finished == 3
    assert state(late) == played(5, 3)
    late.close()


def test_the_first_step_fails_if_the_world_came_into_being_since(url: str) -> None:
    early, late = begun(url), begun(url)
    play(early)
    early.close()
    with pytest.raises(WorldMoved, match=r"came into being .* reset\(\) reads it as it is now"):
        step(late)
    late.reset()
    step(late)
    late.close()
    assert late.sequence == 2


def test_a_holder_that_was_killed_loses_the_lease_at_once(tmp_path: Path) -> None:
    url = new_url("sqlite", tmp_path)
    script = (
        "import os, signal\nfrom gaelp_env.world import World\nfrom tests.worlds import SMALL, play, step\n"
        f"world = World.open({url!r}, config=SMALL)\nworld.reset(seed=5)\nplay(world)\nstep(world)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).resolve().parents[1]
    assert subprocess.run([sys.executable, "-c", script], cwd=root, timeout=120).returncode == -9
    world = World.open(url)
    world.reset()
    assert state(world) == played(5, 1)
    step(world)
    world.close()


class TakenOver:
    """A store that somebody else takes over when told."""

    def __init__(self, url: str) -> None:
        self._store = open_store(url)
        self.url = url
        self.lost = False
        self.beats = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, pairs: Any) -> None:
        if self.lost:
            raise LeaseLost("the lease was taken over")
        self._store.commit(pairs)

    def heartbeat(self, lease: Any) -> None:
        self.beats += 1
        if self.lost:
            raise LeaseLost("the lease was taken over")
        self._store.heartbeat(lease)


def test_a_writer_whose_lease_was_taken_over_commits_nothing_more(url: str) -> None:
    store = TakenOver(url)
    world = begun(store)
    play(world)
    step(world)
    store.lost = True
    with pytest.raises(LeaseLost):
        world.reset()
    with pytest.raises(RuntimeError, match=r"call reset\(\) first"):
        step(world)
    world.close()
    store.lost = False
    world.reset()
    assert state(world) == played(5, 1)
    world.close()


def test_the_holder_says_that_it_lives(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = TakenOver(url)
    world = begun(store)
    step(world)
    step(world)
    assert store.beats == 0
    monkeypatch.setattr(world_place, "HEARTBEAT_S", 0.0)
    step(world)
    assert store.beats == 1
    store.lost = True
    with pytest.raises(LeaseLost):
        step(world)
    world.close()
    assert [line.sequence for line in open_store(url).worlds()] == []


def test_a_forked_child_is_no_second_writer(tmp_path: Path) -> None:
    url = new_url("sqlite", tmp_path)
    script = (
        "import os\nfrom gaelp_env.world import World\nfrom tests.worlds import begun, play, step\n"
        f"world = begun({url!r})\nplay(world)\nstep(world)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    try:\n        step(world)\n"
        "    except Exception as error:\n        print(error, flush=True)\n"
        "    world.close()\n    os._exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "step(world)\nworld.close()\n"
    )
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, timeout=120, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "from which this process was forked" in done.stdout
    assert [row["ticks"] for row in rows(url, "episodes")] == [TICKS, 2]


# Sub-worlds.


def test_a_star_takes_the_first_sub_world_that_is_free(url: str) -> None:
    worlds = [begun(url, "demo/*") for _ in range(3)]
    assert [world.name for world in worlds] == ["demo/0", "demo/1", "demo/2"]
    for world in worlds:
        play(world)
    worlds[1].close()
    again = World.open(url, "demo/*")
    again.reset()
    assert (again.name, again.episodes_finished) == ("demo/1", 1)
    for world in (worlds[0], worlds[2], again):
        world.close()
    found = [(line.birth.world, line.sequence) for _, line in all_worlds(url)]
    assert sorted(found) == [("demo/0", 1), ("demo/1", 1), ("demo/2", 1)]


def test_a_star_in_a_store_given_as_an_object(url: str) -> None:
    store = open_store(url)
    worlds = [begun(store, "demo/*") for _ in range(2)]
    assert [world.name for world in worlds] == ["demo/0", "demo/1"]
    for world in worlds:
        play(world)
        world.close()
    assert [line.birth.world for line in store.worlds()] == ["demo/0", "demo/1"]
    store.close()


def test_a_sub_world_born_while_another_process_writes_lives_beside(tmp_path: Path) -> None:
    url = new_url("sqlite", tmp_path)
    script = (
        "import sys\nfrom gaelp_env.world import World\nfrom tests.worlds import SMALL, play\n"
        f"world = World.open({url!r}, 'demo/*', config=SMALL)\nworld.reset(seed=5)\nplay(world)\n"
        "print(world.name, flush=True)\nsys.stdin.read()\nworld.close()\n"
    )
    root = Path(__file__).resolve().parents[1]
    other = subprocess.Popen(
        [sys.executable, "-c", script], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline().strip() == "demo/0"
    world = begun(url, "demo/*")
    play(world)
    assert world.name == "demo/1"
    assert world.url != url
    named = begun(url, "demo/7")
    play(named)
    named.close()
    world.close()
    other.communicate(timeout=60)
    assert other.returncode == 0
    found = sorted(line.birth.world for _, line in all_worlds(url))
    assert found == ["demo/0", "demo/1", "demo/7"]
    for name in found:
        again = World.open(url, name)
        again.reset()
        assert state(again) == played(5, 1)
        again.close()
