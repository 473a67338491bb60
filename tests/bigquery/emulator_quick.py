"""Makes local-bigquery several times faster; imported by `emulator_main` in the emulator's own Python.

local-bigquery keeps its tables in DuckLake, whose catalogue is asked some ten times for each table of each
statement. Here they lie in files of DuckDB's own, which knows them by itself; what says what a table is asks
for this one and not for all; and nothing is asked twice while one statement is translated. REST, gRPC, jobs,
the translation of SQL and the engine are local-bigquery's own, and so are the answers. Time travel is lost
(`FOR SYSTEM_TIME AS OF`), which no test uses, and jobs are forgotten when the server ends; tables are not.
GAELP_EMULATOR_PLAIN=1 leaves all as it is published.
"""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

TEMPORARY = "SELECT table_name FROM duckdb_tables() WHERE temporary"
"""What local-bigquery asks before every query."""
KEPT = 10_000
"""So many tables' columns, and so many translations, are kept."""
DATASET = "\N{SECTION SIGN}dataset\N{SECTION SIGN}"
"""Stands for the name of a dataset in a translation that is kept."""


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
    """What was answered while one statement is translated or one MERGE runs; None at other times."""

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


class Translations:
    """Statements that were translated: one of the same shape over tables of the same columns, in whatever
    dataset, is that one with another name of the dataset in it.

    columns_of: names and types of a table's columns; none if it is not there.
    secured: which tables have policies of rows; with any, everything is translated anew.
    """

    def __init__(
        self,
        translate: Callable[..., Any],
        columns_of: Callable[..., Any],
        secured: Callable[[], Any],
        kinds: tuple[type, ...],
    ) -> None:
        self._translate, self._columns_of, self._secured, self._kinds = translate, columns_of, secured, kinds
        self._known: dict[Any, Any] = {}

    def __call__(self, tree: Any, context: Any) -> Any:
        """As local-bigquery's translate: SQL for DuckDB, and the values that it names."""
        free = not (context.variables or context.settings.get("dataset_id") or context.functions)
        if not (free and context.dataset_id and isinstance(tree, self._kinds)) or self._secured():
            return self._translate(tree, context)
        dataset = re.compile(rf"\b{re.escape(context.dataset_id)}\b")
        key = (tree, context.project_id, *sorted(context.parameters.items()), *sorted(context.temporary))
        for tables, text, used, made in self._known.get(key, ()):
            names = [(p, context.dataset_id if d is None else d, t) for p, d, t, _ in tables]
            if all(self._columns_of(*name) == found[3] for name, found in zip(names, tables, strict=True)):
                context.referenced |= set(names)
                context.temporary |= made
                values = {name: context.values[name] for name in used}
                return text.replace(DATASET, context.dataset_id), values
        before, temporary = set(context.referenced), set(context.temporary)
        context.referenced.clear()
        sql, values = self._translate(tree, context)
        tables = [
            (p, None if d == context.dataset_id else d, t, self._columns_of(p, d, t))
            for p, d, t in sorted(context.referenced)
        ]
        context.referenced |= before
        if tables and all(found for *_, found in tables) and "INFORMATION_SCHEMA" not in str(tree).upper():
            if len(self._known) >= KEPT:
                self._known.clear()
            made = context.temporary - temporary
            kept = (tables, dataset.sub(DATASET, sql), list(values), made)
            self._known.setdefault(key, []).append(kept)
        return sql, values


def quicken() -> None:
    """Puts what is quick in the place of local-bigquery's own."""
    import duckdb  # type: ignore[import-not-found,unused-ignore]
    import sqlglot  # type: ignore
    from local_bigquery.catalog import datasets, metadata, row_access, tables  # type: ignore
    from local_bigquery.engine import database, types  # type: ignore
    from local_bigquery.jobs import merge, query, store  # type: ignore
    from local_bigquery.sql.rules import partitions  # type: ignore
    from sqlglot import exp  # type: ignore

    plain_objects, plain_execute = database.objects, query.execute
    remembered, known = Remembered(), dict[Any, Any]()

    def attach(con: Any, project_id: str) -> None:
        path = database.settings.data_dir / f"{project_id}.ducklake"  # the name by which it is found again
        con.execute("SET threads = 1")  # more of them only wait for each other
        con.execute(f"ATTACH IF NOT EXISTS '{path}' AS {database.quote(project_id)}")
        database._attached.add(project_id)

    def projects() -> list[str]:
        return sorted(database._attached)

    @remembered.asked
    def columns_of(*ids: str) -> list[Any]:
        """Names, types and NOT NULL of a table's or a view's columns; none if it is not there."""
        try:
            found = database.fetch(f"SELECT name, type, \"notnull\" FROM pragma_table_info('{_text(ids)}')")
        except duckdb.Error:
            return []
        return list(found)

    def _text(ids: tuple[str, ...]) -> str:
        return str(database.quote(*ids)).replace("'", "''")

    @remembered.asked
    def objects(project_id: str, dataset_id: str, table_id: str | None = None) -> Any:
        if table_id is None:
            return plain_objects(project_id, dataset_id, table_id)
        name = database.quote(project_id, dataset_id, table_id)
        try:
            return [(table_id, "TABLE", database.fetch(f"SELECT COUNT(rowid) FROM {name}")[0][0])]
        except duckdb.CatalogException:
            return []
        except duckdb.Error:  # a view has no rowid
            return plain_objects(project_id, dataset_id, table_id)

    @remembered.asked
    def columns(project_id: str, dataset_id: str, table_id: str) -> Any:
        ids = tables.physical(project_id, dataset_id, table_id)
        found = columns_of(*ids)
        if (*ids, *found) not in known:
            required = {name for name, _, needed in found if needed}
            with database.cursor() as cursor:
                try:
                    relation = cursor.sql(f"SELECT * FROM {database.quote(*ids)} LIMIT 0")
                except duckdb.CatalogException:
                    label = tables.names.label(project_id, dataset_id, table_id)
                    raise tables.not_found("Table", label) from None
                fields = [
                    types.field(column, kind, column in required)
                    for column, kind in zip(relation.columns, relation.types, strict=True)
                    if column != tables.INGESTION_TIME or dataset_id == tables.RESULTS
                ]
            if len(known) >= KEPT:
                known.clear()
            known[*ids, *found] = fields
        return list(known[*ids, *found])

    def hidden(table: Any) -> bool:
        if not (table.catalog and table.db):
            return False
        return any(row[0] == tables.INGESTION_TIME for row in columns_of(table.catalog, table.db, table.name))

    def execute(cur: Any, *args: Any, session: Any = None, **more: Any) -> Any:
        return plain_execute(cur if session else Cursor(cur), *args, session=session, **more)

    jobs: dict[tuple[str, str], Any] = {}

    def save(job: Any) -> Any:
        """Jobs are known as long as the server lives."""
        jobs[job.jobReference.projectId, job.jobReference.jobId] = job
        return job

    def load(project_id: str, job_id: str) -> Any:
        return jobs.get((project_id, job_id))

    database._attach, database.projects, database.objects = attach, projects, objects
    tables.columns, partitions._hidden = columns, hidden
    query.execute, store.save, store.load = execute, save, load
    metadata.load = remembered.asked(metadata.load)
    datasets.exists = remembered.asked(datasets.exists)
    row_access.secured = remembered.asked(row_access.secured)
    merge.run = remembered.around(merge.run)
    kinds = (exp.Query, exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Create)
    translate = remembered.around(Translations(merge.translate, columns_of, row_access.secured, kinds))
    parse_one = functools.lru_cache(KEPT)(sqlglot.parse_one)
    merge.sqlglot = SimpleNamespace(parse_one=parse_one)
    for module in (merge, query):
        module.translate = translate
