"""Makes local-bigquery several times faster; imported by `emulator_main` in the emulator's own Python.

For every table of every statement local-bigquery asks DuckDB for its list of tables and columns, which
counts the rows of every table of every dataset. Here DuckLake's own catalogue is asked for the one table instead, and
what it says of columns is kept until they change. The answers are the same.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

OBJECTS = """
SELECT t.table_name, 'TABLE', COALESCE(n.record_count, 0)
FROM {catalog}.ducklake_table AS t JOIN {catalog}.ducklake_schema AS s ON s.schema_id = t.schema_id
LEFT JOIN {catalog}.ducklake_table_stats AS n ON n.table_id = t.table_id
WHERE s.schema_name = $1 AND t.table_name = COALESCE($2, t.table_name)
AND s.end_snapshot IS NULL AND t.end_snapshot IS NULL
UNION ALL
SELECT v.view_name, 'VIEW', 0
FROM {catalog}.ducklake_view AS v JOIN {catalog}.ducklake_schema AS s ON s.schema_id = v.schema_id
WHERE s.schema_name = $1 AND v.view_name = COALESCE($2, v.view_name)
AND s.end_snapshot IS NULL AND v.end_snapshot IS NULL
ORDER BY 1"""

COLUMNS = """
SELECT t.table_id, c.column_name, c.nulls_allowed, c.begin_snapshot
FROM {catalog}.ducklake_table AS t JOIN {catalog}.ducklake_schema AS s ON s.schema_id = t.schema_id
JOIN {catalog}.ducklake_column AS c ON c.table_id = t.table_id
WHERE s.schema_name = $1 AND t.table_name = $2 AND c.parent_column IS NULL
AND s.end_snapshot IS NULL AND t.end_snapshot IS NULL AND c.end_snapshot IS NULL
ORDER BY c.column_order"""

SCHEMAS = "SELECT 1 FROM {catalog}.ducklake_schema WHERE schema_name = $1 AND end_snapshot IS NULL"

KEPT = 10_000
"""So many tables' columns are kept."""


TEMPORARY = "SELECT table_name FROM duckdb_tables() WHERE temporary"
"""What local-bigquery asks before every query."""


class Cursor:
    """A cursor of a query without a session, which has no temporary tables: it is not asked for them."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def sql(self, text: str, **more: Any) -> Any:
        """As of the cursor."""
        return self._cursor.sql("SELECT '' WHERE FALSE" if text == TEMPORARY else text, **more)


class Remembered(threading.local):
    """What the catalogue said while one statement is translated or one MERGE runs; None at other times."""

    answers: dict[Any, Any] | None = None

    def around(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """A step during which no table can change its columns."""

        @functools.wraps(step)
        def remembering(*args: Any, **more: Any) -> Any:
            outermost = self.answers is None
            if outermost:
                self.answers = {}
            try:
                return step(*args, **more)
            finally:
                if outermost:
                    self.answers = None

        return remembering

    def asked(self, ask: Callable[..., Any]) -> Callable[..., Any]:
        """A question that is asked once in such a step."""

        @functools.wraps(ask)
        def once(*args: Any) -> Any:
            if self.answers is None:
                return ask(*args)
            key = ask, args
            if key not in self.answers:
                self.answers[key] = ask(*args)
            return self.answers[key]

        return once


def quicken() -> None:
    """Puts the quick look-ups in the place of local-bigquery's own."""
    import duckdb  # type: ignore[import-not-found,unused-ignore]
    from local_bigquery.catalog import datasets, metadata, row_access, tables  # type: ignore
    from local_bigquery.engine import database, types  # type: ignore
    from local_bigquery.jobs import merge, query, store  # type: ignore
    from local_bigquery.sql.rules import partitions  # type: ignore

    plain_objects, plain_columns, plain_hidden = database.objects, tables.columns, partitions._hidden
    plain_exists, plain_execute = datasets.exists, query.execute
    plain_save = store.save
    remembered, known = Remembered(), dict[Any, Any]()

    def ask(project: str, sql: str, *values: Any) -> list[Any]:
        return database.fetch(sql.format(catalog=_catalog(database.quote, project)), list(values))

    @remembered.asked
    def columns_of(project: str, dataset: str, table: str) -> list[Any]:
        return ask(project, COLUMNS, dataset, table)

    @remembered.asked
    def objects(project_id: str, dataset_id: str, table_id: str | None = None) -> Any:
        if project_id in database._attached:
            return ask(project_id, OBJECTS, dataset_id, table_id)
        if project_id == "emulator" and dataset_id == tables.RESULTS and table_id is not None:
            counted = f"SELECT COUNT(*) FROM {database.quote(project_id, dataset_id, table_id)}"
            try:
                return [(table_id, "TABLE", database.fetch(counted)[0][0])]
            except duckdb.CatalogException:
                return []
        return plain_objects(project_id, dataset_id, table_id)

    def fields_of(ids: tuple[str, str, str], required: set[str]) -> Any:
        with database.cursor() as cursor:
            relation = cursor.sql(f"SELECT * FROM {tables.name(*ids)} LIMIT 0")
            return [
                types.field(column, kind, column in required)
                for column, kind in zip(relation.columns, relation.types, strict=True)
                if column != tables.INGESTION_TIME or ids[1] == tables.RESULTS
            ]

    @remembered.asked
    def columns(project_id: str, dataset_id: str, table_id: str) -> Any:
        ids = project_id, dataset_id, table_id
        try:
            if dataset_id == tables.RESULTS:  # answers, which may be NULL
                return fields_of(ids, set())
            found = columns_of(*ids) if project_id in database._attached else []
            if not found:
                return plain_columns(*ids)
            if (*ids, *found) not in known:
                if len(known) >= KEPT:
                    known.clear()
                known[*ids, *found] = fields_of(ids, {name for _, name, null, _ in found if not null})
            return list(known[*ids, *found])
        except duckdb.CatalogException:
            return plain_columns(*ids)

    def hidden(table: Any) -> bool:
        if table.catalog not in database._attached or not table.db:
            return bool(plain_hidden(table))
        found = columns_of(table.catalog, table.db, table.name)
        return any(row[1] == tables.INGESTION_TIME for row in found)

    @remembered.asked
    def exists(project_id: str, dataset_id: str) -> bool:
        if project_id not in database._attached:
            return bool(plain_exists(project_id, dataset_id))
        return bool(ask(project_id, SCHEMAS, dataset_id))

    def execute(cur: Any, *args: Any, session: Any = None, **more: Any) -> Any:
        return plain_execute(cur if session else Cursor(cur), *args, session=session, **more)

    def save(job: Any) -> Any:
        return job if job.status.state == "RUNNING" else plain_save(job)

    store.save = save
    database.objects, tables.columns, partitions._hidden, datasets.exists = objects, columns, hidden, exists
    query.execute = execute
    metadata.load = remembered.asked(metadata.load)
    row_access.secured = remembered.asked(row_access.secured)
    merge.run = remembered.around(merge.run)
    translate = remembered.around(merge.translate)
    for module in (merge, query):
        module.translate = translate


def _catalog(quote: Callable[..., str], project: str) -> str:
    """Where DuckLake keeps what it knows of a project."""
    return quote(f"__ducklake_metadata_{project}", "main")
