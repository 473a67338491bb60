"""Training: end to end on a tiny market, again on the same people, and after kill -9."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.baselines import BASELINES, SearchPlan
from agents.evaluate import EvaluateOptions, run_evaluation
from agents.evaluate_worlds import commits_of, standing
from agents.manifest import Checkpoint, Manifest, utc_now, versions, write_whole
from agents.train import TrainOptions, TrainResult, run_training
from agents.train_settings import SETTINGS, settings_of
from gaelp_env.config_load import ConfigError, load_config
from storage import open_store

SEARCH = SearchPlan(
    population=3, generations=1, elite=2, screen_days=1, screen_replicates=1, days=1, run_out_days=1,
    replicates=2, steps=(),
)  # fmt: skip


def options(folder: Path, **changes: Any) -> TrainOptions:
    terms: dict[str, Any] = {
        "store": f"sqlite:///{folder / 'people.db'}", "config": "tiny", "steps": 7_680, "worlds": 2,
        "out": str(folder / "run"), "replicates": 2, "days": 2, "evaluate": False, "search": SEARCH,
    }  # fmt: skip
    return TrainOptions(**(terms | changes))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainResult]:
    """A whole run, with search and evaluation."""
    folder = tmp_path_factory.mktemp("trained")
    return folder, run_training(options(folder, evaluate=True, quiet=True))


def counts(store: str) -> dict[str, int]:
    opened = open_store(store, read_only=True)
    try:
        return {line.birth.world: opened.count(line.birth.world, "episodes") for line in opened.worlds()}
    finally:
        opened.close()


class TestWholeRun:
    def test_leaves_policy_report_and_picture(self, trained: tuple[Path, TrainResult]) -> None:
        folder, result = trained
        out = folder / "run"
        for name in ("policy.zip", "vecnormalize.pkl", "baselines.json", "before.npz"):
            assert (out / name).stat().st_size > 0, name
        assert (out / "report.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        assert json.loads((out / "report.json").read_text()) == result.report
        assert list((out / "tensorboard").rglob("events*"))
        assert (out / "watched" / "evaluations.npz").exists()
        assert not list(out.rglob("*.part*"))

    def test_manifest_tells_what_the_policy_was_made_from(self, trained: tuple[Path, TrainResult]) -> None:
        folder, result = trained
        kept = Manifest.load(folder / "run")
        assert kept == result.manifest
        assert kept.config_fingerprint == load_config("tiny").fingerprint()
        assert load_config(kept.config) == load_config("tiny")
        assert (kept.algorithm, kept.steps_done, kept.runs, kept.finished) == ("ppo", 7_680, 1, True)
        assert kept.versions == versions() and kept.versions["torch"].startswith("2.")
        assert kept.wall_seconds > 0.0
        store = f"sqlite:///{folder / 'people.db'}"
        assert kept.checkpoints[-1].commits == standing(store, ["demo/0", "demo/1"])
        assert set(kept.chance_seeds) == {"demo/0", "demo/1"}

    def test_the_worlds_lived_through_it(self, trained: tuple[Path, TrainResult]) -> None:
        folder, result = trained
        assert counts(f"sqlite:///{folder / 'people.db'}") == {"demo/0": 160, "demo/1": 160}
        before, after = result.report["population"]["before"], result.report["population"]["after"]
        assert (before["episodes"], after["episodes"]) == (0, 320)
        assert before["stages"]["UNAWARE"] == before["people"] == 400
        assert after["touchpoints"] > 0 and after["mean_awareness"] > 0.0

    def test_everybody_was_evaluated_from_both_starts(self, trained: tuple[Path, TrainResult]) -> None:
        _, result = trained
        assert result.evaluation is not None
        starts = result.evaluation.starts
        assert [start.label for start in starts] == ["commit before training", "fresh world"]
        assert starts[0].commits == {"demo/0": 0, "demo/1": 0}
        for start in starts:
            assert list(start.scores) == ["trained", *BASELINES]
            assert list(start.differences) == list(BASELINES)
            assert start.scores["never"].profit.mean == 0.0
        assert result.report["evaluation"]["starts"][1]["scores"]["trained"]["spend"]["replicates"] == 2

    def test_evaluating_the_policy_again_gives_the_same_numbers(
        self, trained: tuple[Path, TrainResult], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder, result = trained
        monkeypatch.setattr("agents.evaluate.cores", lambda: 1)
        store = f"sqlite:///{folder / 'people.db'}"
        asked = EvaluateOptions(store=store, policy=[str(folder / "run")], replicates=2, days=2)
        again = run_evaluation(asked)
        assert result.evaluation is not None
        assert again.champion == "trained"
        assert again.starts[1].scores == result.evaluation.starts[1].scores
        assert again.starts[0].commits == standing(store, ["demo/0", "demo/1"])

    def test_statistics_are_frozen_in_evaluation(self, trained: tuple[Path, TrainResult]) -> None:
        from agents.sb3_policy import TrainedPolicy

        folder, _ = trained
        policy = TrainedPolicy(folder / "run")
        assert policy.statistics is not None and not policy.statistics.training
        count = policy.statistics.ret_rms.count
        seen = np.zeros((3, *policy.model.observation_space.shape), np.float32)
        first, _ = policy.predict(seen)
        assert policy.predict(seen)[0].tolist() == first.tolist()
        assert policy.statistics.ret_rms.count == count > 1.0


def test_a_second_run_goes_on_with_the_same_people(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = run_training(options(tmp_path, worlds=8, steps=3_840))
    assert "8 worlds are born in" in capsys.readouterr().out
    people = _users(tmp_path)
    second = run_training(options(tmp_path, worlds=8, steps=3_840))
    told = capsys.readouterr().out
    assert "The same people go on in" in told and "demo/0 at commit" in told
    assert "goes on learning from step 3,840" in told
    assert "the worlds stand where it left them" in told
    assert "Run 2 in this folder, on the same people." in told
    assert (second.manifest.runs, second.manifest.steps_done) == (2, 7_680)
    before, after = second.report["population"]["before"], first.report["population"]["after"]
    assert before == after
    assert people <= _users(tmp_path)
    assert counts(first.manifest.store) == {f"demo/{place}": 40 for place in range(8)}


def _users(folder: Path) -> set[str]:
    store = open_store(f"sqlite:///{folder / 'people.db'}", read_only=True)
    try:
        return {row["user_id"] for row in store.rows("demo/0", "persistent_users")}
    finally:
        store.close()


def test_a_new_policy_on_the_same_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_training(options(tmp_path, steps=3_840))
    capsys.readouterr()
    again = run_training(options(tmp_path, steps=3_840, resume=False))
    told = capsys.readouterr().out
    assert "The same people go on" in told and "goes on learning" not in told
    assert (again.manifest.runs, again.manifest.steps_done) == (1, 3_840)
    assert counts(again.manifest.store) == {"demo/0": 160, "demo/1": 160}


def test_killed_runs_go_on_from_the_last_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = options(tmp_path, steps=11_520)
    code = (
        "from agents.train import *\n"
        f"run_training(TrainOptions(store={asked.store!r}, config='tiny', steps=11520, worlds=2, "
        f"out={asked.out!r}, evaluate=False))"
    )
    for kills in range(2):
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
        try:
            _wait_for_checkpoints(tmp_path / "run", at_least=kills + 1, child=child)
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()
        kept = Manifest.load(tmp_path / "run")
        assert kept is not None and not kept.finished
        assert kept.steps_goal == 11_520
    last = kept.checkpoints[-1]
    gone_on = kept.distance(standing(asked.store, kept.worlds))
    result = run_training(asked)
    told = " ".join(capsys.readouterr().out.split())
    assert f"was broken off; it goes on from step {last.steps:,}" in told
    for world, commits in gone_on.items():
        assert f"{world} has gone on by {commits} commits" in told
    assert (result.manifest.steps_done, result.manifest.runs, result.manifest.finished) == (11_520, 1, True)
    assert result.report["population"]["before"]["episodes"] == 0
    finished = counts(asked.store)
    assert finished["demo/0"] == finished["demo/1"] or gone_on
    commits = commits_of(asked.store, ["demo/0"])
    assert int(np.frombuffer(commits[0].record, np.uint8).size) > 0


def _wait_for_checkpoints(out: Path, at_least: int, child: subprocess.Popen[bytes]) -> None:
    began = time.monotonic()
    seen: set[int] = set()
    while len(seen) < at_least:
        assert child.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() - began < 120.0
        if (out / "manifest.json").exists():
            kept = Manifest.load(out)
            seen |= {entry.steps for entry in kept.checkpoints} if kept else set()
        time.sleep(0.02)


def test_worlds_in_processes_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run_training(options(tmp_path, vec="subproc", steps=3_840))
    assert counts(result.manifest.store) == {"demo/0": 80}
    assert standing(result.manifest.store, ["demo/0", "demo/1"]).keys() == {"demo/0", "demo/1"}
    assert (tmp_path / "people.demo-1.db").exists()
    again = run_training(options(tmp_path, steps=3_840))
    assert again.report["population"]["before"] == result.report["population"]["after"]
    assert "The same people go on" in capsys.readouterr().out


def test_processes_cannot_share_a_file(tmp_path: Path) -> None:
    run_training(options(tmp_path, steps=3_840))
    with pytest.raises(ValueError, match="a file has one writing process: go on with --vec native"):
        run_training(options(tmp_path, steps=3_840, vec="subproc"))
    assert counts(options(tmp_path).store) == {"demo/0": 80, "demo/1": 80}


def test_one_call_for_all_worlds_teaches_what_one_after_the_other_does(tmp_path: Path) -> None:
    """The same people, the same luck, the same learner: the same curve and the same worlds."""
    found = []
    for vec in ("native", "dummy"):
        terms = {"vec": vec, "store": f"sqlite:///{tmp_path / vec}.db", "out": str(tmp_path / vec)}
        result = run_training(options(tmp_path, quiet=True, **terms))
        curve, people = result.report["training"]["curve"], result.report["population"]
        found.append((curve, people, counts(terms["store"])))
    assert found[0] == found[1]


def test_sixty_four_worlds_at_once(tmp_path: Path) -> None:
    result = run_training(options(tmp_path, worlds=64, steps=64 * 240, quiet=True))
    assert result.manifest.steps_done == 64 * 240
    assert counts(result.manifest.store) == {f"demo/{place}": 10 for place in range(64)}


def test_sac_learns_too(tmp_path: Path) -> None:
    result = run_training(options(tmp_path, algorithm="sac", steps=1_280, quiet=True))
    assert result.manifest.algorithm == "sac"
    assert result.manifest.steps_done == 1_280


class TestRefusals:
    def test_what_cannot_be(self, tmp_path: Path) -> None:
        for changes, words in (
            ({"store": "memory:"}, "memory: is private to one of them"),
            ({"store": "memory:shared", "vec": "subproc"}, "cannot share memory:"),
            ({"vec": "threads"}, "known are native, dummy, subproc"),
            ({"worlds": 0}, "worlds is at least 1, and not 0"),
            ({"algorithm": "dqn"}, "no algorithm 'dqn'; the known ones are ppo, sac"),
            ({"evaluate": True, "replicates": 1}, "at least 2 replicates"),
        ):
            with pytest.raises(ValueError, match=words):
                run_training(options(tmp_path, **changes))
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_that_holds_another_run(self, tmp_path: Path) -> None:
        run_training(options(tmp_path, steps=3_840))
        with pytest.raises(ValueError, match=r"whose worlds is .* with --no-resume"):
            run_training(options(tmp_path, steps=3_840, worlds=3))
        with pytest.raises(ValueError, match="whose algorithm is ppo, and sac is asked for"):
            run_training(options(tmp_path, steps=3_840, algorithm="sac"))

    def test_worlds_of_another_configuration(self, tmp_path: Path) -> None:
        run_training(options(tmp_path, steps=3_840))
        with pytest.raises(ConfigError, match="born with another configuration"):
            run_training(options(tmp_path, config="first_price", out=str(tmp_path / "other")))

    def test_a_manifest_that_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "manifest.json").write_text("{}")
        with pytest.raises(ValueError, match="is no manifest of this release"):
            run_training(options(tmp_path))


class TestManifest:
    def manifest(self) -> Manifest:
        return Manifest(
            algorithm="ppo", settings={}, store="sqlite:///a.db", worlds=["w/0", "w/1"],
            config_fingerprint="f", config={}, seed=1, chance_seeds={"w/0": 5},
            checkpoints=[Checkpoint(10, "p.zip", "v.pkl", {"w/0": 4, "w/1": 4}, utc_now())],
        )  # fmt: skip

    def test_round_trip(self, tmp_path: Path) -> None:
        manifest = self.manifest()
        manifest.save(tmp_path)
        assert Manifest.load(tmp_path) == manifest
        assert Manifest.load(tmp_path / "elsewhere") is None

    def test_distance_counts_commits_since_the_checkpoint(self) -> None:
        manifest = self.manifest()
        assert manifest.distance({"w/0": 4, "w/1": 4}) == {}
        assert manifest.distance({"w/0": 7, "w/1": 4, "other/0": 9}) == {"w/0": 3}
        manifest.checkpoints = []
        assert manifest.distance({"w/0": 7}) == {}

    def test_a_file_is_replaced_whole(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "note.json"
        write_whole(path, "old")

        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            write_whole(path, "new")
        assert path.read_text() == "old"


def test_settings_name_the_known_ones() -> None:
    assert settings_of("ppo") is SETTINGS["ppo"]
    with pytest.raises(ValueError, match="ppo, sac"):
        settings_of("a2c")
