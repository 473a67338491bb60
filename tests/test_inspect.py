"""`gaelp inspect`: what it counts is what is in the store, and it fits a terminal."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from agents import inspect_tables
from agents.cli import main
from agents.inspect import inspect_user, inspect_world, list_worlds, together
from gaelp_env.config_load import load_config
from gaelp_env.population import STAGES
from gaelp_env.world import World
from storage.base import NotAStore, WorldNotFound

TINY = load_config(
    {
        "people.users": 200,
        "clock.episode_ticks": 24,
        "conversion.visit_rate": [0.3] * 5,
        "conversion.buy_rate": [0.3] * 5,
    }
)
BIDS = np.array([30.0, 9.0, 4.0, 15.0, 2.0])


def live(world: World, episodes: int) -> None:
    """Plays whole episodes with constant bids."""
    for _ in range(episodes):
        world.reset()
        for _ in range(TINY.clock.episode_ticks):
            world.step(BIDS)
        world.end_episode()


@dataclass
class Played:
    """A file with two worlds in it, and a third one that was logged by clicks only."""

    url: str
    path: Path


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    path = tmp_path_factory.mktemp("store") / "my.db"
    url = f"sqlite:///{path}"
    for name, log, episodes in (("demo/0", "own", 6), ("demo/1", "clicks", 4), ("other", "own", 1)):
        World.create(url, name, config=TINY, seed=3).close()
        world = World.open(url, name, touch_log=log)
        live(world, episodes)
        world.close()
    yield Played(url, path)


def sql(played: Played, query: str) -> Any:
    with closing(sqlite3.connect(f"file:{played.path}?mode=ro", uri=True)) as file:
        return file.execute(query).fetchall()


def shown(show: Any, *arguments: Any) -> str:
    """What a table shows on a terminal of 80 columns; no line is longer."""
    console = Console(width=80, force_terminal=False, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    show(*arguments, console=console)
    text = console.export_text()
    console.file.close()
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "…" not in text.replace("u000000001 …", "")
    return text


class TestTotals:
    """The totals of worlds."""

    def test_they_are_what_is_in_the_file(self, played: Played) -> None:
        report = inspect_world(played.url, "demo/0")
        (world,) = report["worlds"]
        users = sql(
            played,
            "select count(*), avg(awareness_level), avg(fatigue_score), avg(intent_score), "
            "sum(episode_count > 0) from persistent_users where is_active",
        )[0]
        assert world["users"]["active"] == users[0]
        assert world["users"]["met"] == users[4]
        for name, value in zip(("awareness", "fatigue", "intent"), users[1:4], strict=True):
            assert world["means"][name] == pytest.approx(value, rel=1e-6), name
        stages = dict(
            sql(
                played,
                "select current_journey_state, count(*) from persistent_users where is_active group by 1",
            )
        )
        assert world["stages"] == {stage: stages.get(stage, 0) for stage in STAGES}
        everybody = sql(played, "select count(*), sum(episode_count) from persistent_users")[0]
        assert world["users"]["gone"] == everybody[0] - users[0]
        assert world["counts"]["user_episodes"] == everybody[1]
        assert world["means"]["episodes_per_user"] == everybody[1] / everybody[0]
        logged = {
            table: sql(played, f"select count(*) from {table} where world = 'demo/0'")[0][0]
            for table in ("touchpoints", "conversions", "episodes")
        }
        assert world["logged"] == logged
        assert world["counts"]["touchpoints"] == logged["touchpoints"] > 0
        assert world["counts"]["conversions"] == logged["conversions"]
        assert world["episodes_finished"] == logged["episodes"] == 6
        assert world["commit"] == 6
        assert world["clock"] == {"tick": 144, "days": 3.0, "now": "2026-01-08 00:00:00"}

    def test_a_stem_means_its_sub_worlds(self, played: Played) -> None:
        names = [world["world"] for world in inspect_world(played.url)["worlds"]]
        assert sorted(names) == ["demo/0", "demo/1", "other"]
        for stem in ("demo", "demo/*"):
            chosen = [world["world"] for world in inspect_world(played.url, stem)["worlds"]]
            assert sorted(chosen) == ["demo/0", "demo/1"]

    def test_a_world_of_that_very_name_goes_before_the_sub_worlds(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path}/stems.db"
        for name in ("demo", "demo/0"):
            World.create(url, name, config=TINY).close()
        assert [world["world"] for world in inspect_world(url, "demo")["worlds"]] == ["demo"]
        assert [world["world"] for world in inspect_world(url, "demo/*")["worlds"]] == ["demo/0"]

    def test_together_is_the_sum(self, played: Played) -> None:
        report = inspect_world(played.url, "demo")
        first, second = report["worlds"]
        total = report["total"]
        for part in ("users", "stages", "counts", "logged"):
            for name, value in total[part].items():
                assert value == first[part][name] + second[part][name]
        weights = [world["users"]["active"] for world in report["worlds"]]
        for name in ("awareness", "fatigue", "intent"):
            by_hand = np.average([first["means"][name], second["means"][name]], weights=weights)
            assert total["means"][name] == pytest.approx(by_hand)
        assert together([first])["means"] == pytest.approx(first["means"])

    def test_a_world_that_is_not_there_is_told_with_those_that_are(self, played: Played) -> None:
        with pytest.raises(WorldNotFound, match=r"no world 'demos' in .*; it holds demo/0, demo/1, other\.$"):
            inspect_world(played.url, "demos")

    def test_an_empty_store_says_how_to_fill_it(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path}/none.db"
        with pytest.raises(WorldNotFound, match=f"in {url} yet; `gaelp train --store {url}` makes some"):
            inspect_world(url)
        with pytest.raises(WorldNotFound, match=r"no world in memory: here: .*Give the file of a store"):
            inspect_world("memory:")

    def test_looking_changes_no_byte(self, played: Played) -> None:
        before = played.path.read_bytes()
        inspect_world(played.url)
        inspect_user(played.url, "u000000001", "demo/0")
        list_worlds(played.url)
        assert played.path.read_bytes() == before

    def test_a_world_may_be_looked_at_while_it_is_played(self, played: Played) -> None:
        world = World.open(played.url, "other")
        world.reset()
        world.step(BIDS)
        try:
            (report,) = inspect_world(played.url, "other")["worlds"]
            assert report["clock"]["tick"] == 24
            assert report["holder"]
        finally:
            world.rollback()
            world.close()


class TestJourney:
    """A user's journey."""

    def test_it_is_what_is_in_the_file(self, played: Played) -> None:
        number = sql(
            played,
            "select number from touchpoints where world = 'demo/0' group by number "
            "order by sum(clicked) desc, count(*) desc limit 1",
        )[0][0]
        user_id = f"u{number:09d}"
        journey = inspect_user(played.url, user_id, "demo/0")
        row = sql(
            played,
            "select current_journey_state, awareness_level, first_seen, last_seen, episode_count, "
            f"last_episode from persistent_users where user_id = '{user_id}'",
        )[0]
        names = ("stage", "awareness", "first_seen", "last_seen", "episodes", "last_episode")
        assert tuple(journey[name] for name in names) == row
        touches = sql(
            played,
            "select at, clicked, channel, episode, price_micro from touchpoints "
            f"where world = 'demo/0' and number = {number} order by at",
        )
        events = [event for event in journey["events"] if event["kind"] == "touchpoint"]
        assert [(e["at"], int(e["clicked"]), e["episode"]) for e in events] == [
            (t[0], t[1], t[3]) for t in touches
        ]
        assert sum(e["price"] for e in events) == pytest.approx(sum(t[4] for t in touches) / 1e6)
        assert journey["counts"]["touchpoints"] == len(touches)
        assert [e["at"] for e in journey["events"]] == sorted(e["at"] for e in journey["events"])

    def test_a_buyer_shows_the_order(self, played: Played) -> None:
        found = sql(played, "select number, value_micro from conversions where world = 'demo/0' limit 1")
        number, value = found[0]
        journey = inspect_user(played.url, f"u{number:09d}", "demo/0")
        orders = [event for event in journey["events"] if event["kind"] == "conversion"]
        assert orders[0]["value"] == value / 1e6
        assert journey["counts"]["conversions"] == len(orders)
        assert " order " in shown(inspect_tables.show_journey, journey)

    def test_touches_that_the_log_left_out_come_from_the_users_row(self, played: Played) -> None:
        number = sql(
            played,
            "select cast(substr(user_id, 2) as integer) from persistent_users__demo_1 "
            "order by json_array_length(touchpoint_history) desc, user_id limit 1",
        )[0][0]
        journey = inspect_user(played.url, f"u{number:09d}", "demo/1")
        logged, total = journey["logged"]["touchpoints"], journey["counts"]["touchpoints"]
        assert logged < total
        text = shown(inspect_tables.show_journey, journey)
        assert f"The store's log keeps {logged} of this user's {total} touchpoints" in text
        assert text.count("2026-01-") >= min(total, 8)

    def test_a_user_of_two_worlds_needs_the_world_named(self, played: Played) -> None:
        with pytest.raises(
            ValueError, match=r"lives in 2 worlds \(demo/0, demo/1\); choose one with --world"
        ):
            inspect_user(played.url, "u000000001", "demo")

    @pytest.mark.parametrize("user_id", ["sara", "u000009999", "u1", ""])
    def test_nobody_is_told(self, played: Played, user_id: str) -> None:
        with pytest.raises(ValueError, match=rf"There is no user {user_id!r} in demo/0, demo/1, other"):
            inspect_user(played.url, user_id)


class TestNamed:
    """Users whom somebody named."""

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        url = f"sqlite:///{tmp_path}/named.db"
        world = World.open(url, "demo", config=load_config("founding"))
        for episode in (1, 2):
            for user in ("sara_mobile_001", "mike_desktop_002"):
                world.get_or_create_user(user, f"{user[:4]}-{episode}")
                world.record_touchpoint(user, "video")
        world.record_conversion("sara_mobile_001", 12.5)
        world.close()
        return url

    def test_they_are_listed_and_shown(self, url: str) -> None:
        report = inspect_world(url)
        (world,) = report["worlds"]
        assert [(line["user_id"], line["episodes"]) for line in world["named"]] == [
            ("mike_desktop_002", 2),
            ("sara_mobile_001", 3),
        ]
        text = shown(inspect_tables.show_worlds, report)
        assert "sara_mobile_001" in text
        journey = inspect_user(url, "sara_mobile_001")
        assert [event["kind"] for event in journey["events"]] == ["touchpoint", "touchpoint", "conversion"]
        assert journey["counts"]["conversions"] == 1
        labels = [met["label"] for met in journey["episodes_with_events"]]
        assert labels[:2] == ["sara-1", "sara-2"]
        text = shown(inspect_tables.show_journey, journey)
        assert "sara-2" in text
        assert "12.50" in text


class TestCommand:
    """The command line over it."""

    def test_tables_fit_80_columns(self, played: Played) -> None:
        everything = shown(inspect_tables.show_worlds, inspect_world(played.url))
        assert "All 3 worlds together" in everything
        one = shown(inspect_tables.show_worlds, inspect_world(played.url, "demo/1"))
        assert "World demo/1" in one
        assert "in the log)" in one
        assert all(stage in one for stage in STAGES)
        journey = inspect_user(played.url, "u000000001", "demo/0")
        assert "User u000000001 of world demo/0" in shown(inspect_tables.show_journey, journey)
        listed = shown(inspect_tables.show_list, played.url, list_worlds(played.url))
        assert all(name in listed for name in ("demo/0", "demo/1", "other", "nobody"))

    def test_json_is_beside_every_table(self, played: Played, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["inspect", "--store", played.url, "--world", "demo", "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == inspect_world(played.url, "demo")
        user = ["--user", "u000000001", "--world", "demo/0"]
        assert main(["inspect", "--store", played.url, *user, "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == inspect_user(played.url, "u000000001", "demo/0")
        assert main(["worlds", "--store", played.url, "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == list_worlds(played.url)

    def test_tables_are_printed(self, played: Played, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["inspect", "--store", played.url]) == 0
        assert "All 3 worlds together" in capsys.readouterr().out
        assert main(["inspect", "--store", played.url, "--user", "u000000001", "--world", "other"]) == 0
        assert "User u000000001" in capsys.readouterr().out
        assert main(["worlds", "--store", played.url]) == 0
        assert "demo/1" in capsys.readouterr().out

    def test_what_is_not_there_is_bad_input(self, played: Played, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["inspect", "--store", played.url, "--user", "sara"]) == 2
        assert capsys.readouterr().err.startswith("gaelp: There is no user 'sara' in ")
        assert main(["inspect", "--store", played.url, "--world", "demos"]) == 2
        assert main(["inspect", "--store", "sqlite://my.db"]) == 2

    def test_records_of_another_format_are_refused(
        self, played: Played, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("gaelp_env.world_upgrade.SCHEMA", 1)
        with pytest.raises(NotAStore, match="record format 2"):
            inspect_world(played.url)
