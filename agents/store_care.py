"""What a store needs now and then: folding, copying, and giving up what is damaged."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict

from agents.store_moves import Watch, copy_part, copy_worlds, line_of, nobody_watches
from agents.store_resumed import COPIED, DIFFERS, THERE, Line, WorldsDiffer, differing, left_out
from gaelp_env.world_public import public_of
from storage import open_store
from storage.base import BadStoreURL, WorldExists, WorldNotFound
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
) -> list[Line]:
    """Copies a store as of its last commits; what arrives is compared with what was read.

    From file to file whole files are copied, with those beside them; otherwise worlds, one by one. Run again
    after it was stopped, it goes on with the first file or world that is not whole.

    Args:
      source, target: URLs.
      world: of one world only.
      watch: is told how it goes with a world.
    Returns: for each world its "store" (of the copy), "world", "commit", "checksum", "counts", whether it
      was copied "now", its "state" (see `store_resumed`), and the "source_commit" that it was compared with.
    Raises: StoreError; WorldsDiffer, at the end, if a target is there and holds something else.
    """
    to = read_url(target)
    if world is not None or {to.scheme, read_url(source).scheme} != {"sqlite"}:
        return copy_worlds(source, target, world, watch)
    main, files = read_url(source).name, _files(source)
    if to.name == main:
        raise BadStoreURL(f"{source} and {target} are the same file; name another one.")
    places = {path: with_infix(to.name, infix_of(path, main)) for path in files}
    lines: list[Line] = []
    refused: list[str] = []
    for path, place in places.items():
        try:
            found, now = copy_file(path, place)
        except WorldExists as error:
            more, sentences = _by_world(path, place, str(error), watch)
            lines += more
            refused += sentences
            continue
        stands = {"store": sqlite_url(place), "now": now, "state": COPIED if now else THERE}
        lines += [stands | {"source_commit": one.commit} | asdict(one) for one in found]
    if refused:
        raise WorldsDiffer(refused, lines)
    return lines


def _by_world(path: str, place: str, refusal: str, watch: Watch) -> tuple[list[Line], list[str]]:
    """Looks at the worlds of a file whose copy is there and is not as it is, and brings those it lacks.

    Args:
      refusal: what is said if the copy has worlds of its own: then nothing is brought.
    Returns: the lines, and a sentence for each world that differs.
    """
    lines, sentences = [], []
    with (
        closing(open_store(sqlite_url(path), read_only=True, public=public_of)) as source,
        closing(open_store(sqlite_url(place), public=public_of)) as target,
    ):
        known = source.worlds()
        there = {line.birth.world for line in target.worlds()}
        strangers = there - {line.birth.world for line in known}
        for line in known:
            name = line.birth.world
            if strangers and name not in there:
                lines.append(left_out(target.url, name, line.sequence))
                continue
            found = line_of(target.url, [copy_part(source, target, name, None, None, watch)])
            lines.append(found)
            if found["state"] == DIFFERS:
                sentences.append(differing(found, source.url))
    return lines, [*sentences, *([refusal] if strangers else [])]


def _files(url: str) -> list[str]:
    address = read_url(url)
    if address.scheme != "sqlite":
        raise BadStoreURL(f"The store {url!r} is no file; name one, such as sqlite:///gaelp.db.")
    files = members(address.name)
    if not files:
        raise WorldNotFound(f"There is no file for the store {url}; check the path.")
    return files
