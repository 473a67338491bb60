"""Every SQL text of the BigQuery store passes Google's own analyzer over our tables."""

from __future__ import annotations

import ast
import itertools
import re
from typing import TYPE_CHECKING

import pytest

from storage import bigquery_sql as sql
from storage import bigquery_statistics as statistics
from storage.bigquery_tables import (
    STAGED,
    create,
    deltas_table,
    event_table,
    people_table,
    users_table,
    worlds_table,
)
from tests.storage.small import ROOT

if TYPE_CHECKING:
    from tests.bigquery.fixtures import Analyze

KINDS = {
    "number": "integer",
    "at": "time",
    "channel": "text",
    "price": "integer",
    "ctr": "real",
    "own": "flag",
}
EVENTS = event_table("touchpoints", KINDS)
USERS = users_table("persistent_users")
TABLES = {
    **{one.name: dict(one.columns) for one in (worlds_table, deltas_table, people_table, USERS, EVENTS)},
    "stage": STAGED,
    "INFORMATION_SCHEMA.PARTITIONS": {
        "table_name": "STRING",
        "partition_id": "STRING",
        "total_rows": "INT64",
    },
    "stage_events": dict(EVENTS.columns),
    "stage_deltas": dict(deltas_table.columns),
}
PARAMETERS = {
    **dict.fromkeys(("world", "token", "host", "boot", "space", "started", "config"), "STRING"),
    **dict.fromkeys(("fingerprint", "parent", "arrival", "kinds", "users", "dtype"), "STRING"),
    **dict.fromkeys(("summary", "first", "last", "w1"), "STRING"),
    **dict.fromkeys(("shard", "before", "epoch", "pid", "wall", "schema", "shards", "stand", "at"), "INT64"),
    **dict.fromkeys(("commits", "born", "folded", "base", "stamp", "after", "upto", "limit", "w0"), "INT64"),
    **dict.fromkeys(("tokens", "others", "names", "valid"), "ARRAY<STRING>"),
    **dict.fromkeys(("numbers", "sequences"), "ARRAY<INT64>"),
    **dict.fromkeys(("low", "high", "moment"), "TIMESTAMP"),
    **dict.fromkeys(("reserve", "moved"), "BOOL"),
    "hours": "FLOAT64", "market": "BYTES",
}  # fmt: skip
NUMBERS = {"first": "INT64", "last": "INT64"}
SHARDS = {"shards": "ARRAY<INT64>"}
ENDS = {"at0": "INT64", "at7": "INT64"}
READ = "SELECT number, gone FROM gaelp_people WHERE {where}"
"""A row restriction of the Storage Read API, as the query that stands for it."""
U, E, S, SE = "persistent_users", "touchpoints", "stage", "stage_events"

Case = tuple[str, str, dict[str, str]]


def constant(name: str, other: dict[str, str] | None = None, **places: str) -> Case:
    text = getattr(sql, name)
    return name, text.format(**places) if places else text, other or {}


CASES: list[Case] = [
    *(
        constant(name)
        for name in ("CREATE_WORLDS", "STANDS", "BASE_MARKET", "ACQUIRE", "SETTLE", "HEARTBEAT")
    ),
    *(constant(name) for name in ("RELEASE", "LEASES", "KEEP", "KNOW_KINDS", "PEOPLE_OF", "NUMBERS")),
    *(constant(name) for name in ("BEGIN_FOLD", "END_FOLD", "OLD_DELTAS", "VOID_DELTAS", "ENTOMB", "ERASED")),
    constant("ENTOMB_OTHERS"),
    constant("PRUNE_USERS", table=U),
    constant("PRUNE_EVENTS", table=E, moment="at"),
    constant("FORGET_USERS", table=U),
    constant("FORGET_EVENTS", table=E),
    constant("CLEAR_EVENTS", SHARDS, table=E),
    constant("CLEAR_PEOPLE", SHARDS),
    constant("CLEAR_USERS", table=U),
    constant("STAMPS_OF_ROWS", table=U),
    *(
        ("users", sql.users(U, ["last_episode", "touchpoint_history"], others, limit), {})
        for others, limit in itertools.product([False, True], repeat=2)
    ),
    ("count_users", sql.count_users(U, others=True), {}),
    ("count_users", sql.count_users(U, others=False), {}),
    ("events", sql.events(E, list(KINDS), ["number", "channel"], limit=True), {}),
    ("count_events", sql.count_events(E), {}),
    ("events", sql.events(E, list(KINDS), [], limit=False, shards=[0, 7]), ENDS),
    ("count_events", sql.count_events(E, [0, 7]), ENDS),
    ("old_bounds", sql.old_bounds(U, S), {}),
    ("merge_users", sql.merge_users(U, S), {}),
    ("unmerged_users", sql.unmerged_users(U, S), {}),
    ("merge_people", sql.merge_people(S), NUMBERS),
    ("unmerged_people", sql.unmerged_people(S), {}),
    *(("append_events", sql.append_events(E, SE, KINDS, moment), {}) for moment in ("at", "")),
    *(("unmerged_events", sql.unmerged_events(E, SE, moment), {}) for moment in ("at", "")),
    ("PARTITIONS", statistics.PARTITIONS, {"table": "STRING"}),
    ("LOOKED_AT", statistics.LOOKED_AT.format(table=U), {}),
    *(
        (f"{name} read", READ.format(where=getattr(sql, name)), {})
        for name in ("LIVING", "GONE", "OF_WORLD", "OF_SHARD")
    ),
    ("replace_deltas", sql.replace_deltas("stage_deltas"), {}),
    *(("create", create(table), {}) for table in (deltas_table, people_table, USERS, EVENTS)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case[0]))
def test_google_takes_it(case: Case, analyze: Analyze) -> None:
    _, text, other = case
    analyze(text, TABLES, {**PARAMETERS, **other})


def test_no_text_is_left_out() -> None:
    ours = {
        name
        for module in (sql, statistics)
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (
            (isinstance(value, str) and " " in value and not name[0].islower())
            or (module is sql and callable(value) and getattr(value, "__module__", "") == sql.__name__)
        )
    }
    assert ours - {case[0].removesuffix(" read") for case in CASES} == set()
    elsewhere = {
        f"{path.name}: {text.value[:40]}"
        for path in sorted((ROOT / "storage").glob("bigquery*.py"))
        if path.stem not in ("bigquery_sql", "bigquery_statistics", "bigquery_outbox", "bigquery_client")
        for text in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(text, ast.Constant)
        and re.match(r"(SELECT|MERGE `|UPDATE `|DELETE FROM|INSERT|DROP)\b", str(text.value))
    }
    assert elsewhere == set(), "SQL that no test shows to the analyzer"


def test_what_is_already_there_is_looked_for_in_the_days_of_the_staged_events_only() -> None:
    bound = "(t.`at` BETWEEN @low AND @high OR t.`at` IS NULL)"
    assert bound in sql.append_events(E, SE, KINDS, "at")
    assert bound in sql.unmerged_events(E, SE, "at")
    assert "@low" not in sql.append_events(E, SE, KINDS, "") + sql.unmerged_events(E, SE, "")


def test_persistent_users_is_the_founding_table() -> None:
    assert create(USERS) == (
        "CREATE TABLE IF NOT EXISTS `persistent_users` (`user_id` STRING NOT NULL, "
        "`canonical_user_id` STRING, "
        "`current_journey_state` STRING, `awareness_level` FLOAT64, `fatigue_score` FLOAT64, "
        "`intent_score` FLOAT64, `episode_count` INT64, `last_episode` INT64, `first_seen` TIMESTAMP, "
        "`last_seen` TIMESTAMP, `touchpoint_history` JSON, `conversion_history` JSON, `is_active` BOOL, "
        "`created_at` TIMESTAMP NOT NULL, `updated_at` TIMESTAMP NOT NULL) PARTITION BY DATE(`last_seen`) "
        "CLUSTER BY `canonical_user_id`, `is_active`"
    )
