"""The last touches and orders of users as JSON text, for the public columns.

Touches are many, so their text is written by compiled code, digit by digit; orders are few.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

_DAYS_BEFORE_1970 = 719_468  # from 0000-03-01, the origin of the civil calendar's algorithm
_DIGIT_0 = 48
_STAMP = 19  # "2026-01-05T00:03:00"


@njit(cache=True)
def _write_number(out, at, value, width):  # type: ignore[no-untyped-def]
    for k in range(width):
        out[at + width - 1 - k] = _DIGIT_0 + value % 10
        value //= 10


@njit(cache=True)
def _write_stamp(out, at, minutes):  # type: ignore[no-untyped-def]
    """Writes minutes since 1970 as an ISO stamp of 19 characters.

    Source: H. Hinnant, "chrono-compatible low-level date algorithms" (2013), civil_from_days.
    """
    days, minute = minutes // 1440, minutes % 1440
    z = days + _DAYS_BEFORE_1970
    era = z // 146097
    day_of_era = z - era * 146097
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_part = (5 * day_of_year + 2) // 153
    month = month_part + 3 if month_part < 10 else month_part - 9
    year = year_of_era + era * 400 + (1 if month <= 2 else 0)
    _write_number(out, at, year, 4)
    _write_number(out, at + 5, month, 2)
    _write_number(out, at + 8, day_of_year - (153 * month_part + 2) // 5 + 1, 2)
    _write_number(out, at + 11, minute // 60, 2)
    _write_number(out, at + 14, minute % 60, 2)
    _write_number(out, at + 17, 0, 2)
    out[at + 4] = out[at + 7] = 45  # -
    out[at + 10] = 84  # T
    out[at + 13] = out[at + 16] = 58  # :


@njit(cache=True)
def _write_touches(out, ends, touches, heads, minutes, channels, clicked, epoch, starts, lengths, tails):  # type: ignore[no-untyped-def]
    ring = minutes.shape[1]
    at = 0
    for i in range(len(heads)):
        out[at] = 91  # [
        at += 1
        count = min(touches[i], ring)
        for k in range(count):
            place = (heads[i] + ring - count + k) % ring
            if k > 0:
                out[at] = 44  # ,
                at += 1
            out[at : at + len(starts)] = starts
            at += len(starts)
            _write_stamp(out, at, epoch + minutes[i, place])
            at += _STAMP
            tail = 2 * channels[i, place] + clicked[i, place]
            out[at : at + lengths[tail]] = tails[tail, : lengths[tail]]
            at += lengths[tail]
        out[at] = 93  # ]
        at += 1
        ends[i] = at


def touch_histories(rows: NDArray[Any], epoch: np.datetime64, channels: tuple[str, ...]) -> list[str]:
    """The last touches of users as JSON text, oldest first: [{"at", "channel", "clicked"} …].

    Args:
      rows: `[K]` of USER.
      epoch: moment of minute 0, UTC.
      channels: names by channel number.
    """
    if not len(rows):
        return []
    texts = [
        f'","channel":"{name}","clicked":{flag}}}'.encode() for name in channels for flag in ("false", "true")
    ]
    lengths = np.array([len(text) for text in texts])
    tails = np.zeros((len(texts), lengths.max()), np.uint8)
    for tail, end in zip(tails, texts, strict=True):
        tail[: len(end)] = np.frombuffer(end, np.uint8)
    start = np.frombuffer(b'{"at":"', np.uint8)
    ring = rows["ring_minute"].shape[1]
    shown = int(np.minimum(rows["touches"], ring).sum())
    out = np.empty(2 * len(rows) + shown * (len(start) + _STAMP + int(lengths.max()) + 1), np.uint8)
    ends = np.empty(len(rows), np.int64)
    first = int(epoch.astype("datetime64[m]").astype(np.int64))
    column = {
        name: np.ascontiguousarray(rows[name], np.int64)
        for name in ("touches", "ring_head", "ring_minute", "ring_channel", "ring_clicked")
    }
    _write_touches(
        out, ends, column["touches"], column["ring_head"], column["ring_minute"], column["ring_channel"],
        column["ring_clicked"], first, start, lengths, tails,
    )  # fmt: skip
    stops = ends.tolist()
    text = out[: stops[-1]].tobytes().decode("ascii")
    return [text[a:b] for a, b in zip([0, *stops[:-1]], stops, strict=True)]


def order_histories(rows: NDArray[Any], due: Any, epoch: np.datetime64) -> list[str]:
    """The last orders of users as JSON text, oldest first: [{"at", "value"} …], and at the end
    {"due", "value"} for an order that is decided and not yet due.

    Args:
      rows: `[K]` of USER.
      due: `[K]` datetime64, when pending orders fall due; read only where there is one.
      epoch: moment of minute 0, UTC.
    """
    out = ["[]"] * len(rows)
    start = epoch.astype("datetime64[s]")
    for i in np.flatnonzero((rows["ring_orders"] > 0) | (rows["due_h"] >= 0.0)).tolist():
        row = rows[i]
        orders = [
            {
                "at": str(start + np.timedelta64(60 * int(row["order_minute"][k]), "s")),
                "value": round(float(row["order_paid"][k]), 2),
            }
            for k in range(int(row["ring_orders"]))
        ]
        if row["due_h"] >= 0.0:
            at = str(due[i].astype("datetime64[s]"))
            orders.append({"due": at, "value": round(float(row["order_value"]), 2)})
        out[i] = json.dumps(orders, separators=(",", ":"))
    return out
