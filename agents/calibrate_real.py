"""The real data that the picture of the scorecard is drawn against, where somebody has put them."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np

REAL_DATA = Path("../shared/data")
"""Where the published files are looked for, beside the checkout; they are not part of it."""
PRICES = "ipinyou/winning_price_histogram.csv"
PATHS = "attribution/ChannelAttribution_PathData.csv.gz"


def real_prices(folder: Path, edges: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[float] | None:
    """Density of iPinYou's winning prices, in medians of themselves; None if the file is not there.

    A count at a price of p fen is spread evenly over [p - 1/2, p + 1/2).

    Args:
      folder: with the file PRICES.
      edges: of the histogram, in medians, rising.
    Raises: ValueError if the file has not the columns that it is read by.
    """
    path = folder / PRICES
    if not path.is_file():
        return None
    counts = np.zeros(302)
    with path.open(encoding="utf-8", newline="") as stream:
        for row in _rows(path, csv.DictReader(stream), ("price_cpm_cny_fen", "count_train")):
            counts[min(int(row[0]), 300)] += row[1]
    up_to = np.concatenate(([0.0], np.cumsum(counts))) / counts.sum()
    fen = np.arange(len(up_to)) - 0.5
    median = float(np.interp(0.5, up_to, fen))
    return [float(d) for d in np.diff(np.interp(edges * median, fen, up_to)) / np.diff(edges)]


def real_paths(folder: Path, longest: int) -> list[float] | None:
    """Share of PathData's conversions with at most 1, 2 … touches; None if the file is not there.

    Args:
      folder: with the file PATHS.
      longest: how far to go.
    """
    path = folder / PATHS
    if not path.is_file():
        return None
    counts = np.zeros(longest + 2)
    with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            if "path" not in row or "total_conversions" not in row:
                raise ValueError(f"{path} has no columns path and total_conversions; fetch it again.")
            touches = row["path"].count(" > ") + 1
            counts[min(touches, longest + 1)] += float(row["total_conversions"])
    return [float(share) for share in np.cumsum(counts)[1:-1] / counts.sum()]


def _rows(path: Path, reader: csv.DictReader[str], names: tuple[str, str]) -> list[tuple[float, float]]:
    try:
        return [(float(row[names[0]]), float(row[names[1]])) for row in reader]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} does not hold numbers in {names[0]} and {names[1]} ({error}); fetch it again."
        ) from error
