"""Worlds of the first release: their people, their market record and their configuration.

A store keeps a world's birth, and the dtype of its users, once and for ever. So a world of format 1 stays
one: it is read into the present format by field name, played, and written back in its own; a fork of it is
born in the present format. Its configuration is that of the market as it was first released, in which a
user's adstock, a rival's awareness and counts by creative move nothing; these are not kept.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaelp_env.config import MarketConfig
from gaelp_env.config_load import load_config
from gaelp_env.ledger import RECORD
from gaelp_env.market import Market
from gaelp_env.population import COUNT_MOST, NEVER_S, SCHEMA, USER
from storage.base import Batch, Birth, NotAStore, Snapshot

FIRST = 1
"""The format of the first release."""
_FILLED = 1
"""Mark in `pad`: the last two places of the orders hold what format 1 has no field for."""
_NO_SOURCE, _UNKNOWN_SOURCE = 255, 2
_K = 5

FIRST_USER = np.dtype(
    [
        ("number", "<u4"),
        ("rate", "<f4"),
        ("awareness", "<f4"),
        ("fatigue", "<f4"),  # remembered count of all our ads
        ("intent", "<f4"),
        ("propensity", "<f4"),
        ("seen_h", "<f8"),
        ("stage_until_h", "<f8"),
        ("due_h", "<f8"),
        ("leaves_h", "<f4"),
        ("last_episode", "<u4"),
        ("episodes", "<u4"),
        ("stage", "u1"),
        ("device", "u1"),
        ("flags", "u1"),
        ("ring_head", "u1"),
        ("first_seen_h", "<f8"),
        ("last_click_h", "<f8"),
        ("decided_h", "<f8"),
        ("touches", "<u4"),
        ("clicks", "<u4"),
        ("visits", "<u4"),
        ("conversions", "<u4"),
        ("order_value", "<f4"),
        ("last_click_channel", "u1"),
        ("ring_orders", "u1"),  # how many of the two fields below are filled
        ("pad", "u1", (2,)),
        ("order_minute", "<u4", (3,)),  # oldest first
        ("order_paid", "<f4", (3,)),
        ("ring_minute", "<u4", (8,)),
        ("ring_channel", "u1", (8,)),
        ("ring_clicked", "u1", (8,)),
    ]
)
"""The user record of format 1, 184 bytes; frozen, as files out there hold it."""

FIRST_LEDGER = np.dtype(
    [
        ("tick", "<i8"),
        ("opportunities", "<i8", (_K,)),
        ("bids", "<i8", (_K,)),
        ("wins", "<i8", (_K,)),
        ("views", "<i8", (_K,)),
        ("clicks", "<i8", (_K,)),
        ("spend_micro", "<i8", (_K,)),
        ("candidates", "<i8"),
        ("visits", "<i8"),
        ("decisions", "<i8"),
        ("decided_micro", "<i8"),
        ("accrued_micro", "<i8"),
        ("conversions", "<i8"),
        ("revenue_micro", "<i8"),
        ("margin_micro", "<i8"),
        ("attributed", "<i8"),
        ("attributed_micro", "<i8"),
        ("births", "<i8"),
        ("stopped", "<i8"),
    ]
)
"""The ledger of format 1, frozen."""

FIRST_RECORD = np.dtype(
    [
        ("tick", "<i8"),
        ("episode", "<i8"),
        ("episode_tick", "<i8"),
        ("key", "<u8"),
        ("next_number", "<i8"),
        ("initial_users", "<i8"),
        ("spent_micro", "<i8"),
        ("exhausted", "<i8"),
        ("touches", "<i8"),
        ("clicks", "<i8"),
        ("visits", "<i8"),
        ("conversions", "<i8"),
        ("attributed", "<i8"),
        ("spend_micro", "<i8"),
        ("margin_micro", "<i8"),
        ("met", "<i8"),
        ("active", "<i8"),
        ("stage_count", "<i8", (5,)),
        ("awareness_sum", "<i8"),
        ("fatigue_sum", "<i8"),
        ("intent_sum", "<i8"),
        ("reached", "<i8"),
        ("clicked", "<i8"),
        ("bought", "<i8"),
        ("trail", "<f8", (5, _K)),
        ("trail_attributed", "<f8"),
        ("trail_orders", "<f8"),
        ("bid_cpm", "<f8", (_K,)),
        ("pressure", "<f8", (_K,)),
        ("last", FIRST_LEDGER),
    ]
)
"""The market record of format 1, frozen."""


def readable(birth: Birth, url: str) -> None:
    """Raises NotAStore if a world's records are of a format that this version does not read."""
    if not FIRST <= birth.schema <= SCHEMA:
        raise NotAStore(
            f"World {birth.world!r} in {url} keeps its people in record format {birth.schema}, and this "
            f"version of gaelp reads formats {FIRST} to {SCHEMA}; use the version that made it, or begin a "
            "new world."
        )


def config_text(birth: Birth) -> str:
    """The configuration of a world as JSON that the present models read.

    A world of format 1 gets the keys that it lacks from preset v0; the exponent of fatigue, which was one
    for all, goes to every channel, and a push that was one number counts for each of the three steps.
    """
    if birth.schema != FIRST:
        return birth.config
    own = json.loads(birth.config)
    for channel in own["channels"].values():
        channel["fatigue_exponent"] = own["response"]["fatigue_exponent"]
        channel["forward_push"] = [channel["forward_push"]] * 3
    del own["response"]["fatigue_exponent"]
    for name in ("awareness_push", "visit_push", "intent_push"):
        own["journey"][name] = [own["journey"][name]] * 3
    return json.dumps(_filled(own, json.loads(_preset())))


@cache
def _preset() -> str:
    return load_config("v0").to_json()


def _filled(own: dict[str, Any], usual: dict[str, Any]) -> dict[str, Any]:
    filled = usual | own
    for name, section in usual.items():
        if isinstance(section, dict) and name in own:
            filled[name] = _filled(own[name], section)
    return filled


def present(snapshot: Snapshot) -> tuple[NDArray[Any], bytes]:
    """The people `[U]` of USER and the market record of a commit, in the present format.

    Each is read by what it is, not by what the birth says. Raises ValueError if it is of neither format.
    """
    users, record = snapshot.users, snapshot.market
    if users.dtype == FIRST_USER:
        users = users_from_first(users)
    if users.dtype != USER:
        raise ValueError(
            f"Its user records are of {users.dtype.itemsize} bytes in fields that no format from {FIRST} to "
            f"{SCHEMA} has; it was written by another version of gaelp."
        )
    if len(record) == FIRST_RECORD.itemsize:
        record = record_from_first(record)
    if len(record) != RECORD.itemsize:
        raise ValueError(
            f"A market record has {RECORD.itemsize} bytes, or {FIRST_RECORD.itemsize} of the first release, "
            f"and this one has {len(record)}: it was written by another version of gaelp."
        )
    return users, record


def in_format_of(birth: Birth, batch: Batch) -> Batch:
    """A batch with people and market record in the format that its world was born with."""
    if birth.schema != FIRST or batch.users.dtype == FIRST_USER:
        return batch
    return replace(batch, users=users_to_first(batch.users), market=record_to_first(batch.market))


def users_from_first(old: NDArray[Any]) -> NDArray[Any]:
    """Users of format 1 `[U]` as USER.

    Of the orders on record the last one stays, and counters stay within two bytes. The moment of the last
    visit is not known, nor its source, unless this version has played the user before.
    """
    new = _carried(old, USER)
    new["fatigue"][:, 0] = old["fatigue"]
    new["first_seen_s"] = np.floor(3600.0 * old["first_seen_h"] + 1e-6)
    for name in ("clicks", "visits", "conversions"):
        new[name] = np.minimum(old[name], COUNT_MOST)
    here = np.arange(len(old))
    filled = np.minimum(old["ring_orders"], 3)
    new["ring_orders"] = np.minimum(filled, 1)
    for name in ("order_minute", "order_paid"):
        new[name][:, 0] = old[name][here, np.maximum(filled, 1) - 1]
    known = (old["pad"][:, 0] == _FILLED) & (filled <= 1)
    session = old["order_minute"][:, 2]
    new["visit_s"] = np.where(known, old["order_minute"][:, 1], NEVER_S)
    new["journeys"] = np.where(known, session & COUNT_MOST, 0)
    new["devices"] = np.where(known, session >> 16, 0)
    guess = np.where(old["visits"] > 0, _UNKNOWN_SOURCE, _NO_SOURCE)
    new["source"] = np.where(known, old["pad"][:, 1], guess)
    return new


def users_to_first(new: NDArray[Any]) -> NDArray[Any]:
    """Users of USER in format 1; what that has no field for lies where its second and third order would.

    The first release reads them too: it looks at no more orders than `ring_orders` says.
    """
    old = _carried(new, FIRST_USER)
    old["fatigue"] = new["fatigue"].sum(axis=1)
    old["first_seen_h"] = new["first_seen_s"] / 3600.0
    for name in ("clicks", "visits", "conversions"):
        old[name] = new[name]
    for name in ("order_minute", "order_paid"):
        old[name][:, 0] = new[name][:, 0]
    old["pad"][:, 0], old["pad"][:, 1] = _FILLED, new["source"]
    old["order_minute"][:, 1] = new["visit_s"]
    old["order_minute"][:, 2] = new["journeys"] + (new["devices"].astype(np.uint32) << 16)
    return old


def record_from_first(record: bytes) -> bytes:
    """A market record of format 1 as RECORD: rivals do not shade, nobody is paced, the rest begins at 0."""
    old = np.frombuffer(record, FIRST_RECORD)
    new = _carried(old, RECORD)
    new["last"] = _carried(old["last"], RECORD["last"])
    new["rival_shade"] = new["pace"] = 1.0
    return new.tobytes()


def record_to_first(record: bytes) -> bytes:
    """A market record in format 1."""
    new = np.frombuffer(record, RECORD)
    old = _carried(new, FIRST_RECORD)
    old["last"] = _carried(new["last"], FIRST_LEDGER)
    return old.tobytes()


def _carried(rows: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """New rows `[U]` of `dtype` with the fields that `rows` has just so; the others are 0."""
    made = np.zeros(len(rows), dtype)
    for name in dtype.names or ():
        if name in (rows.dtype.names or ()) and rows.dtype[name] == dtype[name]:
            made[name] = rows[name]
    return made


def market_of(snapshot: Snapshot, config: MarketConfig, url: str) -> Market:
    """The market of a snapshot, in the format of now. Raises NotAStore if it cannot be read."""
    try:
        return Market.restored(config, *present(snapshot), recount=snapshot.erased)
    except ValueError as error:
        raise NotAStore(f"World {snapshot.birth.world!r} in {url} cannot be read. {error}") from error
