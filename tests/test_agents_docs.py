"""docs/training.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agents.baselines import BASELINES, SearchPlan
from agents.sb3_worlds import COMMIT_EVERY, REWARD
from agents.train import RUN_OUT_DAYS, TrainOptions
from agents.train_settings import SETTINGS

PAGE = Path(__file__).parent.parent / "docs" / "training.md"
TEXT = PAGE.read_text()


def settings_rows() -> list[str]:
    """The table of settings, as it must stand in the page."""
    columns = []
    for name in ("ppo", "sac"):
        found = SETTINGS[name]
        shown = {
            key: f"{value:,}" if isinstance(value, int) else f"{value:g}"
            for key, value in found.arguments.items()
        }
        shown["env steps between updates, all worlds"] = f"{found.rollout:,}"
        shown["hidden layers"] = " × ".join(map(str, found.hidden))
        shown["initial log sd"] = "–" if found.log_std is None else f"{found.log_std:g}"
        shown["learning rate at the end"] = (
            f"{found.arguments['learning_rate'] * (0.1 if found.anneal else 1.0):g}"
        )
        shown["steps"] = f"{found.steps:,}"
        columns.append(shown)
    names = list(dict.fromkeys([*columns[0], *columns[1]]))
    return [f"| {name} | {columns[0].get(name, '–')} | {columns[1].get(name, '–')} |" for name in names]


def test_settings_are_those_of_the_code() -> None:
    told = TEXT.split("<!-- settings:begin -->\n")[1].split("<!-- settings:end -->")[0].splitlines()
    assert told == settings_rows()


def test_figures_are_those_of_the_code() -> None:
    plan, options = SearchPlan(), TrainOptions()
    for words in (
        f"commit every {COMMIT_EVERY}\nepisodes",
        f"`{REWARD}`",
        f"{plan.screen_days} days (cross-entropy method, {plan.generations} generations of {plan.population}",
        f"plays R replicates ({options.replicates} by default)",
        f"{options.days} days,\neach with a fresh budget, and then {RUN_OUT_DAYS} days without bids",
    ):
        assert words in TEXT, words
    assert plan.replicates == 6
    assert all(f"| `{name}` |" in TEXT for name in BASELINES)


def test_the_examples_run(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("stable_baselines3")
    examples = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        exec(compile(example, str(PAGE), "exec"), {})
    assert "Estimate(mean=" in capsys.readouterr().out
