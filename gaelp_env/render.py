"""What the market looks like: a page of text, or a picture drawn with NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaelp_env.config import CHANNELS
from gaelp_env.constants import epoch_of
from gaelp_env.ledger import MICRO, K
from gaelp_env.market import Market
from gaelp_env.population import STAGES, moments
from gaelp_env.render_font import dots

HEIGHT, WIDTH = 400, 640
_COUNTED = ("opportunities", "wins", "views", "clicks", "spend_micro")

Color = tuple[int, int, int]
Canvas = NDArray[np.uint8]

PAPER, INK, FAINT, GRID = (250, 250, 247), (38, 42, 48), (128, 134, 142), (226, 227, 222)
SPEND, PLAN, VALUE = (196, 78, 56), (160, 166, 174), (62, 128, 92)
STAGE_COLORS: tuple[Color, ...] = (
    (178, 186, 196), (122, 164, 200), (66, 124, 178), (238, 164, 62), (62, 128, 92),
)  # fmt: skip
CHANNEL_COLOR, CHANNEL_BACK = (66, 124, 178), (232, 234, 232)


class Picture:
    """What the open episode has shown so far.

    Attributes:
      spend, value: cumulated after each tick, currency units.
      counts: `[5, K]` sums of opportunities, wins, views, clicks and spend (micro-units).
    """

    def __init__(self) -> None:
        self.spend: list[float] = []
        self.value: list[float] = []
        self.counts = np.zeros((len(_COUNTED), K), np.int64)

    def note(self, market: Market, ledger: Any) -> None:
        """Adds a tick."""
        self.counts += np.array([ledger[name] for name in _COUNTED])
        self.spend.append(float(self.counts[4].sum()) / MICRO)
        self.value.append((self.value[-1] if self.value else 0.0) + int(ledger["margin_micro"]) / MICRO)


def _headline(market: Market, world: str, ticks: int) -> list[str]:
    record, config = market.record, market.config
    clock = str(np.datetime_as_string(moments(market.hour, epoch_of(config)), unit="m")).replace("T", " ")
    episode = int(record["episode"]) + (1 if int(record["episode_tick"]) or not ticks else 0)
    return [
        f"world {world}  {clock} UTC",
        f"episode {episode}, tick {ticks} of {config.clock.episode_ticks}, {int(record['active'])} people",
    ]


def _shares(top: NDArray[np.int64], bottom: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.where(bottom > 0, top / np.maximum(bottom, 1), 0.0)


def as_text(picture: Picture, market: Market, world: str) -> str:
    """The market as a page of text, 72 columns wide at most; ends with a newline."""
    opportunities, wins, views, clicks, spend = picture.counts
    budget, spent = market.config.budget.per_episode, picture.spend[-1] if picture.spend else 0.0
    lines = _headline(market, world, len(picture.spend))
    full = round(30 * min(1.0, spent / budget)) if budget > 0.0 else 0
    lines += [f"budget  [{'#' * full}{'.' * (30 - full)}] {spent:.2f} of {budget:.2f}", ""]
    lines.append(
        f"{'channel':<8} {'bid CPM':>8} {'offered':>8} {'won':>7} {'win %':>6} {'seen':>7} "
        f"{'click %':>8} {'spend':>8}"
    )
    win_share, click_share = _shares(wins, opportunities), _shares(clicks, views)
    for k, name in enumerate(CHANNELS):
        bid = float(market.record["bid_cpm"][k])
        lines.append(
            f"{name:<8} {f'{bid:.2f}' if bid > 0 else '-':>8} {opportunities[k]:>8} {wins[k]:>7} "
            f"{100 * win_share[k]:>6.1f} {views[k]:>7} {100 * click_share[k]:>8.2f} {spend[k] / MICRO:>8.2f}"
        )
    counts, people = market.record["stage_count"].tolist(), max(1, int(market.record["active"]))
    lines.append("")
    for name, count in zip(STAGES, counts, strict=True):
        lines.append(f"{name:<12} {count:>8}  {'=' * round(40 * count / people)}")
    return "\n".join(lines) + "\n"


def as_picture(picture: Picture, market: Market, world: str) -> Canvas:
    """The market as a picture, `[400, 640, 3]` uint8."""
    canvas = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    canvas[:] = PAPER
    title, line = _headline(market, world, len(picture.spend))
    _write(canvas, 20, 14, title[:50], INK, 2)
    _write(canvas, 20, 38, line, FAINT)
    _draw_stages(canvas, market)
    _draw_spend(canvas, picture, market)
    _draw_channels(canvas, picture, market)
    return canvas


def _write(canvas: Canvas, x: int, y: int, text: str, color: Color, scale: int = 1) -> None:
    mask = dots(text, scale)[: HEIGHT - y, : WIDTH - x]
    canvas[y : y + mask.shape[0], x : x + mask.shape[1]][mask] = color


def _fill(canvas: Canvas, x: float, y: float, width: float, height: float, color: Color) -> None:
    left, top = round(x), round(y)
    canvas[top : top + round(height), left : left + round(width)] = color


def _draw_stages(canvas: Canvas, market: Market) -> None:
    """People by last-seen stage, a bar each."""
    _write(canvas, 20, 64, "people by stage, as last seen", INK)
    people = max(1, int(market.record["active"]))
    for i, (name, count) in enumerate(zip(STAGES, market.record["stage_count"].tolist(), strict=True)):
        y = 82 + 24 * i
        _write(canvas, 20, y + 4, name.lower(), INK)
        _fill(canvas, 100, y, 120, 16, CHANNEL_BACK)
        _fill(canvas, 100, y, max(1.0 if count else 0.0, 120 * count / people), 16, STAGE_COLORS[i])
        _write(canvas, 226, y + 4, f"{count}", INK)


def _draw_spend(canvas: Canvas, picture: Picture, market: Market) -> None:
    """Spend and margin over the episode, and the budget."""
    left, top, width, height = 330, 84, 280, 110
    budget, ticks = market.config.budget.per_episode, market.config.clock.episode_ticks
    highest = max([budget, *picture.spend, *picture.value, 1e-9]) * 1.05
    spent, value = (curve[-1] if curve else 0.0 for curve in (picture.spend, picture.value))
    _write(canvas, left, 64, f"spend {spent:.2f}", SPEND)
    _write(canvas, left + 110, 64, f"margin due {value:.2f}", VALUE)
    for part in range(5):
        _fill(canvas, left, top + height * part / 4, width, 1, GRID)
    _fill(canvas, left, top + height * (1.0 - budget / highest), width, 1, FAINT)
    _write(
        canvas,
        left + width - 6 * len(f"budget {budget:.0f}"),
        top + round(height * (1.0 - budget / highest)) + 4,
        f"budget {budget:.0f}",
        FAINT,
    )
    for curve, color in ((picture.value, VALUE), (picture.spend, SPEND)):
        _draw_curve(canvas, [0.0, *curve], (left, top, width, height), ticks, highest, color)


def _draw_curve(
    canvas: Canvas,
    curve: list[float],
    frame: tuple[int, int, int, int],
    ticks: int,
    highest: float,
    color: Color,
) -> None:
    left, top, width, height = frame
    drawn = min(1.0, (len(curve) - 1) / ticks)
    xs = np.arange(round(width * drawn) + 1)
    ys = top + height * (1.0 - np.interp(xs / width * ticks, np.arange(len(curve)), curve) / highest)
    rows = np.clip(np.rint(ys), top, top + height).astype(int)
    for i, (x, y) in enumerate(zip(xs.tolist(), rows.tolist(), strict=True)):
        before = int(rows[max(0, i - 1)])
        low, high = min(before, y), max(before, y)
        canvas[low : high + 2, left + x] = color


def _draw_channels(canvas: Canvas, picture: Picture, market: Market) -> None:
    """A line a channel: bid, what was won of what was offered, what it cost, how it was clicked."""
    opportunities, wins, views, clicks, spend = picture.counts
    dearest = max(1.0, float(spend.max()))
    heads = (
        (20, "channel"),
        (90, "bid CPM"),
        (150, "won of offered"),
        (330, "spend"),
        (490, "seen"),
        (560, "click rate"),
    )
    for x, text in heads:
        _write(canvas, x, 232, text, FAINT)
    _fill(canvas, 20, 246, WIDTH - 40, 1, GRID)
    win_share, click_share = _shares(wins, opportunities), _shares(clicks, views)
    for k, name in enumerate(CHANNELS):
        y = 256 + 27 * k
        bid = float(market.record["bid_cpm"][k])
        _write(canvas, 20, y + 4, name, INK)
        _write(canvas, 90, y + 4, f"{bid:.2f}" if bid > 0.0 else "no bid", INK if bid > 0.0 else FAINT)
        _fill(canvas, 150, y, 110, 16, CHANNEL_BACK)
        _fill(canvas, 150, y, 110 * win_share[k], 16, CHANNEL_COLOR)
        _write(canvas, 266, y + 4, f"{100 * win_share[k]:.0f} %", INK)
        _fill(canvas, 330, y, 90, 16, CHANNEL_BACK)
        _fill(canvas, 330, y, 90 * spend[k] / dearest, 16, SPEND)
        _write(canvas, 426, y + 4, f"{spend[k] / MICRO:.2f}", INK)
        _write(canvas, 490, y + 4, f"{views[k]}", INK)
        _write(canvas, 560, y + 4, f"{100 * click_share[k]:.2f} %", INK)
