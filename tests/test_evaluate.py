"""Evaluation: same people, same luck, nothing touched; and the search of the baselines."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.baselines import (
    BASELINES,
    CONSTANT,
    NEVER,
    Found,
    SearchPlan,
    load_found,
    make_baselines,
    save_found,
    search_baselines,
)
from agents.evaluate import EvaluateOptions, run_evaluation
from agents.evaluate_play import Commit, Start, play
from agents.evaluate_policies import (
    PURPOSES,
    EvaluationResult,
    evaluate_policies,
    incremental_profit,
    seeds_for,
)
from agents.evaluate_worlds import (
    commits_of,
    population_of,
    read_commits,
    read_world,
    standing,
    worlds_named,
    write_commits,
)
from agents.policies import ConstantBids, NeverBid, RandomBids
from gaelp_env.config import MarketConfig
from gaelp_env.market import Market
from gaelp_env.world import World
from storage.base import WorldNotFound
from tests.markets import busy_world, reference_cpm

BUSY = MarketConfig.model_validate(
    busy_world().model_dump() | {"clock": {"tick_minutes": 60.0, "episode_ticks": 12}}
)
REFERENCE = reference_cpm(BUSY)
SMALL_SEARCH = SearchPlan(
    population=6, generations=2, elite=2, screen_days=2, screen_replicates=2, days=2, run_out_days=2,
    replicates=2, steps=(0.2,),
)  # fmt: skip


def fresh() -> Start:
    return Start("fresh world", BUSY)


def evaluated(policies: dict[str, Any], starts: tuple[Start, ...] = (), **changes: Any) -> EvaluationResult:
    terms: dict[str, Any] = {"replicates": 3, "days": 3, "run_out_days": 2} | changes
    return evaluate_policies(policies, starts or (fresh(),), **terms)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file with the worlds demo/0 and demo/1, three episodes old."""
    url = f"sqlite:///{tmp_path_factory.mktemp('store') / 'people.db'}"
    for k in range(2):
        world = World.open(url, f"demo/{k}", config=BUSY)
        world.reset(seed=k)
        for _ in range(3 * BUSY.clock.episode_ticks):
            world.step(REFERENCE * 2.0)
            if world.over:
                world.end_episode()
        world.close()
    return url


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command plays in this process."""
    monkeypatch.setattr("agents.evaluate.cores", lambda: 1)


def contents(url: str) -> dict[str, str]:
    folder = Path(url.removeprefix("sqlite:///")).parent
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


class TestPairing:
    def test_never_bidding_has_exactly_no_effect(self, store: str) -> None:
        start = Start("commit", BUSY, tuple(commits_of(store, ["demo/0", "demo/1"])))
        for result in evaluated({NEVER: NeverBid()}, (start, fresh())).starts:
            score = result.scores[NEVER]
            assert score.profit_by_replicate == (0.0, 0.0, 0.0)
            for estimate in (score.profit, score.conversions, score.spend):
                assert (estimate.mean, estimate.low, estimate.high) == (0.0, 0.0, 0.0)

    def test_bidding_has_an_effect_and_costs_money(self) -> None:
        score = evaluated({"high": ConstantBids(REFERENCE * 5.0, BUSY)}).starts[0].scores["high"]
        assert score.spend.mean is not None and score.spend.mean > 10.0
        assert len(set(score.profit_by_replicate)) == 3

    def test_equal_seeds_give_equal_numbers_and_others_do_not(self) -> None:
        policies = {"random": RandomBids(1), "high": ConstantBids(REFERENCE * 5.0, BUSY)}
        first = evaluated(policies, seed=4).to_json()
        assert evaluated(policies, seed=4).to_json() == first
        assert evaluated(policies, seed=5).to_json() != first

    def test_the_number_of_processes_changes_no_number(self) -> None:
        policies = {"random": RandomBids(1), "high": ConstantBids(REFERENCE * 5.0, BUSY)}
        assert evaluated(policies, workers=2).to_json() == evaluated(policies, workers=1).to_json()

    def test_replicates_share_people_of_a_commit_and_differ_in_luck(self, store: str) -> None:
        start = Start("commit", BUSY, tuple(commits_of(store, ["demo/0"])))
        one, two = start.market(0, 1), start.market(1, 2)
        assert one.population.rows(slice(None)).tobytes() == two.population.rows(slice(None)).tobytes()
        assert one.record["key"] != two.record["key"]
        before = start.commits[0].users.tobytes()
        play(ConstantBids(REFERENCE, BUSY), [one], days=1, run_out_days=0)
        assert start.commits[0].users.tobytes() == before
        assert one.population.rows(slice(None)).tobytes() != before

    def test_a_policy_of_ones_own_and_the_difference_from_it(self) -> None:
        class Mine:
            def predict(self, seen: Any, state: Any, start: Any, deterministic: bool) -> tuple[Any, Any]:
                assert seen.shape[0] == 3 and deterministic
                assert start.all() == (state is None or state % BUSY.clock.episode_ticks == 0)
                return np.full((3, 5), 0.5), (0 if state is None else state) + 1

        result = evaluated({"mine": Mine(), NEVER: NeverBid()}, champion="mine").starts[0]
        gap, own = result.differences[NEVER], result.scores["mine"].profit
        assert (gap.mean, gap.low, gap.high) == (own.mean, own.low, own.high)
        assert set(result.differences) == {NEVER}

    def test_profit_is_margin_less_spend_by_hand(self) -> None:
        """One market, played once more by hand, tick by tick."""
        seed = seeds_for("evaluation", 0, 3)[0]
        profit = {}
        for name, bids in (("twin", REFERENCE * 0.0), ("high", REFERENCE * 5.0)):
            market, profit[name] = Market.born(BUSY, seed), 0
            for day in range(5):
                market.begin_episode()
                for _ in range(BUSY.clock.episode_ticks):
                    ledger = market.advance(bids if day < 3 else REFERENCE * 0.0).ledger
                    profit[name] += int(ledger["margin_micro"]) - int(ledger["spend_micro"].sum())
                market.end_episode()
        score = evaluated({"high": ConstantBids(REFERENCE * 5.0, BUSY)}).starts[0].scores["high"]
        assert score.profit_by_replicate[0] == pytest.approx((profit["high"] - profit["twin"]) / 1e6)

    def test_what_cannot_be_is_refused(self) -> None:
        with pytest.raises(ValueError, match="at least 2 replicates, and 1"):
            evaluated({NEVER: NeverBid()}, replicates=1)
        with pytest.raises(ValueError, match="not 0 and 2"):
            evaluated({NEVER: NeverBid()}, days=0)

    def test_purposes_share_no_luck(self) -> None:
        drawn = [seed for purpose in PURPOSES for seed in seeds_for(purpose, 0, 500)]
        assert len(set(drawn)) == len(drawn)
        assert all(0 <= seed < 2**63 for seed in drawn)


class TestSearch:
    def test_finds_bids_that_pay(self) -> None:
        lines: list[str] = []
        found = search_baselines((fresh(),), SMALL_SEARCH, lines.append)
        twin_and_found = [
            play(
                policy,
                [fresh().market(0, seed) for seed in seeds_for("search", 0, 2)],
                days=2,
                run_out_days=2,
            )
            for policy in (None, ConstantBids(found.bids_cpm, BUSY))
        ]
        profit = incremental_profit(twin_and_found[1], twin_and_found[0]).mean()
        assert found.profits[CONSTANT] == pytest.approx(profit, rel=1e-3)
        assert len(lines) == 4
        assert found.plays > 30
        again = search_baselines((fresh(),), SMALL_SEARCH)
        assert again == found

    def test_beats_what_it_started_from(self) -> None:
        found = search_baselines((fresh(),), SMALL_SEARCH)
        markets = [fresh().market(0, seed) for seed in seeds_for("search", 0, 2)]
        twin = play(None, markets, days=2, run_out_days=2)
        for bids in (REFERENCE, REFERENCE * 0.2, REFERENCE * 10.0):
            markets = [fresh().market(0, seed) for seed in seeds_for("search", 0, 2)]
            played = play(ConstantBids(bids, BUSY), markets, days=2, run_out_days=2)
            assert found.profits[CONSTANT] >= incremental_profit(played, twin).mean()

    def test_findings_are_kept_for_their_configuration_alone(self, tmp_path: Path) -> None:
        found = Found((1.0, 2.0, 0.0, 4.0, 5.0), 1.5, 0.8, 0.6, {CONSTANT: 3.0}, 9)
        save_found(found, BUSY, tmp_path)
        assert load_found(tmp_path, BUSY) == found
        assert load_found(tmp_path, MarketConfig()) is None
        assert load_found(tmp_path / "elsewhere", BUSY) is None
        assert tuple(make_baselines(found, BUSY)) == BASELINES


class TestWorlds:
    def test_reads_what_the_store_holds(self, store: str) -> None:
        assert standing(store, ["demo/0", "demo/1", "demo/2"]) == {"demo/0": 3, "demo/1": 3}
        assert worlds_named(store, "demo") == worlds_named(store, "demo/*") == ["demo/0", "demo/1"]
        assert worlds_named(store, "demo/1") == ["demo/1"]
        config, commit = read_world(store, "demo/0")
        assert config == BUSY
        assert (commit.world, commit.sequence) == ("demo/0", 3)

    def test_a_world_that_is_not_there(self, store: str, tmp_path: Path) -> None:
        with pytest.raises(WorldNotFound, match=r"no world 'dem' in .*: its worlds are demo/0, demo/1"):
            worlds_named(store, "dem")
        with pytest.raises(WorldNotFound, match="has no worlds yet"):
            worlds_named(f"sqlite:///{tmp_path / 'none.db'}", "demo")
        assert list(tmp_path.iterdir()) == []

    def test_people_of_several_worlds_together(self, store: str) -> None:
        commits = commits_of(store, ["demo/0", "demo/1"])
        together = population_of(BUSY, commits)
        apart = [population_of(BUSY, [commit]) for commit in commits]
        assert together["touchpoints"] == sum(each["touchpoints"] for each in apart) > 0
        assert together["people"] == sum(together["stages"].values())
        weights = [each["people"] for each in apart]
        mean = np.average([each["mean_awareness"] for each in apart], weights=weights)
        assert together["mean_awareness"] == pytest.approx(mean)
        assert together["episodes"] == 6
        assert together["commits"] == {"demo/0": 3, "demo/1": 3}
        json.dumps(together)

    def test_commits_survive_a_file(self, store: str, tmp_path: Path) -> None:
        commits = commits_of(store, ["demo/0", "demo/1"])
        write_commits(tmp_path / "before.npz", commits)
        for kept, commit in zip(read_commits(tmp_path / "before.npz"), commits, strict=True):
            assert isinstance(kept, Commit)
            assert (kept.world, kept.sequence, kept.record) == (commit.world, commit.sequence, commit.record)
            assert kept.users.dtype == commit.users.dtype
            assert kept.users.tobytes() == commit.users.tobytes()
        with pytest.raises(ValueError, match="is gone; begin anew with --no-resume"):
            read_commits(tmp_path / "other.npz")


class TestCommand:
    def options(self, store: str, **changes: Any) -> EvaluateOptions:
        terms: dict[str, Any] = {"replicates": 2, "days": 2, "run_out_days": 1, "search": SMALL_SEARCH}
        return EvaluateOptions(store=store, **(terms | changes))

    def test_leaves_the_file_byte_for_byte(self, store: str, here: None) -> None:
        before = contents(store)
        result = run_evaluation(self.options(store, policy=["never", "random"]))
        assert contents(store) == before
        assert [start.label for start in result.starts] == ["last commit", "fresh world"]
        assert result.starts[0].commits == {"demo/0": 3, "demo/1": 3}
        assert list(result.starts[0].scores) == ["never", "random"]

    def test_prints_tables(self, store: str, here: None, capsys: pytest.CaptureFixture[str]) -> None:
        run_evaluation(self.options(store, policy="random"))
        told = capsys.readouterr().out
        assert "From the last commit (2 + 1 days, 2 replicates, 95 % intervals)" in told
        assert "incr. profit" in told and "random" in told and "CPA" in told

    def test_prints_json_and_keeps_what_it_found(
        self, store: str, here: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        options = self.options(store, out=str(tmp_path / "report"), json=True)
        run_evaluation(options)
        told = capsys.readouterr()
        report = json.loads(told.out)
        assert json.loads((tmp_path / "report" / "evaluation.json").read_text()) == report
        assert (tmp_path / "report" / "evaluation.png").read_bytes()[:4] == b"\x89PNG"
        assert list(report["starts"][0]["scores"]) == list(BASELINES)
        assert "Searching the best baselines" in told.err
        run_evaluation(options)
        told = capsys.readouterr()
        assert json.loads(told.out) == report
        assert "Searching" not in told.err

    def test_what_cannot_be_is_refused(self, store: str) -> None:
        with pytest.raises(ValueError, match=r"'randm' is neither .* the baselines are never, random"):
            run_evaluation(self.options(store, policy=["randm"]))
        with pytest.raises(WorldNotFound):
            run_evaluation(self.options(store, world="nowhere"))


def test_an_unused_callback_is_told_of_every_play() -> None:
    told: list[tuple[int, int]] = []
    progress: Callable[[int, int], None] = lambda done, total: told.append((done, total))  # noqa: E731
    evaluated({NEVER: NeverBid()}, (fresh(), fresh()), days=1, run_out_days=0, progress=progress)
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
