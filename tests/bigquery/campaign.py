"""A campaign of faults against the BigQuery store, at every exchange of a commit, its drain and its fold.

    python -m tests.bigquery.campaign                         # every kind of fault and a kill, everywhere
    python -m tests.bigquery.campaign --only kill drop --minutes 10

Each life is a process that acquires a small world, commits once, drains, folds and ends, with faults in its
way; the next one goes on from what it left. Now and then a life without faults follows, and people, rows and
events must be those of every commit that was acknowledged, each once.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bigquery.campaign_child import play, settle
from tests.bigquery.emulator import GRPC, PROJECT, REST, Emulator, interpreter
from tests.bigquery.exchanges import Exchange
from tests.bigquery.plans import AFTER_ONLY, BEFORE_ONLY, KINDS, Plan
from tests.bigquery.proxy import FaultProxy

NEVER_APPLIED = ("404", "no job permission", "no table permission", "no dataset permission", "location")
"""Refusals that the service gives instead of doing something, so they come before only."""
FATAL = ("kill", "quota", *NEVER_APPLIED)
"""After these a life ends, so it meets one of them; of the others it meets several."""
DENIED = ("404", "location")
"""The service says that there is nothing, so a life may begin with the belief that nothing is there."""
SPREAD = 3
"""So many exchanges lie between two faults in a life."""
LIVES_A_DATASET = 120
LIVES_A_LOOK = 6
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
    """A proxy in front of a server, and processes that are played tricks on.

    say: is told how it goes.
    """

    def __init__(self, proxy: FaultProxy, folder: Path, say: Callable[[str], None]) -> None:
        self.proxy, self.folder, self.say = proxy, folder, say
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.bigquery.campaign_child"])
        self._lives = self._datasets = 0
        self._least = self._most = -1
        self._unseen: list[tuple[str, int]] = []
        self.tallies: dict[str, Tally] = {}

    @property
    def url(self) -> str:
        return f"bigquery://{PROJECT}/campaign_{self._datasets}"

    def run(self, kinds: list[str], every: int = 1, until: float = float("inf")) -> Tally:
        """Plays each kind of fault at every exchange, or at every so many, before and after it applied.

        First come the kinds of which a life meets several, then kills, then what else ends a life. In each
        group kinds take turns, so that a run that ends early has met all of them.

        until: no life begins after that moment of `time.monotonic()`.
        """
        for group in (lambda k: k not in FATAL, lambda k: k == "kill", lambda k: k in FATAL and k != "kill"):
            self._everywhere([kind for kind in kinds if group(kind)], every, until)
        self.look()
        return self.whole

    def _everywhere(self, kinds: list[str], every: int, until: float) -> None:
        reaching = [(kind, when) for kind in kinds for when in whens(kind)]
        exchange = 1
        while reaching and time.monotonic() < until:
            for kind, when in list(reaching):
                if time.monotonic() > until:
                    break
                several = kind not in FATAL
                struck = self.strike(kind, when, exchange, SPREAD if several else 0)
                if not struck or (several and exchange >= SPREAD):
                    reaching.remove((kind, when))
            self.say(f"exchange {exchange}: {self.whole}")
            exchange += every

    @property
    def whole(self) -> Tally:
        """All kinds together."""
        total = Tally()
        for tally in self.tallies.values():
            total.add(tally)
        return total

    def strike(self, kind: str, when: str, exchange: int, spread: int = 0) -> int:
        """One life with a fault at an exchange and, with a spread, at every so many after it.

        Returns: how many faults struck; what came of them is known after the next look.
        """
        if self._lives % LIVES_A_DATASET == 0:
            self.look()
            self._begin()
        self._lives += 1
        self.proxy.begin()
        plans = [
            self.proxy.plan(
                kind,
                when,
                at=at,
                seconds=0.2,
                reason="503",
                matching=(lambda one: one.submits) if kind == "409" else None,
            )
            for at in (range(exchange, 60, spread) if spread else [exchange])
        ]
        told, ended = self._live(play, plans)
        struck = [one for one in self.proxy.exchanges if one.fault]
        for word, at in told:
            if word == "begun" and kind not in DENIED:
                if not self._least <= at <= self._most:
                    self._blame(f"commit {self._least} was acknowledged, and {at} is there", lost=True)
                self._least, self._most = at, at + 1
            elif word == "begun":
                self._most += 1
            if word == "committed":
                self._least = self._most = at
            if word == "raised":
                self.tally(kind, when).sentences.append(f"{kind} {when} at {exchange}: {at}")
                self.say(self.tally(kind, when).sentences[-1])
        tally = self.tally(kind, when)
        tally.faults += len(struck)
        tally.met += Counter(step_of(one) for one in struck)
        words = [str(words) for word, words in told if word in ("refused", "raised")]
        said = words[0].partition(":")[0] if words else ""
        tally.ends["killed" if kind == "kill" and struck else said or ended] += 1
        self._unseen.append((f"{kind} {when}", len(struck)))
        # What follows a kill would else begin with what that one left, and never come as far as its end.
        if len(self._unseen) >= (1 if kind == "kill" else LIVES_A_LOOK):
            self.look()
        return len(struck)

    def tally(self, kind: str, when: str) -> Tally:
        return self.tallies.setdefault(f"{kind} {when}", Tally())

    def look(self) -> None:
        """A life without faults, then a look at what is there: what came of the faults since the last one."""
        if not self._unseen:
            return
        self.proxy.begin()
        looked, _ = self._live(settle, [])
        found: Any
        word, found = looked[-1] if looked else ("broken", "nothing was told")
        if word == "whole" and self._least <= found <= self._most:
            self._least = self._most = found
        else:
            whole = word == "whole"
            told = f"commit {self._least} was acknowledged, and {found} is there" if whole else str(found)
            self._blame(told, lost=whole)
            self._lives = 0
        for name, count in self._unseen:
            tally = self.tallies[name]
            tally.survived += count
        self._unseen = []

    def _blame(self, told: str, *, lost: bool) -> None:
        """Notes that a promise was broken since the last look: the last fault is blamed, all are named."""
        names = [name for name, count in self._unseen if count] or ["nothing"]
        tally = self.tallies.setdefault(names[-1], Tally())
        doubled = "doubled" in told or "each once" in told
        tally.lost += lost
        tally.doubled += doubled and not lost
        tally.broken += not (lost or doubled)
        tally.survived -= 1
        tally.sentences.append(f"after {', '.join(names)}: {told}")
        self.say(tally.sentences[-1])

    def _begin(self) -> None:
        """A new dataset, born undisturbed."""
        self._datasets += 1
        self._lives = 0
        self.proxy.begin()
        self._live(play, [])
        looked, _ = self._live(settle, [])
        if looked[-1:] != [("whole", 0)]:
            raise RuntimeError(f"A world could not be born without any fault: {looked}")
        self._least = self._most = 0

    def _live(self, what: Callable[..., None], plans: list[Plan]) -> tuple[list[tuple[str, Any]], str]:
        here, there = self._context.Pipe(duplex=False)
        variables = {REST: self.proxy.endpoint, GRPC: "", "GAELP_OUTBOX": str(self.folder / "outbox")}
        process = self._context.Process(target=what, args=(self.url, variables, there))
        places = [plan.at for plan in plans]
        for plan in plans:  # nothing strikes before the process is known
            plan.at = 10**9
        process.start()
        for plan, at in zip(plans, places, strict=True):
            plan.pid, plan.at = process.pid or 0, at
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


def step_of(exchange: Exchange) -> str:
    """What an exchange was for: the end of its job's name, or what it asked."""
    named = re.match(r"gaelp-(\w+?)-[0-9a-f]{12,}|gaelp-.*-b-?\d+--?\d+-([a-z-]+)-a\d+$", exchange.job_id)
    step = next((word for word in named.groups() if word), "") if named else ""
    if exchange.what in ("tables", "datasets"):
        return f"{exchange.method} {exchange.what}"
    if exchange.what == "query" and not step:
        asked = re.search(r"\b(FROM|TABLE IF NOT EXISTS|INTO)\s+`?(\w+)", exchange.sql)
        step = f"{exchange.sql.split(maxsplit=1)[0].lower()} {asked[2]}" if asked else ""
    return f"{exchange.what} {step}".strip()


def told_as_tables(tallies: Mapping[str, Tally]) -> Iterator[str]:
    """What came of a campaign as two tables of Markdown: by kind of fault, and by exchange."""
    yield "| fault | before it applied | after it applied | survived | lost | doubled |"
    yield "|---|---|---|---|---|---|"
    whole = Tally()
    counts = Counter[str]()
    for kind in KINDS:
        both = [tallies.get(f"{kind} {when}", Tally()) for when in ("before", "after")]
        here = Tally()
        for when, tally in zip(("before", "after"), both, strict=True):
            here.add(tally)
            counts[when] += tally.faults
        if here.faults:
            yield (
                f"| {kind} | {both[0].faults} | {both[1].faults or '–'} | {here.survived} | {here.lost} "
                f"| {here.doubled} |"
            )
        whole.add(here)
    yield (
        f"| **all** | {counts['before']} | {counts['after']} | {whole.survived} | {whole.lost} "
        f"| {whole.doubled} |"
    )
    yield ""
    yield "| exchange | faults | of which kills before | and after |"
    yield "|---|---|---|---|"
    kills = [tallies.get(f"kill {when}", Tally()).met for when in ("before", "after")]
    for step, count in whole.met.most_common():
        yield f"| {step} | {count} | {kills[0][step]} | {kills[1][step]} |"


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
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no life after so many minutes")
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gaelp-campaign-") as name:
        emulator = Emulator(Path(name) / "server", interpreter())
        emulator.start()
        try:
            with FaultProxy(emulator.endpoint) as proxy:
                campaign = Campaign(proxy, Path(name), lambda words: print(words, flush=True))
                whole = campaign.run(given.only, given.every, began + 60.0 * given.minutes)
        finally:
            emulator.stop()
    for kind, tally in sorted(campaign.tallies.items()):
        ends = ", ".join(f"{count} {end}" for end, count in tally.ends.most_common())
        print(f"{kind:<28}{tally}; lives: {ends}")
    print(*told_as_tables(campaign.tallies), sep="\n")
    print(f"campaign: {whole} ({time.monotonic() - began:.0f} s)")
    return int(whole.survived < whole.faults)


if __name__ == "__main__":
    sys.exit(main())
