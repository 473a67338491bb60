"""`gaelp store cost`: with no server at all, and from the tables of one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agents import torture_work as work
from agents.cli import main
from agents.store_cost import amount, cost_report, dollars
from storage import open_store


def test_an_estimate_needs_no_server(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "cost"]) == 0
    out = capsys.readouterr().out
    assert "rows as estimated" in out
    assert out.splitlines()[1].split() == ["people", "10,000,000", "100,000,000"]
    assert main(["store", "cost", "--users", "5000", "--drain-s", "60", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    (sheet,) = report["sheets"]
    assert (report["measured"], sheet["users"], sheet["usage"]["drain_s"]) == (False, pytest.approx(5000), 60)
    assert all(quota["kept"] for quota in sheet["quotas"])


def test_too_many_drains_are_said_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "cost", "--users", "1000", "--episodes", "100000", "--drain-s", "30"]) == 0
    assert "load jobs a day into gaelp_deltas (of 1,500)" in (out := capsys.readouterr().out)
    assert "2,881.0 TOO MANY" in out


def test_another_store_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "cost", "sqlite:///my.db"]) == 2
    assert "is for bigquery://project/dataset" in capsys.readouterr().err


def test_amounts_are_readable() -> None:
    assert [amount(n) for n in (0, 2048, 3 << 30)] == ["0 B", "2.0 KiB", "3.0 GiB"]
    assert [dollars(usd) for usd in (0.0012, 12.5)] == ["$0.0012", "$12.50"]


def test_tables_of_a_server_are_measured_and_scaled(
    bigquery_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GAELP_OUTBOX", str(tmp_path))
    assert main(["store", "cost", bigquery_url]) == 2
    assert "There are no people in" in capsys.readouterr().err
    store = open_store(bigquery_url, public=work.public_of)
    lease = store.acquire(work.birth(), expected=None)
    store.commit([(lease, work.batch(0)), (lease, work.batch(1))])
    store.close()
    own, ten = cost_report(bigquery_url, [])["sheets"][:2]
    assert own["users"] == work.PEOPLE + 1
    assert own["stored_bytes"]["persistent_users"] > 100 * work.PEOPLE
    assert own["stored_bytes"]["events"] > 0
    assert ten["users"] == pytest.approx(10_000_000)
    report = cost_report(bigquery_url, [802])
    (twice,) = report["sheets"]
    assert report["measured"]
    assert twice["stored_bytes"]["persistent_users"] == pytest.approx(
        2 * own["stored_bytes"]["persistent_users"]
    )
