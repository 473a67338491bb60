"""People whom only 15 public columns tell of, as records: what is not said there is filled in, and counted.

The columns say scores, stage, counts, moments and the last touches and orders. They do not say how often
somebody can be met, how ready they are to buy, on which device, when they leave and when their stage falls
back: that is drawn, as at a birth, from the user's number.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gaelp_env.births import born
from gaelp_env.config import CHANNELS, MarketConfig
from gaelp_env.constants import constants_of
from gaelp_env.population import (
    BOUGHT,
    CLICKED,
    COUNT_MOST,
    GONE,
    KNOWN,
    NEVER_S,
    REACHED,
    RING,
    STAGES,
    USER,
)
from gaelp_env.sessions import NO_SOURCE, PAID, UNKNOWN
from gaelp_env.upkeep import stage_clock

History = list[tuple[np.datetime64, dict[str, Any]]]
"""Entries with their moments, oldest first."""
MOST_SCORE = float(np.nextafter(np.float32(1.0), np.float32(0.0)))
"""Awareness and fatigue stay below one."""
_AT = ("at", "timestamp", "time", "ts", "date")
_VALUE = ("value", "revenue", "amount", "conversion_value")
DRAWN = "how often they are met, readiness to buy, device and stay are drawn, as at a birth"
CLOCKS = "when their stage falls back is drawn, as if it had been entered when they were last seen"


@dataclass(frozen=True, slots=True)
class Adopted:
    """People as records, and what had to be guessed.

    Attributes:
      users: `[U]` of USER, by number; who is not active is marked as gone.
      names: number -> user_id of those who are not called by their number.
      epoch: moment of hour 0: midnight before anything that is known of anybody.
      now_h: hours from then to the midnight after it.
      guesses: what was guessed -> of how many people.
    """

    users: NDArray[Any]
    names: dict[int, str]
    epoch: np.datetime64
    now_h: float
    guesses: dict[str, int]


def adopted(columns: Mapping[str, Sequence[Any]], config: MarketConfig, key: int) -> Adopted:
    """Makes records of public columns; `population.public_columns` gives the same columns back.

    That holds for user_id, stage, the scores (as 32-bit numbers below one), counts, moments, is_active, and
    the last touches and orders as far as a record holds them.

    Args:
      columns: public column -> `[U]` values: times as datetime, datetime64 or text in UTC, histories as JSON
        text or as what it says. Lacking columns count as empty.
      key: chance key of what is drawn.
    Raises: ValueError for a stage that there is none of, a user_id that is lacking or twice there, or a table
      without people.
    """
    ids = [str(name or "") for name in columns.get("user_id", ())]
    if not ids:
        raise ValueError("There are no people in this table; a world is born of at least one.")
    for name, count in Counter(ids).items():
        if not name or count > 1:
            what = f"{count} rows have the user_id {name!r}" if name else f"{count} rows have no user_id"
            raise ValueError(f"{what}; a person has one row. Mend the table first.")
    guesses: Counter[str] = Counter()
    column = {name: list(values) for name, values in columns.items()}
    numbers, names = _numbered(ids)
    order = np.argsort(numbers, kind="stable")
    numbers, column = numbers[order], {name: [values[k] for k in order] for name, values in column.items()}
    count = len(numbers)
    touches = [_history(value, guesses) for value in column.get("touchpoint_history", [None] * count)]
    orders = [_history(value, guesses) for value in column.get("conversion_history", [None] * count)]
    first, last = _seen(column, count, guesses)
    known = [moment for history in (*touches, *orders) for moment, _ in history]
    epoch = min([first.min(), *known]).astype("M8[D]").astype("M8[us]")
    now_h = 24.0 * np.ceil(_hours(np.array([last.max()]), epoch)[0] / 24.0 + 1e-9)
    users = _drawn(config, key, numbers, now_h)
    users["seen_h"], users["first_seen_s"] = (
        _hours(last, epoch),
        np.floor(3600.0 * _hours(first, epoch) + 1e-6),
    )
    _scores(users, column, guesses)
    users["stage"] = [_stage(value, guesses) for value in column.get("current_journey_state", [None] * count)]
    for field, name in (("episodes", "episode_count"), ("last_episode", "last_episode")):
        users[field] = [max(int(value or 0), 0) for value in column.get(name, [0] * count)]
    gone = np.array([value is not None and not value for value in column.get("is_active", [1] * count)])
    users["flags"][gone] |= GONE
    for k in range(count):
        _touched(users[k], touches[k], epoch, config)
        _bought(users[k], orders[k], epoch)
    constants = constants_of(config)
    users["stage_until_h"] = _clocks(
        np.uint64(key), numbers, users["stage"].astype(np.int64), users["seen_h"].copy(),
        constants.tick_h, constants.back_half_life_h,
    )  # fmt: skip
    own = column.get("canonical_user_id", [None] * count)
    apart = sum(
        other is not None and other != name for other, name in zip(own, (ids[k] for k in order), strict=True)
    )
    guesses["several names of one person (canonical_user_id) become people of their own"] = apart
    guesses[DRAWN] = count
    guesses[CLOCKS] = int((users["stage"] > 0).sum())
    return Adopted(users, names, epoch, float(now_h), {what: n for what, n in guesses.items() if n})


def _numbered(ids: Sequence[str]) -> tuple[NDArray[np.int64], dict[int, str]]:
    """Numbers of people: their own for those called by one, the others follow in the order of their names."""
    own = {name: int(name[1:]) for name in ids if len(name) == 10 and name[0] == "u" and name[1:].isdecimal()}
    next_number = max(own.values(), default=-1) + 1
    names = {next_number + k: name for k, name in enumerate(sorted(set(ids) - set(own)))}
    number_of = own | {name: number for number, name in names.items()}
    return np.array([number_of[name] for name in ids], np.int64), names


def _drawn(config: MarketConfig, key: int, numbers: NDArray[np.int64], hour: float) -> NDArray[Any]:
    """Newborns of these numbers: runs of numbers in a row are born together."""
    users = np.zeros(len(numbers), USER)
    starts = np.flatnonzero(np.diff(numbers, prepend=numbers[0] - 2) != 1)
    for start, stop in zip(starts, [*starts[1:], len(numbers)], strict=True):
        users[start:stop] = born(config, key, int(numbers[start]), int(stop - start), 0, hour)
    return users


def _seen(
    column: Mapping[str, Sequence[Any]], count: int, guesses: Counter[str]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """First and last meetings; who lacks one was met once, who lacks both is met now, at the last of all."""
    none = [None] * count
    first = np.array([_moment(value) for value in column.get("first_seen", none)], "M8[us]")
    last = np.array([_moment(value) for value in column.get("last_seen", none)], "M8[us]")
    lacking = np.isnat(first) | np.isnat(last)
    guesses["first or last meeting lacks: the other one is taken, or the last of the table"] = int(
        lacking.sum()
    )
    first, last = np.where(np.isnat(first), last, first), np.where(np.isnat(last), first, last)
    known = last[~np.isnat(last)]
    now = known.max() if len(known) else np.datetime64("2026-01-05", "us")
    first, last = np.where(np.isnat(first), now, first), np.where(np.isnat(last), now, last)
    turned = first > last
    guesses["first meeting after the last one: the last one is taken"] = int(turned.sum())
    return np.where(turned, last, first), last


def _scores(users: NDArray[Any], column: Mapping[str, Sequence[Any]], guesses: Counter[str]) -> None:
    """Awareness, intent and fatigue as of the last meeting; all fatigue is of the first creative.

    F = s / (1 - s), the inverse of the public score.
    """
    for field, name, most in (
        ("awareness", "awareness_level", MOST_SCORE),
        ("intent", "intent_score", 1.0),
        ("fatigue", "fatigue_score", 1.0 - 1e-6),
    ):
        given = column.get(name, [None] * len(users))
        score = np.array([np.nan if value is None else float(value) for value in given])
        guesses[f"{name} lacks, or is not in [0, 1): set to the nearest"] += int(
            (~((score >= 0.0) & (score <= most))).sum()
        )
        score = np.clip(np.nan_to_num(score), 0.0, most)
        if field == "fatigue":
            users["fatigue"][:, 0] = score / (1.0 - score)
        else:
            users[field] = score


def _stage(value: Any, guesses: Counter[str]) -> int:
    if value is None:
        guesses["stage lacks: UNAWARE"] += 1
        return 0
    name = str(value).strip().upper()
    if name not in STAGES:
        raise ValueError(
            f"There is no stage {value!r}; the stages are {', '.join(STAGES)}. Mend the table first."
        )
    return STAGES.index(name)


def _history(value: Any, guesses: Counter[str]) -> History:
    """Entries of a history with their moments, oldest first; one that has none is passed over."""
    try:
        entries = json.loads(value) if isinstance(value, str) else value
    except json.JSONDecodeError:
        entries = "?"
    if not isinstance(entries, list):
        guesses["history that cannot be read: none"] += entries is not None
        return []
    found = []
    for entry in entries:
        given = entry if isinstance(entry, dict) else {}
        at = _moment(next((given[name] for name in (*_AT, "due") if given.get(name)), None))
        if np.isnat(at):
            guesses["entry of a history without a moment: passed over"] += 1
        else:
            found.append((at, given))
    return sorted(found, key=lambda pair: pair[0])


def _touched(
    row: Any, history: Sequence[tuple[np.datetime64, dict[str, Any]]], epoch: Any, config: Any
) -> None:
    """The last touches: ring, counts, flags, and what they left in the channels' adstock."""
    row["touches"] = len(history)
    if history:
        row["flags"] |= REACHED
    for at, entry in history:
        name = str(entry.get("channel", "")).lower()
        channel = CHANNELS.index(name) if name in CHANNELS else CHANNELS.index("display")
        clicked = bool(entry.get("clicked"))
        hour, head = float(_hours(np.array([at]), epoch)[0]), int(row["ring_head"])
        row["ring_minute"][head], row["ring_channel"][head] = int(hour * 60.0 + 1e-6), channel
        row["ring_clicked"][head], row["ring_head"] = clicked, (head + 1) % RING
        half_life_h = 24.0 * config.channels.in_order()[channel].adstock_half_life_d
        row["adstock"][channel] += 2.0 ** (-max(float(row["seen_h"]) - hour, 0.0) / half_life_h)
        if clicked:
            row["flags"] |= CLICKED | KNOWN
            row["clicks"] = min(int(row["clicks"]) + 1, COUNT_MOST)
            row["last_click_h"], row["last_click_channel"] = hour, channel
            _visited(row, hour, PAID)


def _bought(row: Any, history: History, epoch: np.datetime64) -> None:
    """The last order, how many there were, and one that is decided and not yet due."""
    for at, entry in history:
        hour = float(_hours(np.array([at]), epoch)[0])
        paid = float(next((entry[name] for name in _VALUE if entry.get(name) is not None), 0.0))
        row["flags"] |= KNOWN
        if "due" in entry:
            row["due_h"], row["decided_h"], row["order_value"] = hour, row["seen_h"], paid
            continue
        row["conversions"] = min(int(row["conversions"]) + 1, COUNT_MOST)
        row["order_minute"][0], row["order_paid"][0], row["ring_orders"] = int(hour * 60.0 + 1e-6), paid, 1
        if row["clicks"] and float(row["last_click_h"]) <= hour:
            row["flags"] |= BOUGHT
        _visited(row, hour, UNKNOWN)


def _visited(row: Any, hour: float, source: int) -> None:
    """A visit that a click or an order tells of."""
    row["visits"] = min(int(row["visits"]) + 1, COUNT_MOST)
    row["source"] = source if row["source"] == NO_SOURCE else row["source"]
    second = int(hour * 3600.0)
    row["visit_s"] = second if row["visit_s"] == NEVER_S else max(int(row["visit_s"]), second)
    row["journeys"] = 1


def _moment(value: Any) -> np.datetime64:
    """A UTC moment to the microsecond; NaT for what is none."""
    if value is None or isinstance(value, np.datetime64):
        return np.datetime64("NaT", "us") if value is None else value.astype("M8[us]")
    try:
        given = (
            value if isinstance(value, datetime) else datetime.fromisoformat(str(value).replace(" UTC", "Z"))
        )
    except ValueError:
        return np.datetime64("NaT", "us")
    if given.tzinfo is not None:
        given = given.astimezone(UTC).replace(tzinfo=None)
    return np.datetime64(given, "us")


def _hours(moments: NDArray[Any], epoch: np.datetime64) -> NDArray[np.float64]:
    return (moments - epoch).astype("m8[us]").astype(np.int64) / 3.6e9


@njit(cache=True)
def _clocks(key, numbers, stages, entered_h, tick_h, half_lives_h):  # type: ignore[no-untyped-def]
    """When stages entered at these hours fall back."""
    rings_h = np.empty(len(numbers))
    for i in range(len(numbers)):
        rings_h[i] = stage_clock(key, numbers[i], tick_h, entered_h[i], stages[i], half_lives_h[stages[i]])
    return rings_h
