"""SQLite stores among processes: races, forks, and deaths at any moment."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage.base import LeaseLost, StoreError, WorldBusy
from tests.storage.small import batch, birth, open_store, query, start

HOLD = """
    import sys
    from tests.storage.small import open_store
    from tests.storage.small import batch, birth
    store = open_store("{url}")
    lease = store.acquire(birth("{world}"), expected=None)
    store.commit([(lease, batch(0, [1], world="{world}"))])
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s.db"


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.fixture
def started() -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Starts scripts, and ends those that are left."""
    processes: list[subprocess.Popen[str]] = []

    def begin(script: str) -> subprocess.Popen[str]:
        processes.append(start(script))
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


Start = Callable[[str], "subprocess.Popen[str]"]


def said(process: subprocess.Popen[str]) -> str:
    """The next line that a process prints."""
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if not line:
        raise AssertionError(process.communicate()[1])
    return line


def test_a_file_has_one_writer_and_any_reader(url: str, started: Start) -> None:
    process = started(HOLD.format(url=url, world="demo"))
    assert said(process) == "held"
    store = open_store(url)
    for world in ("demo", "other"):
        with pytest.raises(
            WorldBusy, match=rf"process {process.pid} on .* since .* UTC.*one writer.*sub-world"
        ):
            store.acquire(birth(world), expected=None)
    (line,) = store.worlds()
    assert f"process {process.pid} on" in line.holder
    assert len(store.load("demo").users) == 1
    process.communicate("go\n", timeout=30)
    assert store.worlds()[0].holder == ""
    lease = store.acquire(birth(), expected=0)
    store.commit([(lease, batch(1, [1]))])
    store.close()


def test_of_processes_that_race_for_a_world_one_has_it(url: str, started: Start) -> None:
    script = f"""
        import sys, time
        from storage import WorldBusy
        from tests.storage.small import open_store
        from tests.storage.small import batch, birth
        store = open_store("{url}")
        print("ready", flush=True)
        sys.stdin.readline()
        try:
            lease = store.acquire(birth(), expected=None)
            store.commit([(lease, batch(0, [1]))])
            print("won", flush=True)
        except WorldBusy:
            print("busy", flush=True)
        sys.stdin.readline()
    """
    racers = [started(script) for _ in range(3)]
    assert [said(racer) for racer in racers] == ["ready"] * 3
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    assert sorted(said(racer) for racer in racers) == ["busy", "busy", "won"]


def test_a_killed_holder_loses_file_and_lease_at_once(url: str, path: Path, started: Start) -> None:
    process = started(HOLD.format(url=url, world="demo"))
    assert said(process) == "held"
    # Not waited for: a zombie is dead too.
    process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    store = open_store(url)
    while time.monotonic() < deadline and store.worlds()[0].holder:
        time.sleep(0.01)
    assert store.worlds()[0].holder == ""
    assert path.with_name("s.db.lock").exists()
    assert store.acquire(birth(), expected=0).epoch == 2
    store.close()
    assert not path.with_name("s.db.lock").exists()


def test_a_killed_reservation_leaves_no_world(url: str, started: Start) -> None:
    script = f"""
        import sys
        from tests.storage.small import open_store
        from tests.storage.small import birth
        store = open_store("{url}")
        lease = store.acquire(birth(), expected=None)
        print("reserved", flush=True)
        sys.stdin.readline()
    """
    process = started(script)
    assert said(process) == "reserved"
    process.kill()
    process.wait()
    store = open_store(url)
    assert store.worlds() == []
    lease = store.acquire(birth(), expected=None)
    store.commit([(lease, batch(0, [1]))])
    store.close()


def test_kill_at_any_moment_loses_nothing_that_was_committed(url: str, path: Path, started: Start) -> None:
    script = f"""
        from tests.storage.small import open_store
        from tests.storage.small import batch, birth
        store = open_store("{url}")
        worlds = [line.sequence for line in store.worlds()]
        lease = store.acquire(birth(), expected=worlds[0] if worlds else None)
        at = worlds[0] + 1 if worlds else 0
        print("begun", at, flush=True)
        while True:
            store.commit([(lease, batch(at, range(300), touch=40))])
            print(at, flush=True)
            at += 1
    """
    chance = random.Random(7)
    for _ in range(4):
        process = started(script)
        begun = int(said(process).split()[1])
        time.sleep(chance.uniform(0.0, 0.25))
        process.kill()
        assert process.stdout is not None
        told = [int(line) for line in process.stdout.read().split()]
        acknowledged = told[-1] if told else begun - 1
        assert query(path, "PRAGMA integrity_check") == [("ok",)]
        store = open_store(url, read_only=True)
        at = store.worlds()[0].sequence if store.worlds() else -1
        assert at in (acknowledged, acknowledged + 1)
        if at >= 0:
            snapshot = store.load("demo")
            assert set(snapshot.users["level"].tolist()) == {float(at)}
            assert snapshot.market == b"market" + bytes([at % 256])
            assert store.count("demo", "touchpoints") == 40 * (at + 1)
            assert store.count("demo", "episodes") == at + 1
            assert {row["awareness_level"] for row in store.rows("demo", "persistent_users")} == {float(at)}
        store.close()


# ---- forks


def child_says(act: Callable[[], str]) -> str:
    """What a forked child of this process finds, told over a pipe."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            answer = act()
        except BaseException as error:
            answer = f"{type(error).__name__}: {error}"
        os.write(write, answer.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        answer = pipe.read()
    os.waitpid(pid, 0)
    return answer


def test_a_forked_child_reads_but_has_neither_lease_nor_lock(url: str, path: Path) -> None:
    store = open_store(url)
    lease = store.acquire(birth(), expected=None)
    store.commit([(lease, batch(0, [1, 2]))])

    def act() -> str:
        found = [str(len(store.load("demo").users))]
        for write in (
            lambda: store.commit([(lease, batch(1, [1]))]),
            lambda: store.heartbeat(lease),
            lambda: store.acquire(birth(), expected=0),
            lambda: store.acquire(birth("other"), expected=None),
        ):
            try:
                write()
                found.append("done")
            except StoreError as error:
                found.append(type(error).__name__)
        store.close()
        return " ".join(found)

    assert child_says(act) == "2 LeaseLost LeaseLost WorldBusy WorldBusy"
    assert path.with_name("s.db.lock").exists()
    store.commit([(lease, batch(1, [1]))])
    assert store.load("demo").sequence == 1
    with pytest.raises(WorldBusy):
        open_store(url).acquire(birth(), expected=1)
    store.close()
    assert query(path, "PRAGMA integrity_check") == [("ok",)]


def test_a_child_reads_what_is_committed_after_its_parent_let_go(url: str) -> None:
    """A connection that had crossed the fork would go on reading the log that the parent removed."""
    store = open_store(url)
    lease = store.acquire(birth(), expected=None)
    store.commit([(lease, batch(0, range(100)))])
    asked, ask = os.pipe()
    answer, told = os.pipe()
    child = os.fork()
    if child == 0:
        found = [store.load("demo").sequence]
        os.read(asked, 1)
        found.append(store.load("demo").sequence)
        os.write(told, repr(found).encode())
        os._exit(0)
    store.commit([(lease, batch(1, range(100)))])
    store.release(lease)
    lease = store.acquire(birth(), expected=1)
    store.commit([(lease, batch(2, range(100))), (lease, batch(3, range(100)))])
    os.write(ask, b"!")
    os.waitpid(child, 0)
    assert os.read(answer, 100) in (b"[0, 3]", b"[1, 3]", b"[2, 3]", b"[3, 3]")
    for end in (asked, ask, answer, told):
        os.close(end)
    store.close()


def test_a_child_can_write_what_its_parent_let_go(url: str) -> None:
    store = open_store(url)
    lease = store.acquire(birth(), expected=None)
    store.commit([(lease, batch(0, [1]))])
    store.release(lease)

    def act() -> str:
        mine = store.acquire(birth(), expected=0)
        store.commit([(mine, batch(1, [1]))])
        store.close()
        return "written"

    assert child_says(act) == "written"
    assert store.load("demo").sequence == 1
    with pytest.raises(LeaseLost):
        store.commit([(lease, batch(1, [1]))])
    store.close()


def test_a_child_that_outlives_its_parent_does_not_keep_the_lock(url: str, started: Start) -> None:
    script = f"""
        import os, signal, time
        from tests.storage.small import open_store
        from tests.storage.small import batch, birth
        store = open_store("{url}")
        lease = store.acquire(birth(), expected=None)
        store.commit([(lease, batch(0, [1]))])
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        print(child, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    process = started(script)
    child = int(said(process))
    try:
        process.wait(timeout=10)
        os.kill(child, 0)
        store = open_store(url)
        lease = store.acquire(birth(), expected=0)
        store.commit([(lease, batch(1, [1]))])
        store.close()
    finally:
        os.kill(child, signal.SIGKILL)
