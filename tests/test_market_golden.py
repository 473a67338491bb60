"""AdMarket-v0 plays the trace that was written down: a change of the market must be meant.

The trace holds counts, which no rounding moves. After a change that is meant, write it anew with

    python -m tests.test_market_golden
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from gaelp_env.actions import bids_cpm
from gaelp_env.config import MarketConfig
from gaelp_env.market import Market

TRACE = Path(__file__).parent / "golden" / "trace_v0.json"
SEED, TICKS = 7, 48
ACTION = (0.3, 0.2, 0.0, 0.1, 0.5)
BY_CHANNEL = ("opportunities", "bids", "wins", "views", "clicks")
COUNTS = ("candidates", "births", "visits", "decisions", "conversions", "attributed", "stopped")


def traced() -> dict[str, Any]:
    """A day of AdMarket-v0 with constant bids: counts by tick, and what they are of."""
    config = MarketConfig()
    market = Market.born(config, SEED)
    market.begin_episode()
    bids = bids_cpm(np.array(ACTION), config)
    trace: dict[str, Any] = {
        "of": "counts of a day of AdMarket-v0 with constant bids",
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


def test_the_default_market_plays_the_trace_that_was_written_down() -> None:
    written, played = json.loads(TRACE.read_text(encoding="utf-8")), traced()
    remedy = "if that is meant, write the trace anew: python -m tests.test_market_golden"
    assert played["fingerprint"] == written["fingerprint"], f"the defaults of AdMarket-v0 changed; {remedy}"
    for name, counts in written["ticks"].items():
        assert played["ticks"][name] == counts, f"{name} changed; {remedy}"
    assert played == written


def test_the_trace_is_of_a_day_on_which_something_happens() -> None:
    ticks = json.loads(TRACE.read_text(encoding="utf-8"))["ticks"]
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
    TRACE.write_text(text_of(traced()), encoding="utf-8")
