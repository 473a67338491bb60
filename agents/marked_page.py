"""A page with a part that a command writes: everything around the marks stays as it is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from agents.manifest import write_whole

Marks = tuple[str, str]
"""Where the part begins, and where it ends."""


def marks(command: str) -> Marks:
    """The marks of a command's part: HTML comments that name it."""
    begin = f"<!-- {command}:begin (written by gaelp {command} --write-docs; do not edit) -->"
    return begin, f"<!-- {command}:end -->"


def checked_page(page: Path, between: Marks) -> str:
    """The page's text. Raises ValueError if the page is not there or has not both marks, in order."""
    begin, end = between
    if not page.is_file():
        raise ValueError(f"There is no page {page}; --write-docs wants one with the marks {begin} and {end}.")
    text = page.read_text(encoding="utf-8")
    at = text.find(begin)
    if at < 0 or text.find(end) < at:
        raise ValueError(
            f"The page {page} lacks the marks {begin} and {end}, between which figures are written."
        )
    return text


def write_part(page: Path, between: Marks, lines: Iterable[str]) -> None:
    """Replaces what stands between the marks of a page, whole or not at all."""
    begin, end = between
    before, rest = checked_page(page, between).split(begin, 1)
    part = "\n".join(lines)
    write_whole(page, f"{before}{begin}\n\n{part}\n\n{end}{rest.split(end, 1)[1]}")
