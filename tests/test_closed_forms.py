"""The closed forms in short: each is an environment, and the best bids of the market meet the formulas."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from agents import closed_forms
from agents.cli import main
from agents.closed_forms import CheckOptions, forms, run_check
from gaelp_env.config import MarketConfig
from gaelp_env.config_load import load_config
from gaelp_env.market import Market
from gaelp_env.registration import IDS
from gaelp_env.special_cases import CASES
from tests.markets import busy_world, merged, play

QUICK = closed_forms.QUICK


def merged_config(config: MarketConfig, more: dict[str, Any]) -> MarketConfig:
    return MarketConfig.model_validate(merged(config.model_dump(), more))


def test_every_case_is_an_environment_and_has_a_form() -> None:
    assert set(forms()) == set(CASES)
    for name, case in CASES.items():
        assert IDS[f"AdMarket-case-{name}-v1"] == {"config": case.config}
        assert json.loads(json.dumps(case.config)) == case.config, f"{name} does not go through JSON"
        load_config(case.config)
        assert case.sentence.endswith(".")


def test_a_case_is_made_and_played_as_any_other_market() -> None:
    env = gym.make("gaelp_env:AdMarket-case-truthful-lognormal-v1")
    observation, _ = env.reset(seed=1)
    assert observation in env.observation_space
    observation, reward, *_ = env.step(np.zeros(5, np.float32))
    assert math.isfinite(reward)
    env.close()


@pytest.mark.parametrize("name", CASES)
def test_the_market_meets_the_formula(name: str) -> None:
    """Within four standard errors in the short form (`gaelp check` asks for three, and for small ones)."""
    figures = forms()[name](3, QUICK)
    assert figures
    for figure in figures:
        assert math.isfinite(figure.value)
        assert abs(figure.off) <= (4.0 if figure.error else 1.0), figure


def test_a_market_that_is_not_the_formula_s_is_seen() -> None:
    """Prices a quarter dearer than the formula has them: the truthful bid wins and costs something else."""
    config = load_config(CASES["truthful-lognormal"].config)
    search = config.channels.search
    dearer = search.model_copy(update={"reference_cpm": 1.25 * search.reference_cpm})
    market = Market.born(merged_config(config, {"channels": {"search": dearer.model_dump()}}), 3)
    market.begin_episode()
    wins = seen = 0
    for _ in range(QUICK):
        ledger = market.advance(np.full(5, 80.0)).ledger
        wins, seen = wins + int(ledger["wins"][0]), seen + int(ledger["opportunities"][0])
    error = math.sqrt(0.6438 * 0.3562 / seen)
    assert abs(wins / seen - 0.6438) > 4.0 * error


def test_the_command_tells_json_and_its_status(capsys: pytest.CaptureFixture[str]) -> None:
    report = run_check(CheckOptions(only=["adstock"], quick=True, json=True))
    told = json.loads(capsys.readouterr().out)
    assert told["met"] == report["met"]
    assert [case["name"] for case in told["cases"]] == ["adstock"]


def test_an_unknown_case_and_a_page_without_marks_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--only", "truthful-lognorm"]) == 2
    assert "did you mean truthful-lognormal?" in capsys.readouterr().err
    page = tmp_path / "page.md"
    page.write_text("nothing", encoding="utf-8")
    assert main(["check", "--write-docs", str(page)]) == 2
    assert page.read_text(encoding="utf-8") == "nothing"


def test_one_slot_without_quality_is_a_second_price_auction() -> None:
    """GSP with one slot and quality one plays impression by impression what second price plays."""
    gsp = {name: {"rule": "gsp", "slots": 1} for name in ("search", "social", "display", "video")}
    second = {name: {"rule": "second"} for name in gsp}
    one = Market.born(merged_config(busy_world(), {"channels": gsp}), 4)
    two = Market.born(merged_config(busy_world(), {"channels": second}), 4)
    for market in (one, two):
        market.begin_episode()
    assert play(one, 60) == play(two, 60)
    assert one.record["touches"] > 100
