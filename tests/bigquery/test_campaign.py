"""The campaign of faults, in short; and that it would find a commit that is lost, or an event doubled."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("google.cloud.bigquery", reason="google-cloud-bigquery is not installed: gaelp[bigquery]")

from tests.bigquery.campaign import Campaign, Tally, step_of, told_as_tables, whens
from tests.bigquery.exchanges import Exchange
from tests.bigquery.plans import KINDS
from tests.bigquery.proxy import FaultProxy


@pytest.fixture
def campaign(fault_proxy: FaultProxy, tmp_path: Path) -> Campaign:
    return Campaign(fault_proxy, tmp_path, lambda words: None)


def test_nothing_is_lost_or_doubled(campaign: Campaign) -> None:
    for kind, when, exchange, spread in (
        ("torn", "after", 2, 3), ("kill", "after", 13, 0), ("503", "before", 1, 4), ("kill", "before", 25, 0),
    ):  # fmt: skip
        assert campaign.strike(kind, when, exchange, spread)
    campaign.look()
    whole = campaign.whole
    assert (whole.lost, whole.doubled, whole.broken, whole.sentences) == (0, 0, 0, [])
    assert whole.faults == whole.survived > 12
    assert campaign.tallies["kill after"].ends == {"killed": 1}
    assert "0 lost, 0 doubled" in str(whole)


def test_a_loss_and_a_doubling_are_told_apart(campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[list[tuple[str, Any]]] = [
        [("begun", 5), ("committed", 6), ("done", 6)], [("whole", 5)],
        [("begun", 5)], [("broken", "Broken: touchpoints has 5 rows doubled")],
    ]  # fmt: skip
    monkeypatch.setattr(Campaign, "_live", lambda *_: (answers.pop(0), "ended well"))
    campaign._lives, campaign._least, campaign._most = 1, 5, 5
    campaign.strike("drop", "after", 1)
    campaign._unseen = [("drop after", 1)]
    campaign.look()
    campaign._lives, campaign._least, campaign._most = 1, 5, 5
    campaign.strike("503", "after", 1)
    campaign._unseen = [("503 after", 1)]
    campaign.look()
    assert (campaign.tallies["drop after"].lost, campaign.tallies["503 after"].doubled) == (1, 1)
    assert "commit 6 was acknowledged, and 5 is there" in campaign.whole.sentences[0]


def test_kinds_strike_when_they_make_sense() -> None:
    assert {kind: list(whens(kind)) for kind in ("drop", "torn", "job fails", "404", "kill")} == {
        "drop": ["before", "after"], "torn": ["after"], "job fails": ["before"], "404": ["before"],
        "kill": ["before", "after"],
    }  # fmt: skip
    assert all(list(whens(kind)) for kind in KINDS)


def test_a_step_is_named_by_its_job() -> None:
    fold = "gaelp-demo-s0-3969a29736e4-f1-1-b0-1-merge-people-a0"
    named = {fold: "merge-people", "gaelp-acquire-3969a29736e44b38b15d57e3342fe45a-a0": "acquire", "x": ""}
    for job, step in named.items():
        assert step_of(Exchange(1, "POST", "/", what="query", job_id=job)) == f"query {step}".strip()
    assert step_of(Exchange(1, "DELETE", "/", what="tables")) == "DELETE tables"
    asked = Exchange(1, "POST", "/", what="query", sql="SELECT a, b FROM `gaelp_worlds` WHERE TRUE")
    assert step_of(asked) == "query select gaelp_worlds"


def test_what_came_of_it_is_told_by_kind_and_by_exchange() -> None:
    tallies = {
        "kill before": Tally(2, 2, met=Counter({"query end": 2})),
        "kill after": Tally(1, 0, lost=1, met=Counter({"query": 1})),
    }
    told = "\n".join(told_as_tables(tallies))
    assert "| kill | 2 | 1 | 2 | 1 | 0 |" in told
    assert "| query end | 2 | 2 | 0 |" in told and "| **all** | 2 | 1 | 2 | 1 | 0 |" in told
