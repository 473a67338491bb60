"""The scorecard's page, tables and picture, of rows that are made up."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from agents.calibrate_measure import LONGEST_PATH, PRICE_EDGES
from agents.calibrate_page import (
    BEGIN,
    END,
    HEADER,
    allowed,
    amount,
    cells,
    error,
    gap,
    scorecard,
    summary,
    table_of,
    write_page,
)
from agents.calibrate_picture import draw
from agents.calibrate_published import PUBLISHED
from agents.calibrate_real import PATHS, PRICES, REAL_DATA, real_paths, real_prices
from agents.calibrate_report import show
from agents.calibrate_targets import score
from gaelp_env.published import HOUR_SHARES

RUN = {
    "command": "gaelp calibrate", "date": "2026-01-05", "seed": 8, "fit_seed": 7, "users": 200_000,
    "days": 90, "config": "calibrated", "seconds": 12.3,
}  # fmt: skip
CURVES: dict[str, Any] = {
    "hours": list(HOUR_SHARES["avito"]), "traffic": "avito",
    "prices": [0.3] * (len(PRICE_EDGES) - 1), "clicks": [1.0, 0.85, None],
    "delays": [0.01 * n for n in range(60)],
    "weeks": [0.06, 0.03, None, None], "path": [0.2 + 0.03 * n for n in range(LONGEST_PATH)],
}  # fmt: skip
EMPTY: dict[str, Any] = {
    "hours": [None] * 24, "traffic": "flat", "prices": [], "clicks": [None] * 10, "delays": [],
    "weeks": [None] * 8, "path": [],
}  # fmt: skip


def card(curves: dict[str, Any] = CURVES, **figures: float) -> dict[str, Any]:
    perfect = {target.name: target.value for target in PUBLISHED}
    errors = {"orders_per_session": 0.000456, "sessions_per_user": 0.0123}
    return scorecard(score(PUBLISHED, perfect | figures, errors), RUN, curves)


def test_a_miss_is_shown_as_not_met_and_counted(tmp_path: Path) -> None:
    found = card(orders_per_session=0.02, weekly_active_2=float("nan"), device_mobile=0.5)
    assert found["counts"]["fitted"] == {"met": 21, "of": 22}
    assert found["counts"]["held out"] == {"met": 10, "of": 11}
    assert found["counts"]["emergent"] == {"met": 31, "of": 33}
    assert found["aim_met"]
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    write_page(page, found, "page.png")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text
    (orders,) = (line for line in text.splitlines() if line.startswith("| sessions that end in an order"))
    assert "| 1.29 % | 2.00 % | ± 0.046 pp | +0.71 pp | ± 5.00 % | **not met** |" in orders
    (week,) = (line for line in text.splitlines() if "calendar week 2" in line and "3.30" in line)
    assert "no figure" in week and "**not met**" in week
    assert text.count("**not met**") == 3
    assert "seed 8, with other people and chance than a fit, which plays seed 7" in text


def test_below_the_aim_is_said() -> None:
    wrong: dict[str, Any] = {target.name: -9.0 for target in PUBLISHED if target.fitted}
    found = card(**wrong)
    assert not found["aim_met"]
    assert "is not reached" in summary(found)
    assert "11 of 11 (100%) of those held out" in summary(found)


def test_a_fit_is_told_with_its_date_and_constants(tmp_path: Path) -> None:
    fit = {
        "date": "2026-01-06", "users": 30_000, "seed": 7, "distance_before": 40.0, "distance": 0.9,
        "evaluations": 300, "constants": {"visits.gap_days": (6.0, 5.432)},
    }  # fmt: skip
    page = tmp_path / "page.md"
    page.write_text(f"{BEGIN}{END}", encoding="utf-8")
    write_page(page, card() | {"fit": fit}, None)
    text = page.read_text(encoding="utf-8")
    assert "2026-01-06" in text and "40.000 to 0.900" in text and "30,000 users on seed 7" in text
    assert "| `visits.gap_days` | 6 | 5.432 |" in text
    assert "![" not in text


@pytest.mark.parametrize("text", ["no marks", f"{END}{BEGIN}", BEGIN])
def test_a_page_without_marks_is_refused_and_left_alone(text: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="lacks the marks"):
        write_page(page, card(), None)
    assert page.read_text(encoding="utf-8") == text
    with pytest.raises(ValueError, match="There is no page"):
        write_page(tmp_path / "none.md", card(), None)


def test_figures_in_words() -> None:
    assert amount(0.000751, "share") == "0.0751 %"
    assert amount(24.8, "impressions") == "24.8"
    assert amount(None, "share") == "no figure"
    assert gap(-0.0123, "share") == "−1.2 pp"
    assert gap(0.0, "1") == "+0"
    rows = {row["target"]: row for row in card()["rows"]}
    assert allowed(rows["visit_lift_rct"]) == "17.0 % to 27.1 %"
    assert allowed(rows["cross_device_orders"]) == "± 3.00 pp"


def test_a_standard_error_stands_beside_its_figure_and_nothing_where_there_is_none() -> None:
    assert error(0.000751, "share") == "± 0.075 pp"
    assert error(0.0123, "sessions") == "± 0.012"
    assert error(None, "share") == ""
    rows = {row["target"]: row for row in card(sessions_per_user=float("nan"))["rows"]}
    assert rows["orders_per_session"]["se"] == 0.000456
    assert rows["win_rate"]["se"] is None
    assert rows["sessions_per_user"]["se"] is None  # no figure has no error
    assert cells(rows["orders_per_session"])[HEADER.index("± s.e.")] == "± 0.046 pp"
    assert cells(rows["win_rate"])[HEADER.index("± s.e.")] == ""


def test_every_target_stands_in_one_table_of_the_terminal() -> None:
    found = card(floor_binds=0.5)
    console = Console(width=200, record=True, quiet=True)
    show(found, console)
    assert sum(len(table_of(found, name)) for name in ("fitted", "held out", "echo")) == len(PUBLISHED)
    console = Console(width=200, record=True, file=None, stderr=True)
    with console.capture() as held:
        show(found, console)
    assert "wins whose price is the floor" in held.get()
    assert "± s.e." in held.get() and "± 0.046 pp" in held.get()
    assert held.get().count("not met") == 1


def size_of(path: Path) -> tuple[int, int]:
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", content[16:24])


@pytest.mark.parametrize("curves", [CURVES, EMPTY], ids=["whole", "empty"])
def test_the_picture_is_drawn_without_real_data_and_without_figures(
    curves: dict[str, Any], tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    draw(card(curves), tmp_path / "card.png", tmp_path / "nowhere")
    assert size_of(tmp_path / "card.png") == (1560, 888)
    assert [file.name for file in tmp_path.iterdir()] == ["card.png"]


def test_a_made_up_histogram_is_read_in_medians(tmp_path: Path) -> None:
    file = tmp_path / PRICES
    file.parent.mkdir()
    file.write_text("advertiser,price_cpm_cny_fen,count_train\n1,10,1\n1,20,2\n2,30,1\n", encoding="utf-8")
    # Cells [9.5, 10.5), [19.5, 20.5), [29.5, 30.5); the median is 20.
    density = real_prices(tmp_path, np.array([0.0, 0.75, 1.0, 2.0]))
    assert density == pytest.approx([0.25 / 0.75, 0.25 / 0.25, 0.5])
    file.write_text("advertiser,price\n1,10\n", encoding="utf-8")
    with pytest.raises(ValueError, match="does not hold numbers"):
        real_prices(tmp_path, np.array([0.0, 1.0]))
    assert real_paths(tmp_path, 5) is None


def test_real_files_give_the_published_figures() -> None:
    if not (REAL_DATA / PATHS).is_file():
        pytest.skip(f"{REAL_DATA} is not beside this checkout")
    paths = real_paths(REAL_DATA, 25)
    assert paths is not None
    for target in PUBLISHED:
        if target.name.startswith("path_at_most_"):
            assert paths[int(target.name.rsplit("_", 1)[1]) - 1] == pytest.approx(target.value, abs=0.001)
    density = real_prices(REAL_DATA, PRICE_EDGES)
    assert density is not None
    middle = 0.5 * (PRICE_EDGES[1:] + PRICE_EDGES[:-1])
    mean = float((np.asarray(density) * middle * np.diff(PRICE_EDGES)).sum())
    assert mean == pytest.approx(1.147, rel=0.01)


def test_the_shipped_page_has_its_marks() -> None:
    from agents.calibrate_page import checked_page

    checked_page(Path(__file__).parent.parent / "docs" / "scorecard.md")
