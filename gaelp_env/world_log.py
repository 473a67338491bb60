"""What happened in the episodes that are not committed yet: touchpoints, conversions, a line an episode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gaelp_env.ledger import CONVERSION, TOUCH
from gaelp_env.population import moments
from gaelp_env.rows import Rows, joined

LABEL_BYTES = 64

EPISODE = np.dtype(
    [
        ("episode", "<i8"),  # 1, 2, 3 …
        ("label", f"S{LABEL_BYTES}"),  # what the caller named it, "" if nothing
        ("ticks", "<i8"),
        ("started", "<M8[us]"),
        ("ended", "<M8[us]"),
        ("key", "S16"),  # chance key at the end, hexadecimal
        ("spend_micro", "<i8"),
        ("wins", "<i8"),
        ("views", "<i8"),  # our ads seen
        ("clicks", "<i8"),
        ("conversions", "<i8"),  # orders that fell due
        ("margin_micro", "<i8"),  # margin of those
    ]
)
"""One finished episode, as it stands in the store."""


class Happened(Protocol):
    """Touchpoints of a tick, TOUCH rows by moment: all of them, and those that were clicked."""

    @property
    def touchpoints(self) -> NDArray[Any]: ...

    @property
    def clicks(self) -> NDArray[Any]: ...


def _ours(tick: Happened) -> NDArray[Any]:
    touches = tick.touchpoints
    kept: NDArray[Any] = touches[(touches["own"] == 1) | (touches["clicked"] == 1)]
    return kept


TOUCH_LOGS: dict[str, Callable[[Happened], NDArray[Any]]] = {
    "own": _ours,
    "clicks": lambda tick: tick.clicks,
    "none": lambda tick: np.zeros(0, TOUCH),
}
"""Which touchpoints are kept in the store: ours and all clicks, clicks only, none. A user's last touches
are in their row in any case."""

_TALLIED = ("touches", "clicks", "conversions", "spend_micro", "margin_micro")


@dataclass(frozen=True, slots=True)
class Events:
    """Event rows of whole episodes, ready for a batch."""

    touchpoints: NDArray[Any]
    conversions: NDArray[Any]
    episodes: NDArray[Any]


class EpisodeLog:
    """Keeps events by episode, so that those of an episode that is dropped are dropped with it.

    Attributes:
      finished: how many finished episodes wait for a commit.
      label: of the open episode.
    """

    def __init__(self, touch_log: str) -> None:
        self._touch_log, self._kept = touch_log, TOUCH_LOGS[touch_log]
        self._finished: list[Events] = []
        self._unsorted, self._unsorted_h = Rows(TOUCH), Rows(np.float64)
        self.begin(None, "")

    @property
    def finished(self) -> int:
        return len(self._finished)

    def begin(self, record: Any | None, label: str) -> None:
        """Forgets the open episode and opens another one, at the market record as it is now."""
        self.label = label
        self._touches: list[NDArray[Any]] = []
        self._unsorted.clear()
        self._unsorted_h.clear()
        self._conversions: list[NDArray[Any]] = []
        self._wins = 0
        if record is not None:
            self._first_tick = int(record["tick"])
            self._before = {name: int(record[name]) for name in _TALLIED}

    def note(self, tick: Happened, conversions: NDArray[Any], wins: int = 0) -> None:
        """Adds what happened to the open episode: touchpoints as `touch_log` says, orders, auctions won."""
        self._sort()
        touches = self._kept(tick)
        if len(touches):
            self._touches.append(touches)
        if len(conversions):
            self._conversions.append(conversions)
        self._wins += wins

    def note_tick(
        self, touches: NDArray[Any], at_h: NDArray[np.float64], conversions: NDArray[Any], wins: int,
        epoch: np.datetime64,
    ) -> None:  # fmt: skip
        """As `note`, of a whole tick: its touchpoints are brought into order when somebody asks for them.

        Args:
          touches, at_h: TOUCH rows without their moment, and that moment in hours; copied.
          epoch: moment of hour 0.
        """
        if self._touch_log != "none" and len(touches):
            if self._touch_log == "clicks":
                clicked = touches["clicked"] != 0
                touches, at_h = touches[clicked], at_h[clicked]
            self._unsorted.add(touches)
            self._unsorted_h.add(at_h)
            self._epoch = epoch
        if len(conversions):
            self._conversions.append(conversions)
        self._wins += wins

    def note_quiet(self, wins: int) -> None:
        """As `note_tick`, of a tick in which nothing happened that is kept but auctions that were won."""
        self._wins += wins

    def _sort(self) -> None:
        """Brings the touchpoints of whole ticks into order: by moment, equal ones by user number."""
        if not self._unsorted.size:
            return
        at_h = self._unsorted_h.all()
        order = np.argsort(at_h, kind="stable")
        touches = self._unsorted.all()[order]
        touches["at"] = moments(at_h[order], self._epoch)
        self._touches.append(touches)
        self._unsorted.clear()
        self._unsorted_h.clear()

    def finish(self, record: Any, epoch: np.datetime64, tick_h: float) -> None:
        """Closes the open episode: `record` is the market's after its last tick, episode counted."""
        self._sort()
        last_tick = int(record["tick"])
        came = {name: int(record[name]) - before for name, before in self._before.items()}
        started, ended = moments(np.array([self._first_tick, last_tick]) * tick_h, epoch)
        row = np.zeros(1, EPISODE)
        row[0] = (
            int(record["episode"]), self.label.encode(), last_tick - self._first_tick, started, ended,
            f"{int(record['key']):016x}".encode(), came["spend_micro"], self._wins, came["touches"],
            came["clicks"], came["conversions"], came["margin_micro"],
        )  # fmt: skip
        self._finished.append(
            Events(joined(self._touches, TOUCH), joined(self._conversions, CONVERSION), row)
        )

    def pass_over(self) -> None:
        """Closes the open episode as `finish` does, for a world whose events nobody will ever read."""
        self._finished.append(_NOTHING)

    def forget(self) -> None:
        """As `take`, where nobody wants the events."""
        self._finished = []

    def take(self) -> Events:
        """Hands out the events of all finished episodes, in order, and forgets them."""
        episodes, self._finished = self._finished, []
        return Events(
            joined([e.touchpoints for e in episodes], TOUCH),
            joined([e.conversions for e in episodes], CONVERSION),
            joined([e.episodes for e in episodes], EPISODE),
        )


@dataclass(frozen=True, slots=True)
class Touched:
    """Touchpoints that happened outside of a tick, `[T]` of TOUCH."""

    touchpoints: NDArray[Any]

    @property
    def clicks(self) -> NDArray[Any]:
        """Those that were clicked."""
        clicked: NDArray[Any] = self.touchpoints[self.touchpoints["clicked"] == 1]
        return clicked


_NOTHING = Events(np.zeros(0, TOUCH), np.zeros(0, CONVERSION), np.zeros(0, EPISODE))


def no_events() -> Events:
    """The events of a birth: none."""
    return Events(np.zeros(0, TOUCH), np.zeros(0, CONVERSION), np.zeros(0, EPISODE))


def checked_label(label: str | int | None) -> str:
    """The text of an episode's name. Raises ValueError if it is too long for the store."""
    text = "" if label is None else str(label)
    if len(text.encode()) > LABEL_BYTES or "\0" in text:
        raise ValueError(
            f"An episode's name has at most {LABEL_BYTES} bytes and no NUL, and this one is {text[:80]!r}; "
            "give a shorter one."
        )
    return text
