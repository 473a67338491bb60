"""The bench: what it measures is finite and has a unit, and its references do the work they stand for."""

from __future__ import annotations

import json
import math
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest

from agents import (
    bench,
    bench_bars,
    bench_docs,
    bench_env,
    bench_market,
    bench_picture,
    bench_report,
    bench_start,
)
from agents.bench import SECTIONS, BenchOptions, run_bench
from agents.bench_measure import Effort, Figure, Timed, Work, in_turn, spelled
from agents.bench_numpy import COUNTS, NumpyMarket
from gaelp_env.config_load import differences, load_config
from gaelp_env.market import Market

TINY = Effort(
    sizes=(500, 2_000),
    curve=(),
    repetitions=2,
    slow_repetitions=1,
    busy_ticks=50_000,
    numpy_users=2_000,
    store_users=(300,),
    env_steps=48,
    ppo_steps=64,
    large_users=0,
    thread_users=2_000,
    thread_days=2,
    vector_worlds=2,
    vector_users=300,
    vector_episodes=1,
    impression_worlds=3,
    impression_steps=20,
    train_steps=32,
)
MEASURED = ["market", "threads", "large", "env", "vector", "store", "memory"]


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return bench.measured(MEASURED, TINY)


class TestReport:
    def test_every_figure_is_finite_positive_and_has_a_unit(self, report: dict[str, Any]) -> None:
        assert report["figures"]
        for figure in report["figures"]:
            numbers = [figure["median"], figure["min"], figure["max"], *figure["ratios"].values()]
            assert all(math.isfinite(n) and n > 0.0 for n in numbers), figure
            assert figure["min"] <= figure["median"] <= figure["max"]
            assert figure["repetitions"] == len(figure["values"]) >= 1
            assert figure["unit"] in {"1/s", "ns", "µs", "s", "B", "B/s", "GB", "×"}

    def test_names_are_unique_and_every_section_has_figures(self, report: dict[str, Any]) -> None:
        names = [figure["name"] for figure in report["figures"]]
        assert len(set(names)) == len(names)
        rows = [*report["figures"], *report["left_out"]]
        assert [name for name in SECTIONS if any(row["section"] == name for row in rows)] == MEASURED

    def test_the_figures_asked_for_are_there(self, report: dict[str, Any]) -> None:
        names = {figure["name"] for figure in report["figures"]}
        assert {
            "opportunities_500", "opportunities_500_dense", "cost_2k", "numpy_2k", "sweep_2k", "copy_2k",
            "env_steps", "env_steps_sqlite", "observation", "commit_300", "upsert_300", "load_300",
            "disk_300", "memory_bytes",
        } <= names  # fmt: skip

    def test_cost_is_the_inverse_of_the_rate(self, report: dict[str, Any]) -> None:
        by_name = {figure["name"]: figure for figure in report["figures"]}
        rates, costs = by_name["opportunities_2k"]["values"], by_name["cost_2k"]["values"]
        assert [1e9 / rate for rate in rates] == pytest.approx(costs)

    def test_json_round_trip(self, report: dict[str, Any]) -> None:
        assert json.loads(json.dumps(report, ensure_ascii=False)) == report

    def test_no_host_name(self, report: dict[str, Any]) -> None:
        import socket

        assert socket.gethostname() not in json.dumps(report)

    def test_each_model_is_priced_by_its_own_opportunities(self, report: dict[str, Any]) -> None:
        """NumPy plays the first model, so its cost an opportunity goes by the first model's count."""
        by_name = {figure["name"]: figure for figure in report["figures"]}
        for point in report["curve"]:
            name = f"{spelled(point['users'])}{'_dense' if point['dense'] else ''}"
            assert point["cost_ns"] == pytest.approx(by_name[f"cost_{name}"]["median"])
            assert point["first_ns"] == pytest.approx(by_name[f"first_cost_{name}"]["median"])
            plain = median(1e9 / rate for rate in by_name[f"numpy_{name}"]["values"])
            assert point["numpy_ns"] == pytest.approx(plain)

    def test_full_over_first_is_their_ratio_by_repetition(self, report: dict[str, Any]) -> None:
        by_name = {figure["name"]: figure for figure in report["figures"]}
        pairs = zip(by_name["cost_2k"]["values"], by_name["first_cost_2k"]["values"], strict=True)
        assert by_name["full_over_first_2k"]["values"] == pytest.approx([a / b for a, b in pairs])

    def test_the_profile_adds_up(self, report: dict[str, Any]) -> None:
        for point in report["curve"]:
            parts = point["sweep_us"] + point["fixed_us"] + point["meet_us"]
            assert parts == pytest.approx(point["tick_us"]) or point["meet_us"] == 0.0

    def test_fused_tick_beats_numpy_generously(self, report: dict[str, Any]) -> None:
        by_name = {figure["name"]: figure for figure in report["figures"]}
        assert by_name["first_2k_dense"]["ratios"]["NumPy"] >= 2.0

    def test_every_bar_has_a_verdict(self, report: dict[str, Any]) -> None:
        assert [line["figure"] for line in report["bars"]] == [bar.figure for bar in bench_bars.BARS]
        known = {figure["name"] for figure in report["figures"]}
        for line in report["bars"]:
            assert (line["met"] is None) == (line["figure"] not in known) == bool(line["why"]), line
        (whole,) = [line for line in report["bars"] if line["figure"] == "memory_bytes"]
        assert whole["met"] == (whole["measured"] <= 200.0)


class TestRunBench:
    def test_json_only_on_stdout_and_files(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        told = run_bench(BenchOptions(json=True, only=["memory"], out=tmp_path / "new", effort=TINY))
        printed = json.loads(capsys.readouterr().out)
        assert printed == told == json.loads((tmp_path / "new" / "bench.json").read_text())
        assert not (tmp_path / "new" / "bench.png").exists()

    def test_table_for_people(self, capsys: pytest.CaptureFixture[str]) -> None:
        told = run_bench(BenchOptions(only=("memory",), effort=TINY))
        printed = capsys.readouterr().out
        assert "bytes a user: record" in printed
        for line in told["bars"]:
            assert line["text"][:40] in printed
        assert printed.count("not measured: the section") == len(bench_bars.BARS) - 2

    def test_unknown_section_names_the_nearest(self) -> None:
        with pytest.raises(
            ValueError, match=r"no section 'markt' \(did you mean market\?\); it has market, threads, large"
        ):
            run_bench(BenchOptions(only=["markt"]))

    def test_a_page_without_marks_is_refused_before_anything_is_measured(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bench, "measured", lambda *_: pytest.fail("measured for nothing"))
        page = tmp_path / "page.md"
        with pytest.raises(ValueError, match="There is no page"):
            run_bench(BenchOptions(write_docs=page))
        page.write_text(f"{bench_docs.END} then {bench_docs.BEGIN}")
        with pytest.raises(ValueError, match="lacks the marks"):
            run_bench(BenchOptions(write_docs=page))
        assert page.read_text() == f"{bench_docs.END} then {bench_docs.BEGIN}"
        page.write_text(f"{bench_docs.BEGIN}{bench_docs.END}")
        with pytest.raises(ValueError, match="leave --only out"):
            run_bench(BenchOptions(write_docs=page, only=["memory"]))

    def test_thread_settings_are_put_back(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from gaelp_env.threads import threads

        monkeypatch.setenv("GAELP_THREADS", "5")
        monkeypatch.setenv("OMP_NUM_THREADS", "3")
        monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
        run_bench(BenchOptions(only=["memory"], effort=TINY, json=True))
        import os

        assert os.environ["OMP_NUM_THREADS"] == "3"
        assert "MKL_NUM_THREADS" not in os.environ
        assert threads() == 5


class TestPage:
    def test_only_the_marked_part_changes(self, report: dict[str, Any], tmp_path: Path) -> None:
        page = tmp_path / "page.md"
        page.write_text(f"before\n{bench_docs.BEGIN}\nold figures\n{bench_docs.END}\nafter\n")
        bench_docs.write_page(page, report | {"command": "gaelp bench"}, "page.png")
        text = page.read_text()
        assert text.startswith(f"before\n{bench_docs.BEGIN}\n")
        assert text.endswith(f"{bench_docs.END}\nafter\n")
        assert "old figures" not in text
        assert "`gaelp bench`" in text
        assert "(page.png)" in text
        for figure in report["figures"]:
            assert figure["text"] in text
        bench_docs.write_page(page, report | {"command": "gaelp bench"}, "page.png")
        assert page.read_text() == text

    def test_tables_have_as_many_cells_as_columns(self, report: dict[str, Any]) -> None:
        widths = [
            line.count("|")
            for line in bench_docs.page_lines(report | {"command": "gaelp bench"}, None)
            if line.startswith("|")
        ]
        assert set(widths) == {7, 3, 4, 9}

    def test_the_page_in_the_repository_has_marks_and_its_picture(self) -> None:
        page = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
        text = bench_docs.checked_page(page)
        assert "gaelp bench" in text
        if "(benchmarks.png)" in text:
            assert page.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


class TestPicture:
    def test_a_png_of_two_sizes(self, report: dict[str, Any], tmp_path: Path) -> None:
        pytest.importorskip("matplotlib")
        assert bench_picture.draw(report["curve"], report["threads"], tmp_path / "bench.png")
        assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")

    def test_no_picture_of_a_single_size(self, report: dict[str, Any], tmp_path: Path) -> None:
        assert not bench_picture.draw(report["curve"][:1], [], tmp_path / "bench.png")
        assert not (tmp_path / "bench.png").exists()


class TestNumpyVersion:
    """The reference is fair only if it plays the same market: totals agree within their chance."""

    def test_same_totals_as_the_market(self) -> None:
        first = {key: value for key, (value, _) in differences(load_config("v0")).items()}
        config = load_config(
            first
            | {"people.users": 20_000, "people.media_per_day": 10.0, "people.stay_days": 36_500.0,
             "prices.pressure_log_sd": 0.0, "budget.per_episode": bench_market.NO_LIMIT}
        )  # fmt: skip
        bids = bench_market.reference_bids(config)
        market = Market.born(config, 1)
        plain = NumpyMarket(config, market.population.rows(slice(None)), 2, np.zeros(5))
        market.begin_episode()
        ledgers = []
        for tick in range(96):
            ledgers.append(market.advance(bids).ledger)
            plain.play(tick, bids)
        for name in COUNTS:
            ours = sum(int(ledger[name].sum()) for ledger in ledgers)
            assert ours > 0
            assert abs(plain.counts[name] - ours) <= 0.01 * ours + 5.0 * math.sqrt(2.0 * ours), name
        spend = sum(int(ledger["spend_micro"].sum()) for ledger in ledgers) / 1e6
        assert plain.spend == pytest.approx(spend, rel=0.02)
        hot = market.population.hot[: len(plain.rate)]
        assert plain.awareness.mean() == pytest.approx(hot["awareness"].mean(), rel=0.03)
        assert plain.fatigue.mean() == pytest.approx(hot["fatigue"][:, 0].mean(), rel=0.03)
        for stage in range(5):
            ours = int((hot["stage"] == stage).sum())
            assert abs(int((plain.stage == stage).sum()) - ours) <= 5.0 * math.sqrt(2.0 * ours) + 5.0

    def test_no_bid_wins_nothing(self) -> None:
        market, bids = bench_market.market_of(500, first=True)
        plain = NumpyMarket(market.config, market.population.rows(slice(None)), 1, np.zeros(5))
        for tick in range(24):
            plain.play(tick, np.zeros_like(bids))
        assert plain.counts["opportunities"] > 0
        assert plain.counts["bids"] == plain.counts["wins"] == plain.counts["views"] == plain.spend == 0


class TestMeasuring:
    @pytest.mark.parametrize("values", [(), (0.0,), (-1.0,), (1.0, math.nan), (math.inf,)])
    def test_a_figure_refuses_nonsense(self, values: tuple[float, ...]) -> None:
        with pytest.raises(ValueError, match="must be finite and positive"):
            Figure("speed", "a speed", "1/s", values)

    def test_prepare_is_off_the_clock_and_comes_first(self) -> None:
        order: list[str] = []
        works = {
            "a": Work(lambda: order.append("a"), lambda: order.append("before a")),
            "b": Work(lambda: order.append("b")),
        }
        timed = in_turn(works, 2)
        assert order == ["before a", "a", "b"] * 2
        assert [len(one.elapsed) for one in timed.values()] == [2, 2]

    def test_the_clock_that_counts(self) -> None:
        on_core = Timed(True, elapsed=[2.0, 4.0, 6.0], processor=[1.0, 3.0, 2.0])
        assert (on_core.seconds, on_core.core, on_core.rates(6.0)) == (2.0, 0.5, (6.0, 2.0, 3.0))
        elapsed = Timed(False, elapsed=[2.0, 4.0, 6.0], processor=[1.0, 3.0, 2.0])
        assert (elapsed.seconds, elapsed.core, elapsed.scaled()) == (4.0, None, (2.0, 4.0, 6.0))

    def test_work_on_one_core_has_no_more_than_one(self, report: dict[str, Any]) -> None:
        """Were a figure of one core made by two, its share would be near two."""
        shares = {f["name"]: f["core"] for f in report["figures"] if f["section"] == "market"}
        assert all(share is None or 0.0 < share < 1.3 for share in shares.values()), shares
        assert shares["opportunities_2k_dense"] is not None

    def test_median_of_an_even_count(self) -> None:
        assert Figure("f", "f", "s", (1.0, 4.0, 2.0, 3.0)).median == 2.5

    @pytest.mark.parametrize(
        ("users", "words"), [(1_000, "1k"), (10_000, "10k"), (1_000_000, "1m"), (300, "300")]
    )
    def test_spelled(self, users: int, words: str) -> None:
        assert spelled(users) == words

    @pytest.mark.parametrize(
        ("value", "unit", "words"),
        [
            (6.021e6, "1/s", "6.02 M/s"), (999.0, "1/s", "999 /s"), (1.7e10, "B/s", "17.0 GB/s"),
            (0.4204, "s", "420 ms"), (7.5, "s", "7.50 s"), (178.4, "ns", "178 ns"), (0.386, "×", "0.39 ×"),
        ],
    )  # fmt: skip
    def test_amount(self, value: float, unit: str, words: str) -> None:
        assert bench_report.amount(value, unit) == words


class TestStart:
    def test_a_fresh_interpreter_is_timed(self) -> None:
        seconds = bench_start._timed(bench_start._IMPORT.format(module="gaelp_env"), {})
        assert 0.0 < seconds < 60.0

    def test_a_process_that_fails_says_why(self) -> None:
        with pytest.raises(RuntimeError, match=r"status 1: .*no reason"):
            bench_start._timed("raise SystemExit('no reason')", {})


def test_ppo_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("stable_baselines3")
    from agents import train_settings

    small = train_settings.Settings(
        arguments={"n_steps": 8, "batch_size": 64, "n_epochs": 1}, hidden=(8,), steps=64
    )
    monkeypatch.setattr(train_settings, "settings_of", lambda _: small)
    figures = {figure.name: figure for figure in bench_env.measure_ppo(TINY, lambda _: None)}
    assert set(figures) == {"ppo_steps", "vec_steps"}
    assert figures["ppo_steps"].median > 0.0
