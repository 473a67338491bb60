"""Google's own analyzer of GoogleSQL over our statements: it rejects what an emulator lets through.

    analyze("SELECT x FROM `p.d.t` WHERE x > @low", {"p.d.t": {"x": "INT64"}}, {"low": "INT64"})

One statement at a time, no scripts. The first start compiles 28 MB of WebAssembly (12 s on two idle cores, a
gigabyte of memory). With `keep_compiled` later starts take 2 s. A statement takes about 0.1 s.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Columns = Mapping[str, str]
"""Types by column, as BigQuery writes them: INT64, ARRAY<STRING>, STRUCT<a INT64, b JSON>."""

SIMPLE = {
    "BOOL": "TYPE_BOOL",
    "BYTES": "TYPE_BYTES",
    "DATE": "TYPE_DATE",
    "DATETIME": "TYPE_DATETIME",
    "FLOAT64": "TYPE_DOUBLE",
    "INT64": "TYPE_INT64",
    "JSON": "TYPE_JSON",
    "NUMERIC": "TYPE_NUMERIC",
    "STRING": "TYPE_STRING",
    "TIME": "TYPE_TIME",
    "TIMESTAMP": "TYPE_TIMESTAMP",
}

ABSENT = ("FEATURE_JSON_TYPE_COMPARISON", "FEATURE_ARRAY_EQUALITY", "FEATURE_ARRAY_ORDERING")
"""Features of the language that BigQuery is without: it compares no JSON values and no arrays."""


class BadStatement(Exception):
    """The analyzer does not take the statement; its words follow."""


def analyze(sql: str, tables: Mapping[str, Columns], parameters: Columns | None = None) -> str:
    """Has a statement analyzed; returns its kind, as ResolvedMergeStmt.

    Args:
      tables: by dotted name as the statement has it (`project.dataset.table`, in backquotes or bare).
      parameters: types by name, without the @.

    Raises:
      BadStatement: it is no valid GoogleSQL over these tables.
      ValueError: a type is none that we use.
    """
    from zetasql.api import Analyzer  # type: ignore[import-untyped]
    from zetasql.core.exceptions import ZetaSQLError  # type: ignore[import-untyped]
    from zetasql.types import AnalyzerOptions  # type: ignore[import-untyped]

    language = _language()
    named = [
        AnalyzerOptions.QueryParameter(name=name, type=type_of(text))
        for name, text in (parameters or {}).items()
    ]
    options = AnalyzerOptions(language_options=language, query_parameters=named)
    try:
        return type(Analyzer(options, _catalog(tables)).analyze_statement(sql)).__name__
    except ZetaSQLError as refused:
        raise BadStatement(f"{refused} in:\n{sql}") from refused


def keep_compiled(folder: Path) -> None:
    """Lets the analyzer keep what it compiles in a folder, for this process and later ones."""
    import zetasql.core.wasm_client as wasm  # type: ignore[import-untyped]
    from wasmtime import Config

    folder = folder.resolve()
    settings = folder / "wasmtime.toml"
    settings.write_text(f"[cache]\ndirectory = '{folder / 'modules'}'\n", encoding="utf-8")

    def configured() -> Any:
        config = Config()
        config.cache = str(settings)
        return config

    wasm.Config = configured


@functools.cache
def _language() -> Any:
    """BigQuery's side of the language: its types only, and all features but those that it is without."""
    from zetasql.types import LanguageFeature, LanguageOptions, ProductMode

    language = LanguageOptions.maximum_features()
    absent = {getattr(LanguageFeature, name) for name in ABSENT}
    language.enabled_language_features = [f for f in language.enabled_language_features if f not in absent]
    language.product_mode = ProductMode.PRODUCT_EXTERNAL
    return language


def _catalog(tables: Mapping[str, Columns]) -> Any:
    """Every table by its whole name, as one pair of backquotes has it, and by its parts, as bare dots do."""
    from zetasql.api import CatalogBuilder
    from zetasql.types import (
        SimpleCatalog,
        ZetaSQLBuiltinFunctionOptions,
    )

    functions = ZetaSQLBuiltinFunctionOptions(language_options=_language())
    root = CatalogBuilder("bigquery").with_builtin_functions(functions).build()
    for serial, (name, columns) in enumerate(tables.items()):
        folders = name.split(".")
        if len(folders) > 1:
            root.table.append(_table(name, columns, 2 * serial + 1))
        inner = root
        for folder in folders[:-1]:
            below = next((catalog for catalog in inner.catalog if catalog.name == folder), None)
            if below is None:
                below = SimpleCatalog(name=folder)
                inner.catalog.append(below)
            inner = below
        inner.table.append(_table(folders[-1], columns, 2 * serial + 2))
    return root


def _table(name: str, columns: Columns, serial: int) -> Any:
    from zetasql.api import TableBuilder

    builder = TableBuilder(name)
    for column, text in columns.items():
        builder.add_column(column, type_of(text))
    table = builder.build()
    table.serialization_id = serial
    return table


def type_of(text: str) -> Any:
    """The analyzer's type for one that BigQuery writes so.

    Raises:
      ValueError: it is none that we use.
    """
    from zetasql.api import TypeFactory
    from zetasql.types import TypeKind

    text = text.strip()
    if nested := re.fullmatch(r"ARRAY<(.*)>", text):
        return TypeFactory.create_array_type(type_of(nested[1]))
    if nested := re.fullmatch(r"STRUCT<(.*)>", text):
        fields = [field.strip().partition(" ") for field in split_fields(nested[1])]
        return TypeFactory.create_struct_type([(name, type_of(inner)) for name, _, inner in fields])
    if text not in SIMPLE:
        raise ValueError(
            f"There is no type {text!r}; the types are {', '.join(SIMPLE)}, ARRAY<…> and STRUCT<…>."
        )
    return TypeFactory.create_simple_type(getattr(TypeKind, SIMPLE[text]))


def split_fields(text: str) -> list[str]:
    """The fields of a struct, parted at commas outside of angle brackets."""
    fields, depth = [""], 0
    for letter in text:
        depth += (letter == "<") - (letter == ">")
        if letter == "," and depth == 0:
            fields.append("")
        else:
            fields[-1] += letter
    return fields
