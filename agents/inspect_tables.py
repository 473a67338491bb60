"""The reports of agents.inspect as tables that fit a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from agents.inspect import NAMED_SHOWN, Report

BAR = 24
"""Width of the longest bar of a stage."""


def show_list(store: str, found: Sequence[Report], console: Console | None = None) -> None:
    """Prints the worlds of a store, one a line."""
    out = console or Console()
    table = _table("world", ">commit", "config", "holder", title=f"Worlds of {store}")
    for line in found:
        table.add_row(
            escape(str(line["world"])),
            _commit(line["commit"]),
            line["config"],
            escape(_who(line)),
        )
        for shard in line["shards"] if len(line["shards"]) > 1 else []:
            table.add_row(
                f"  shard {shard['shard']}", _commit(shard["commit"]), "", escape(shard["holder"] or "nobody")
            )
    out.print(table)


def _who(line: Report) -> str:
    """Who holds a world; of several shards, how many are held."""
    if len(line["shards"]) <= 1:
        return line["holder"] or "nobody"
    held = sum(bool(shard["holder"]) for shard in line["shards"])
    return f"{held} of {len(line['shards'])} shards" if held else "nobody"


def show_worlds(report: Report, console: Console | None = None) -> None:
    """Prints the totals of worlds: one by one if there are several, then all together."""
    out = console or Console()
    worlds = report["worlds"]
    if len(worlds) > 1:
        out.print(_by_world(report))
    total = worlds[0] if len(worlds) == 1 else report["total"]
    title = f"World {worlds[0]['world']}" if len(worlds) == 1 else f"All {len(worlds)} worlds together"
    out.print(_totals(title, report["store"], total))
    for world in worlds:
        if len(world["shards"]) > 1:
            out.print(_shards(world))
    out.print(_stages(total["stages"]))
    named = [line | {"world": world["world"]} for world in worlds for line in world["named"]]
    if named:
        out.print(_named(named))
    out.print(
        "Scores are as of a user's last visit, and fade from then on. "
        "A user's journey: gaelp inspect --user ID",
        style="dim",
    )


def show_journey(journey: Report, last: int = 20, console: Console | None = None) -> None:
    """Prints a user's state and the latest `last` events of the journey."""
    out = console or Console()
    out.print(_state(journey))
    events = journey["events"]
    if events:
        shown = events[-last:]
        labels = {met["episode"]: met["label"] for met in journey["episodes_with_events"] if met["label"]}
        named = ("named",) if labels else ()
        title = (
            "Journey"
            if len(shown) == len(events)
            else f"Journey: the last {len(shown)} of {len(events)} events"
        )
        table = _table("at (UTC)", ">episode", *named, "what", "channel", ">money", title=title)
        for event in shown:
            table.add_row(*_event(event, labels))
        out.print(table)
    missing = journey["counts"]["touchpoints"] - journey["logged"]["touchpoints"]
    if missing > 0:
        out.print(
            f"The store's log keeps {journey['logged']['touchpoints']} of this user's "
            f"{journey['counts']['touchpoints']} touchpoints; the last touches, from the user's own row:"
        )
        table = _table("at (UTC)", "channel", "clicked")
        for touch in journey["last_touches"][-last:]:
            table.add_row(_time(touch["at"]), str(touch["channel"]), "yes" if touch["clicked"] else "")
        out.print(table)
    elif not events:
        out.print("No touchpoint and no conversion is on record.")


def _table(*columns: str, title: str | None = None) -> Table:
    """A plain table; a column whose name begins with ">" is of numbers."""
    table = Table(
        title=escape(title) if title else None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD,
        pad_edge=False,
    )  # fmt: skip
    for name in columns:
        right = name.startswith(">")
        table.add_column(
            name.removeprefix(">"),
            justify="right" if right else "left",
            no_wrap=right or name.startswith("at "),
            overflow="fold",
        )
    return table


def _by_world(report: Report) -> Table:
    table = _table(
        "world", ">day", ">episodes", ">commit", ">users", ">touches", ">orders", ">spend", ">margin",
        title=f"Worlds of {report['store']}",
    )  # fmt: skip
    for world in report["worlds"]:
        counts = world["counts"]
        table.add_row(
            escape(world["world"]), f"{world['clock']['days']:.1f}", _count(world["episodes_finished"]),
            _commit(world["commit"]), _count(world["users"]["active"]), _count(counts["touchpoints"]),
            _count(counts["conversions"]), _money(counts["spend"]), _money(counts["margin"]),
        )  # fmt: skip
    return table


def _totals(title: str, store: str, total: Report) -> Table:
    table = _table("", ">", title=title)
    table.show_header = False
    users, counts, means, logged = total["users"], total["counts"], total["means"], total["logged"]
    if "clock" in total:
        clock = total["clock"]
        table.add_row("store", escape(store))
        table.add_row("clock", f"{clock['now']} UTC (day {clock['days']:.2f}, tick {_count(clock['tick'])})")
        table.add_row("commit", _commit(total["commit"]))
        table.add_row("held by", escape(_who(total)))
    rows = {
        "episodes finished": _count(total["episodes_finished"]),
        "users in the market": _count(users["active"]),
        "  found (met in an episode)": _count(users["met"]),
        "  reached by our ads": _count(users["reached"]),
        "  gone for good": _count(users["gone"]),
        "episodes of users": f"{_count(counts['user_episodes'])} ({means['episodes_per_user']:.2f} a user)",
        "touchpoints": _logged(counts["touchpoints"], logged["touchpoints"]),
        "clicks": _count(counts["clicks"]),
        "visits": _count(counts["visits"]),
        "conversions": _logged(counts["conversions"], logged["conversions"]),
        "  attributed": _count(counts["attributed"]),
        "spend": _money(counts["spend"]),
        "margin of orders": _money(counts["margin"]),
        "mean awareness": f"{means['awareness']:.3f}",
        "mean fatigue": f"{means['fatigue']:.3f}",
        "mean intent": f"{means['intent']:.3f}",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _shards(world: Report) -> Table:
    barrier = "none yet" if world["commit"] < 0 else _count(world["commit"])
    table = _table(
        ">shard", ">commit", "holder", "store", title=f"Shards of {world['world']}: barrier {barrier}"
    )
    for shard in world["shards"]:
        table.add_row(
            _count(shard["shard"]),
            _commit(shard["commit"]),
            escape(shard["holder"] or "nobody"),
            escape(shard["store"]),
        )
    return table


def _stages(stages: dict[str, int]) -> Table:
    table = _table("last-seen stage", ">users", ">share", "")
    everybody, largest = max(sum(stages.values()), 1), max(*stages.values(), 1)
    for stage, count in stages.items():
        bar = "█" * round(BAR * count / largest)
        table.add_row(stage, _count(count), f"{100.0 * count / everybody:.1f} %", bar)
    return table


def _named(named: Sequence[Report]) -> Table:
    title = "Users with a name of their own"
    if len(named) > NAMED_SHOWN:
        title += f": {NAMED_SHOWN} of {_count(len(named))}"
    table = _table("user", "stage", ">awareness", ">episodes", ">touches", ">orders", title=title)
    for line in named[:NAMED_SHOWN]:
        table.add_row(
            escape(line["user_id"]), line["stage"], f"{line['awareness']:.3f}", _count(line["episodes"]),
            _count(line["touchpoints"]), _count(line["conversions"]),
        )  # fmt: skip
    return table


def _state(journey: Report) -> Table:
    table = _table("", "", title=f"User {journey['user_id']} of world {journey['world']}")
    table.show_header = False
    counts = journey["counts"]
    last = f", the last one number {_count(journey['last_episode'])}" if journey["episodes"] else ""
    rows = {
        "person": escape(str(journey["canonical_user_id"])),
        "stage": journey["stage"] + ("" if journey["active"] else " (gone for good)"),
        "seen": f"{_time(journey['first_seen'])} to {_time(journey['last_seen'])}",
        "scores as of then": (
            f"awareness {journey['awareness']:.3f}, fatigue {journey['fatigue']:.3f}, "
            f"intent {journey['intent']:.3f}"
        ),
        "time span": _span(journey["span_days"]),
        "episodes": f"{_count(journey['episodes'])}{last}",
        "touchpoints": f"{_count(counts['touchpoints'])}, {_count(counts['clicks'])} clicked",
        "visits": "not kept" if counts["visits"] is None else _count(counts["visits"]),
        "conversions": _count(counts["conversions"]),
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _event(event: Report, labels: dict[int, str]) -> tuple[str, ...]:
    name = (escape(labels.get(event["episode"], "")),) if labels else ()
    when = (_time(event["at"]), _count(event["episode"]), *name)
    if event["kind"] == "touchpoint":
        what = "ad seen" if event["ours"] else "rival's ad seen"
        what += ", clicked" if event["clicked"] else ""
        return *when, what, event["channel"], f"{-event['price']:.4f}" if event["price"] else "0"
    return *when, "order", f"credit: {event['attributed'] or 'nobody'}", f"{event['value']:.2f}"


def _span(days: float) -> str:
    """A length of time in the largest unit of which there is at least one."""
    for unit, length in (("days", 1.0), ("hours", 1 / 24), ("minutes", 1 / 1440)):
        if days >= length:
            return f"{days / length:.2f} {unit}"
    return f"{days * 86_400:.0f} seconds"


def _time(text: Any) -> str:
    return str(text).replace("T", " ")[:19]


def _commit(sequence: int | None) -> str:
    """A sequence, or that a shard, or one of a world's shards, has none."""
    return "unborn" if sequence is None or sequence < 0 else _count(sequence)


def _count(value: Any) -> str:
    return f"{value:,}"


def _money(value: float) -> str:
    return f"{value:,.2f}"


def _logged(value: int, logged: int) -> str:
    return _count(value) if value == logged else f"{_count(value)} ({_count(logged)} in the log)"


def show_history(found: Sequence[Report], console: Console | None = None) -> None:
    """Prints the commits that can be read, a table for each world."""
    out = console or Console()
    for world in found:
        title = f"Commits of {world['world']}" + f", shard {world['shard']}" * (world["shard"] > 0)
        table = _table(">commit", "at (UTC)", "simulated time", ">episodes", ">people", ">spend", title=title)
        for line in world["commits"]:
            summary = line["summary"]
            table.add_row(
                _count(line["commit"]),
                line["committed_at"].partition(".")[0],
                str(summary.get("clock", "")).replace("T", " "),
                _count(summary["episodes"]) if "episodes" in summary else "",
                _count(summary["people"]) if "people" in summary else "",
                _money(summary["spend"]) if "spend" in summary else "",
            )
        out.print(table)
