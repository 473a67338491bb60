"""Random histories: a SQLite store does what the memory store does, whatever happens in which order."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from storage.base import Lease, LeaseLost, Store, StoreError
from storage.moving import Head, Portion
from storage.names import TABLES
from tests.storage.small import START, batch, birth, open_store

WORLDS = st.sampled_from(["demo", "demo/0", "Demo", "other"])
NUMBERS = st.lists(st.integers(0, 7), max_size=5, unique=True)
NAMES = st.dictionaries(st.integers(0, 7), st.sampled_from(["sara", "mike", "lisa"]), max_size=2)
AUDIT = ("created_at", "updated_at")


@dataclass
class Twin:
    """The same store twice: in memory and in a file, with the leases that were given out."""

    memory: Store
    sqlite: Store


def renamed(store: Store, world: str, into: str) -> Iterator[Portion]:
    """A world on its way, under another name."""
    for portion in list(store.unload(world)):
        yield replace(portion, birth=birth(into)) if isinstance(portion, Head) else portion


class Histories(RuleBasedStateMachine):
    """Every rule is done to both stores; they must answer alike, and show the same afterwards."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.url = f"sqlite:///{self.folder}/s.db"
        self.memory = open_store("memory:")
        self.twin = Twin(self.memory, open_store(self.url))
        self.held: dict[str, tuple[Lease, Lease]] = {}
        self.lost: list[tuple[Lease, Lease]] = []
        self.crashed: dict[str, tuple[Lease, Lease]] = {}

    def both(self, act: Any) -> Any:
        """Does the same to both; returns the pair of results, or None if both refused alike."""
        answers = []
        for store, index in ((self.twin.memory, 0), (self.twin.sqlite, 1)):
            try:
                answers.append(("done", act(store, index)))
            except StoreError as error:
                answers.append((type(error).__name__, None))
        assert answers[0][0] == answers[1][0], answers
        return (answers[0][1], answers[1][1]) if answers[0][0] == "done" else None

    def sequence(self, world: str) -> int | None:
        return next((line.sequence for line in self.memory.worlds() if line.birth.world == world), None)

    @rule(world=WORLDS, ahead=st.sampled_from([0, 0, 0, 1, -1]), new=st.booleans())
    def acquire(self, world: str, ahead: int, new: bool) -> None:
        at = self.sequence(world)
        expected = at + ahead if at is not None else (None if new else 0)
        taken = self.both(lambda store, _: store.acquire(birth(world), expected=expected))
        if taken:
            assert taken[0].epoch == taken[1].epoch
            assert world not in self.held, "a living holder was overrun"
            self.held[world] = taken
            if world in self.crashed:
                self.lost.append(self.crashed.pop(world))

    @rule(
        world=WORLDS,
        numbers=NUMBERS,
        names=NAMES,
        archived=NUMBERS,
        touch=st.integers(0, 3),
        skip=st.integers(-1, 1),
    )
    def commit(
        self,
        world: str,
        numbers: list[int],
        names: dict[int, str],
        archived: list[int],
        touch: int,
        skip: int,
    ) -> None:
        if world in self.held:
            at = self.sequence(world)
            following = 0 if at is None else at + 1
            brought = batch(
                max(following + skip, 0),
                numbers,
                world=world,
                names=names,
                archived=archived[:1],
                touch=touch,
            )
            self.both(lambda store, which: store.commit([(self.held[world][which], brought)]))

    @rule(numbers=NUMBERS, repeat=st.booleans())
    def commit_all_that_is_held(self, numbers: list[int], repeat: bool) -> None:
        batches = []
        for world in self.held:
            at = self.sequence(world)
            following = 0 if at is None else at + 1
            batches += [(world, batch(following + step, numbers, world=world, touch=1)) for step in (0, 1)]
        for _ in range(1 + repeat):
            self.both(
                lambda store, which: store.commit([(self.held[w][which], brought) for w, brought in batches])
            )

    @rule(world=WORLDS)
    def release(self, world: str) -> None:
        if world in self.held:
            pair = self.held.pop(world)
            self.both(lambda store, which: store.release(pair[which]))
            self.lost.append(pair)

    @rule(world=WORLDS)
    def crash(self, world: str) -> None:
        """The owner is forgotten: nobody says goodbye."""
        pair = self.held.pop(world, None)
        if pair:
            copies = [Lease(one.world, one.shard, one.epoch, one.holder, one.token) for one in pair]
            self.crashed[world] = (copies[0], copies[1])

    @rule()
    def kill(self) -> None:
        """The process dies: what is on disk at this moment goes on elsewhere, and nobody holds anything."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        path = self.url.removeprefix("sqlite:///")
        for name in (path, f"{path}-wal"):
            if os.path.exists(name):
                shutil.copy(name, folder)
        for world in list(self.held):
            self.crash(world)
        self.twin.sqlite.close()
        self.url = f"sqlite:///{folder}/s.db"
        self.twin.sqlite = open_store(self.url)

    @rule(world=WORLDS, into=WORLDS)
    def fork(self, world: str, into: str) -> None:
        """A world is copied: its people and their names are those of another one's birth."""
        if self.sequence(world) is None or self.sequence(into) is not None:
            return
        self.acquire(into, 0, new=True)
        if into not in self.held:
            return
        snapshot = self.memory.load(world)
        names = dict(snapshot.names)
        brought = batch(0, world=into, users=snapshot.users, names=names, market=snapshot.market)
        self.both(lambda store, which: store.commit([(self.held[into][which], brought)]))
        for store in (self.twin.memory, self.twin.sqlite):
            assert store.load(into).users.tobytes() == snapshot.users.tobytes()

    @rule()
    def reopen(self) -> None:
        """The file is closed, with whatever leases there were; memory only gives them back."""
        self.twin.sqlite.close()
        for world in list(self.held):
            self.memory.release(self.held[world][0])
            self.lost.append(self.held.pop(world))
        self.twin.sqlite = open_store(self.url)

    @rule(world=WORLDS, commits=st.none() | st.integers(1, 6))
    def keep(self, world: str, commits: int | None) -> None:
        for pair in [*self.held.values(), *self.lost[-1:]]:
            if pair[0].world == world:
                self.both(lambda store, which, p=pair: store.keep(p[which], commits=commits))

    @rule(seconds=st.integers(-1, 8 * 3600))
    def prune(self, seconds: int) -> None:
        for pair in [*self.held.values(), *self.lost[-1:]]:
            self.both(lambda store, which, p=pair: store.prune(p[which], START + seconds))
        self.both(lambda store, _: store.fold())

    @rule(world=WORLDS, numbers=NUMBERS)
    def forget(self, world: str, numbers: list[int]) -> None:
        """People are erased, from both alike; how many records of earlier commits that were is the file's."""
        for pair in [*([self.held[world]] if world in self.held else []), *self.lost[-1:]]:
            found = self.both(lambda store, which, p=pair: store.forget(p[which], numbers[:2]))
            if found:
                erased = [{**one.erased, "past": 0} for one in found]
                assert erased[0] == erased[1]

    @rule(world=WORLDS, into=WORLDS)
    def move(self, world: str, into: str) -> None:
        """A world comes back from another store under another name; each comes from the other one's."""
        if self.sequence(world) is None or self.sequence(into) is not None:
            return
        self.acquire(into, 0, new=True)
        if into not in self.held:
            return
        sources = (self.twin.sqlite, self.twin.memory)
        self.both(
            lambda store, which: store.adopt([self.held[into][which]], renamed(sources[which], world, into))
        )

    @rule(twice=st.booleans())
    def fold(self, twice: bool) -> None:
        folded = self.both(lambda store, _: store.fold())
        if twice:
            assert self.both(lambda store, _: store.fold())[1] == 0
        assert folded is not None

    @rule()
    def a_lost_lease_writes_nothing(self) -> None:
        for pair in self.lost[-3:]:
            world = pair[0].world
            at = self.sequence(world)
            brought = batch(0 if at is None else at + 1, [1], world=world)
            for store, lease in zip((self.twin.memory, self.twin.sqlite), pair, strict=True):
                with pytest.raises(LeaseLost):
                    store.commit([(lease, brought)])

    @invariant()
    def both_show_the_same(self) -> None:
        shown = [self.shown(self.twin.memory), self.shown(self.twin.sqlite)]
        assert shown[0] == shown[1]

    def shown(self, store: Store) -> list[Any]:
        found: list[Any] = []
        for line in store.worlds():
            world = line.birth.world
            found.append(
                (line.birth, line.sequence, line.summary, bool(line.holder), world in self.held)
                + self.shown_at(store, world, None)
            )
            assert bool(line.holder) == (world in self.held)
        return found

    def shown_at(self, store: Store, world: str, at: int | None) -> tuple[Any, ...]:
        snapshot = store.load(world, at=at)
        tables = [list(store.rows(world, table, at=at)) for table in TABLES]
        for row in tables[0]:
            row["same_stamp"] = row["created_at"] == row["updated_at"]
            assert row["created_at"] <= row["updated_at"]
            for name in AUDIT:
                del row[name]
        return (
            snapshot.sequence,
            snapshot.summary,
            snapshot.users.tobytes(),
            snapshot.users.dtype,
            dict(snapshot.names),
            snapshot.market,
            tables,
            [store.count(world, table, at=at) for table in TABLES],
        )

    @invariant()
    def both_show_the_same_past(self) -> None:
        """A file may keep more for a while; what memory keeps is what was promised."""
        for line in self.memory.worlds():
            world = line.birth.world
            promised = [(one.sequence, one.summary) for one in self.memory.history(world)]
            kept = [(one.sequence, one.summary) for one in self.twin.sqlite.history(world)]
            assert kept[-len(promised) :] == promised
            assert [sequence for sequence, _ in kept] == list(range(kept[0][0], line.sequence + 1))
            for at, _ in promised[:-1]:
                shown = [self.shown_at(store, world, at) for store in (self.twin.memory, self.twin.sqlite)]
                assert shown[0] == shown[1]

    def teardown(self) -> None:
        if hasattr(self, "twin"):
            self.twin.sqlite.close()
            self.memory.close()
            shutil.rmtree(self.folder)


Histories.TestCase.settings = settings(deadline=None, max_examples=50, stateful_step_count=25)
TestHistories = Histories.TestCase
