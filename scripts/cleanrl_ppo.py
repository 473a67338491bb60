"""PPO in one file, in the manner of CleanRL, on AdMarket through `gym.make`.

    python scripts/cleanrl_ppo.py --total-steps 100000 --store sqlite:///cleanrl.db

Follows ppo_continuous_action.py of CleanRL (Huang et al., JMLR 23(274), 2022). Two things differ: the
episodes are truncated and never terminated, so the value of the last state is added to the last reward;
and the worlds persist, so the run ends by closing them, which commits the last day.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import deque
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from torch import nn


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--env-id", default="gaelp_env:AdMarket-v1")
    parser.add_argument("--store", default="sqlite:///cleanrl.db")
    parser.add_argument("--world", default="demo")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--total-steps", type=int, default=100_000)
    parser.add_argument("--num-envs", type=int, default=4)
    parser.add_argument("--num-steps", type=int, default=240)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--gamma", type=float, default=0.95)
    parser.add_argument("--gae-lambda", type=float, default=0.9)
    parser.add_argument("--num-minibatches", type=int, default=4)
    parser.add_argument("--update-epochs", type=int, default=6)
    parser.add_argument("--clip-coef", type=float, default=0.2)
    parser.add_argument("--ent-coef", type=float, default=0.0)
    parser.add_argument("--vf-coef", type=float, default=0.5)
    parser.add_argument("--max-grad-norm", type=float, default=0.5)
    parser.add_argument("--log-std", type=float, default=-1.2)
    parser.add_argument("--reward-scale", type=float, default=0.1)
    return parser.parse_args(arguments)


def make_envs(args: argparse.Namespace) -> SyncVectorEnv:
    """One persistent world an environment: `world/0`, `world/1` … of one store."""

    def maker(place: int) -> Any:
        return lambda: gym.make(
            args.env_id,
            store=args.store,
            world=f"{args.world}/{place}",
            reward="accrued_profit",
            commit_every=25,
            touch_log="clicks",
        )

    return SyncVectorEnv([maker(k) for k in range(args.num_envs)], autoreset_mode=AutoresetMode.SAME_STEP)


def layer(inputs: int, outputs: int, std: float = 2.0**0.5) -> nn.Linear:
    """A linear layer with orthogonal weights and no bias to begin with."""
    linear = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(linear.weight, std)
    nn.init.constant_(linear.bias, 0.0)
    return linear


class Agent(nn.Module):
    """Actor and critic, two hidden layers each."""

    def __init__(self, inputs: int, outputs: int, log_std: float) -> None:
        super().__init__()
        self.critic = nn.Sequential(layer(inputs, 64), nn.Tanh(), layer(64, 64), nn.Tanh(), layer(64, 1, 1.0))
        self.actor_mean = nn.Sequential(
            layer(inputs, 64), nn.Tanh(), layer(64, 64), nn.Tanh(), layer(64, outputs, 0.01)
        )
        self.actor_log_std = nn.Parameter(torch.full((1, outputs), log_std))

    def value(self, seen: torch.Tensor) -> torch.Tensor:
        """The value of observations `[B, N]`: `[B]`."""
        value: torch.Tensor = self.critic(seen).flatten()
        return value

    def act(
        self, seen: torch.Tensor, action: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """An action for each observation, its log probability, and the entropy."""
        mean, log_std = self.actor_mean(seen), self.actor_log_std
        if action is None:
            action = mean + log_std.exp() * torch.randn_like(mean)
        half_log_2pi = 0.5 * math.log(2.0 * math.pi)
        log_prob = -0.5 * ((action - mean) / log_std.exp()) ** 2 - log_std - half_log_2pi
        entropy = (0.5 + half_log_2pi + log_std).expand_as(mean)
        return action, log_prob.sum(1), entropy.sum(1)


def main(arguments: list[str] | None = None) -> float:
    """Runs the experiment; returns the mean accrued profit of the last finished episodes."""
    args = parse(arguments)
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    envs = make_envs(args)
    inputs = math.prod(envs.single_observation_space.shape or ())
    outputs = math.prod(envs.single_action_space.shape or ())
    agent = Agent(inputs, outputs, args.log_std)
    optimizer = torch.optim.Adam(agent.parameters(), lr=args.learning_rate, eps=1e-5)

    shape = (args.num_steps, args.num_envs)
    seen = torch.zeros((*shape, inputs))
    actions = torch.zeros((*shape, outputs))
    log_probs, rewards, dones, values = (torch.zeros(shape) for _ in range(4))
    returns: deque[float] = deque(maxlen=100)
    running = np.zeros(args.num_envs)

    began = time.monotonic()
    batch = args.num_envs * args.num_steps
    updates = max(1, args.total_steps // batch)
    next_seen = torch.as_tensor(envs.reset(seed=args.seed)[0])
    for update in range(1, updates + 1):
        optimizer.param_groups[0]["lr"] = args.learning_rate * (1.0 - 0.9 * (update - 1) / updates)
        for step in range(args.num_steps):
            seen[step] = next_seen
            with torch.no_grad():
                actions[step], log_probs[step], _ = agent.act(next_seen)
                values[step] = agent.value(next_seen)
            observation, reward, _, truncations, infos = envs.step(actions[step].numpy().clip(-1.0, 1.0))
            running += reward
            scaled = torch.as_tensor(reward * args.reward_scale, dtype=torch.float32)
            if truncations.any():
                with torch.no_grad():
                    last = torch.as_tensor(np.stack(infos["final_obs"][truncations]))
                    scaled[truncations] += args.gamma * agent.value(last)
                returns.extend(running[truncations].tolist())
                running[truncations] = 0.0
            rewards[step], dones[step] = scaled, torch.as_tensor(truncations, dtype=torch.float32)
            next_seen = torch.as_tensor(observation)

        with torch.no_grad():
            advantages, later = torch.zeros(shape), torch.zeros(args.num_envs)
            for step in reversed(range(args.num_steps)):
                after = values[step + 1] if step + 1 < args.num_steps else agent.value(next_seen)
                goes_on = 1.0 - dones[step]
                delta = rewards[step] + args.gamma * after * goes_on - values[step]
                later = delta + args.gamma * args.gae_lambda * goes_on * later
                advantages[step] = later
            targets = advantages + values

        flat_seen, flat_actions = seen.reshape(batch, -1), actions.reshape(batch, -1)
        flat_log_probs, flat_advantages = log_probs.flatten(), advantages.flatten()
        flat_targets = targets.flatten()
        for _ in range(args.update_epochs):
            for rows in torch.randperm(batch).chunk(args.num_minibatches):
                _, log_prob, entropy = agent.act(flat_seen[rows], flat_actions[rows])
                ratio = (log_prob - flat_log_probs[rows]).exp()
                gain = flat_advantages[rows]
                gain = (gain - gain.mean()) / (gain.std() + 1e-8)
                clipped = ratio.clamp(1.0 - args.clip_coef, 1.0 + args.clip_coef)
                policy_loss = torch.max(-gain * ratio, -gain * clipped).mean()
                value_loss = 0.5 * ((agent.value(flat_seen[rows]) - flat_targets[rows]) ** 2).mean()
                loss = policy_loss - args.ent_coef * entropy.mean() + args.vf_coef * value_loss
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(agent.parameters(), args.max_grad_norm)
                optimizer.step()

        if returns and (update % 10 == 0 or update == updates):
            speed = update * batch / (time.monotonic() - began)
            mean = float(np.mean(returns))
            print(f"step {update * batch:,}: accrued profit of an episode {mean:,.1f}, {speed:,.0f} steps/s")
    envs.close()
    return float(np.mean(returns)) if returns else float("nan")


if __name__ == "__main__":
    main()
