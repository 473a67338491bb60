"""The scripts that users copy run as they are printed."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

from agents.evaluate_worlds import standing
from agents.sb3_policy import TrainedPolicy

SCRIPTS = Path(__file__).parent.parent / "scripts"
TINY = "gaelp_env:AdMarket-tiny-v1"


def run(script: str, *arguments: str) -> str:
    command = [sys.executable, "-W", "error", str(SCRIPTS / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_train_sb3_twice_on_the_same_people(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'my.db'}"
    arguments = (
        "--env",
        TINY,
        "--store",
        store,
        "--steps",
        "480",
        "--worlds",
        "2",
        "--out",
        str(tmp_path / "p"),
    )
    told = run("train_sb3.py", *arguments)
    assert "A day of the trained policy in demo/0: spend" in told
    before = standing(store, ["demo/0", "demo/1"])
    assert set(before) == {"demo/0", "demo/1"}
    policy = TrainedPolicy(tmp_path / "p")
    assert policy.statistics is not None
    run("train_sb3.py", *arguments)
    after = standing(store, ["demo/0", "demo/1"])
    assert all(after[world] > before[world] for world in before)


def test_cleanrl_ppo(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'cleanrl.db'}"
    told = run(
        "cleanrl_ppo.py", "--env-id", TINY, "--store", store, "--total-steps", "960", "--num-envs", "2",
    )  # fmt: skip
    assert "step 960: accrued profit of an episode" in told
    assert standing(store, ["demo/0", "demo/1"]).keys() == {"demo/0", "demo/1"}


def test_cleanrl_ppo_learns_on_a_made_up_market(tmp_path: Path) -> None:
    """Nothing but the value of truncation and the sign of the loss is checked: it ends with a number."""
    sys.path.insert(0, str(SCRIPTS))
    try:
        import cleanrl_ppo
    finally:
        sys.path.remove(str(SCRIPTS))
    mean = cleanrl_ppo.main(
        [
            "--env-id",
            TINY,
            "--store",
            f"sqlite:///{tmp_path / 'c.db'}",
            "--total-steps",
            "480",
            "--num-envs",
            "1",
        ]
    )
    assert math.isfinite(mean)
