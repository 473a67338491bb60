"""Wall-clock time for audit columns and leases; no simulation ever sees it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now_us() -> int:
    """Microseconds since 1970, UTC."""
    return time.time_ns() // 1000


def time_text(us: int) -> str:
    """A moment as stores write it: 'YYYY-MM-DD HH:MM:SS.ffffff', UTC."""
    return (_EPOCH + timedelta(microseconds=us)).strftime("%Y-%m-%d %H:%M:%S.%f")


def time_us(text: str) -> int:
    """Microseconds since 1970 of a moment as `time_text` writes it."""
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
