"""Names: which worlds there may be, and what their tables are called."""

from __future__ import annotations

import re

from storage.base import BadWorldName

MAX_NAME = 100
_PART = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
_WORLD = re.compile(rf"{_PART}(/{_PART})?")

EVENT_TABLES: tuple[str, ...] = ("touchpoints", "conversions", "episodes")
TABLES: tuple[str, ...] = ("persistent_users", *EVENT_TABLES)


def checked_world(world: object) -> str:
    """Returns the name if a world can have it, else raises BadWorldName."""
    if isinstance(world, str) and len(world) <= MAX_NAME and _WORLD.fullmatch(world):
        return world
    raise BadWorldName(
        f"{world!r} cannot name a world: use letters, digits, '_', '.' and '-', beginning with a letter or "
        f"digit, at most one '/' for a sub-world, and at most {MAX_NAME} characters, e.g. 'demo' or 'demo/1'."
    )


def table_key(world: str) -> str:
    """What two worlds of one store must not share: the name as SQL sees it, without regard to case."""
    return world.replace("/", "_").casefold()


def users_table(world: str, *, first: bool) -> str:
    """The table of a world's users: the first world of a file has the plain name."""
    return "persistent_users" if first else f"persistent_users__{world.replace('/', '_')}"


def named_number(user_id: str) -> int | None:
    """The number whose default user_id this is, or None for a name that somebody gave."""
    match = re.fullmatch(r"u(\d{9}|[1-9]\d{9,18})", user_id, flags=re.ASCII)
    return int(match[1]) if match else None
