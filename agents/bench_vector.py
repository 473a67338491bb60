"""Steps a second of the vector environments, and what the shell around the loop costs.

Both play as a user of `gym.make_vec` has them: in memory, on as many threads as there are cores. The
seconds are elapsed ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import gaelp_env.vector as shell
from agents.bench_market import Say
from agents.bench_measure import Effort, Figure, Timed, Work, in_turn, spelled, timing
from gaelp_env.threads import set_threads

BIDS_LIKE = 0.3
"""The action in every place: a little over the reference price."""


def measure_vector(effort: Effort, say: Say) -> Iterator[Figure]:
    """Yields steps a second of worlds and of impressions, and the shell's microseconds a call."""
    set_threads(None)
    try:
        yield from _worlds(effort, say)
        yield from _impressions(effort, say)
    finally:
        set_threads(1)


def _made(name: str, worlds: int, users: int) -> Any:
    import gymnasium

    return gymnasium.make_vec(f"gaelp_env:{name}", num_envs=worlds, config={"people.users": users})


def _worlds(effort: Effort, say: Say) -> Iterator[Figure]:
    worlds, who = effort.vector_worlds, f"{effort.vector_worlds:,} × {spelled(effort.vector_users)} users"
    say(f"the vector environment, {who}")
    env = _made("AdMarket-v1", worlds, effort.vector_users)
    actions = np.full(env.action_space.shape, BIDS_LIKE, np.float32)
    env.reset(seed=1)
    ticks = env.unwrapped.worlds[0].playing().config.clock.episode_ticks
    calls = effort.vector_episodes * (ticks + 1)
    inside: list[float] = []
    outside: list[float] = []

    def apart() -> None:
        loop, whole = shell_and_loop(env, actions, ticks - 1)
        inside.append(loop)
        outside.append(whole - loop)

    works = {
        "steps": Work(_calls(env, actions, calls), lambda: env.reset(seed=1)),
        "apart": Work(apart, lambda: env.reset(seed=1)),
    }
    for work in works.values():
        work.prepare()
        work.do()
    inside.clear()
    outside.clear()
    timed = in_turn(works, effort.repetitions)
    env.close()
    steps = worlds * calls
    share = sum(inside) / (sum(inside) + sum(outside))
    yield Figure(
        "vector_steps", f"env-steps, {who}, ends of episodes included", "1/s", timed["steps"].rates(steps),
        {"cores at work": timed["steps"].at_work},
    )  # fmt: skip
    yield Figure(
        "vector_loop", f"the loop alone, {who}, within an episode", "1/s",
        tuple(worlds * (ticks - 1) / s for s in inside), {"time of a call": share}, reference=True,
    )  # fmt: skip
    yield Figure(
        "vector_shell", f"the shell of a call beyond the loop, {who}", "µs",
        tuple(s * 1e6 / (ticks - 1) for s in outside), {"time of a call": 1.0 - share},
    )  # fmt: skip


def shell_and_loop(env: Any, actions: Any, calls: int) -> tuple[float, float]:
    """Seconds of some calls of `step` within an episode: in the loop over the worlds, and in all.

    Raises: RuntimeError if the loop was not seen at every call.
    """
    clock = [0.0, 0.0]
    with timing(shell, "advance_all", clock):
        began = time.perf_counter()
        for _ in range(calls):
            env.step(actions)
        whole = time.perf_counter() - began
    if clock[1] != calls:
        raise RuntimeError(
            f"{calls} steps of the vector environment went through advance_all {clock[1]:.0f} times, and the "
            "bench takes it for their loop."
        )
    return clock[0], whole


def _impressions(effort: Effort, say: Say) -> Iterator[Figure]:
    worlds, who = effort.impression_worlds, (
        f"{effort.impression_worlds:,} × {spelled(effort.vector_users)} users"
    )  # fmt: skip
    say(f"impressions, {who}")
    env = _made("AdMarketImpression-v0", worlds, effort.vector_users)
    actions = np.full(env.action_space.shape, BIDS_LIKE, np.float32)
    env.reset(seed=1)
    play = _calls(env, actions, effort.impression_steps)
    play()
    timed: Timed = in_turn({"steps": Work(play)}, effort.repetitions)["steps"]
    env.close()
    yield Figure(
        "impression_steps", f"impression steps, {who}", "1/s",
        timed.rates(worlds * effort.impression_steps), {"cores at work": timed.at_work},
    )  # fmt: skip


def _calls(env: Any, actions: Any, calls: int) -> Callable[[], None]:
    def play() -> None:
        for _ in range(calls):
            env.step(actions)

    return play
