"""Every SQL text that the BigQuery store says. Tables are those of the default dataset of a query.

All values are parameters; only names of tables and columns are put into a text. What changes a table that
several writers share asks, in the same statement, whether the lease is still in force.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from storage.base import PUBLIC_COLUMNS
from storage.bigquery_tables import (
    DELTAS,
    EVENT_KEYS,
    FORMAT,
    JSON_COLUMNS,
    PEOPLE,
    WORLDS,
    create,
    worlds_table,
)

_PROCESS = "lease_host, lease_boot, lease_space, lease_pid, lease_started"
_IN_FORCE = (
    f"EXISTS (SELECT 1 FROM `{WORLDS}` WHERE world = @world AND shard = @shard AND lease_epoch = @epoch"
    " AND lease_token = @token)"
)
_MINE = "world = @world AND shard = @shard AND lease_epoch = @epoch AND lease_token = @token"

# ---- worlds and leases

_ANCHOR = {"world": "''", "shard": "-1", "format": str(FORMAT), "version": "0"}
CREATE_WORLDS = f"{create(worlds_table)} AS SELECT " + ", ".join(
    f"{_ANCHOR.get(name, f'CAST(NULL AS {kind})')} AS `{name}`" for name, kind in worlds_table.columns.items()
)
"""The table of worlds with its anchor row, at once: of two that make it, one does."""

STANDS = (
    "SELECT w.* EXCEPT (base_market), d.epoch AS delta_epoch, d.sequence AS delta_sequence,"
    " d.stamp_us AS delta_stamp_us, d.fresh AS delta_fresh, d.summary AS delta_summary"
    f" FROM `{WORLDS}` AS w LEFT JOIN (SELECT * FROM `{DELTAS}` WHERE piece = 0) AS d"
    " ON d.world = w.world AND d.shard = w.shard AND d.sequence > IFNULL(w.base_sequence, -1)"
    " WHERE @world IS NULL OR w.world IN (@world, '')"
)
"""Worlds, all or one, each with the commits that are not in its base; the anchor row too."""

BASE_MARKET = f"SELECT base_market FROM `{WORLDS}` WHERE world = @world AND shard = @shard"

ACQUIRE = f"""MERGE `{WORLDS}` AS t
USING (SELECT @world AS world, @shard AS shard UNION ALL SELECT '', -1) AS s
ON t.world = s.world AND t.shard = s.shard
WHEN MATCHED AND t.world = '' THEN UPDATE SET version = t.version + 1
WHEN MATCHED AND t.lease_epoch = @before THEN UPDATE SET
  lease_epoch = @before + 1, lease_token = @token, lease_host = @host, lease_boot = @boot,
  lease_space = @space, lease_pid = @pid, lease_started = @started, lease_since_us = @wall,
  lease_heard_us = @wall,
  config = IF(@reserve, @config, t.config), fingerprint = IF(@reserve, @fingerprint, t.fingerprint),
  schema = IF(@reserve, @schema, t.schema), shards = IF(@reserve, @shards, t.shards),
  parent = IF(@reserve, @parent, t.parent), arrival = IF(@reserve, @arrival, t.arrival)
WHEN NOT MATCHED AND @before = 0 THEN INSERT
  (world, shard, config, fingerprint, schema, shards, parent, arrival, keep_commits, keep_hours, erased_at,
   version, lease_epoch, lease_settled, lease_from, lease_token, {_PROCESS}, lease_since_us, lease_heard_us)
VALUES
  (s.world, s.shard, @config, @fingerprint, @schema, @shards, @parent, @arrival, 1, 0.0, -1, 0,
   1, 1, -1, @token, @host, @boot, @space, @pid, @started, @wall, @wall)"""
"""Takes a lease if its epoch is the one that was read: 2 rows change if so, else 1, the anchor."""

SETTLE = f"UPDATE `{WORLDS}` SET lease_settled = @epoch, lease_from = @stand WHERE {_MINE}"
"""Says with which commit an epoch begins: what older epochs bring later is void from here on."""

HEARTBEAT = f"UPDATE `{WORLDS}` SET lease_heard_us = @wall WHERE lease_token IN UNNEST(@tokens)"

RELEASE = f"UPDATE `{WORLDS}` SET lease_token = '' WHERE {_MINE}"

LEASES = f"SELECT world, shard, lease_epoch, lease_token FROM `{WORLDS}` WHERE shard >= 0"

KEEP = (
    f"UPDATE `{WORLDS}` SET keep_commits = IFNULL(@commits, keep_commits),"
    " keep_hours = IFNULL(@hours, keep_hours) WHERE world = @world"
)

KNOW_KINDS = f"UPDATE `{WORLDS}` SET kinds = @kinds WHERE world = '' AND shard = -1"

# ---- reading

LIVING = "world = @world AND shard = @shard AND gone = FALSE"
GONE = "world = @world AND shard = @shard AND gone = TRUE"
OF_WORLD = "world = @world"
"""Row restrictions of the Storage Read API over `gaelp_people`: by its clusters."""
OF_SHARD = "world = @world AND shard = @shard"
"""The same over `gaelp_deltas`, as OF_WORLD."""

PEOPLE_OF = (
    f"SELECT shard, number, user_id, gone, created_us, updated_us, record FROM `{PEOPLE}`"
    " WHERE world = @world AND number IN UNNEST(@numbers)"
)

NUMBERS = (
    f"SELECT number, user_id FROM `{PEOPLE}` WHERE world = @world"
    " AND (user_id IN UNNEST(@names) OR number IN UNNEST(@numbers))"
)


def users(table: str, where: Sequence[str], others: bool, limit: bool) -> str:
    """Public rows that pass tests on columns (@w0, @w1 …), without the user_ids @others, at most @limit."""
    columns = ", ".join(f"TO_JSON_STRING({c}) AS {c}" if c in JSON_COLUMNS else c for c in PUBLIC_COLUMNS)
    tests = _tests(where) + (["user_id NOT IN UNNEST(@others)"] if others else [])
    end = " LIMIT @limit" if limit else ""
    return f"SELECT {columns} FROM `{table}` WHERE {' AND '.join(tests) or 'TRUE'} ORDER BY user_id{end}"


def count_users(table: str, others: bool) -> str:
    """How many public rows there are, without the user_ids @others."""
    return f"SELECT COUNT(*) AS n FROM `{table}`" + (
        " WHERE user_id NOT IN UNNEST(@others)" if others else ""
    )


def events(
    table: str, columns: Sequence[str], where: Sequence[str], limit: bool, shards: Sequence[int] = ()
) -> str:
    """Events of @world, or of @shard of it, up to commit @at of each shard, in the order of their commits.

    Args:
      shards: those whose events end at a commit of their own, @at0, @at1 …, and not at @at.
    """
    names = ", ".join(f"`{name}`" for name in columns)
    end = " LIMIT @limit" if limit else ""
    return (
        f"SELECT {names} FROM `{table}` WHERE {' AND '.join([*_of_world(shards), _OF_SHARD, *_tests(where)])}"
        f" ORDER BY gaelp_stamp_us, gaelp_shard, gaelp_sequence, gaelp_place{end}"
    )


def count_events(table: str, shards: Sequence[int] = ()) -> str:
    """How many events of @world there are up to commit @at; `shards` as in `events`."""
    return f"SELECT COUNT(*) AS n FROM `{table}` WHERE {' AND '.join(_of_world(shards))}"


def _of_world(shards: Sequence[int]) -> list[str]:
    own = [f"(gaelp_shard <> {shard} OR gaelp_sequence <= @at{shard})" for shard in shards]
    return ["world = @world", *(own or ["(@at IS NULL OR gaelp_sequence <= @at)"])]


_OF_SHARD = "(@shard IS NULL OR gaelp_shard = @shard)"


def _tests(where: Sequence[str]) -> list[str]:
    return [
        f"TO_JSON_STRING({name}) = @w{k}" if name in JSON_COLUMNS else f"`{name}` IS NOT DISTINCT FROM @w{k}"
        for k, name in enumerate(where)
    ]


# ---- folding

BEGIN_FOLD = f"UPDATE `{WORLDS}` SET version = version + 1, lease_heard_us = @wall WHERE {_MINE}"

END_FOLD = (
    f"UPDATE `{WORLDS}` SET version = version + 1, born_us = IFNULL(born_us, @born), users_table = @users,"
    " dtype = @dtype, folded = @folded, base_sequence = @base, base_stamp_us = @stamp,"
    " base_market = IF(@moved, @market, base_market),"
    f" base_summary = @summary WHERE {_MINE} AND IFNULL(folded, -1) <= @folded"
)

OLD_DELTAS = f"DELETE FROM `{DELTAS}` WHERE world = @world AND shard = @shard AND sequence <= @base"
"""Commits that are in the base. Under a lease: nobody reads them again."""


def old_bounds(table: str, stage: str) -> str:
    """Between what the staged users lay before: partitions are pruned by constants only, and by the OLD
    last_seen, for a row is in the partition where it was last seen until it is moved."""
    return (
        "SELECT COUNT(*) AS n, MIN(t.last_seen) AS low, MAX(t.last_seen) AS high,"
        " MIN(t.canonical_user_id) AS first, MAX(t.canonical_user_id) AS last"
        f" FROM `{table}` AS t JOIN `{stage}` AS s ON s.user_id = t.user_id WHERE s.part = 'public'"
    )


_BOUND = (
    "(t.last_seen BETWEEN @low AND @high OR t.last_seen IS NULL)"
    " AND (t.canonical_user_id BETWEEN @first AND @last OR t.canonical_user_id IS NULL)"
)


def merge_users(table: str, stage: str) -> str:
    """The fold: staged public rows into the users, newer stamps only, under a lease that is in force."""
    staged = ", ".join(f"PARSE_JSON({c}) AS {c}" if c in JSON_COLUMNS else c for c in PUBLIC_COLUMNS)
    fresh = ", ".join(f"{c} = s.{c}" for c in PUBLIC_COLUMNS if c not in ("user_id", "created_at"))
    return (
        f"MERGE `{table}` AS t USING (SELECT {staged}, only_left FROM `{stage}` WHERE part = 'public'"
        f" AND {_IN_FORCE}) AS s ON t.user_id = s.user_id AND {_BOUND}"
        " WHEN MATCHED AND s.updated_at > t.updated_at AND s.only_left THEN UPDATE SET is_active = FALSE,"
        " updated_at = s.updated_at"
        f" WHEN MATCHED AND s.updated_at > t.updated_at THEN UPDATE SET {fresh}"
        f" WHEN NOT MATCHED AND NOT s.only_left THEN INSERT ({', '.join(PUBLIC_COLUMNS)})"
        f" VALUES ({', '.join(f's.{c}' for c in PUBLIC_COLUMNS)})"
    )


def unmerged_users(table: str, stage: str) -> str:
    """How many staged users are not in the table as staged, or newer."""
    return (
        f"SELECT COUNT(*) AS n FROM `{stage}` AS s LEFT JOIN `{table}` AS t ON t.user_id = s.user_id"
        " WHERE s.part = 'public' AND IF(s.only_left, t.updated_at < s.updated_at,"
        " t.user_id IS NULL OR t.updated_at < s.updated_at)"
    )


def merge_people(stage: str) -> str:
    """The same for the hidden records."""
    return (
        f"MERGE `{PEOPLE}` AS t USING (SELECT number, name, gone, created_us, updated_us, record"
        f" FROM `{stage}` WHERE part = 'people' AND {_IN_FORCE}) AS s"
        " ON t.world = @world AND t.shard = @shard AND t.number = s.number"
        " AND t.number BETWEEN @first AND @last"
        " WHEN MATCHED AND s.updated_us > t.updated_us THEN UPDATE SET gone = s.gone, record = s.record,"
        " updated_us = s.updated_us"
        " WHEN NOT MATCHED THEN INSERT (world, shard, number, user_id, gone, created_us, updated_us, record)"
        " VALUES (@world, @shard, s.number, s.name, s.gone, s.created_us, s.updated_us, s.record)"
    )


def unmerged_people(stage: str) -> str:
    """How many staged records are not in the table as staged, or newer."""
    return (
        f"SELECT COUNT(*) AS n FROM `{stage}` AS s LEFT JOIN (SELECT number, updated_us FROM `{PEOPLE}`"
        " WHERE world = @world AND shard = @shard) AS t ON t.number = s.number"
        " WHERE s.part = 'people' AND (t.number IS NULL OR t.updated_us < s.updated_us)"
    )


def _of_days(moment: str) -> str:
    """A test that an event lies in the days of the staged ones: constants, so that partitions are pruned."""
    return f" AND (t.`{moment}` BETWEEN @low AND @high OR t.`{moment}` IS NULL)" if moment else ""


def append_events(table: str, stage: str, kinds: Mapping[str, str], moment: str) -> str:
    """Staged events into their table: each once, however often it is said.

    An event keeps its moment, so the same event is looked for in the days of the staged ones only (from @low
    to @high), and in its world's cluster.

    Args:
      moment: the column by whose day the table is partitioned; "" if it is not.
    """
    columns = [*EVENT_KEYS, *kinds]
    names = ", ".join(f"`{name}`" for name in columns)
    return (
        f"MERGE `{table}` AS t USING (SELECT {names} FROM `{stage}` WHERE {_IN_FORCE}) AS s"
        " ON t.world = @world AND t.gaelp_shard = @shard AND t.gaelp_sequence BETWEEN @after + 1 AND @upto"
        f" AND t.gaelp_sequence = s.gaelp_sequence AND t.gaelp_place = s.gaelp_place{_of_days(moment)}"
        f" WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({', '.join(f's.`{name}`' for name in columns)})"
    )


def unmerged_events(table: str, stage: str, moment: str) -> str:
    """How many staged events are not in their table."""
    return (
        f"SELECT COUNT(*) AS n FROM `{stage}` AS s LEFT JOIN (SELECT t.gaelp_sequence, t.gaelp_place"
        f" FROM `{table}` AS t WHERE t.world = @world AND t.gaelp_shard = @shard{_of_days(moment)}) AS t"
        " ON t.gaelp_sequence = s.gaelp_sequence AND t.gaelp_place = s.gaelp_place"
        " WHERE t.gaelp_place IS NULL"
    )


# ---- what leaves

PRUNE_USERS = "DELETE FROM `{table}` WHERE NOT is_active AND last_seen < @moment"
PRUNE_EVENTS = "DELETE FROM `{table}` WHERE world = @world AND `{moment}` < @moment"
FORGET_USERS = "DELETE FROM `{table}` WHERE user_id IN UNNEST(@names)"
FORGET_EVENTS = "DELETE FROM `{table}` WHERE world = @world AND number IN UNNEST(@numbers)"
VOID_DELTAS = (
    f"DELETE FROM `{DELTAS}` WHERE world = @world AND shard = @shard"
    " AND CONCAT(CAST(epoch AS STRING), '-', CAST(sequence AS STRING)) NOT IN UNNEST(@valid)"
)
"""Commits of a shard that never were, or are no longer, of its world."""
ENTOMB = (
    f"UPDATE `{PEOPLE}` SET gone = TRUE, record = NULL, user_id = NULL"
    " WHERE world = @world AND shard = @shard AND number IN UNNEST(@numbers)"
)
ENTOMB_OTHERS = (
    f"INSERT INTO `{PEOPLE}` (world, shard, number, gone, created_us, updated_us)"
    " SELECT @world, @shard, number, TRUE, 0, 0 FROM UNNEST(@numbers) AS number WHERE number NOT IN"
    f" (SELECT p.number FROM `{PEOPLE}` AS p WHERE p.world = @world AND p.shard = @shard)"
)
"""Tombstones of those who were born after the commit that the base is of."""
ERASED = f"UPDATE `{WORLDS}` SET erased_at = @at, version = version + 1 WHERE {_MINE}"

# ---- a world that another store brings

CLEAR_EVENTS = "DELETE FROM `{table}` WHERE world = @world AND gaelp_shard IN UNNEST(@shards)"
CLEAR_PEOPLE = f"DELETE FROM `{PEOPLE}` WHERE world = @world AND shard IN UNNEST(@shards)"
CLEAR_USERS = "DELETE FROM `{table}` WHERE TRUE"
STAMPS_OF_ROWS = (
    f"UPDATE `{PEOPLE}` AS p SET created_us = UNIX_MICROS(u.created_at),"
    " updated_us = UNIX_MICROS(u.updated_at) FROM `{table}` AS u"
    " WHERE p.world = @world AND u.user_id = IFNULL(p.user_id, FORMAT('u%09d', p.number))"
)
"""Records get the stamps of their public rows."""


def replace_deltas(stage: str) -> str:
    """Commits written anew in place of what they were, in one statement."""
    return (
        f"MERGE `{DELTAS}` AS t USING `{stage}` AS s ON t.world = s.world AND t.shard = s.shard"
        " AND t.epoch = s.epoch AND t.sequence = s.sequence AND t.piece = s.piece"
        " WHEN MATCHED THEN UPDATE SET pieces = s.pieces, crc = s.crc, body = s.body"
        " WHEN NOT MATCHED BY SOURCE AND t.world = @world AND t.shard = @shard"
        " AND t.sequence IN UNNEST(@sequences) THEN DELETE"
    )
