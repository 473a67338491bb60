"""`gaelp export`: Parquet files that say what they are of, and read back as the tables."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agents import store_export
from agents.cli import main
from agents.store_export import export_world, marks_of, read_back
from gaelp_env.world import World
from storage.base import WorldExists, WorldNotFound
from storage.names import TABLES
from tests.worlds import SMALL, begun, new_url, play, rows


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "out" / "demo"


def named(url: str, name: str = "demo") -> World:
    world = begun(url, name)
    play(world, 1)
    world.get_or_create_user("sara_mobile_001")
    world.record_touchpoint("sara_mobile_001", "search", clicked=True)
    world.record_conversion("sara_mobile_001", 12.5)
    play(world, 2)
    return world


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.parametrize("group", [7, 1 << 17])
def test_the_files_hold_the_tables_row_by_row(
    kind: str, group: int, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_export, "GROUP_ROWS", group)
    url = new_url(kind, tmp_path)
    world = named(url)
    report = export_world(url, "demo", folder)
    for table in TABLES:
        file = folder / f"{table}.parquet"
        expected = rows(url, table)
        assert list(read_back(file)) == expected
        assert report["files"][table] == {
            "file": str(file),
            "rows": len(expected),
            "bytes": file.stat().st_size,
        }
        assert marks_of(file) == {
            "world": "demo", "sequence": "3", "shards": '{"0": 3}', "fingerprint": SMALL.fingerprint(),
            "parent": "", "version": "0.1.0",
        }  # fmt: skip
    assert sorted(file.name for file in folder.iterdir()) == sorted(f"{table}.parquet" for table in TABLES)
    if group == 7:
        users = pq.ParquetFile(folder / "persistent_users.parquet")
        assert users.num_row_groups == -(-users.metadata.num_rows // 7)
    world.close()


def test_columns_are_typed(folder: Path, tmp_path: Path) -> None:
    url = new_url("sqlite", tmp_path)
    named(url).close()
    export_world(url, "demo", folder)
    schema = pq.read_schema(folder / "persistent_users.parquet")
    moment = pa.timestamp("us", tz="UTC")
    assert {name: schema.field(name).type for name in schema.names} == {
        **dict.fromkeys(("user_id", "canonical_user_id", "current_journey_state"), pa.string()),
        **dict.fromkeys(("awareness_level", "fatigue_score", "intent_score"), pa.float64()),
        **dict.fromkeys(("episode_count", "last_episode"), pa.int64()),
        **dict.fromkeys(("touchpoint_history", "conversion_history"), pa.string()),
        **dict.fromkeys(("first_seen", "last_seen", "created_at", "updated_at"), moment),
        "is_active": pa.bool_(),
    }
    assert pq.read_schema(folder / "touchpoints.parquet").field("at").type == moment


def test_it_reads_a_world_that_is_being_written_and_changes_nothing(folder: Path, tmp_path: Path) -> None:
    url = new_url("sqlite", tmp_path)
    world = named(url)
    path = Path(url.removeprefix("sqlite:///"))
    before = path.read_bytes()
    assert export_world(url, "demo", folder)["sequence"] == 3
    assert path.read_bytes() == before
    play(world, 1)
    assert export_world(url, "demo", folder)["sequence"] == 4
    assert marks_of(folder / "episodes.parquet")["sequence"] == "4"
    world.close()


def test_what_is_there_of_another_world_is_left(folder: Path, tmp_path: Path) -> None:
    url = new_url("sqlite", tmp_path)
    for name in ("demo", "other"):
        named(url, name).close()
    export_world(url, "demo", folder)
    with pytest.raises(WorldExists, match="holds world 'demo', and not world 'other'; name another folder"):
        export_world(url, "other", folder)
    assert marks_of(folder / "episodes.parquet")["world"] == "demo"
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "episodes.parquet").write_text("my own")
    with pytest.raises(WorldExists, match="holds something else"):
        export_world(url, "demo", mine)
    assert [file.name for file in mine.iterdir()] == ["episodes.parquet"]
    with pytest.raises(WorldNotFound):
        export_world(url, "nobody", folder)


def test_an_export_that_breaks_off_leaves_the_older_one(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = new_url("sqlite", tmp_path)
    world = named(url)
    export_world(url, "demo", folder)
    play(world, 1)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}

    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(store_export, "_sync", full)
        with pytest.raises(OSError, match="No space left"):
            export_world(url, "demo", folder)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    world.close()


def test_the_command_says_what_it_wrote(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = new_url("sqlite", tmp_path)
    named(url).close()
    assert main(["export", url, "--to", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{folder}/persistent_users.parquet: 6")
    assert lines[-1] == "World 'demo' as of commit 3."
    assert main(["export", url, "--to", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"]["episodes"]["rows"] == 3


def test_a_world_of_shards_is_one_export(folder: Path, tmp_path: Path) -> None:
    url = new_url("sqlite", tmp_path)
    World.create(url, "demo", config=SMALL, shards=2, shard=1, seed=5).close()
    world = World.open(url, "demo", shard=0)
    world.reset()
    play(world, 2)
    world.close()
    export_world(url, "demo", folder)
    users = list(read_back(folder / "persistent_users.parquet"))
    assert len({user["user_id"] for user in users}) == len(users) >= 60
    assert marks_of(folder / "episodes.parquet")["shards"] == '{"0": 2, "1": 0}'
    assert marks_of(folder / "episodes.parquet")["sequence"] == "0"
