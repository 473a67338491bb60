"""A campaign of faults against the BigQuery store, at every exchange of a commit, its drain and its fold.

    python -m tests.bigquery.campaign             # every kind of fault and a kill, at every exchange: hours
    python -m tests.bigquery.campaign --every 5   # at every fifth exchange
    python -m tests.bigquery.campaign --only kill drop --minutes 10

Each life is a process that acquires a small world, commits once, drains, folds and ends, with one fault in
its way; the next one, undisturbed, goes on from what it left. Then people, rows and events must be those of
every commit that was acknowledged, each once.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bigquery.campaign_child import play, settle
from tests.bigquery.emulator import GRPC, PROJECT, REST, Emulator, interpreter
from tests.bigquery.plans import AFTER_ONLY, BEFORE_ONLY, KINDS
from tests.bigquery.proxy import FaultProxy

NEVER_APPLIED = ("404", "no job permission", "no table permission", "no dataset permission", "location")
"""Refusals that the service gives instead of doing something, so they come before only."""
LIVES_A_DATASET = 120
PATIENCE_S = 180.0
"""A life takes some seconds; one that takes so long hangs."""


@dataclass
class Tally:
    """What came of the faults of one kind.

    Attributes:
      faults: that struck; survived: after which everything was there once.
      lost, doubled, broken: where it was not.
      met: what the exchanges were that were struck.
      sentences: what was wrong.
    """

    faults: int = 0
    survived: int = 0
    lost: int = 0
    doubled: int = 0
    broken: int = 0
    met: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    sentences: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        for name in ("faults", "survived", "lost", "doubled", "broken"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.met += other.met
        self.ends += other.ends
        self.sentences += other.sentences

    def __str__(self) -> str:
        return (
            f"{self.faults} faults, {self.survived} survived, {self.lost} lost, {self.doubled} doubled, "
            f"{self.broken} otherwise broken"
        )


class Campaign:
    """A server, a proxy in front of it, and processes that are played tricks on.

    say: is told how it goes.
    """

    def __init__(
        self, emulator: Emulator, proxy: FaultProxy, folder: Path, say: Callable[[str], None]
    ) -> None:
        self.emulator, self.proxy, self.folder, self.say = emulator, proxy, folder, say
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.bigquery.campaign_child"])
        self._lives = self._datasets = 0
        self.at = -1
        self.tallies: dict[str, Tally] = {}

    @property
    def url(self) -> str:
        return f"bigquery://{PROJECT}/campaign_{self._datasets}"

    def run(self, kinds: list[str], every: int = 1, until: float = float("inf"), first: int = 1) -> Tally:
        """Plays each kind of fault at exchanges first, first + every …, before and after it applied.

        Kinds take turns, so that a run that ends early has met all of them.

        until: no life begins after that moment of `time.monotonic()`.
        """
        reaching = {(kind, when) for kind in kinds for when in whens(kind)}
        exchange = first
        while reaching:
            for kind, when in sorted(reaching):
                if time.monotonic() > until:
                    return self.whole
                if not self.strike(kind, when, exchange):
                    reaching.discard((kind, when))
            self.say(f"exchange {exchange}: {self.whole}")
            exchange += every
        return self.whole

    @property
    def whole(self) -> Tally:
        """All kinds together."""
        total = Tally()
        for tally in self.tallies.values():
            total.add(tally)
        return total

    def strike(self, kind: str, when: str, exchange: int) -> bool:
        """One life with one fault, then a look at what is there; False if no exchange was struck."""
        if self._lives % LIVES_A_DATASET == 0:
            self._begin()
        self._lives += 1
        self.proxy.begin()
        plan = self.proxy.plan(kind, when, at=exchange, seconds=0.2, reason="503")
        told, ended = self._live(play, self.proxy.endpoint, plan)
        struck = [one for one in self.proxy.exchanges if one.fault]
        tally = Tally(faults=1)
        acknowledged = max([self.at, *(at for word, at in told if word == "committed")])
        begun = max([self.at, *(at + 1 for word, at in told if word == "begun")])
        said = next((str(words) for word, words in told if word in ("refused", "raised")), "")
        self.proxy.begin()
        looked, _ = self._live(settle, self.proxy.endpoint, None)
        found: Any
        word, found = looked[-1] if looked else ("broken", "nothing was told")
        if not struck:
            self.at = found if word == "whole" else self.at
            return False
        name = f"{kind} {when} at {struck[0]}"
        tally.met[struck[0].what] += 1
        tally.ends["killed" if kind == "kill" else said.partition(":")[0] or ended] += 1
        if word == "whole" and acknowledged <= found <= max(begun, acknowledged):
            tally.survived, self.at = 1, found
        elif word == "whole" and found < acknowledged:
            tally.lost, self.at = 1, found
            tally.sentences.append(
                f"{name}: commit {acknowledged} was acknowledged, and {found} is there; {said}"
            )
        else:
            tally.doubled, tally.broken = (
                (1, 0) if "doubled" in str(found) or "each once" in str(found) else (0, 1)
            )
            tally.sentences.append(f"{name}: {found}; the life said {said or told}")
            self._lives = 0
        if any(word == "raised" for word, _ in told):
            tally.sentences.append(f"{name}: no sentence of ours: {said}")
        for sentence in tally.sentences:
            self.say(sentence)
        self.tallies.setdefault(f"{kind} {when}", Tally()).add(tally)
        return True

    def _begin(self) -> None:
        """A new dataset, born undisturbed."""
        self._datasets += 1
        self._lives, self.at = 0, -1
        self._live(play, self.proxy.endpoint, None)
        looked, _ = self._live(settle, self.proxy.endpoint, None)
        if looked[-1:] != [("whole", 0)]:
            raise RuntimeError(f"A world could not be born without any fault: {looked}")
        self.at = 0

    def _live(self, what: Callable[..., None], endpoint: str, plan: Any) -> tuple[list[tuple[str, Any]], str]:
        here, there = self._context.Pipe(duplex=False)
        variables = {REST: endpoint, GRPC: "", "GAELP_OUTBOX": str(self.folder / "outbox")}
        process = self._context.Process(target=what, args=(self.url, variables, there))
        if plan is not None and plan.kind == "kill":
            plan.at, exchange = 10**9, plan.at
            process.start()
            plan.pid, plan.at = process.pid or 0, exchange
        else:
            process.start()
        there.close()
        told, until = [], time.monotonic() + PATIENCE_S
        while (left := until - time.monotonic()) > 0 and here.poll(left):
            try:
                told.append(here.recv())
            except EOFError:
                break
        process.join(max(until - time.monotonic(), 0.1))
        if process.is_alive():
            process.kill()
            process.join()
            told.append(("raised", f"Hang: it took more than {PATIENCE_S:.0f} s"))
        return told, "ended well" if process.exitcode == 0 else f"ended with {process.exitcode}"


def whens(kind: str) -> Iterator[str]:
    """The moments at which a kind of fault makes sense."""
    if kind not in AFTER_ONLY:
        yield "before"
    if kind not in (*BEFORE_ONLY, *NEVER_APPLIED, "delay", "duplicate"):
        yield "after"


def main() -> int:
    """Runs a campaign and prints what came of it; status 1 if anything was lost, doubled or broken."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", default=list(KINDS), choices=KINDS, metavar="KIND")
    parser.add_argument("--every", type=int, default=1, help="strike every so many exchanges")
    parser.add_argument("--first", type=int, default=1, help="the first exchange to strike")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no life after so many minutes")
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gaelp-campaign-") as name:
        emulator = Emulator(Path(name) / "server", interpreter())
        emulator.start()
        try:
            with FaultProxy(emulator.endpoint) as proxy:
                campaign = Campaign(emulator, proxy, Path(name), lambda words: print(words, flush=True))
                whole = campaign.run(given.only, given.every, began + 60.0 * given.minutes, given.first)
        finally:
            emulator.stop()
    for kind, tally in sorted(campaign.tallies.items()):
        ends = ", ".join(f"{count} {end}" for end, count in tally.ends.most_common())
        print(f"{kind:<28}{tally}; lives: {ends}")
    print("exchanges struck: " + ", ".join(f"{count} {what}" for what, count in whole.met.most_common()))
    print(f"campaign: {whole} ({time.monotonic() - began:.0f} s)")
    return int(whole.survived < whole.faults)


if __name__ == "__main__":
    sys.exit(main())
