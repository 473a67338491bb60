"""`gaelp adopt`: a table of people that is there already becomes a world."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from gaelp_env.adoption import Adopted, adopted
from gaelp_env.chance import key_of
from gaelp_env.config_load import load_config
from gaelp_env.population import GONE
from gaelp_env.world_adopt import config_for, found_with
from gaelp_env.world_public import public_of
from storage import BadStoreURL, open_store
from storage.base import PUBLIC_COLUMNS, StoreError, WorldExists, WorldNotFound
from storage.urls import read_url

TABLE = "persistent_users"


def adopt_table(
    url: str, world: str, config: str | None = None, seed: int = 0, *, write: bool = True
) -> dict[str, Any]:
    """Takes over the `persistent_users` of a dataset that is no store yet: its people become a world.

    The hidden state that the 15 columns do not tell is filled in. The rows stay where they are: the birth of
    the world is folded into them, which changes `updated_at`, and what was guessed.

    Args:
      url: of the dataset.
      world: name of the world to come.
      config: a YAML file or a preset; its clock and its number of people are those of the table.
      seed: of what is drawn.
      write: False: nothing is changed, the report alone is made.
    Returns: {"store", "world", "people", "active", "epoch", "clock", "guesses": what -> of how many,
      "written"}, JSON-able.
    Raises: WorldNotFound without such a table, WorldExists where a world is there already, NotAStore for a
      table that is otherwise, StoreError for rows that cannot be adopted.
    """
    if read_url(url).scheme != "bigquery":
        raise BadStoreURL(
            f"{url!r} is no BigQuery store, and only there is a table of people adopted; give a URL such as "
            "'bigquery://project/dataset'. Worlds of other stores are brought by `gaelp copy`."
        )
    store = open_store(url, public=public_of)
    place: Any = store.home
    try:
        names = [line.birth.world for line in store.worlds()]
        if names:
            raise WorldExists(
                f"{url} is a store already, with world {names[0]!r}; only a table without one is adopted."
            )
        columns = _columns(place, url)
        try:
            people = adopted(columns, load_config(config), key_of("people", seed))
        except ValueError as error:
            raise StoreError(f"{TABLE} in {url} cannot be adopted. {error}") from error
        own = config_for(load_config(config), people)
        if write:
            found_with(url, world, own, people, seed).close()
            _looked_at(store.count(world, TABLE), people, url, world)
    finally:
        store.close()
    clock = people.epoch + np.timedelta64(round(people.now_h), "h")
    return {
        "store": url, "world": world, "people": len(people.users),
        "active": int(((people.users["flags"] & GONE) == 0).sum()), "epoch": own.clock.epoch,
        "clock": str(clock.astype("M8[s]")), "guesses": people.guesses, "written": write,
    }  # fmt: skip


def _columns(place: Any, url: str) -> dict[str, list[Any]]:
    """The public columns as they lie in the dataset."""
    from storage.bigquery_tables import check, users_table

    wire = place.wire
    found = wire.found(TABLE) if wire.is_there() else None
    if found is None:
        raise WorldNotFound(f"There is no table {TABLE} in {url}; check the URL.")
    check(wire.where, users_table(TABLE), found)
    read = wire.read(TABLE, PUBLIC_COLUMNS, "TRUE", {})
    columns = {name: read.column(name).to_pylist() for name in PUBLIC_COLUMNS}
    latest = max((stamp for stamp in columns["updated_at"] if stamp is not None), default=None)
    if latest is not None and latest > datetime.now(UTC):
        raise StoreError(
            f"{TABLE} in {url} has rows of the future (updated_at {latest}), which no commit of now would "
            "replace. Set the clock of this machine, or these stamps, right."
        )
    return columns


def _looked_at(there: int, people: Adopted, url: str, world: str) -> None:
    if there != len(people.users):
        raise StoreError(
            f"{TABLE} in {url} had {len(people.users)} people, and world {world!r} has {there}; look at the "
            "table before you play."
        )
