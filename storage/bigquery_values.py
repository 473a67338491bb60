"""Values on their way into a query: parameters with their types, and the tests of the Storage Read API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Values = Mapping[str, Any]
"""Parameters of a query by name; of None and of empty lists a pair (type, value)."""


def typed(kind: str, value: object) -> tuple[str, object]:
    """A parameter whose type its value does not tell: None, or a list that may be empty."""
    return kind, value


def parameter(bigquery: Any, name: str, value: Any) -> Any:
    from datetime import datetime

    if isinstance(value, tuple):
        kind, value = value
    else:
        first = value[0] if isinstance(value, list) else value
        kinds: list[tuple[type, str]] = [
            (bool, "BOOL"), (int, "INT64"), (float, "FLOAT64"), (str, "STRING"), (bytes, "BYTES"),
            (datetime, "TIMESTAMP"),
        ]  # fmt: skip
        kind = next(sql for python, sql in kinds if isinstance(first, python))
    if isinstance(value, list):
        return bigquery.ArrayQueryParameter(name, kind, value)
    return bigquery.ScalarQueryParameter(name, kind, value)


def spelled(restriction: str, values: Values) -> str:
    """A test of rows with its values written out."""
    for name, value in values.items():
        text = (
            str(value)
            if isinstance(value, int)
            else "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
        )
        restriction = restriction.replace(f"@{name}", text)
    return restriction
