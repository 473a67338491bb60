"""What the market looks like."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded

from gaelp_env.config import CHANNELS
from gaelp_env.population import STAGES
from gaelp_env.render_font import dots


def drawn(mode: str) -> Any:
    env = gym.make("gaelp_env:AdMarket-tiny-v1", render_mode=mode).unwrapped
    with pytest.raises(ResetNeeded, match="nothing to see yet"):
        env.render()
    env.reset(seed=1)
    return env


def test_text_tells_the_market() -> None:
    env = drawn("ansi")
    empty = env.render()
    for _ in range(10):
        told = env.step(np.full(5, 0.8))[4]
    page = env.render()
    env.close()
    assert all(name in page for name in (*CHANNELS, *STAGES, "world demo", "tick 10 of 24"))
    assert f"{told['bid_video']:.2f}" in page
    assert f"{env.metadata['render_fps']}"
    assert page != empty
    assert page.isascii()
    assert max(len(line) for line in page.splitlines()) <= 72


def test_a_picture_shows_the_market_going_on() -> None:
    env = drawn("rgb_array")
    empty = env.render()
    assert (empty.shape, empty.dtype) == ((400, 640, 3), np.uint8)
    for _ in range(24):
        env.step(np.full(5, 1.0))
    full = env.render()
    env.close()
    assert full.shape == empty.shape
    curve, bars = np.s_[84:196, 330:610], np.s_[250:390, 150:260]
    assert (full[curve] != empty[curve]).any()
    assert (full[bars] != empty[bars]).any()
    assert len(np.unique(full.reshape(-1, 3), axis=0)) >= 8


def test_an_env_without_a_render_mode_draws_nothing() -> None:
    env = gym.make("gaelp_env:AdMarket-tiny-v1").unwrapped
    env.reset(seed=1)
    assert env.render() is None


def test_letters_are_dots() -> None:
    assert dots("L").astype(int).tolist() == [[1, 0, 0, 0, 0, 0]] * 6 + [[1, 1, 1, 1, 1, 0], [0] * 6]
    assert dots("ab", 2).shape == (16, 24)
    assert dots("").shape == (8, 0)
    assert dots("é").tolist() != dots(" ").tolist()
