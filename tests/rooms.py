"""Who may import whom in gaelp_env, from the ground up."""

from __future__ import annotations

# A row says which of its siblings a module may import.
# A family `config_*` stands for every module whose name begins so.
LAYOUT = ("config", "published", "population", "chance", "ledger")
TOPICS = (
    "arrivals", "auction", "response", "journey", "conversion", "attribution", "reward", "observation",
    "adstock", "voice", "devices", "sessions", "funnel", "creatives", "slots", "caps", "pacing", "prices",
    "highest_bid", "rivals", "exponentials",
)  # fmt: skip
WHOLES = ("constants", "births", "prospect", "encounters")
PERSON = (*LAYOUT, *TOPICS, "constants", "upkeep", "pointers")
TICK = ("plan", "opening", "rivalry", "opportunities")
DESK = ("impression_desk", "impression_view")
GROUND = ("published", "chance", "prefetch", "histories", "special_cases", "exponentials", "threads")
ROOMS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(GROUND, ()),
    "draws": ("chance",),
    "sections*": ("published", "sections*"),
    "config": ("published", "sections*"),
    "ledger": ("config", "prices"),
    "population": ("config", "chance", "histories"),
    **dict.fromkeys(TOPICS, (*LAYOUT, "exponentials")),
    "highest_bid": (*LAYOUT, "prices"),
    "rivals": (*LAYOUT, "highest_bid"),
    "observation": (*LAYOUT, "constants"),
    "constants": (*LAYOUT, *TOPICS),
    "plan": (*LAYOUT, *TOPICS, "constants"),
    "births": (*LAYOUT, *TOPICS, "constants", "plan", "pointers"),
    "prospect": (*LAYOUT, *TOPICS, "constants"),
    "rivalry": (*LAYOUT, *TOPICS, "constants", "plan"),
    "upkeep": (*LAYOUT, *TOPICS),
    "bidding": (*LAYOUT, *TOPICS, "pointers"),
    "exposure": (*PERSON, "prospect", "worth"),
    "visiting": (*PERSON, "prospect"),
    "opportunities": (*PERSON, "bidding", "exposure", "visiting"),
    "encounters": (*PERSON, "bidding", "opportunities", "visiting", "prefetch", "draws"),
    "pointers": ("ledger", "prices"),
    "blocks": ("ledger", "population", "arrivals", "encounters", "threads"),
    "worth": (*LAYOUT, *TOPICS, "constants", "prospect"),
    "tick": ("population",),
    "closing": ("config", "ledger", "opening", "pacing"),
    "opening": (*LAYOUT, *TOPICS, "constants", "plan"),
    "by_hand": (*PERSON, "exposure", "visiting", "encounters"),
    "turn": (*PERSON, *TICK, "births", "encounters", "closing"),
    "turn_desk": ("ledger", "population", "turn"),
    "turns": ("constants", "ledger", "plan", "threads", "turn", "turn_desk", "market"),
    "market_desk": (*LAYOUT, "constants", "plan", "rivalry", "blocks", "worth", "tick", "turn_desk"),
    "market": (
        *LAYOUT,
        *TOPICS,
        *WHOLES,
        *TICK,
        "upkeep",
        "tick",
        "closing",
        "by_hand",
        "market_desk",
        "turns",
        "turn_desk",
    ),
    "config_*": ("config", "published", "config_*", "constants"),
    "actions": ("config", "constants"),
    "_cache": (),
    "world*": (*LAYOUT, *TOPICS, *WHOLES, "market", "turns", "actions", "config_*", "world*"),
    "render*": (*LAYOUT, *TOPICS, *WHOLES, "market", "actions", "world*", "render*"),
    "wrappers": ("config", "actions"),
    "impression_desk": ("ledger", "pointers"),
    "impression_view": (*PERSON, "opening"),
    "impression_turn": (*PERSON, *TICK, "births", "encounters", "closing", *DESK),
    "impression_kernel": (
        *PERSON,
        *TICK,
        *DESK,
        "actions",
        "bidding",
        "visiting",
        "prefetch",
        "impression_turn",
    ),
    "impression_books": (*PERSON, "plan", "market", "world", "worth", "impression_desk"),
    "impression_floor": (*PERSON, "plan", "prospect", "opportunities", "world", "impression_*"),
    "impression": ("*",),
    "impression_vector": ("*",),
    "registration": ("special_cases",),
    "env": ("*",),
    "vector*": ("*",),
    "told": LAYOUT,
    "multi_agent": ("*",),
    "__main__": ("*",),
    "__init__": ("*",),
}
