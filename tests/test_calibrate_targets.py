"""Targets: what is met, what is held out, and files of a user's own."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.calibrate_data import read_targets
from agents.calibrate_published import HELD_OUT, PUBLISHED
from agents.calibrate_targets import LIMITS, Target, Tolerance, distance, met_share, part, score

KNOWN = {target.name: target for target in PUBLISHED}
FIGURES = st.floats(-10.0, 10.0)


def target(value: float, tolerance: Tolerance, held_out: bool = False, weight: float = 1.0) -> Target:
    return Target("t", "a figure", value, tolerance, "1", "made up", "", "emergent", held_out, (), weight)


@given(FIGURES, st.floats(0.01, 1.0), FIGURES)
def test_met_is_a_miss_of_at_most_one(value: float, size: float, simulated: float) -> None:
    held = target(value, Tolerance("absolute", size))
    assert held.met(simulated) == (abs(held.miss(simulated)) <= 1.0 + 1e-9)
    assert held.met(value)


@given(FIGURES, st.floats(0.01, 1.0), FIGURES)
def test_a_range_forgives_what_lies_inside_and_nothing_outside(
    value: float, size: float, simulated: float
) -> None:
    ranged = target(value, Tolerance("range", size))
    inside = abs(simulated - value) <= size
    assert ranged.met(simulated) or not inside
    if abs(simulated - value) > size * (1.0 + 1e-6) + 1e-6:
        assert not ranged.met(simulated)


def test_misses_worked_by_hand() -> None:
    assert target(0.02, Tolerance("relative", 0.05)).miss(0.0215) == pytest.approx(1.5)
    assert target(0.31, Tolerance("absolute", 0.03)).miss(0.295) == pytest.approx(-0.5)
    assert target(0.2, Tolerance("range", 0.05)).miss(0.16) == 0.0
    assert target(0.2, Tolerance("range", 0.05)).miss(0.30) == pytest.approx(1.0)


def test_no_figure_is_never_met() -> None:
    for row in score(PUBLISHED, {}):
        assert not row.met
        assert row.to_json()["simulated"] is None


def test_the_distance_is_the_weighted_mean_of_squared_misses_of_fitted_targets() -> None:
    one = target(1.0, Tolerance("absolute", 0.5))
    rows = [
        *score([one], {"t": 2.0}),  # a miss of 2
        *score([target(1.0, Tolerance("absolute", 1.0), weight=3.0)], {"t": 2.0}),  # of 1, three times
        *score([target(1.0, Tolerance("absolute", 0.5), held_out=True)], {"t": 9.0}),
    ]
    assert distance(rows) == pytest.approx((4.0 + 3.0) / 4.0)
    assert math.isnan(distance(rows[2:]))
    assert distance(score([one], {}), missing=3.0) == 9.0


def test_a_third_of_the_emergent_targets_is_held_out() -> None:
    emergent = [t for t in PUBLISHED if t.kind == "emergent"]
    held = {t.name for t in emergent if t.held_out}
    assert held == HELD_OUT
    assert len(emergent) >= 12
    assert 0.30 <= len(held) / len(emergent) <= 0.40
    rows = score(PUBLISHED, {})
    assert [len(part(rows, what)) for what in ("fitted", "held out")] == [
        len(emergent) - len(held), len(held),
    ]  # fmt: skip
    assert sum(len(part(rows, what)) for what in ("fitted", "held out", "echo")) == len(PUBLISHED)


def test_published_targets_are_whole() -> None:
    assert len(KNOWN) == len(PUBLISHED)
    for each in PUBLISHED:
        low, high = LIMITS[each.unit]
        assert low <= each.value <= high, each.name
        assert each.half > 0.0, each.name
        assert each.source and each.window and each.words and each.constants, each.name


def test_published_values_are_those_of_their_sources() -> None:
    assert KNOWN["orders_per_session"].value == pytest.approx(4_592 / 354_857, rel=0.005)
    assert KNOWN["buyers_per_user"].value == pytest.approx(4_419 / 270_154, rel=0.005)
    assert KNOWN["sessions_per_user"].value == pytest.approx(360_129 / 270_154, rel=0.001)
    assert KNOWN["new_week_buyers"].value == pytest.approx(3_178 / 267_789, rel=0.005)
    assert KNOWN["returning_week_buyers"].value == pytest.approx(1_504 / 24_326, rel=0.001)
    assert KNOWN["return14_buyer"].value == pytest.approx(803 / 2_218, rel=0.005)
    assert KNOWN["conversion_lift"].value == pytest.approx(0.02554 / 0.01785 - 1.0, rel=0.005)
    assert KNOWN["won_price_mean"].value == pytest.approx(80.28 / 70.0, rel=0.001)
    assert KNOWN["won_price_log_mean"].value == pytest.approx(4.045 - math.log(70.0), abs=0.001)


def test_met_share_counts_rows() -> None:
    rows = score(PUBLISHED[:2], {PUBLISHED[0].name: PUBLISHED[0].value})
    assert met_share(rows) == 0.5
    assert math.isnan(met_share([]))


def test_a_file_gives_values_tolerances_and_weights(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text(
        "# our shop\ntarget, value, tolerance, weight\norders_per_session,0.021,5%,2\n\n"
        "cross_device_orders,0.4,0.05,\n",
        encoding="utf-8",
    )
    orders, devices = read_targets(file)
    assert (orders.value, orders.tolerance, orders.weight) == (0.021, Tolerance("relative", 0.05), 2.0)
    assert (devices.value, devices.tolerance, devices.weight) == (0.4, Tolerance("absolute", 0.05), 1.0)
    assert not devices.held_out
    assert devices.fitted
    assert orders.source == str(file)


HEAD = "target,value,tolerance\n"
BAD = [
    ("", "is empty"),
    ("# only words\n", "is empty"),
    ("target,value\norders_per_session,0.02\n", "row 1: the column 'tolerance' is missing"),
    ("target,value,tolerance,colour\n", "the column 'colour' is unknown"),
    (HEAD, "no targets"),
    (HEAD + "order_per_session,0.02,5%\n", "row 2: there is no target 'order_per_session'; did you mean"),
    (HEAD + "orders_per_session,0.02\n", "row 2: it has 2 cells"),
    (HEAD + "orders_per_session,many,5%\n", "row 2: the value 'many' is no number"),
    (HEAD + "orders_per_session,nan,5%\n", "the value 'nan' is no number"),
    (HEAD + "orders_per_session,1.29,5%\n", "must lie in [0, 1] (a share is 0.0129"),
    (HEAD + "orders_per_session,0.02,0\n", "must be above 0"),
    (HEAD + "orders_per_session,0.02,-5%\n", "must be above 0"),
    (HEAD + "orders_per_session,0,5%\n", "give it in the value's unit"),
    (HEAD + "orders_per_session,0.02,5%\norders_per_session,0.03,5%\n", "row 3: the target"),
    (HEAD + "device_mobile,0.5,0.02\n", "nothing to fit"),
    ("target,value,tolerance,weight\norders_per_session,0.02,5%,-1\n", "the weight '-1' must be 0 or more"),
]


@pytest.mark.parametrize(("text", "sentence"), BAD, ids=[sentence[:30] for _, sentence in BAD])
def test_a_bad_file_is_told_in_a_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError) as told:
        read_targets(file)
    assert sentence in str(told.value)
    assert str(file) in str(told.value)


def test_a_file_that_is_not_there_or_no_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="There is no file"):
        read_targets(tmp_path / "none.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="not UTF-8 text"):
        read_targets(tmp_path / "bytes.csv")
