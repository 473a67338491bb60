"""A world as Parquet files: the public tables, typed, with what they are of in their metadata."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from agents.manifest import versions
from agents.store_moves import Watch, chosen_worlds, nobody_watches, parts_of
from gaelp_env.world_public import public_of
from storage import open_store
from storage.base import WorldExists
from storage.moving import Head, Rows
from storage.names import TABLES

GROUP_ROWS = 1 << 16
"""Rows in a row group, at most."""
PART = ".part"
"""What the name of a file ends in until it is whole."""
_MARK = "gaelp."


def export_world(url: str, world: str, folder: Path, watch: Watch = nobody_watches) -> dict[str, Any]:
    """Writes the public tables of a world, as of its last commit, as Parquet files, one for each.

    Texts of JSON stay text, times are UTC timestamps of microseconds, flags booleans. The metadata of each
    file has `gaelp.world`, `gaelp.sequence`, `gaelp.fingerprint` and `gaelp.version`. The world may be played
    meanwhile; of several shards each is as of its own last commit. A file gets its name when all are whole;
    an older export of the world is replaced.

    Args:
      url: of the store.
      folder: made if it is not there.
      watch: is told how it goes.
    Returns: {"world", "store", "sequence", "folder", "files": table -> {"file", "rows", "bytes"}}, JSON-able.
    Raises: WorldNotFound; WorldExists if the folder holds files of that name that are not of this world.
    """
    ((place, line),) = chosen_worlds(url, world)
    homes = parts_of(place, line)
    files = {table: folder / f"{table}.parquet" for table in TABLES}
    for file in files.values():
        _check_free(file, world)
    folder.mkdir(parents=True, exist_ok=True)
    parts = {table: file.with_name(file.name + PART) for table, file in files.items()}
    try:
        counts, sequence = _write(homes, world, parts, watch)
        for part in parts.values():
            _sync(part)
        for table, part in parts.items():
            os.replace(part, files[table])
        _sync(folder)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
    return {
        "world": world,
        "store": url,
        "sequence": sequence,
        "folder": str(folder),
        "files": {
            table: {"file": str(file), "rows": counts[table], "bytes": file.stat().st_size}
            for table, file in files.items()
        },
    }


def _write(
    homes: Sequence[tuple[str, int | None]], world: str, parts: Mapping[str, Path], watch: Watch
) -> tuple[dict[str, int], int]:
    """Writes the tables; returns the rows of each, and the commit of the shard that is furthest behind."""
    counts, passed = dict.fromkeys(parts, 0), 0
    with ExitStack() as stack:
        heads, streams = [], []
        for home, shard in homes:
            store = open_store(home, read_only=True, public=public_of)
            stack.callback(store.close)
            stream = store.unload(world, shard, records=False)
            head = next(stream)
            assert isinstance(head, Head)
            heads.append(head)
            streams.append(stream)
        stands = {shard: stand.sequence for head in heads for shard, stand in head.stands.items()}
        whole = sum(sum(head.counts.values()) for head in heads)
        kinds = {table: kinds for head in heads for table, kinds in head.kinds.items()}
        marks = _marks(heads[0], stands)
        tables = {
            table: stack.enter_context(_Table(part, kinds.get(table, {}), marks))
            for table, part in parts.items()
        }
        for stream in streams:
            for portion in stream:
                assert isinstance(portion, Rows)
                tables[portion.table].add(portion.rows)
                counts[portion.table] += len(portion.rows)
                passed += len(portion.rows)
                watch(world, passed, whole)
    return counts, min(stands.values())


def _marks(head: Head, stands: Mapping[int, int]) -> dict[str, str]:
    return {
        "world": head.birth.world,
        "sequence": str(min(stands.values())),
        "shards": json.dumps(stands),
        "fingerprint": head.birth.fingerprint,
        "parent": head.birth.parent,
        "version": versions()["gaelp"],
    }


class _Table:
    """A Parquet file that grows by rows; what comes together is written in row groups."""

    def __init__(self, path: Path, kinds: Mapping[str, str], marks: Mapping[str, str]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        types = {
            "integer": pa.int64(), "real": pa.float64(), "text": pa.string(), "flag": pa.bool_(),
            "time": pa.timestamp("us", tz="UTC"),
        }  # fmt: skip
        fields = [pa.field(name, types[kind]) for name, kind in kinds.items()]
        self._kinds = list(kinds.values())
        self._schema = pa.schema(fields, {_MARK + name: value for name, value in marks.items()})
        self._writer = pq.ParquetWriter(path, self._schema)
        self._rows: list[tuple[Any, ...]] = []

    def __enter__(self) -> _Table:
        return self

    def add(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Adds rows in stored values."""
        self._rows.extend(rows)
        if len(self._rows) >= GROUP_ROWS:
            self._flush()

    def __exit__(self, *_: object) -> None:
        try:
            self._flush()
        finally:
            self._writer.close()

    def _flush(self) -> None:
        import pyarrow as pa

        for start in range(0, len(self._rows), GROUP_ROWS):
            columns = zip(*self._rows[start : start + GROUP_ROWS], strict=True)
            arrays = [
                pa.array(_typed(kind, column), type=field.type)
                for kind, column, field in zip(self._kinds, columns, self._schema, strict=True)
            ]
            self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        self._rows = []


def _typed(kind: str, column: Sequence[Any]) -> Any:
    """Stored values as Arrow takes them."""
    if kind == "time":
        return np.array(column, "M8[us]")
    if kind == "flag":
        return [None if value is None else bool(value) for value in column]
    return column


def _check_free(file: Path, world: str) -> None:
    """Raises WorldExists if a file is there that is no export of the world."""
    if not file.exists():
        return
    found = marks_of(file)
    if found.get("world") != world:
        holds = f"world {found['world']!r}" if "world" in found else "something else"
        raise WorldExists(
            f"The file {str(file)!r} holds {holds}, and not world {world!r}; name another folder."
        )


def marks_of(file: Path) -> dict[str, str]:
    """What the metadata of a Parquet file say of the world that it is of; empty if it is none of ours."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        told = pq.read_schema(file).metadata or {}
    except pa.ArrowInvalid:
        return {}
    marked = {
        name.decode(): value.decode() for name, value in told.items() if name.startswith(_MARK.encode())
    }
    return {name.removeprefix(_MARK): value for name, value in marked.items()}


def read_back(file: Path) -> Iterator[dict[str, Any]]:
    """The rows of an exported file as `Store.rows` gives them."""
    import pyarrow.parquet as pq

    for batch in pq.ParquetFile(file).iter_batches():
        for row in batch.to_pylist():
            yield {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    return value.strftime("%Y-%m-%d %H:%M:%S.%f") if hasattr(value, "strftime") else value


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
