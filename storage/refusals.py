"""What a store says when it refuses: one sentence, what was found and what to do."""

from __future__ import annotations

from collections.abc import Iterable

from storage.base import (
    Birth,
    CommitNotFound,
    Lease,
    LeaseLost,
    NotAStore,
    StoreError,
    WorldBusy,
    WorldExists,
    WorldMoved,
    WorldNotFound,
)
from storage.names import TABLES
from storage.urls import sqlite_url


def not_found(world: str, url: str, there: Iterable[str]) -> WorldNotFound:
    """No such world, and which there are."""
    names = ", ".join(repr(name) for name in there)
    known = f"it has {names}" if names else "it has no world yet"
    return WorldNotFound(
        f"There is no world {world!r} in {url}; {known}. Check the name, or create the world."
    )


def no_shard(world: str, shard: int, url: str) -> WorldNotFound:
    """The world is there, but not this part of it."""
    return WorldNotFound(f"World {world!r} in {url} has no commit of shard {shard} yet; create it first.")


def no_commit(world: str, shard: int, url: str, at: object, first: int, last: int) -> CommitNotFound:
    """The shard is there, but not that commit of it."""
    there = f"commit {last} can be read" if first == last else f"commits {first} to {last} can be read"
    if isinstance(at, int) and not isinstance(at, bool) and 0 <= at < first:
        return CommitNotFound(
            f"Commit {at} of world {world!r} (shard {shard}) in {url} is gone: {there}. To keep more of its "
            "past from now on, open it for writing with keep_commits=... or keep_hours=...."
        )
    return CommitNotFound(
        f"There is no commit {at!r} of world {world!r} (shard {shard}) in {url}: {there}. `gaelp history` "
        "lists them."
    )


def damaged_past(path: str, world: str, shard: int, sequence: int) -> NotAStore:
    """What leads back over a commit is not what was written."""
    return NotAStore(
        f"What the store {path!r} keeps of the past of world {world!r} (shard {shard}) is damaged: nothing "
        f"before commit {sequence} can be read; the last commit can. `gaelp repair --store "
        f"{sqlite_url(path)}` gives that past up."
    )


def exists(world: str, url: str) -> WorldExists:
    """A new world was wanted where one lives."""
    return WorldExists(f"World {world!r} is in {url} already. Open it instead, or choose another name.")


def exists_elsewhere(world: str, place: str) -> WorldExists:
    """A new sub-world was wanted, but it lives in a file beside this one."""
    return WorldExists(
        f"World {world!r} lives in the file {place!r} already. Open it there (storage.siblings.place_of "
        "finds it)."
    )


def same_table(world: str, other: str) -> WorldExists:
    """Two names that no store can tell apart in its tables."""
    return WorldExists(
        f"World {world!r} would have the same table of users as {other!r}, which is there. Choose a name "
        "that "
        "differs in more than case, '/' and '_'."
    )


def busy(world: str, shard: int, holder: str, shards: int = 1) -> WorldBusy:
    """A living holder has the lease."""
    if shards > 1:
        return WorldBusy(
            f"Shard {shard} of world {world!r} is being written by {holder or 'another process'}. Wait until "
            f"it closes, or leave `shard` out to get a free one of the {shards}, or fork the world, or open "
            'it with mode="read".'
        )
    return WorldBusy(
        f"World {world!r} (shard {shard}) is being written by {holder}. Wait until it closes, or use another "
        'world (a fork, or a sub-world such as "demo/*"), or open it with mode="read".'
    )


def all_busy(world: str, url: str, holders: Iterable[str]) -> WorldBusy:
    """Every shard of a world has a writer."""
    told = "; ".join(f"shard {k} by {holder or 'another process'}" for k, holder in enumerate(holders))
    return WorldBusy(
        f"All shards of world {world!r} in {url} are being written: {told}. Wait until one closes, or fork "
        'the world, or open it with mode="read"; a world has as many shards as it was born with.'
    )


def shard_missing(world: str, shard: int, shards: int, path: str) -> NotAStore:
    """A world is there, but not the file of one of its shards."""
    return NotAStore(
        f"World {world!r} has {shards} shards, and the file of shard {shard}, {path!r}, is missing. Put it "
        "back beside the others, or restore all of them from a copy; a copy that was stopped is run again."
    )


def other_shards(world: str, url: str, shards: int, asked: int) -> StoreError:
    """A world was opened with another number of shards than it was born with."""
    return StoreError(
        f"World {world!r} in {url} was born with shards={shards}, and shards={asked} was asked for. Open it "
        "without `shards` to take what it has, or begin a world of another name."
    )


def no_such_shard(world: str, url: str, shards: int, asked: int) -> StoreError:
    """A shard that the world does not have."""
    return StoreError(
        f"World {world!r} in {url} has {shards} shard{'s' * (shards > 1)}, numbered from 0, so there is no "
        f"shard {asked}; leave `shard` out to get a free one."
    )


def unborn_shard(world: str, shard: int, url: str) -> WorldNotFound:
    """A shard that nobody has played, where all are wanted."""
    return WorldNotFound(
        f"Shard {shard} of world {world!r} in {url} is not born yet, so the world cannot be read as a whole. "
        f"Play it first: its people come into the world with its first commit (shard={shard})."
    )


def unnamed_shard(world: str, url: str, shards: int) -> StoreError:
    """A world of several shards is to be read, and nobody said which."""
    return StoreError(f"World {world!r} in {url} has {shards} shards; name the one to read, such as shard=0.")


def unfinished(birth: Birth, url: str, shard: int, act: str) -> StoreError:
    """A world of several shards that was created, copied or forked, and of which not all are there.

    Args:
      act: "create", "copy" or "fork".
    """
    world, kept = birth.world, "what is there is kept"
    if act == "fork":
        return StoreError(
            f"World {world!r} is a fork of {birth.parent} that was not finished: shard {shard} is not there "
            f"yet. Fork it again, to the same place and name, with at={birth.parent.rpartition('@')[2]}; "
            f"{kept}."
        )
    being, again = {
        "create": ("created", "World.create again with the same arguments"),
        "copy": ("copied from another store", "the copy again"),
    }[act]
    return StoreError(
        f"World {world!r} in {url} is being {being}, and of its {birth.shards} shards shard {shard} is not "
        f"there yet. If nobody is at it any more, run {again}; {kept}."
    )


def created_otherwise(world: str, url: str) -> StoreError:
    """A world whose creation was stopped is to be created with other arguments."""
    return StoreError(
        f"World {world!r} in {url} was begun by a World.create with another seed or configuration, and was "
        "not finished. Run it again with the arguments that it had, or create a world of another name."
    )


def file_busy(path: str, holder: str) -> WorldBusy:
    """Another process writes the file."""
    return WorldBusy(
        f"The store {path!r} is being written by {holder or 'another process'}, and a file has one writer. "
        "Wait "
        'until it closes, or fork the world into another file, or use a sub-world ("demo/*", which gets a '
        "file "
        'of its own), or open it with mode="read".'
    )


def lost(lease: Lease, holder: str) -> LeaseLost:
    """The lease is not the one in force."""
    now = f"it is held by {holder} now" if holder else "nobody holds it now"
    return LeaseLost(
        f"The lease of world {lease.world!r} (shard {lease.shard}, epoch {lease.epoch}) was released or "
        "taken "
        f"over; {now}. Nothing was written. Open the world again to go on from its last commit."
    )


def wrong_table(table: str) -> StoreError:
    """No such public table."""
    return StoreError(f"There is no public table {table!r}; there are {', '.join(TABLES)}.")


def no_public(world: str, url: str) -> StoreError:
    """Rows of users are wanted from a store that does not know how they are made."""
    return StoreError(
        f"World {world!r} in {url} has commits that are not in its public tables yet, and this store was "
        "opened without `public`, which says how rows of users are made. Run `gaelp fold`, or open the store "
        "with public=gaelp_env.world_public.public_of."
    )


def damaged_delta(path: str, world: str, shard: int, sequence: int) -> NotAStore:
    """A commit in the journal that is not what was written, and not the last one."""
    return NotAStore(
        f"The store {path!r} is damaged: commit {sequence} of world {world!r} (shard {shard}) does not match "
        f"its checksum, and it is not the last one. Restore the file from a copy, or see what "
        f"`gaelp repair --store {sqlite_url(path)}` would give up."
    )


def damaged_commit(where: str, world: str, shard: int, sequence: int) -> NotAStore:
    """A commit in a dataset, or in its outbox, that is not what was written."""
    return NotAStore(
        f"The store {where} is damaged: commit {sequence} of world {world!r} (shard {shard}) does not match "
        "its checksum. Restore the tables as they were before (BigQuery keeps them for seven days), or go on "
        "from a copy."
    )


def damaged_people(where: str, world: str, shard: int) -> NotAStore:
    """Records in a dataset that are not as long as they were written."""
    return NotAStore(
        f"The store {where} is damaged: records of world {world!r} (shard {shard}) are not as long as they "
        "were written. Restore the table gaelp_people as it was before (BigQuery keeps it for seven days)."
    )


def damaged_block(path: str, world: str, shard: int, first: int, last: int) -> NotAStore:
    """People in the base who are not what was written."""
    return NotAStore(
        f"The store {path!r} is damaged: the people numbered {first} to {last} of world {world!r} (shard "
        f"{shard}) do not match their checksum. Restore the file from a copy, or see what "
        f"`gaelp repair --store {sqlite_url(path)}` would give up."
    )


def born_otherwise(world: str) -> StoreError:
    """Two shards of one world with different births."""
    return StoreError(f"World {world!r} was born otherwise: all shards of a world have the same birth.")


def changed_user(world: str) -> StoreError:
    """A user came back who cannot."""
    return StoreError(
        f"The batch for world {world!r} brings a user who was archived, who had another user_id before, or "
        "who "
        "belongs to another shard. A user keeps its user_id and shard, and does not come back from the "
        "archive."
    )


def name_taken(world: str) -> StoreError:
    """One user_id for two users."""
    return StoreError(
        f"The batch for world {world!r} gives a user the user_id of another one; choose a name of its own."
    )


def not_archivable(world: str) -> StoreError:
    """A user who is to be archived, and is not there."""
    return StoreError(
        f"The batch for world {world!r} archives a user who is not a living user of this shard; archive "
        "each user "
        "once, after it was committed."
    )


def wrong_sequence(world: str, shard: int, last: int | None, brought: int) -> StoreError:
    """The refusal of a batch that does not follow the last one."""
    if last is None:
        return StoreError(f"World {world!r} (shard {shard}) is born with sequence 0, not {brought}.")
    return StoreError(
        f"World {world!r} (shard {shard}) stands at {last}: the next batch is {last + 1}, not {brought}. "
        "Commit the missing ones first."
    )


def mixed(world: str, path: str) -> StoreError:
    """One shard is asked of a file that several share."""
    return StoreError(
        f"{path!r} holds several shards of world {world!r}, whose events cannot be told apart; ask for all."
    )


def not_whole(world: str, why: str) -> StoreError:
    """Portions of a world that are none."""
    return StoreError(
        f"World {world!r} cannot be taken in: {why}. Unload it again from a store, under a "
        "lease of each of its shards."
    )


def nobody(world: str, shard: int, number: int) -> StoreError:
    """A number that is to be forgotten and never was anybody's."""
    return StoreError(
        f"World {world!r} (shard {shard}) never had a user of number {number}; nothing was "
        "erased. Check the number."
    )


def moved(world: str, shard: int, last: int, expected: int) -> WorldMoved:
    """The refusal of a writer who has read an older commit."""
    return WorldMoved(
        f"World {world!r} (shard {shard}) stands at commit {last}, but {expected} was read: somebody else "
        "committed meanwhile. Read it again (reset the environment) and go on from there."
    )
