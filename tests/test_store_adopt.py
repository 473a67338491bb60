"""`gaelp adopt`: a table of 15 columns in BigQuery becomes a world, and its people go on from there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agents.cli import main
from storage.bigquery_client import Wire
from storage.bigquery_tables import create, users_table
from tests.worlds import rows

ROWS = """
INSERT INTO persistent_users (user_id, canonical_user_id, current_journey_state, awareness_level,
  fatigue_score, intent_score, episode_count, last_episode, first_seen, last_seen, touchpoint_history,
  conversion_history, is_active, created_at, updated_at)
SELECT CONCAT('visitor_', CAST(k AS STRING)), CONCAT('visitor_', CAST(k AS STRING)),
  IF(k = 3, 'INTENT', 'AWARE'), 0.25, 0.5, 0.125, k + 1, 7,
  TIMESTAMP '2026-02-01 08:00:00+00', TIMESTAMP '2026-02-03 09:30:00+00',
  PARSE_JSON('[{"at":"2026-02-03T09:30:00","channel":"social","clicked":false}]'), PARSE_JSON('[]'),
  k != 4, TIMESTAMP '2026-02-01 08:00:00+00', TIMESTAMP '2026-02-03 09:30:00+00'
FROM UNNEST(GENERATE_ARRAY(0, 9)) AS k
"""


@pytest.fixture
def table(bigquery_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a dataset with ten people in it, and nothing else."""
    monkeypatch.setenv("GAELP_OUTBOX", str(tmp_path))
    project, dataset = bigquery_url.removeprefix("bigquery://").split("/")
    wire = Wire(project, dataset)
    wire.make()
    wire.query(create(users_table("persistent_users")))
    wire.query(ROWS)
    wire.close()
    return bigquery_url


def test_people_of_a_table_become_a_world(table: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["adopt", "--store", table, "--world", "old", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "10 people, 9 active; 'old' can be a world, its clock at 2026-02-04T00:00:00" in out
    assert "10: how often they are met" in out
    assert main(["adopt", "--store", table, "--world", "old", "--json"]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (report["people"], report["active"], report["written"]) == (10, 9, True)
    found = {row["user_id"]: row for row in rows(table, "persistent_users", "old")}
    assert len(found) == 10
    three = found["visitor_3"]
    assert (three["current_journey_state"], three["episode_count"], three["fatigue_score"]) == (
        "INTENT",
        4,
        0.5,
    )
    assert three["created_at"].startswith("2026-02-01 08:00:00"), "the row is the same"
    assert three["last_seen"].startswith("2026-02-03 09:30:00")
    assert found["visitor_4"]["is_active"] == 0
    assert main(["adopt", "--store", table, "--world", "other"]) == 2
    assert "is a store already, with world 'old'" in capsys.readouterr().err


def test_what_is_no_table_of_people_is_named(
    bigquery_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GAELP_OUTBOX", str(tmp_path))
    assert main(["adopt", "--store", bigquery_url]) == 2
    assert "no table persistent_users" in capsys.readouterr().err
    assert main(["adopt", "--store", f"sqlite:///{tmp_path}/a.db"]) == 2
    assert "only there is a table of people adopted" in capsys.readouterr().err
