"""The environment as Gymnasium and Stable-Baselines3 see it."""

from __future__ import annotations

import copy
import math
import pickle
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

import gaelp_env
from gaelp_env.actions import bids_cpm
from gaelp_env.config import CHANNELS, MarketConfig
from gaelp_env.config_load import ConfigError, load_config
from gaelp_env.env import AdMarketEnv
from gaelp_env.registration import IDS
from gaelp_env.reward import REWARDS
from gaelp_env.world import World
from gaelp_env.wrappers import DiscreteBids
from storage import BadStoreURL, BadWorldName, WorldNotFound
from tests.worlds import new_url

KINDS = ("none", "memory", "sqlite")
TINY = "gaelp_env:AdMarket-tiny-v1"


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str | None:
    return None if request.param == "none" else new_url(request.param, tmp_path)


def tiny(**arguments: Any) -> AdMarketEnv:
    env = gym.make(TINY, **arguments).unwrapped
    assert isinstance(env, AdMarketEnv)
    return env


def play_episode(env: gym.Env[Any, Any]) -> int:
    steps, truncated = 0, False
    env.action_space.seed(3)
    while not truncated:
        *_, truncated, _ = env.step(env.action_space.sample())
        steps += 1
    return steps


@pytest.mark.parametrize("commit_every", [1, 3])
def test_gymnasium_finds_nothing_to_say(store: str | None, commit_every: int) -> None:
    env = tiny(store=store, commit_every=commit_every)
    check_env(env)
    env.reset()
    play_episode(env)
    check_env(env)
    env.close()


def test_stable_baselines_finds_nothing_to_say(store: str | None) -> None:
    sb3 = pytest.importorskip("stable_baselines3.common.env_checker")
    env = tiny(store=store)
    sb3.check_env(env)
    env.close()


def test_checkers_find_nothing_to_say_about_a_reader(tmp_path: Path) -> None:
    url = new_url("sqlite", tmp_path)
    World.create(url, config=load_config("tiny")).close()
    env = tiny(store=url, mode="read")
    check_env(env)
    env.close()


def test_every_id_makes_an_env() -> None:
    for name in IDS:
        older = name in ("AdMarket-v0", "AdMarket-tiny-v0")
        with pytest.warns(DeprecationWarning, match="out of date") if older else nullcontext():
            env = gym.make(f"gaelp_env:{name}")
        observation, _ = env.reset(seed=1)
        assert observation in env.observation_space
        env.close()
    assert tiny().world._given == load_config("tiny")
    assert gym.make("gaelp_env:AdMarket-v1").unwrapped.world._given is None


def test_one_line_is_all_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    env = gym.make(TINY, store="sqlite:///my.db", world="demo")
    env.reset(seed=1)
    assert play_episode(env) == 24
    env.close()
    assert (tmp_path / "my.db").exists()
    env.reset()
    assert env.unwrapped.world.episodes_finished == 1
    env.close()


def test_a_copy_carries_constructor_arguments_only(store: str | None) -> None:
    env = tiny(store=store, reward="conversions", observe="full", render_mode="ansi")
    env.reset(seed=1)
    env.step(env.action_space.sample())
    for copied in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        assert copied.world.market is None
        assert copied.spec == env.spec
        assert copied._arguments == env._arguments
        assert copied.observation_space == env.observation_space
    env.close()


def test_a_spec_goes_to_json_and_back(store: str | None) -> None:
    made = gym.make(TINY, store=store, config={"people.users": 80}, touch_log="clicks")
    assert made.spec is not None
    env = gym.make(EnvSpec.from_json(made.spec.to_json()))
    env.reset(seed=1)
    assert env.unwrapped.world.playing().config == load_config({"people.users": 80})
    assert env.unwrapped.world.terms.touch_log == "clicks"
    env.close()


def test_infos_hold_finite_python_scalars_and_are_new_each_time() -> None:
    env = tiny()
    observation, told = env.reset(seed=1)
    seen = [(observation, told)]
    for _ in range(5):
        observation, reward, terminated, truncated, told = env.step(env.action_space.sample())
        assert (type(reward), terminated, truncated) == (float, False, False)
        seen.append((observation, told))
    for _, told in seen:
        assert all(type(value) in (int, float) and math.isfinite(value) for value in told.values())
    assert len({id(observation) for observation, _ in seen}) == len({id(told) for _, told in seen}) == 6
    assert len(env.observation_names) == len(observation)


def test_the_action_means_money_and_the_info_says_which() -> None:
    env = tiny()
    env.reset(seed=1)
    action = np.array([0.5, -1.0, 0.0, 1.0, -0.2], np.float32)
    *_, told = env.step(action)
    config = env.world.playing().config
    assert [told[f"bid_{name}"] for name in CHANNELS] == bids_cpm(action, config).tolist()
    assert told["bid_social"] == 0.0
    env.close()


def test_the_figures_of_an_episode_add_up() -> None:
    env = AdMarketEnv(config={"people.users": 400, "people.media_per_day": 30.0, "clock.episode_ticks": 12})
    env.reset(seed=1)
    told = [env.step(np.full(5, 0.6))[4] for _ in range(12)]
    totals = env.world.totals()
    for name in ("clicks", "conversions", "visits", "attributed"):
        assert sum(tick[name] for tick in told) == totals[name]
    assert sum(tick["views"] for tick in told) == totals["touchpoints"] > 0
    assert sum(tick["spend"] for tick in told) == pytest.approx(totals["spend"])
    assert told[-1]["budget_left"] == pytest.approx(
        env.world.playing().config.budget.per_episode - totals["spend"]
    )
    assert [tick["tick"] for tick in told] == list(range(12))


def score(told: dict[str, Any], target_cpa: float) -> float:
    """AuctionNet's score of the episode so far."""
    orders, spend = told["episode_attributed"], told["episode_spend"]
    return orders * min(1.0, (target_cpa * orders / spend) ** 2) if spend else float(orders)


@pytest.mark.parametrize("reward", REWARDS)
def test_the_reward_is_what_its_name_says(reward: str) -> None:
    config = {"people.users": 300, "people.media_per_day": 40.0}
    env = AdMarketEnv(config=config, reward=reward)
    env.reset(seed=1)
    score_before = 0.0
    for _ in range(8):
        _, got, *_, told = env.step(np.full(5, 0.4))
        expected = {
            "profit": told["margin"] - told["spend"],
            "accrued_profit": told["accrued"] - told["spend"],
            "attributed_profit": told["attributed_margin"] - told["spend"],
            "conversions": told["conversions"],
            "cpa_score": score(told, env.world.playing().config.goals.target_cpa) - score_before,
            "roas_score": got,  # tests/test_reward.py sums it up by hand
        }
        assert got == pytest.approx(expected[reward])
        score_before = score(told, env.world.playing().config.goals.target_cpa)
    assert sum(told[f"bid_{name}"] for name in CHANNELS) > 0


def test_the_last_tick_truncates_and_its_observation_is_of_its_end() -> None:
    staying = {"clock.episode_ticks": 24, "people.users": 200, "people.stay_days": 36_500.0}
    env = tiny(observe="full", config=staying)
    env.reset(seed=1)
    for tick in range(24):
        observation, _, terminated, truncated, _ = env.step(np.zeros(5))
        assert not terminated
        assert truncated == (tick == 23)
    assert observation[env.observation_names.index("episode_progress")] == 1.0
    first, _ = env.reset()
    assert first[env.observation_names.index("episode_progress")] == 0.0
    same = [name for name in env.observation_names if name.startswith(("mean_", "share_"))]
    for name in same:
        at = env.observation_names.index(name)
        assert first[at] == observation[at]


def test_steps_that_cannot_be_are_refused_in_words_and_change_nothing() -> None:
    env = tiny()
    with pytest.raises(ResetNeeded, match=r"has not begun; call reset\(\)"):
        env.step(np.zeros(5))
    env.reset(seed=1)
    with pytest.raises(ValueError, match=r"shape \(5,\)"):
        env.step(np.zeros(4))
    with pytest.raises(ValueError, match="must be finite"):
        env.step(np.array([0.0, np.nan, 0.0, 0.0, 0.0]))
    assert env.world.ticks == 0
    assert play_episode(env) == 24
    with pytest.raises(ResetNeeded, match=r"is over; call reset\(\)"):
        env.step(np.zeros(5))
    env.reset()
    env.close()
    with pytest.raises(ResetNeeded, match="has not begun"):
        env.step(np.zeros(5))


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"reward": "proft"}, ValueError, "did you mean 'profit'"),
        ({"observe": "ful"}, ValueError, "did you mean 'full'"),
        ({"mode": "raed"}, ValueError, "did you mean 'read'"),
        ({"render_mode": "human"}, ValueError, "ansi, rgb_array"),
        ({"config": {"people.usrs": 3}}, ConfigError, "the nearest is people.users"),
        ({"config": "tinny"}, ConfigError, "the nearest is tiny"),
        ({"store": 123}, BadStoreURL, "A store is a URL"),
        ({"world": 5}, BadWorldName, "A world is a name"),
    ],
)
def test_arguments_that_cannot_be_are_refused_at_the_door(
    arguments: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        AdMarketEnv(**arguments)


def test_stores_that_cannot_be_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(BadStoreURL, match="sqlite"):
        AdMarketEnv(store="sqlit:///my.db").reset()
    with pytest.raises(WorldNotFound, match="no file"):
        AdMarketEnv(store=f"sqlite:///{tmp_path}/my.db", mode="read").reset()


def test_options_are_checked() -> None:
    env = tiny()
    env.reset(options={})
    env.reset(options={"continue": True})
    with pytest.raises(ValueError, match="did you mean 'continue'"):
        env.reset(options={"continu": True})
    with pytest.raises(ValueError, match="True or False"):
        env.reset(options={"continue": "yes"})
    env.step(np.zeros(5))
    for options in ({"continu": True}, {"continue": 1}):
        with pytest.raises(ValueError, match="continue"):
            env.reset(options=options)
    env.step(np.zeros(5))
    assert env.world.ticks == 2


def test_a_reading_env_plays_on_privately(tmp_path: Path) -> None:
    url = new_url("sqlite", tmp_path)
    World.create(url, config=load_config("tiny")).close()
    env = tiny(store=url, mode="read")
    env.reset(seed=1)
    play_episode(env)
    _, told = env.reset(options={"continue": True})
    assert (told["tick"], told["episode_number"]) == (24, 2)
    _, told = env.reset()
    assert (told["tick"], told["episode_number"]) == (0, 1)


def test_no_store_and_a_store_play_the_same_market(store: str | None) -> None:
    env, twin = tiny(store=store), tiny()
    for each in (env, twin):
        each.reset(seed=4)
        play_episode(each)
        each.reset()
        play_episode(each)
    assert env.world.totals() == twin.world.totals()
    env.close()


def test_discrete_bids_are_every_combination_of_levels() -> None:
    env = DiscreteBids(tiny(), levels=(-1.0, 0.0))
    assert env.action_space == gym.spaces.Discrete(32)
    assert env.action(0).tolist() == [-1.0] * 5
    assert env.action(31).tolist() == [0.0] * 5
    assert env.action(16).tolist() == [0.0, -1.0, -1.0, -1.0, -1.0]
    assert env.action(np.int64(1)).tolist() == [-1.0, -1.0, -1.0, -1.0, 0.0]
    assert len({tuple(env.action(a)) for a in range(32)}) == 32
    env.reset(seed=1)
    *_, told = env.step(1)
    assert told["bid_email"] > 0.0 == told["bid_search"]
    with pytest.raises(ValueError, match=r"whole number in Discrete\(32\)"):
        env.step(32)
    with pytest.raises(ValueError, match="rising numbers"):
        DiscreteBids(tiny(), levels=(0.5, 0.0))
    with pytest.raises(ValueError, match="whose action is a Box"):
        DiscreteBids(env)


def test_importing_the_package_is_light_and_gives_what_it_names() -> None:
    script = (
        "import sys, gaelp_env, gymnasium\n"
        "heavy = {'numba', 'pydantic', 'torch', 'sqlite3', 'yaml', 'stable_baselines3'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert 'AdMarket-v1' in gymnasium.registry\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    assert gaelp_env.AdMarketEnv is AdMarketEnv
    assert gaelp_env.World is World
    assert gaelp_env.MarketConfig is MarketConfig
    assert gaelp_env.load_config is load_config
    assert set(gaelp_env.__all__) <= set(dir(gaelp_env))
    with pytest.raises(AttributeError, match="no attribute 'Wrold'"):
        _ = gaelp_env.Wrold
