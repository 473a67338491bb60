"""AdMarket-v0 and AdMarket-v1 play the traces that were written down: a change of a market must be meant.

A trace holds counts, which no rounding moves. That of v0 is the one which the first release wrote: its market
is still there, number for number. After a change of v1 that is meant, write its trace anew with

    python -m tests.test_market_golden
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gaelp_env.actions import bids_cpm
from gaelp_env.config_load import load_config
from gaelp_env.market import Market

FOLDER = Path(__file__).parent / "golden"
VERSIONS = {"v0": "v0", "v1": None}
"""Version of the market -> its preset."""
SEED, TICKS = 7, 48
ACTION = (0.3, 0.2, 0.0, 0.1, 0.5)
BY_CHANNEL = ("opportunities", "bids", "wins", "views", "clicks")
COUNTS = ("candidates", "births", "visits", "decisions", "conversions", "attributed", "stopped")


def trace_of(version: str) -> Path:
    return FOLDER / f"trace_{version}.json"


def traced(version: str) -> dict[str, Any]:
    """A day of a market with constant bids: counts by tick, and what they are of."""
    config = load_config(VERSIONS[version])
    market = Market.born(config, SEED)
    market.begin_episode()
    bids = bids_cpm(np.array(ACTION), config)
    trace: dict[str, Any] = {
        "of": f"counts of a day of AdMarket-{version} with constant bids",
        "fingerprint": config.fingerprint(),
        "seed": SEED,
        "action": list(ACTION),
        "ticks": {name: [] for name in (*BY_CHANNEL, *COUNTS)},
    }
    for _ in range(TICKS):
        ledger = market.advance(bids).ledger
        for name in BY_CHANNEL:
            trace["ticks"][name].append(ledger[name].tolist())
        for name in COUNTS:
            trace["ticks"][name].append(int(ledger[name]))
    trace["stages"] = market.record["stage_count"].tolist()
    trace["reached"] = int(market.record["reached"])
    return trace


@pytest.mark.parametrize("version", VERSIONS)
def test_a_market_plays_the_trace_that_was_written_down(version: str) -> None:
    written, played = json.loads(trace_of(version).read_text(encoding="utf-8")), traced(version)
    remedy = "if that is meant, write the trace anew: python -m tests.test_market_golden"
    for name, counts in written["ticks"].items():
        assert played["ticks"][name] == counts, f"{name} changed; {remedy}"
    assert played["fingerprint"] == written["fingerprint"], f"the configuration changed; {remedy}"
    assert played == written


@pytest.mark.parametrize("version", VERSIONS)
def test_the_trace_is_of_a_day_on_which_something_happens(version: str) -> None:
    ticks = json.loads(trace_of(version).read_text(encoding="utf-8"))["ticks"]
    assert all(len(counts) == TICKS for counts in ticks.values())
    assert np.array(ticks["views"]).sum() > 1000
    assert np.array(ticks["clicks"]).sum() > 5
    assert sum(ticks["decisions"]) > 0
    assert sum(ticks["births"]) > 50


def text_of(trace: dict[str, Any]) -> str:
    """The trace as JSON, one series a line."""
    lines = [f"  {json.dumps(name)}: {json.dumps(counts)}" for name, counts in trace.pop("ticks").items()]
    head = [f" {json.dumps(name)}: {json.dumps(value)}" for name, value in trace.items()]
    return ",\n".join([*(["{\n" + head[0]]), *head[1:], ' "ticks": {\n' + ",\n".join(lines)]) + "\n }\n}\n"


if __name__ == "__main__":
    for known in VERSIONS:
        trace_of(known).write_text(text_of(traced(known)), encoding="utf-8")
