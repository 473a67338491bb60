"""Names of the files beside a store file: each leads back to its store file, and to no other."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.family import members
from storage.family_names import (
    infix_of,
    main_path,
    shard_named,
    shard_path,
    shard_paths,
    sibling_path,
    siblings_of,
    with_infix,
    writing_locks,
)
from storage.shards import birth_of
from storage.siblings import all_worlds
from tests.storage.small import batch, birth, open_store
from tests.storage.test_shards import FOUR, play_and_close

NAMES = ("my", "my.db", "my.v2.db", ".hidden", ".hidden.db", "my.demo@1", "my.demo-1", "a b.d", "my.")
FOLDERS = ("", "/", "a.b/", "/x.demo@1.d/", "./")

parts = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,6}", fullmatch=True)
subworlds = st.builds("{}/{}".format, parts, parts)
# Names that look like those of files beside a store are the hard ones.
pieces = st.sampled_from(["my", "demo", ".", ".demo@1", ".demo-1", "@1", "1", "-", "db", ".a.a"])
mains = st.builds(
    "{}{}".format,
    st.sampled_from(FOLDERS),
    st.one_of(
        st.sampled_from(NAMES),
        st.lists(pieces, min_size=1, max_size=5).map("".join).filter(lambda name: set(name) != {"."}),
    ),
)


@given(mains, st.one_of(parts, st.just("demo"), st.just("a.a")), st.integers(0, 63))
def test_the_file_of_a_shard_leads_back(main: str, world: str, shard: int) -> None:
    path = shard_path(main, world, shard)
    assert shard_named(path, world) == (main, shard)
    assert with_infix(main, infix_of(path, main)) == path
    assert os.path.dirname(path) == os.path.dirname(main)


@given(mains, st.one_of(subworlds, st.sampled_from(["demo/1", "a.a/a", "a/a.a"])))
def test_the_file_of_a_sub_world_leads_back(main: str, world: str) -> None:
    path = sibling_path(main, world)
    assert main_path(path, world) == main
    assert writing_locks(path, world) == (path,)
    assert writing_locks(main, world)[-1] in (main, path)


@given(mains, mains, parts, st.integers(0, 9))
def test_two_stores_never_have_a_file_in_common(one: str, other: str, world: str, shard: int) -> None:
    assert (shard_path(one, world, shard) == shard_path(other, world, shard)) == (one == other)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("my.demo@1", ("my", 1)),
        ("my.demo@1.db", ("my.db", 1)),
        ("my.v2.demo@12.db", ("my.v2.db", 12)),
        ("a.b/.hidden.demo@0", ("a.b/.hidden", 0)),
        ("my.demo@1.v2.db", None),
        ("my.demo@01.db", None),
        ("my.demo@1x.db", None),
        ("my.other@1.db", None),
        (".demo@1", None),
        ("my.db", None),
    ],
)
def test_names_by_hand(path: str, found: tuple[str, int] | None) -> None:
    assert shard_named(path, "demo") == found


def test_what_lies_beside_a_store_without_a_suffix(tmp_path: Path) -> None:
    for name in ("my", "my.demo@0", "my.demo-1", "my.demo@0.lock", "my.old-notes.txt", "my.demo@1.db"):
        (tmp_path / name).write_bytes(b"SQLite format 3\0" if name == "my.demo@1.db" else b"")
    main = str(tmp_path / "my")
    assert [os.path.basename(path) for path in siblings_of(main)] == [
        "my.demo-1",
        "my.demo@0",
        "my.demo@1.db",
    ]
    assert shard_paths(main, "demo") == {0: f"{main}.demo@0"}
    assert shard_paths(f"{main}.db", "demo") == {1: f"{main}.demo@1.db"}


@pytest.mark.parametrize("name", ["my", "my.db", "my.v2.db", ".hidden", "dots.in.d/my"])
def test_worlds_of_shards_live_beside_a_store_of_any_name(name: str, tmp_path: Path) -> None:
    (tmp_path / "dots.in.d").mkdir()
    url = f"sqlite:///{tmp_path}/{name}"
    for shard in range(4):
        play_and_close(url, shard)
    assert birth_of(url, "demo") == FOUR
    ((where, line),) = all_worlds(url)
    assert (where, line.sequence, len(line.shards)) == (url, 0, 4)
    for shard in range(4):
        play_and_close(url, shard)
    store = open_store(f"sqlite:///{shard_path(str(tmp_path / name), 'demo', 3)}")
    assert [commit.sequence for commit in store.history("demo", 3)] == [1]
    store.close()


def test_stores_of_like_names_have_members_of_their_own(tmp_path: Path) -> None:
    names = ("my", "my.db", "my.v2.db")
    for name in names:
        url = f"sqlite:///{tmp_path}/{name}"
        store = open_store(url)
        lease = store.acquire(birth(), expected=None)
        store.commit([(lease, batch(0, [1]))])
        store.close()
        beside = replace(birth("two"), shards=2)
        place = open_store(f"sqlite:///{shard_path(str(tmp_path / name), 'two', 0)}")
        lease = place.acquire(beside, 0, expected=None)
        place.commit([(lease, batch(0, [1], world="two"))])
        place.close()
    for name in names:
        main = str(tmp_path / name)
        assert members(main) == [main, *(shard_path(main, "two", shard) for shard in (0, 1))]
