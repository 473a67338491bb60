"""The line to a dataset: queries, changes, loads and reads, tried again until it is known what came of them.

A job that changes something has an id that follows from what it does. Said again it meets 409, and the job
that was there is asked what came of it; a job that failed keeps its id, so the next one has the next number.
"""

from __future__ import annotations

import io
import os
import random
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from storage.base import StoreError
from storage.bigquery_endpoint import ENDPOINT, LOCATION, STORAGE_ENDPOINT, client_of, reader_of
from storage.bigquery_errors import AGAIN, passes, reason_of, told
from storage.bigquery_tables import Found, Table, check, create, found_of
from storage.bigquery_values import Values, parameter, spelled

if TYPE_CHECKING:
    import pyarrow as pa

PATIENCE_S = 60.0
"""For so long a step is tried again, if it fails in a way that passes."""
ATTEMPTS = 20
"""So many jobs may fail with one id."""

T = TypeVar("T")


class Wire:
    """One dataset, as google's own client sees it. Made at the first use; safe in threads.

    Attributes:
      known: names of tables that were looked at and are as they must be.
      read_before: commits that were read last, by world, shard, epoch and sequence; they never change,
        but for an erasure.
    """

    def __init__(self, project: str, dataset: str, patience_s: float | None = None) -> None:
        self.project, self.dataset = project, dataset
        self.where = f"bigquery://{project}/{dataset}"
        self.patience_s = PATIENCE_S if patience_s is None else patience_s
        self.endpoint = os.environ.get(ENDPOINT, "")
        self._client: Any = None
        self._reader: Any = None
        self.location = ""
        self.known: set[str] = set()
        self.read_before: dict[tuple[str, int, int, int], Any] = {}

    # ---- what there is

    def is_there(self) -> bool:
        """Whether the dataset exists."""
        from google.api_core.exceptions import NotFound

        with told(self.where):
            if self.location:
                return True
            try:
                found = self._again(lambda: self._google().get_dataset(self._dataset_id(), retry=None))
            except NotFound:
                return False
            self.location = found.location or "US"
            return True

    def make(self) -> bool:
        """Makes the dataset if it is not there; returns whether it was made."""
        with told(self.where):
            from google.cloud import bigquery

            if self.is_there():
                return False
            wanted = bigquery.Dataset(self._dataset_id())
            wanted.location = os.environ.get(LOCATION, "US")
            made = self._again(lambda: self._google().create_dataset(wanted, exists_ok=True, retry=None))
            self.location = made.location or "US"
            return True

    def found(self, name: str) -> Found | None:
        """What a table is; None if it is not there."""
        from google.api_core.exceptions import NotFound

        with told(self.where):
            try:
                return found_of(
                    self._again(lambda: self._google().get_table(self._table_id(name), retry=None))
                )
            except NotFound:
                return None

    def need(self, table: Table, statement: str = "") -> None:
        """Makes a table if it is not there, and looks once that it is as it must be. Raises NotAStore."""
        if table.name in self.known:
            return
        found = self.found(table.name)
        if found is None:
            self.query(statement or create(table))
        else:
            check(self.where, table, found)
        self.known.add(table.name)

    def drop(self, name: str) -> None:
        """Deletes a table, if it is there: a call that is no job and costs nothing."""
        with told(self.where):
            self._again(
                lambda: self._google().delete_table(self._table_id(name), not_found_ok=True, retry=None)
            )

    # ---- what is done

    def query(self, sql: str, values: Values | None = None) -> list[dict[str, Any]]:
        """Asks; the answer as dicts of Python values. For what changes nothing, or may be done twice."""
        with told(self.where):
            from google.api_core.exceptions import Conflict

            config = self._config(values)
            asked = self._again(
                lambda: self._google().query_and_wait(
                    sql, job_config=config, location=self.location or None, retry=None, job_retry=None
                ),
                (Conflict,),
            )
            return [dict(row.items()) for row in asked]

    def change(self, sql: str, values: Values, job: str) -> int:
        """Changes rows, exactly once for each `job`; returns how many rows it changed then."""
        with told(self.where):
            config = self._config(values)
            done = self._job(
                job,
                lambda job_id: self._google().query(
                    sql, job_config=config, job_id=job_id, location=self.location or None, retry=None,
                    job_retry=None,
                ),
            )  # fmt: skip
            return int(done.num_dml_affected_rows or 0)

    def load(self, table: str, rows: pa.Table, job: str, *, replace: bool, days: int = 0) -> int:
        """Loads rows into a table, exactly once for each `job`; returns how many.

        Args:
          replace: in place of what is there; else after it. Columns the table does not have are refused.
          days: a table made here is deleted by itself after so many days; 0: never.
        """
        with told(self.where):
            import pyarrow.parquet as pq
            from google.api_core.exceptions import Conflict, NotFound
            from google.cloud import bigquery

            packed = io.BytesIO()
            pq.write_table(rows, packed, compression="snappy")
            config = bigquery.LoadJobConfig(
                source_format=bigquery.SourceFormat.PARQUET,
                write_disposition="WRITE_TRUNCATE" if replace else "WRITE_APPEND",
            )

            def submit(job_id: str) -> Any:
                packed.seek(0)
                try:
                    return self._google().load_table_from_file(
                        packed, self._table_id(table), size=len(packed.getbuffer()), job_id=job_id,
                        job_config=config, num_retries=0, location=self.location or None,
                    )  # fmt: skip
                except NotFound as error:
                    # The rows came twice, and the first time used up their upload: the job is there.
                    if "upload_id=" not in str(error):
                        raise
                    raise Conflict(str(error)) from error  # type: ignore[no-untyped-call]

            done = self._job(job, submit)
            if days:
                self._expire(table, days)
            return int(done.output_rows or 0)

    def read(self, table: str, columns: Sequence[str], restriction: str, values: Values) -> pa.Table:
        """Some columns of a table, by the Storage Read API.

        Args:
          restriction: a test of rows without parameters, for that interface knows none.
          values: those of a query, where that interface is not to be had; `restriction` names them @so.
        """
        with told(self.where):
            from google.api_core.exceptions import Conflict

            if self.endpoint and not os.environ.get(STORAGE_ENDPOINT):
                listed = ", ".join(f"`{name}`" for name in columns)
                sql = f"SELECT {listed} FROM `{table}` WHERE {restriction}"
                config = self._config(values)
                return self._again(
                    lambda: self._google().query_and_wait(
                        sql, job_config=config, location=self.location or None, retry=None, job_retry=None
                    ).to_arrow(create_bqstorage_client=False),
                    (Conflict,),
                )  # fmt: skip
            return self._again(lambda: self._streamed(table, columns, spelled(restriction, values)))

    def close(self) -> None:
        """Lets go of the line; the next use makes it anew."""
        client, reader = self._client, self._reader
        self._client = self._reader = None
        if client is not None:
            client.close()
        if reader is not None:
            reader.transport.close()

    # ---- how

    def _streamed(self, table: str, columns: Sequence[str], restriction: str) -> pa.Table:
        import pyarrow as pa
        from google.cloud.bigquery_storage_v1 import types

        reader = self._storage()
        wanted = types.ReadSession(
            table=f"projects/{self.project}/datasets/{self.dataset}/tables/{table}",
            data_format=types.DataFormat.ARROW,
            read_options=types.ReadSession.TableReadOptions(
                selected_fields=list(columns), row_restriction=restriction
            ),
        )
        session = reader.create_read_session(
            parent=f"projects/{self.project}", read_session=wanted, max_stream_count=4
        )
        schema = pa.ipc.read_schema(pa.py_buffer(session.arrow_schema.serialized_schema))
        batches = [
            pa.ipc.read_record_batch(pa.py_buffer(part.arrow_record_batch.serialized_record_batch), schema)
            for stream in session.streams
            for part in reader.read_rows(stream.name)
        ]
        return pa.Table.from_batches(batches, schema).select(list(columns))

    def _job(self, job: str, submit: Callable[[str], Any]) -> Any:
        for attempt in range(ATTEMPTS):
            job_id = f"{job}-a{attempt}"

            def ended(job_id: str = job_id) -> Any:
                found = self._looked_up(job_id)
                while found.state != "DONE":
                    time.sleep(0.5)
                    found.reload(retry=None)
                return found

            done, fresh = self._submitted(job_id, submit)
            if done.state != "DONE":
                done = self._again(ended)
            failed = done.error_result
            if not failed:
                return done
            # One that failed before is not asked why: what was wrong then may be mended now.
            if fresh and failed.get("reason") not in AGAIN and not passes(done.exception()):
                raise done.exception()
            self._pause(min(attempt, 4))
        raise StoreError(
            f"{ATTEMPTS} jobs called {job} failed one after the other for {self.where}; the last said: "
            f"{failed.get('message')}. Look at them in the console of BigQuery."
        )

    def _submitted(self, job_id: str, submit: Callable[[str], Any]) -> tuple[Any, bool]:
        """A job that was submitted now, or that was there already, and whether it was now."""
        from google.api_core.exceptions import Conflict, NotFound

        until = time.monotonic() + self.patience_s
        while True:
            try:
                return self._again(lambda: submit(job_id)), True
            except Conflict:
                try:
                    return self._again(lambda: self._looked_up(job_id)), False
                except NotFound:  # said to be there, and not yet to be seen
                    if time.monotonic() >= until:
                        raise
            self._pause(1)

    def _looked_up(self, job_id: str) -> Any:
        return self._google().get_job(job_id, location=self.location or None, retry=None)

    def _again(self, step: Callable[[], T], also: tuple[type[Exception], ...] = ()) -> T:
        """Does a step until it succeeds, or fails in a way that does not pass; of `also` all pass."""
        until = time.monotonic() + self.patience_s
        tries = 0
        while True:
            try:
                return step()
            except Exception as error:
                passing = isinstance(error, also) or passes(error)
                if not passing or reason_of(error) == "quotaExceeded" or time.monotonic() >= until:
                    raise
            self._pause(tries)
            tries += 1

    def _pause(self, tries: int) -> None:
        time.sleep(min(0.1 * 2.0**tries, 8.0, self.patience_s) * random.uniform(0.5, 1.0))

    def _google(self) -> Any:
        if self._client is None:
            self._client = client_of(self.project, self.endpoint)
        return self._client

    def _storage(self) -> Any:
        if self._reader is None:
            self._reader = reader_of(
                self._google(), os.environ.get(STORAGE_ENDPOINT) if self.endpoint else None
            )
        return self._reader

    def _expire(self, table: str, days: int) -> None:
        from datetime import UTC, datetime, timedelta

        from google.cloud import bigquery

        expiring = bigquery.Table(self._table_id(table))
        expiring.expires = datetime.now(UTC) + timedelta(days=days)
        self._again(lambda: self._google().update_table(expiring, ["expires"], retry=None))

    def _dataset_id(self) -> str:
        return f"{self.project}.{self.dataset}"

    def _table_id(self, table: str) -> str:
        return f"{self.project}.{self.dataset}.{table}"

    def _config(self, values: Values | None) -> Any:
        from google.cloud import bigquery

        return bigquery.QueryJobConfig(
            default_dataset=self._dataset_id(),
            query_parameters=[parameter(bigquery, name, value) for name, value in (values or {}).items()],
            use_legacy_sql=False,
        )
