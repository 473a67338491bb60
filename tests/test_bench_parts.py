"""The bench's bars, threads, largest market, vector environments and profile of training, each by itself."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents import bench_large, bench_report, bench_threads, bench_train, bench_vector
from agents.bench import SECTIONS
from agents.bench_bars import BARS, judge, verdict
from agents.bench_measure import QUICK, Effort, Figure, LeftOut, Row, spelled, timing
from gaelp_env.threads import set_threads, threads

SMALL = replace(
    QUICK, large_users=3_000, small_users=1_000, large_ticks=3, thread_users=2_000, thread_days=2,
    vector_worlds=2, vector_users=300, impression_worlds=3, impression_steps=20, repetitions=2,
    slow_repetitions=1, train_steps=32,
)  # fmt: skip


@pytest.fixture(autouse=True)
def short_and_tidy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(bench_threads, "HASHES", 2)
    yield
    set_threads(None)


def by_name(rows: Any) -> dict[str, Row]:
    return {row.name: row for row in rows}


def silent(_: str) -> None:
    pass


def figure(name: str, median: float, unit: str = "×") -> dict[str, Any]:
    return Figure(name, name, unit, (median,)).as_json()


class TestBars:
    def test_figures_are_unique_and_sections_known(self) -> None:
        assert len({bar.figure for bar in BARS}) == len(BARS)
        assert {bar.section for bar in BARS} <= set(SECTIONS)

    def test_a_full_run_measures_every_bar(self) -> None:
        full = Effort()
        threads, large = spelled(full.thread_users), spelled(full.large_users)
        sizes = {f"{name}_{spelled(n)}" for n in full.sizes for name in ("opportunities", "full_over_first")}
        assert {bar.figure for bar in BARS} <= sizes | {
            "opportunities_1m_dense", f"day_{threads}_2", f"threads_gain_{threads}_2",
            f"numpy_over_{threads}_2", f"growth_{large}_dense", f"resident_{large}", "vector_steps",
            "vector_shell", "impression_steps", "train_share", "hot_bytes", "memory_bytes",
        }  # fmt: skip
        assert (full.small_users, full.vector_worlds, full.vector_users) == (10_000, 64, 1_000)
        assert full.impression_worlds == 1_024

    @pytest.mark.parametrize("bar", BARS, ids=lambda bar: bar.figure)
    def test_the_bar_itself_meets_it_and_a_little_worse_does_not(self, bar: Any) -> None:
        worse = bar.value * (0.999 if bar.least else 1.001)
        for median, met in ((bar.value, True), (worse, False)):
            lines = judge([figure(bar.figure, median)], [], list(SECTIONS))
            (line,) = [line for line in lines if line["figure"] == bar.figure]
            assert (line["met"], line["measured"], line["why"]) == (met, median, "")
            assert verdict(line).startswith("met" if met else "not met")
        if bar.aim is not None:
            assert bar.met(bar.aim)
            assert bar.aim_met(bar.aim)
            assert not bar.aim_met(bar.value)

    @given(st.sets(st.sampled_from([bar.figure for bar in BARS])), st.sets(st.sampled_from(list(SECTIONS))))
    def test_what_was_not_measured_is_never_met(self, measured: set[str], sections: set[str]) -> None:
        lines = judge([figure(name, 1.0) for name in measured], [], list(sections))
        assert len(lines) == len(BARS)
        for line in lines:
            if line["figure"] in measured:
                assert line["met"] is not None
            else:
                assert line["met"] is line["measured"] is None
                assert verdict(line).startswith("not measured: ")
                assert len(line["why"]) > 20

    def test_the_reason_of_what_was_left_out_is_told(self) -> None:
        left = [LeftOut("growth_10m_dense", "growth", "no memory").as_json()]
        (line,) = [one for one in judge([], left, ["large"]) if one["figure"] == "growth_10m_dense"]
        assert verdict(line) == "not measured: no memory"

    def test_verdicts(self) -> None:
        line = {"met": True, "aim_met": None, "why": ""}
        assert verdict(line) == "met"
        assert verdict(line | {"aim_met": True}) == "met, and the aim"
        assert verdict(line | {"aim_met": False}) == "met, the aim not"
        assert verdict(line | {"met": False, "aim_met": False}) == "not met"


class TestThreads:
    @pytest.mark.parametrize(
        ("cores", "counts"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (4, [1, 2, 4]), (6, [1, 2, 4, 6])]
    )
    def test_counts(self, cores: int, counts: list[int]) -> None:
        assert bench_threads.thread_counts(cores) == counts

    def test_figures_and_points_of_two_cores(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bench_threads, "cores", lambda: 2)
        curve: list[dict[str, Any]] = []
        rows = by_name(bench_threads.measure_threads(SMALL, silent, curve))
        days = ("day_2k_1", "day_2k_2", "first_day_2k_1", "numpy_over_2k_2", "threads_gain_2k_2")
        assert {*days, "numpy_day_2k", "hashing_gain_2"} <= set(rows)
        assert sorted((p["first"], p["threads"]) for p in curve) == [
            (False, 1), (False, 2), (True, 1), (True, 2),
        ]  # fmt: skip
        alone, both, gain = (rows[name] for name in ("day_2k_1", "day_2k_2", "threads_gain_2k_2"))
        assert isinstance(alone, Figure)
        assert isinstance(both, Figure)
        assert isinstance(gain, Figure)
        assert gain.values == pytest.approx([a / b for a, b in zip(alone.values, both.values, strict=True)])

    def test_one_core_leaves_two_threads_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bench_threads, "cores", lambda: 1)
        rows = by_name(bench_threads.measure_threads(SMALL, silent, []))
        left = {name for name, row in rows.items() if isinstance(row, LeftOut)}
        assert left == {"day_2k_2", "threads_gain_2k_2", "numpy_over_2k_2"}

    def test_the_rest_of_the_bench_has_one_thread_again(self) -> None:
        next(bench_threads.measure_threads(SMALL, silent, []))
        assert threads() == 1
        list(bench_vector.measure_vector(SMALL, silent))
        assert threads() == 1


class TestLarge:
    def test_cost_growth_and_resident_memory(self) -> None:
        curve: list[dict[str, Any]] = []
        rows = by_name(bench_large.measure_large(SMALL, silent, curve))
        cost, growth, resident, peak = (
            rows[name] for name in ("cost_3k_dense", "growth_3k_dense", "resident_3k", "peak_3k")
        )
        assert isinstance(cost, Figure)
        assert isinstance(growth, Figure)
        assert isinstance(resident, Figure)
        assert isinstance(peak, Figure)
        assert len(cost.values) == len(growth.values) == len(resident.values) == 3
        assert 0.1 < growth.median < 3.0
        assert 0.02 < resident.median <= peak.median < 2.0
        assert [point["users"] for point in curve] == [3_000]

    def test_no_memory_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bench_large, "free_bytes", lambda: 2_000_000_000)
        rows = list(bench_large.measure_large(Effort(), silent, []))
        assert {row.name for row in rows} == {
            "cost_10m_dense", "growth_10m_dense", "resident_10m", "peak_10m",
        }  # fmt: skip
        for row in rows:
            assert isinstance(row, LeftOut)
            assert row.why == (
                "2.0 GB of memory are free, and the birth of 10,000,000 users takes 3.5 GB at its height"
            )

    def test_a_quick_run_and_a_silent_system_are_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert bench_large.why_not(0).endswith("run gaelp bench without --quick")
        monkeypatch.setattr(bench_large, "free_bytes", lambda: None)
        assert "does not tell" in bench_large.why_not(100)

    def test_a_container_s_limit_counts(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
        for name, text in (
            ("_MEMINFO", "MemTotal: 9000000 kB\nMemAvailable: 8000000 kB\n"), ("_STATUS", "VmRSS: 1 kB\n"),
            ("_LIMIT", "5000000000\n"), ("_USED", "1000000000\n"),
        ):  # fmt: skip
            (tmp_path / name).write_text(text)
            monkeypatch.setattr(bench_large, name, tmp_path / name)
        assert bench_large.free_bytes() == 4_000_000_000
        (tmp_path / "_LIMIT").write_text("max\n")
        assert bench_large.free_bytes() == 8_192_000_000


class TestVector:
    def test_steps_shell_and_impressions(self) -> None:
        rows = by_name(bench_vector.measure_vector(SMALL, silent))
        assert set(rows) == {"vector_steps", "vector_loop", "vector_shell", "impression_steps"}
        loop, shell = rows["vector_loop"], rows["vector_shell"]
        assert isinstance(loop, Figure)
        assert isinstance(shell, Figure)
        assert loop.ratios["time of a call"] + shell.ratios["time of a call"] == pytest.approx(1.0)

    def test_the_loop_must_be_seen(self) -> None:
        idle = SimpleNamespace(step=lambda _: None)
        with pytest.raises(RuntimeError, match=r"3 steps .* went through advance_all 0 times"):
            bench_vector.shell_and_loop(idle, None, 3)


class TestTiming:
    def test_seconds_and_calls_and_the_function_is_put_back(self) -> None:
        owner = SimpleNamespace(nap=lambda: time.sleep(0.01))
        before, clock = owner.nap, [0.0, 0.0]
        with timing(owner, "nap", clock):
            owner.nap()
            owner.nap()
        assert owner.nap is before
        assert clock[1] == 2
        assert 0.02 <= clock[0] < 1.0

    def test_a_call_within_a_call_counts_once(self) -> None:
        def deep(n: int) -> int:
            time.sleep(0.005)
            return owner.deep(n - 1) if n else 0

        owner, clock = SimpleNamespace(deep=deep), [0.0, 0.0]
        began = time.perf_counter()
        with timing(owner, "deep", clock):
            owner.deep(3)
        assert clock[1] == 1
        assert 0.02 <= clock[0] <= time.perf_counter() - began

    def test_a_call_that_raises_is_timed_and_put_back(self) -> None:
        def fails() -> None:
            raise KeyError("no")

        owner, clock = SimpleNamespace(fails=fails), [0.0, 0.0]
        with pytest.raises(KeyError), timing(owner, "fails", clock):
            owner.fails()
        assert owner.fails is fails
        assert clock[1] == 1


class TestTrain:
    def test_commits_within_a_step_are_the_store_s(self) -> None:
        seconds = {"all": 100.0, "learn": 20.0, "step": 50.0, "commit": 10.0, "asked": 5.0, "looks": 8.0}
        assert bench_train.parts_of(seconds) == {
            "learn": 20.0, "env": 40.0, "store": 15.0, "looks": 8.0, "rest": 17.0,
        }  # fmt: skip

    def test_the_parts_are_the_whole(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        pytest.importorskip("stable_baselines3")
        from stable_baselines3 import PPO

        from agents import train, train_run, train_settings

        small = train_settings.Settings(
            arguments={"n_steps": 8, "batch_size": 16, "n_epochs": 1, "gamma": 0.9, "learning_rate": 1e-3},
            hidden=(8,),
            steps=64,
        )
        for module in (train_settings, train, train_run):
            if hasattr(module, "settings_of"):
                monkeypatch.setattr(module, "settings_of", lambda _: small)
        before = (PPO.learn, PPO.train, train.CHECKPOINTS)
        profile: dict[str, Any] = {}
        rows = by_name(bench_train.measure_train(SMALL, silent, profile))
        assert (PPO.learn, PPO.train, train.CHECKPOINTS) == before
        assert capsys.readouterr().out == ""
        share = rows["train_share"]
        assert isinstance(share, Figure)
        parts = profile["seconds"]
        assert set(parts) == set(bench_train.PARTS)
        assert all(seconds > 0.0 for seconds in parts.values()), parts
        assert share.median == pytest.approx((parts["env"] + parts["store"]) / sum(parts.values()))
        assert profile["steps"] >= 32
        lines = list(bench_report.profile_rows({"profile": json.loads(json.dumps(profile))}))
        assert [line[0] for line in lines] == list(bench_train.PARTS.values())

    def test_without_the_extra_it_is_left_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bench_train, "can_train", lambda: False)
        (row,) = bench_train.measure_train(SMALL, silent, {})
        assert isinstance(row, LeftOut)
        assert "gaelp[train]" in row.why
