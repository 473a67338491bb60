"""Every SQL text of the BigQuery store passes Google's own analyzer over our tables."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from storage import bigquery_sql as sql
from storage.bigquery_tables import (
    STAGED,
    create,
    deltas_table,
    event_table,
    people_table,
    users_table,
    worlds_table,
)

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
    *(
        constant(name)
        for name in ("RELEASE", "LEASES", "KEEP", "KNOW_KINDS", "BODIES", "PEOPLE_OF", "NUMBERS")
    ),
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
    ("old_bounds", sql.old_bounds(U, S), {}),
    ("merge_users", sql.merge_users(U, S), {}),
    ("unmerged_users", sql.unmerged_users(U, S), {}),
    ("merge_people", sql.merge_people(S), NUMBERS),
    ("unmerged_people", sql.unmerged_people(S), {}),
    ("append_events", sql.append_events(E, SE, KINDS), {}),
    ("unmerged_events", sql.unmerged_events(E, SE), {}),
    ("drop", sql.drop(S), {}),
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
        for name, value in vars(sql).items()
        if not name.startswith("_")
        and (
            (isinstance(value, str) and " " in value)
            or (callable(value) and getattr(value, "__module__", "") == sql.__name__)
        )
    }
    assert ours - {case[0] for case in CASES} == set()


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
