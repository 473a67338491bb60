"""The analyzer tells good statements from bad ones, also where the emulator does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.bigquery.analyzer import BadStatement, split_fields

if TYPE_CHECKING:
    from tests.bigquery.fixtures import Analyze

USERS = {
    "p-1.d.users": {
        "id": "STRING",
        "level": "FLOAT64",
        "seen": "TIMESTAMP",
        "history": "JSON",
        "rings": "ARRAY<INT64>",
        "last": "STRUCT<at TIMESTAMP, by ARRAY<STRING>>",
    },
    "p-1.d.stage": {"id": "STRING", "level": "FLOAT64", "seen": "TIMESTAMP", "history": "STRING"},
}
MERGE = """
MERGE `p-1.d.users` T
USING (SELECT * REPLACE (PARSE_JSON(history) AS history) FROM `p-1.d.stage`) S
ON T.id = S.id AND T.seen >= @lo
WHEN MATCHED AND S.seen > T.seen THEN UPDATE SET level = S.level, seen = S.seen, history = S.history
WHEN NOT MATCHED THEN INSERT (id, level, seen, history) VALUES (S.id, S.level, S.seen, S.history)
"""
TABLE = """
CREATE TABLE IF NOT EXISTS `p-1.d.new` (id STRING NOT NULL, seen TIMESTAMP, history JSON)
PARTITION BY DATE(seen) CLUSTER BY id
"""


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        (
            "SELECT id, JSON_VALUE(history, '$.a') FROM `p-1.d.users` WHERE id BETWEEN @a AND @b",
            "ResolvedQueryStmt",
        ),
        ("SELECT T.last.by[OFFSET(0)], rings[OFFSET(1)] + 1 FROM `p-1`.d.users AS T", "ResolvedQueryStmt"),
        ("SELECT COUNT(*) FROM d.stage", "ResolvedQueryStmt"),
        (MERGE, "ResolvedMergeStmt"),
        (TABLE, "ResolvedCreateTableStmt"),
    ],
)
def test_good_statements_pass(sql: str, kind: str, analyze: Analyze) -> None:
    short = {"d.stage": USERS["p-1.d.stage"]}
    assert analyze(sql, {**USERS, **short}, {"lo": "TIMESTAMP", "a": "STRING", "b": "STRING"}) == kind


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT levle FROM `p-1.d.users`", "Unrecognized name: levle"),
        ("SELECT 1 FROM `p-1.d.nowhere`", "Table not found"),
        (MERGE.replace("PARSE_JSON(history)", "history"), "JSON"),
        ("SELECT id FROM `p-1.d.users` WHERE history = history", "JSON"),
        ("SELECT history FROM `p-1.d.users` GROUP BY history", "JSON"),
        ("SELECT id FROM `p-1.d.users` WHERE seen > @unknown", "Query parameter 'unknown' not found"),
        ("SELECT id FROM `p-1.d.users` WHERE level > @lo", "No matching signature"),
        ("SELECT id FROM `p-1.d.users` WHERE rings = rings", "ARRAY"),
        ("SELECT CAST(1 AS INT32)", "INT32"),
        ("SELEKT 1", "Syntax error"),
    ],
)
def test_bad_statements_are_refused_in_words(sql: str, words: str, analyze: Analyze) -> None:
    with pytest.raises(BadStatement, match=words):
        analyze(sql, USERS, {"lo": "TIMESTAMP"})


def test_a_type_that_we_do_not_use_is_refused(analyze: Analyze) -> None:
    with pytest.raises(ValueError, match="There is no type 'INT32'; the types are BOOL, BYTES"):
        analyze("SELECT 1", {"t": {"x": "INT32"}})


def test_fields_are_parted_at_outer_commas() -> None:
    assert split_fields("a INT64, b STRUCT<c INT64, d JSON>, e ARRAY<STRING>") == [
        "a INT64",
        " b STRUCT<c INT64, d JSON>",
        " e ARRAY<STRING>",
    ]
