"""`gaelp torture`, in short: stores keep their word, and the torture would find one that does not."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path

import pytest

from agents import torture_work as work
from agents.cli import main
from agents.torture import TortureOptions, power_cuts, run_torture
from agents.torture_look import Part, goes_on, url_of, whole
from agents.torture_shim import Told, after_power_cut
from gaelp_env.world import World
from storage import open_store
from tests.worlds import SMALL

FEW = TortureOptions(kills=4, cuts=15, faults=20, races=5, minutes=0.05, seed=3)


def test_every_promise_is_kept() -> None:
    heard: list[str] = []
    report = run_torture(FEW, heard.append)
    assert [part["faults"] for part in report["parts"]] == [[], [], [], [], []]
    assert report["kept"]
    assert report["summary"].startswith("torture: 4 kills, 15 power cuts, 20 failing writes, 5 races, ")
    assert "commits: no promise broken (" in report["summary"]
    assert heard == [
        "kill, 4 times", "power cut, 15 times", "failing write, 20 times", "race, 5 times",
        "soak, 0.05 minutes",
    ]  # fmt: skip
    assert json.loads(json.dumps(report)) == report


@pytest.mark.parametrize(("synchronous", "said"), [("OFF", ""), ("NORMAL", "acknowledged")])
def test_a_store_that_does_not_sync_is_found_out(synchronous: str, said: str, tmp_path: Path) -> None:
    part = power_cuts(tmp_path, 20, "1", synchronous)
    assert len(part.faults) > 3
    assert any(said in fault for fault in part.faults)


def test_the_command_says_so_and_its_status(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    none = ["--only", "races"]
    assert main(["torture", *none, "--races", "40", "--quick"]) == 0
    assert capsys.readouterr().out.startswith("torture: 2 races, ")
    monkeypatch.setattr("agents.torture.races", lambda *_: Part("race", 1, 3, ["race 1: one was lost"]))
    assert main(["torture", *none, "--races", "1"]) == 1
    assert "race 1: one was lost\ntorture: 1 race, 3 commits: 1 PROMISES BROKEN" in capsys.readouterr().out


def test_what_is_synced_stays_and_the_rest_is_lost_kept_or_torn() -> None:
    chance = random.Random(1)
    told = [
        Told("write", "a", 0, b"x" * 4),
        Told("sync", "a"),
        Told("said", "0"),
        Told("write", "a", 2, b"y" * 1024),
        Told("write", "gone", 0, b"z"),
        Told("delete", "gone"),
    ]
    assert after_power_cut(told, chance, "none") == {"a": b"xxxx"}
    assert after_power_cut(told, chance, "all") == {"a": b"xx" + b"y" * 1024}
    torn = {after_power_cut(told, chance, "some")["a"] for _ in range(50)}
    assert torn == {b"xxxx", b"xx" + b"y" * 512, b"xxxx" + bytes(510) + b"y" * 512, b"xx" + b"y" * 1024}
    assert after_power_cut([*told, Told("sync", "a")], chance, "none") == {"a": b"xx" + b"y" * 1024}
    told += [Told("truncate", "a", 1), Told("sync", "a")]
    assert after_power_cut(told, chance, "none") == {"a": b"x"}


def test_a_look_sees_a_lost_commit_a_doubled_event_and_a_wrong_person(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    assert [goes_on(path) for _ in range(3)] == [0, 1, 2]
    part = Part("look", 1)
    assert part.found(whole, path, 3, 4) == 2
    assert part.faults == ["look 1: commit 3 was acknowledged, and 2 is there"]
    store = open_store(url_of(path), public=work.public_of)
    lease = store.acquire(work.birth(), expected=2)
    wrong = work.batch(4)
    store.commit([(lease, type(wrong)(**{**{k: getattr(wrong, k) for k in wrong.__slots__}, "sequence": 3}))])
    store.close()
    assert part.found(whole, path, 3, 3) == -2
    assert "Broken: the people of commit 3 are not those that were committed" in part.faults[1]


def test_a_soak_finds_a_file_that_grows_and_a_memory_that_leaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agents import torture_soak

    grown = itertools.count(1 << 30, 32 << 20)
    monkeypatch.setattr(torture_soak, "RETAIN_DAYS", 0.5)
    monkeypatch.setattr(torture_soak, "resident", lambda: next(grown))
    monkeypatch.setattr(torture_soak, "file_bound", lambda *_: 1000.0)
    part = torture_soak.soaked(f"sqlite:///{tmp_path}/s.db", 1.0, SMALL)
    assert [fault.split(" ", 3)[3].split(" ")[0] for fault in part.faults] == ["memory", "the"]
    assert part.figures["touchpoints"] > 0


def test_a_soaked_file_keeps_the_touchpoints_of_the_retained_days_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agents import torture_soak

    monkeypatch.setattr(torture_soak, "RETAIN_DAYS", 0.5)
    monkeypatch.setattr(World, "fold", lambda world: 0)
    monkeypatch.setattr(World, "accepted", lambda world: setattr(world, "sequence", world._outbox.sent()))
    part = torture_soak.soaked(f"sqlite:///{tmp_path}/s.db", 1.0, SMALL)
    assert any("where they end" in fault for fault in part.faults)
