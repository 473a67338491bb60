"""The tables of docs/market.md, made from the models: `python -m gaelp_env.config_docs`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from gaelp_env import published
from gaelp_env.config import MarketConfig
from gaelp_env.config_load import presets
from gaelp_env.config_words import Entry, entries, number, range_words, sections
from gaelp_env.constants import click_weights, price_levels

PAGE = Path(__file__).resolve().parent.parent / "docs" / "market.md"
HEADERS = ("key", "default", "unit", "range", "source", "what")
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def value_words(value: Any) -> str:
    """A default as it stands in YAML."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + ", ".join(value_words(item) for item in value) + "]"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 and not value.is_integer() else number(value)
    return str(value)


def limits(entry: Entry) -> str:
    """The range of a key as a cell: "from 0 to 1", "a, b or c"."""
    if entry.kind == "choice":
        return ", ".join(entry.choices)
    if entry.kind == "flag":
        return "true, false"
    if entry.kind == "moment":
        return "a date that exists"
    words = range_words(entry) or "any"
    if entry.kind == "list":
        low, high = entry.lengths
        words = f"{low if low == high else f'{low} to {high}'} numbers, each {words}"
    if entry.total is not None:
        words += f", sum {number(entry.total)}"
    return f"{words}, or null" if entry.optional else words


def source_words(entry: Entry) -> str:
    """The source as a cell: the word assumed in italics, no pointers to pages outside the project."""
    return entry.source.replace("assumed", "*assumed*")


def _row(entry: Entry, key: str) -> tuple[str, ...]:
    unit = "" if entry.unit in ("flag", "profile", "auction rule") else entry.unit
    return (f"`{key}`", value_words(entry.default), unit, limits(entry), source_words(entry), entry.text)


def _section(name: str) -> str:
    part = getattr(MarketConfig(), name)
    title = " ".join((type(part).__doc__ or "").split())
    rows = [_row(entries()[f"{name}.{key}"], key) for key in sections()[name] if f"{name}.{key}" in entries()]
    words = [f"### `{name}`\n{title}"]
    if rows:
        words.append(table(HEADERS, rows))
    inner = {key: getattr(part, key) for key in sections()[name] if f"{name}.{key}" in sections()}
    if inner:
        words.append(_several(name, inner))
    return "\n\n".join(words)


def _several(name: str, parts: Mapping[str, BaseModel]) -> str:
    """Sections of one kind beside each other: what a key is, and the default in each."""
    kind = " ".join((type(next(iter(parts.values()))).__doc__ or "").split())
    first = next(iter(parts))
    keys = sections()[f"{name}.{first}"]
    what = [_row(entries()[f"{name}.{first}.{key}"], key) for key in keys]
    levels = [
        (f"`{key}`", *(value_words(entries()[f"{name}.{part}.{key}"].default) for part in parts))
        for key in keys
    ]
    shared = table((HEADERS[0], *HEADERS[2:]), [(row[0], *row[2:]) for row in what])
    return f"{kind}\n\n{shared}\n\nDefaults:\n\n{table(('key', *parts), levels)}"


def constants() -> str:
    """All constants of the default market as Markdown, a table for every section."""
    return "\n\n".join(_section(name) for name in sections()[""])


def profiles() -> str:
    """The published profiles by hour and by day, and what is derived from them, as Markdown."""
    price, click = price_levels("ipinyou"), click_weights("ipinyou")
    hours = [
        (
            str(hour),
            f"{100 * published.HOUR_SHARES['avito'][hour]:.2f}",
            f"{100 * published.HOUR_SHARES['auctionnet'][hour]:.2f}",
            f"{100 * published.IPINYOU_WON_SHARE_BY_HOUR[hour]:.2f}",
            f"{100 * published.IPINYOU_CTR_BY_HOUR[hour]:.4f}",
            f"{click[hour]:.3f}",
            f"{price[hour]:.3f}",
        )
        for hour in range(24)
    ]
    header = (
        "hour", "traffic, `avito` (%)", "traffic, `auctionnet` (%)", "iPinYou won (%)", "iPinYou CTR (%)",
        "click weight", "price level",
    )  # fmt: skip
    days = [
        (f"`{name}`", *(f"{weight:.2f}" for weight in weights))
        for name, weights in published.DAY_WEIGHTS.items()
    ]
    return f"{table(header, hours)}\n\n{table(('weekdays', *DAYS), days)}"


def preset_list() -> str:
    """The presets with the first line of each file, as Markdown."""
    lines = {name: path.read_text(encoding="utf-8").splitlines()[0] for name, path in presets().items()}
    return "\n".join(f"- `{name}`: {line.lstrip('# ')}" for name, line in lines.items())


PARTS = {"constants": constants, "profiles": profiles, "presets": preset_list}
"""What is made: the name in the page's markers -> who makes it."""


def renewed(page: str) -> str:
    """The page with everything between its markers made anew; the prose around stays.

    Raises: ValueError if a marker is missing.
    """
    for name, make in PARTS.items():
        begin, end = f"<!-- made: {name} -->", f"<!-- end: {name} -->"
        if page.count(begin) != 1 or page.count(end) != 1:
            raise ValueError(f"The page must hold {begin} and {end}, each once.")
        before, _, rest = page.partition(begin)
        after = rest.partition(end)[2]
        page = f"{before}{begin}\n\n{make()}\n\n{end}{after}"
    return page


def main(path: Path = PAGE) -> int:
    """Brings the page up to date; 0 if that worked."""
    if not path.is_file():
        print(f"There is no page {path}; run this from a checkout of the project.", file=sys.stderr)
        return 2
    page = path.read_text(encoding="utf-8")
    fresh = renewed(page)
    path.write_text(fresh, encoding="utf-8")
    print(f"{path.name} {'was up to date' if fresh == page else 'is brought up to date'}.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
