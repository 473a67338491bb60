"""The command: a small scorecard, fits that leave files or nothing, and what it says of bad input."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents import calibrate
from agents.calibrate import CalibrateOptions, FitPlay, run_calibration
from agents.calibrate_data import read_targets
from agents.calibrate_free import Free
from agents.calibrate_play import Size, bids_of, play, prepared
from agents.calibrate_targets import distance, score
from agents.cli import main
from gaelp_env.config_load import load_config

MINE = "target,value,tolerance\norders_per_session,0.013,20%\n"
SMALL = CalibrateOptions(quick=True, users=300, days=28, fit_users=300, json=True)


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    pytest.importorskip("scipy")
    return run_calibration(CalibrateOptions(quick=True, users=1_500, json=True))


def test_a_quick_scorecard_has_every_part(quick: dict[str, Any]) -> None:
    assert quick["users"] == 1_500
    assert (quick["seed"], quick["fit_seed"]) == (1, 0)
    assert quick["counts"]["emergent"]["of"] >= 12
    assert quick["counts"]["held out"]["of"] * 3 >= quick["counts"]["emergent"]["of"]
    errors = {row["target"]: row["se"] for row in quick["rows"]}
    assert 0.0 < errors["sessions_per_user"] < 0.1 and 0.0 < errors["impressions_mean"] < 10.0
    assert errors["win_rate"] is None and errors["hour_profile"] is None
    met = [row for row in quick["rows"] if row["met"]]
    assert len(met) >= 10  # a small run is noisy, and is still no other market
    json.dumps(quick)


def test_people_and_chance_are_the_same_in_both_worlds_of_a_pair() -> None:
    config = load_config("calibrated")
    long, pair = play(config, 3, Size(200, 28))
    assert pair is not None
    ads, quiet = pair
    assert (ads.end_h, quiet.end_h, long.end_h) == (56 * 24.0, 56 * 24.0, 28 * 24.0)
    until = ads.seen["at_h"] < 28 * 24.0
    assert until.all() and np.array_equal(ads.seen, long.seen)  # silence after the campaign
    assert len(quiet.seen) == 0
    assert np.array_equal(ads.ledgers["births"], quiet.ledgers["births"])


def test_the_run_that_is_measured_never_runs_out_of_money() -> None:
    config = prepared(load_config({"budget.per_day": 1.0, "budget.frequency_cap": 2}), 50)
    assert (config.people.users, config.budget.per_day, config.budget.frequency_cap) == (50, None, 0)
    assert bids_of(config)[2] == pytest.approx(config.channels.display.reference_cpm * 292.0 / 70.0)


def test_a_fit_to_own_targets_leaves_a_configuration_a_scorecard_and_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("scipy")
    (tmp_path / "mine.csv").write_text(MINE, encoding="utf-8")
    free = (Free("conversion.buy_rate.0", 0.002, 0.0001, 0.05),)
    out = tmp_path / "mine.yaml"
    options = replace(SMALL, data=tmp_path / "mine.csv", out=out, workers=1, free=free, seed=4)
    card = run_calibration(options)
    assert [row["target"] for row in card["rows"]] == ["orders_per_session"]
    fitted = load_config(out)
    assert fitted.conversion.buy_rate[0] == card["fit"]["constants"]["conversion.buy_rate.0"][1]
    assert card["fit"]["distance"] <= card["fit"]["distance_before"]
    played = FitPlay(4, Size(300, 49, pair=False))(fitted)  # what the fit saw, and what it did not
    targets = read_targets(tmp_path / "mine.csv")
    assert distance(score(targets, played)) == pytest.approx(card["fit"]["distance"])
    unseen = FitPlay(5, Size(300, 28, pair=False))(fitted)
    assert card["rows"][0]["simulated"] == unseen["orders_per_session"]
    head = " ".join(line[2:] for line in out.read_text().splitlines() if line.startswith("# "))
    told = card["fit"]
    assert f"Fitted on {told['date']} by `gaelp calibrate --quick --data mine.csv" in head
    assert f"{told['users']} users on seed 4. The fit converged: in {told['evaluations']} runs" in head
    assert f"fell from {told['distance_before']:.3g} to {told['distance']:.3g}." in head
    assert f"users of seed 5, whom it has not seen, it is {card['distance']:.3g}" in head
    assert "Constants that the fit moved: conversion.buy_rate.0." in head
    assert max(map(len, out.read_text().splitlines())) <= 110
    assert "| sessions that end in an order |" in out.with_suffix(".md").read_text()
    assert not list(tmp_path.glob("*.part*"))


def test_a_fit_that_does_not_converge_leaves_nothing(tmp_path: Path) -> None:
    pytest.importorskip("scipy")
    (tmp_path / "mine.csv").write_text(MINE.replace("0.013", "0.3"), encoding="utf-8")
    free = (
        Free("conversion.buy_rate.0", 0.002, 0.0001, 0.05),
        Free("conversion.buy_rate.1", 0.04, 0.001, 0.5),
    )
    options = replace(
        SMALL, data=tmp_path / "mine.csv", out=tmp_path / "mine.yaml", workers=1, free=free, steps=1
    )
    with pytest.raises(RuntimeError, match="not converged"):
        run_calibration(options)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.csv"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("target,value\norders_per_session,0.01\n", "row 1: the column 'tolerance' is missing"),
        ("target,value,tolerance\norders_per_session,1.29,5%\n", "the value of 'orders_per_session' is 1.29"),
        ("target,value,tolerance\norder_per_session,0.01,5%\n", "did you mean 'orders_per_session'?"),
    ],
)  # fmt: skip
def test_a_bad_file_is_a_sentence_on_the_command_line(
    text: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.csv").write_text(text, encoding="utf-8")
    status = main(["calibrate", "--data", str(tmp_path / "mine.csv"), "--out", str(tmp_path / "mine.yaml")])
    said = capsys.readouterr().err
    assert status == 2 and sentence in said and "Traceback" not in said
    assert [file.name for file in tmp_path.iterdir()] == ["mine.csv"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"out": "x.yaml"}, "add --fit"),
        ({"out": "nowhere/x.yaml", "fit": True}, "There is no folder"),
        ({"out": "x.txt", "fit": True}, "must end in .yaml"),
        ({"days": 7}, "shorter than the campaign"),
        ({"write_docs": "nowhere.md"}, "There is no page"),
    ],
)
def test_what_cannot_be_done_is_refused_at_the_door(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        run_calibration(replace(CalibrateOptions(), **options))


def test_the_command_says_how_to_run_it_again() -> None:
    options = CalibrateOptions(fit=True, users=500, seed=3, write_docs="docs/scorecard.md")
    words = "gaelp calibrate --fit --users 500 --seed 3 --write-docs docs/scorecard.md"
    assert calibrate._command(options) == words
