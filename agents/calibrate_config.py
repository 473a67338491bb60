"""A fitted configuration as a YAML file that says where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
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
      card: of the scorecard of a fit; how the fit went, the distance and the summary stand in comments.
      free: names of the constants that were free.
    Returns: text that `load_config` makes the same configuration of.
    """
    fitted = card["fit"]
    before, after = fitted["distance_before"], fitted["distance"]
    story = (
        f"Fitted on {fitted['date']} by `{card['command']}`, with {fitted['users']:,} users on seed "
        f"{fitted['seed']}. The fit converged: in {fitted['evaluations']} runs of the market the distance "
        f"(mean squared miss in tolerances) fell from {before:.3g} to {after:.3g}. With the "
        f"{card['users']:,} users of seed {card['seed']}, whom it has not seen, it is "
        f"{card['distance']:.3g}. {summary(card)} Constants that the fit moved: {', '.join(free)}."
    )
    lines = [FIRST_LINE, *("# " + line for line in wrap(story, 108, break_on_hyphens=False))]
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
