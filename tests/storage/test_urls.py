"""Store URLs: what they mean, and what is said of those that mean nothing."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import BadStoreURL
from storage.shared import _shared
from storage.urls import read_url
from tests.storage.small import batch, birth, open_store


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("my.db", "no known scheme"),
        ("", "no known scheme"),
        (None, "is no text"),
        (Path("my.db"), "is no text"),
        ("sqlit:///my.db", r"did you mean 'sqlite:'\?"),
        ("SQLite:///my.db", r"did you mean 'sqlite:'\?"),
        ("memry:", r"did you mean 'memory:'\?"),
        ("postgres://host/db", "no known scheme"),
        ("bigquery:/project/dataset", "two slashes"),
        ("sqlite:my.db", "three slashes"),
        ("sqlite://my.db", "three slashes"),
        ("sqlite:///", "names no file"),
        ("sqlite:///folder/", "names no file"),
        ("sqlite:////", "names no file|a folder"),
        ("sqlite:///.", "names a folder"),
        ("sqlite:///:memory:", "that is 'memory:' here"),
        ("sqlite:///a\0b", "names no file"),
        ("memory:/x", "names a memory store '/x'"),
        ("memory://", "names a memory store"),
    ],
)
def test_a_url_that_means_nothing_is_refused_with_an_example(url: object, said: str) -> None:
    with pytest.raises(BadStoreURL, match=said) as refusal:
        open_store(url)  # type: ignore[arg-type]
    assert repr(url) in str(refusal.value)
    assert "'sqlite:///my.db'" in str(refusal.value)
    assert isinstance(refusal.value, ValueError)


@given(st.text())
def test_any_text_is_read_or_refused_in_words(url: str) -> None:
    try:
        address = read_url(url)
    except BadStoreURL as refusal:
        assert repr(url) in str(refusal)
    else:
        assert address.scheme in ("memory", "sqlite", "bigquery")


def test_a_path_may_hold_what_uris_would_read_otherwise(tmp_path: Path) -> None:
    for name in ("my db?mode=ro&x=%20#1.db", "größe.db", "noending"):
        store = open_store(f"sqlite:///{tmp_path}/{name}")
        lease = store.acquire(birth(), expected=None)
        store.commit([(lease, batch(0, [1]))])
        store.close()
        assert (tmp_path / name).exists()
        assert open_store(f"sqlite:///{tmp_path}/{name}", read_only=True).load("demo").sequence == 0


def test_a_private_memory_store_is_fresh_at_every_call() -> None:
    store = open_store("memory:")
    lease = store.acquire(birth(), expected=None)
    store.commit([(lease, batch(0, [1]))])
    assert open_store("memory:").worlds() == []


def test_a_named_memory_store_lives_as_long_as_the_process() -> None:
    store = open_store("memory:urls")
    lease = store.acquire(birth(), expected=None)
    store.commit([(lease, batch(0, [1]))])
    store.close()
    assert open_store("memory:urls").load("demo").sequence == 0
    assert open_store("memory:urls2").worlds() == []


def test_the_last_store_of_a_url_closes_the_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    key = ("sqlite", str((tmp_path / "s.db").resolve()))
    stores = [open_store(url) for _ in range(3)]
    assert _shared[key].count == 3
    stores[0].close()
    stores[0].close()
    assert _shared[key].count == 2
    stores.clear()
    gc.collect()
    open_store("memory:").close()
    # Stores that are garbage count as closed, once each.
    assert key not in _shared


def test_a_forgotten_store_lets_go_of_the_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    store = open_store(url)
    lease = store.acquire(birth(), expected=None)
    store.commit([(lease, batch(0, [1]))])
    del store, lease
    gc.collect()
    open_store("memory:").close()
    assert [entry.name for entry in tmp_path.iterdir()] == ["s.db"]


def test_threads_may_open_and_close_one_url_together(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    failed: list[BaseException] = []

    def work(world: str) -> None:
        try:
            for sequence in range(10):
                store = open_store(url)
                lease = store.acquire(birth(world), expected=sequence - 1 if sequence else None)
                store.commit([(lease, batch(sequence, [1], world=world))])
                store.close()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    store = open_store(url, read_only=True)
    assert [line.sequence for line in store.worlds()] == [9] * 4
    store.close()
