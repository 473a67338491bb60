"""What a store needs now and then: folding, copying, and giving up what is damaged."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from agents.store_moves import Watch, copy_worlds, nobody_watches
from gaelp_env.world_public import public_of
from storage import open_store
from storage.base import BadStoreURL, WorldNotFound
from storage.family import members
from storage.family_names import infix_of, with_infix
from storage.sqlite_copy import copy_file
from storage.sqlite_repair import examine, repair
from storage.urls import read_url, sqlite_url


def fold_store(url: str) -> dict[str, int]:
    """Folds a store, and the files beside one that is a file; returns URL -> commits that were folded.

    Raises: StoreError; WorldBusy if somebody else writes one of them.
    """
    folded = {}
    places = [url] if read_url(url).scheme == "bigquery" else [sqlite_url(path) for path in _files(url)]
    for place in places:
        store = open_store(place, public=public_of)
        try:
            folded[place] = store.fold()
        finally:
            store.close()
    return folded


def repair_store(url: str, *, accept: bool) -> list[dict[str, str]]:
    """What is damaged in a store and the files beside it: "store", "what" and "cost" in words.

    Args:
      accept: give it up, so that the store can be written again.
    Raises: StoreError; NotAStore if SQLite itself cannot read a file.
    """
    return [
        {"store": sqlite_url(place), "what": damage.what, "cost": damage.cost}
        for place in _files(url)
        for damage in (repair(place) if accept else examine(place))
    ]


def copy_store(
    source: str, target: str, world: str | None = None, watch: Watch = nobody_watches
) -> list[dict[str, Any]]:
    """Copies a store as of its last commits; what arrives is compared with what was read.

    From file to file whole files are copied, with those beside them; otherwise worlds, one by one. Run again
    after it was stopped, it goes on with the first file or world that is not whole.

    Args:
      source, target: URLs.
      world: of one world only.
      watch: is told how it goes with a world.
    Returns: for each world its "store" (of the copy), "world", "commit", "checksum", "counts", and whether it
      was copied "now".
    Raises: StoreError; WorldExists if a target is there and holds something else.
    """
    to = read_url(target)
    if world is not None or {to.scheme, read_url(source).scheme} != {"sqlite"}:
        return copy_worlds(source, target, world, watch)
    main, files = read_url(source).name, _files(source)
    if to.name == main:
        raise BadStoreURL(f"{source} and {target} are the same file; name another one.")
    places = {path: with_infix(to.name, infix_of(path, main)) for path in files}
    lines = []
    for path, place in places.items():
        found, now = copy_file(path, place)
        lines += [{"store": sqlite_url(place), "now": now} | asdict(world) for world in found]
    return lines


def _files(url: str) -> list[str]:
    address = read_url(url)
    if address.scheme != "sqlite":
        raise BadStoreURL(f"The store {url!r} is no file; name one, such as sqlite:///gaelp.db.")
    files = members(address.name)
    if not files:
        raise WorldNotFound(f"There is no file for the store {url}; check the path.")
    return files
