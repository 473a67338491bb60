"""A fitted configuration as a YAML file that says where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agents.calibrate_page import BEGIN, END, summary
from gaelp_env.config import MarketConfig
from gaelp_env.config_load import differences

NEW_PAGE = f"# Scorecard\n\n{BEGIN}\n\n{END}\n"
"""A page without figures."""
FIRST_LINE = "# For a market at the levels of published data: all of a shop's visitors, US dollars."


def config_text(config: MarketConfig, card: dict[str, Any], free: Sequence[str]) -> str:
    """The YAML of a configuration: what differs from the defaults, in the order of the models.

    Args:
      config: to write.
      card: of the scorecard; its fit, distance and summary stand in comments.
      free: names of the constants that were free.
    Returns: text that `load_config` makes the same configuration of.
    """
    fitted = card["fit"]
    before, after = fitted["distance_before"], fitted["distance"]
    lines = [
        FIRST_LINE,
        f"# Fitted on {fitted['date']} by `{card['command']}`: in {fitted['evaluations']} runs of the market",
        f"# the distance (mean squared miss in tolerances) fell from {before:.3g} to {after:.3g};",
        f"# in the run of the scorecard it is {card['distance']:.3g}. {summary(card)}",
        "# Constants that the fit moved: " + ", ".join(free) + ".",
    ]
    above: list[str] = []
    for key, (value, _) in differences(config).items():
        *parts, name = key.split(".")
        for depth, part in enumerate(parts):
            if above[: depth + 1] != parts[: depth + 1]:
                lines.append("  " * depth + f"{part}:")
        above = parts
        lines.append("  " * len(parts) + f"{name}: {_plain(value)}")
    return "\n".join(lines) + "\n"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_plain(one) for one in value) + "]"
    return repr(value) if isinstance(value, float) else str(value)
