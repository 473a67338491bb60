"""PPO of Stable-Baselines3 on worlds that persist: a script to copy and change.

    python scripts/train_sb3.py --steps 50000 --store sqlite:///my.db

Run it again, and it meets the same people, later in their lives.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize


def main(arguments: list[str] | None = None) -> None:
    """Trains, saves the policy, and shows a day of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--env", default="gaelp_env:AdMarket-v1")
    parser.add_argument("--store", default="sqlite:///my.db")
    parser.add_argument("--steps", type=int, default=50_000)
    parser.add_argument("--worlds", type=int, default=4)
    parser.add_argument("--out", default="my_policy", help="folder of policy.zip and vecnormalize.pkl")
    args = parser.parse_args(arguments)

    # Every environment takes a world of its own: demo/0, demo/1 … of one file.
    world = {"store": args.store, "world": "demo/*", "reward": "accrued_profit", "commit_every": 25}
    envs = make_vec_env(args.env, n_envs=args.worlds, env_kwargs=world)
    # Rewards are scaled; observations lie in [-1, 1] by themselves.
    envs = VecNormalize(envs, norm_obs=False, gamma=0.95)
    model = PPO(
        "MlpPolicy",
        envs,
        n_steps=240,
        batch_size=240,
        gamma=0.95,
        gae_lambda=0.9,
        learning_rate=1e-3,
        policy_kwargs={"log_std_init": -1.2},
        seed=0,
        device="cpu",
        verbose=1,
    )
    model.learn(args.steps)
    Path(args.out).mkdir(parents=True, exist_ok=True)
    model.save(f"{args.out}/policy")
    envs.save(f"{args.out}/vecnormalize.pkl")
    # Closing ends the open day and commits it: without it the people would not remember the last days.
    envs.close()

    # Reading plays on privately: these days change nobody.
    watched = {"store": args.store, "world": "demo/0", "mode": "read"}
    reading = make_vec_env(args.env, n_envs=1, env_kwargs=watched)
    observation: Any = reading.reset()
    spend = orders = 0.0
    over = False
    while not over:
        action, _ = model.predict(observation, deterministic=True)
        observation, _, dones, infos = reading.step(action)
        spend, orders, over = spend + infos[0]["spend"], orders + infos[0]["conversions"], bool(dones[0])
    reading.close()
    print(f"A day of the trained policy in demo/0: spend {spend:,.2f}, {orders:.0f} orders fell due.")
    print(f"Compare it with the baselines: gaelp evaluate {args.out} --store {args.store}")


if __name__ == "__main__":
    main()
