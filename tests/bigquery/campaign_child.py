"""What the processes of a campaign do: play one commit, or look whether the store is what it should be."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from multiprocessing.connection import Connection

# A preloaded child has these at once; they are heavy.
import google.cloud.bigquery  # noqa: F401
import pyarrow.parquet  # noqa: F401

from agents import torture_work as work
from storage import open_store
from storage.base import StoreError
from storage.bigquery_client import Wire
from storage.shared import SharedStore

_pause = Wire._pause


def shorter(wire: Wire, tries: int) -> None:
    """The pause before another try, an eighth as long: what passes here has passed at once."""
    _pause(wire, tries - 3)


Wire._pause = shorter  # type: ignore[method-assign]


def play(url: str, variables: Mapping[str, str], pipe: Connection) -> None:
    """One life: acquires the world, commits once, drains, folds, lets go; tells what happened as it does."""
    os.environ.update(variables)
    store = open_store(url, public=work.public_of)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            at = sequence_of(store)
            pipe.send(("begun", at))
            lease = store.acquire(work.birth(), expected=None if at < 0 else at)
            store.commit([(lease, work.batch(at + 1))])
            pipe.send(("committed", at + 1))
            store.release(lease)
            store.close()
        pipe.send(("done", at + 1))
    except StoreError as error:
        pipe.send(("refused", f"{type(error).__name__}: {error}"))
    except Exception as error:
        pipe.send(("raised", f"{type(error).__name__}: {error}"))


def settle(url: str, variables: Mapping[str, str], pipe: Connection) -> None:
    """Goes on where a life was broken off: drains and folds, then looks at the people, rows and events.

    Tells the commit that is wholly there, by the store and by plain SQL, or what is wrong.
    """
    os.environ.update(variables)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            store = open_store(url, public=work.public_of)
            at = sequence_of(store)
            if at >= 0:
                store.release(store.acquire(work.birth(), expected=at))
            store.close()
            at = work.check(url)
            if at >= 0:
                _count(url, at)
        pipe.send(("whole", at))
    except Exception as error:
        pipe.send(("broken", f"{type(error).__name__}: {error}"))


def sequence_of(store: SharedStore) -> int:
    """The last commit of the world, -1 if there is none."""
    return next((line.sequence for line in store.worlds() if line.birth.world == work.WORLD), -1)


def _count(url: str, at: int) -> None:
    """Counts the rows of the folded tables by SQL. Raises Broken if one is lost or doubled."""
    project, dataset = url.removeprefix("bigquery://").split("/")
    wire = Wire(project, dataset)
    asked = {
        "persistent_users": ("user_id", work.PEOPLE + at),
        "gaelp_people": ("number", work.PEOPLE + at),
        "touchpoints": ("FORMAT('%d %d', commit, number)", work.EVENTS * (at + 1)),
    }
    try:
        for table, (key, wanted) in asked.items():
            row = wire.query(f"SELECT COUNT(*) AS n, COUNT(DISTINCT {key}) AS d FROM `{table}`")[0]
            if row["n"] > row["d"]:
                raise work.Broken(f"{table} has {row['n'] - row['d']} rows doubled")
            if row["n"] != wanted:
                raise work.Broken(f"{table} has {row['n']} rows and not {wanted}")
    finally:
        wire.close()
