"""`gaelp store cost`: with no server at all, and from the tables of one."""

from __future__ import annotations

import json

import pytest

from agents.cli import main
from agents.store_cost import amount, dollars


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
    assert main(["store", "cost", "--users", "1000", "--episodes", "100000"]) == 0
    assert "load jobs a day into gaelp_deltas (of 1,500)" in (out := capsys.readouterr().out)
    assert "2,880.0 TOO MANY" in out


def test_another_store_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "cost", "--store", "sqlite:///my.db"]) == 2
    assert "is for bigquery://project/dataset" in capsys.readouterr().err


def test_amounts_are_readable() -> None:
    assert [amount(n) for n in (0, 2048, 3 << 30)] == ["0 B", "2.0 KiB", "3.0 GiB"]
    assert [dollars(usd) for usd in (0.0012, 12.5)] == ["$0.0012", "$12.50"]
