"""Starts local-bigquery where there is no network; run by the emulator's own Python, never imported.

local-bigquery attaches its catalogue by DuckDB's extension `ducklake` and sets a time zone, and DuckDB would
download what both need. So every connection loads the extension from the package that carries it, and the
time zone is set by a statement, which asks for nothing. Functions of geography, which ask for one more
download, are left out.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

import duckdb  # type: ignore[import-not-found,unused-ignore]
from duckdb_extensions import import_extension  # type: ignore[import-not-found,unused-ignore]

_connect = duckdb.connect


def connect_offline(*args: Any, config: dict[str, Any] | None = None, **others: Any) -> Any:
    """duckdb.connect with ducklake loaded from its package; a `TimeZone` is set by a statement."""
    settings = {"extension_directory": EXTENSIONS, **(config or {})}
    zone = settings.pop("TimeZone", None)
    connection = _connect(*args, config=settings, **others)
    import_extension("ducklake", con=connection)
    connection.execute("LOAD ducklake")
    if zone is not None:
        connection.execute(f"SET GLOBAL TimeZone = '{zone}'")
    return connection


def end_with_parent() -> None:
    """Ends this process when its parent is gone, killed or not: standard input ends then."""

    def wait() -> None:
        sys.stdin.buffer.read()
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    end_with_parent()
    # A folder of this server's own: two servers that install into one at the same moment would tear it.
    EXTENSIONS = sys.argv.pop(1)
    duckdb.connect = connect_offline

    from emulator_quick import quicken  # type: ignore[import-not-found,unused-ignore]
    from local_bigquery.cli import main  # type: ignore[import-not-found,unused-ignore]
    from local_bigquery.engine import database  # type: ignore[import-not-found,unused-ignore]

    if not os.environ.get("GAELP_EMULATOR_PLAIN"):
        quicken()
    database.FUNCTIONS = [file for file in database.FUNCTIONS if file.stem != "geography"]
    main(sys.argv[1:])
