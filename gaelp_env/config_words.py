"""What every key of a configuration is: its kind, unit and range, read off the models, in words."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType, NoneType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gaelp_env.config import MarketConfig

LISTS: Mapping[str, tuple[float | None, float | None, bool, float | None]] = MappingProxyType(
    {
        "people.device_shares": (0.0, 1.0, False, 1.0),
        "click_rate": (0.0, 1.0, False, None),
        "audience": (0.0, 1.0, False, None),
        "slot_view": (0.0, 1.0, False, None),
        "slot_click": (0.0, 1.0, False, None),
        "targeting": (0.0, 100.0, False, None),
        "forward_push": (-20.0, 20.0, False, None),
        "prices.quantiles": (1e-9, 1e9, False, None),
        "response.creative_quality": (0.0, 1.0, False, None),
        "response.creatives": (0.0, 1.0, False, None),
        "journey.forward_base": (None, None, False, None),
        "journey.awareness_push": (-20.0, 20.0, False, None),
        "journey.visit_push": (-20.0, 20.0, False, None),
        "journey.intent_push": (-20.0, 20.0, False, None),
        "journey.backward_half_life_d": (0.0, None, True, None),
        "visits.return_probability": (0.0, 0.95, False, None),
        "visits.source_shares": (0.0, 1.0, False, 1.0),
        "conversion.visit_rate": (0.0, 1.0, False, None),
        "conversion.buy_rate": (0.0, 1.0, False, None),
        "conversion.device_buy": (0.0, 10.0, False, None),
        "conversion.device_click": (0.0, 10.0, False, None),
        "conversion.delay_weights": (0.0, 1.0, False, 1.0),
        "conversion.delay_means_h": (0.0, None, True, None),
    }
)
"""Keys that hold lists -> (least, most, least is left out, what they sum to), as the models'
validators have it; the keys of a channel go by their last part. A test holds the two together."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of the configuration.

    Attributes:
      key: dotted, such as `channels.search.share`.
      kind: "number", "whole", "flag", "choice", "moment" or "list".
      least, most: range of the number (or of each in a list); None is open-ended.
      above, below: whether `least`, `most` themselves are left out.
      lengths: shortest and longest list; (0, 0) for anything else.
      total: what a list sums to, or None.
      choices: the words that a choice knows.
      optional: whether null is a value.
    """

    key: str
    kind: str
    default: Any
    unit: str
    source: str
    text: str
    least: float | None = None
    most: float | None = None
    above: bool = False
    below: bool = False
    lengths: tuple[int, int] = (0, 0)
    total: float | None = None
    choices: tuple[str, ...] = ()
    optional: bool = False

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition(".")[2]


@cache
def entries() -> Mapping[str, Entry]:
    """Every key that holds a value, in the order of the models."""
    return MappingProxyType({entry.key: entry for entry in _walk(MarketConfig(), "")})


@cache
def sections() -> Mapping[str, tuple[str, ...]]:
    """Every key that holds other keys, "" being the whole, with the names in it."""
    found: dict[str, tuple[str, ...]] = {}
    for key in entries():
        parts = key.split(".")
        for depth in range(len(parts)):
            above = ".".join(parts[:depth])
            names = found.get(above, ())
            found[above] = names if parts[depth] in names else (*names, parts[depth])
    return MappingProxyType(found)


def _walk(part: BaseModel, path: str) -> Iterator[Entry]:
    for name, field in type(part).model_fields.items():
        key = f"{path}.{name}" if path else name
        value = getattr(part, name)
        if isinstance(value, BaseModel):
            yield from _walk(value, key)
        else:
            yield _entry(key, field, value)


def _entry(key: str, field: FieldInfo, default: Any) -> Entry:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    told: dict[str, Any] = {
        "key": key,
        "default": default,
        "unit": str(extra.get("unit", "")),
        "source": str(extra.get("source", "")),
        "text": field.description or "",
    }
    annotation: Any = field.annotation
    options = get_args(annotation)
    if NoneType in options and get_origin(annotation) is not Literal:
        told["optional"] = True
        annotation = Union[tuple(o for o in options if o is not NoneType)]  # noqa: UP007
    origin = get_origin(annotation)
    if origin is Literal:
        return Entry(kind="choice", choices=tuple(get_args(annotation)), **told)
    if origin is tuple:
        return Entry(kind="list", **told, **_list_limits(key, get_args(annotation), field))
    kinds = {bool: "flag", int: "whole", float: "number", str: "moment"}
    if annotation not in kinds:
        raise TypeError(f"{key} is a {annotation}, and config_words has no words for that kind of key")
    return Entry(kind=kinds[annotation], **told, **_limits(field))


def _limits(field: FieldInfo) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for mark in field.metadata:
        for name, side, open_ in (
            ("ge", "least", None), ("gt", "least", "above"), ("le", "most", None), ("lt", "most", "below"),
        ):  # fmt: skip
            if getattr(mark, name, None) is not None:
                found[side] = float(getattr(mark, name))
                if open_:
                    found[open_] = True
    return found


def _list_limits(key: str, inner: tuple[Any, ...], field: FieldInfo) -> dict[str, Any]:
    short = key.rpartition(".")[2] if key.startswith("channels.") else key
    least, most, above, total = LISTS[short]
    lengths = (len(inner), len(inner))
    if inner[-1] is Ellipsis:
        low = [m.min_length for m in field.metadata if hasattr(m, "min_length")]
        high = [m.max_length for m in field.metadata if hasattr(m, "max_length")]
        lengths = (low[0] if low else 0, high[0] if high else 10_000)
    return {"least": least, "most": most, "above": above, "total": total, "lengths": lengths}


def number(value: float) -> str:
    """A number as people write it: 1, 0.5, 36500."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else f"{value:.12g}"


def range_words(entry: Entry) -> str:
    """The range of a number in words, such as "above 0 and at most 120"; "" if there is none."""
    if entry.least is not None and entry.most is not None and not (entry.above or entry.below):
        return f"from {number(entry.least)} to {number(entry.most)}"
    words = []
    if entry.least is not None:
        words.append(f"{'above' if entry.above else 'at least'} {number(entry.least)}")
    if entry.most is not None:
        words.append(f"{'below' if entry.below else 'at most'} {number(entry.most)}")
    return " and ".join(words)


def expected(entry: Entry) -> str:
    """What may stand at a key, in words: kind, range and unit."""
    words = _kind_words(entry)
    words += f" ({entry.unit})" if unit_words(entry) else ""
    return f"{words}, or null" if entry.optional else words


def unit_words(entry: Entry) -> str:
    """The unit of a number as part of a sentence: "in minutes", "a share"; "" if it has none."""
    if entry.kind not in ("number", "whole", "list") or entry.unit in ("", "1"):
        return ""
    return f"a {entry.unit}" if entry.unit in ("share", "probability", "logit") else f"in {entry.unit}"


def _kind_words(entry: Entry) -> str:
    if entry.kind == "flag":
        return "true or false"
    if entry.kind == "choice":
        return f"{', '.join(entry.choices[:-1])} or {entry.choices[-1]}"
    if entry.kind == "moment":
        return f"a moment in UTC that exists, written like {entry.default}"
    ranged = range_words(entry)
    if entry.kind == "list":
        low, high = entry.lengths
        words = f"a list of {low if low == high else f'{low} to {high}'} numbers"
        words += f", each {ranged}" if ranged else ""
        return f"{words}, which sum to {number(entry.total)}" if entry.total is not None else words
    noun = "a whole number" if entry.kind == "whole" else "a number"
    return f"{noun} {ranged}".rstrip()


_SUFFIX = re.compile(
    r"_(s|sec|secs|seconds?|m|min|mins|minutes?|h|hrs?|hours?|d|days?|weeks?|pct|percent|rate|share|cpm|cpc|"
    r"usd|eur|per_day|per_hour|probability|prob)$"
)


def nearest(key: str) -> str | None:
    """The known key that an unknown one most probably means, or None if none is near.

    Looks for the same name in another unit beside it, then for a similar name beside it, then for
    the same or a similar name in the other sections.
    """
    section, _, name = key.rpartition(".")
    siblings = sections().get(section, ())
    prefix = f"{section}." if section else ""
    stem = _SUFFIX.sub("", name)
    for sibling in siblings:
        if _SUFFIX.sub("", sibling) == stem:
            return prefix + sibling
    close = difflib.get_close_matches(name, siblings, n=1, cutoff=0.6)
    if close:
        return prefix + close[0]
    known = [*entries(), *(k for k in sections() if k)]
    by_name = {k.rpartition(".")[2]: k for k in reversed(known)}
    for cutoff in (1.0, 0.8):
        close = difflib.get_close_matches(name, list(by_name), n=1, cutoff=cutoff)
        if close:
            return by_name[close[0]]
    if section in sections():
        return None
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.7)
    return close[0] if close else None


_HOURS = {
    "s": 1 / 3600, "sec": 1 / 3600, "second": 1 / 3600, "m": 1 / 60, "min": 1 / 60, "minute": 1 / 60,
    "h": 1.0, "hr": 1.0, "hour": 1.0, "d": 24.0, "day": 24.0, "w": 168.0, "week": 168.0,
}  # fmt: skip
_UNIT_HOURS = {"minutes": 1 / 60, "hours": 1.0, "days": 24.0}
_MONEY = re.compile(r"^(?:[$€£¥]|usd|eur|gbp)\s*|\s*(?:[$€£¥]|usd|eur|gbp|dollars?|euros?)$", re.IGNORECASE)
_AMOUNT = re.compile(r"([-+]?(?:[0-9][0-9_,]*\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)\s*(.*)", re.DOTALL)


def plain(text: str, entry: Entry) -> float | None:
    """The plain number, in the key's own unit, that a text such as "2 h", "5%" or "$20" means.

    Returns: None if the text is no amount, or its unit is not of the key's kind.
    """
    bare = text.strip()
    money = _MONEY.sub("", bare)
    found = _AMOUNT.fullmatch(money)
    if not found:
        return None
    try:
        amount = float(found[1].replace(",", "").replace("_", ""))
    except ValueError:
        return None
    factor = _factor(found[2].strip().lower(), entry.unit, money != bare)
    value = None if factor is None else float(f"{amount * factor:.12g}")
    return value if value is not None and math.isfinite(value) else None


def _factor(written: str, unit: str, money: bool) -> float | None:
    if money:
        return 1.0 if not written and unit.startswith("currency") else None
    if written in ("", unit.lower()):
        return 1.0
    if written in ("%", "percent", "pct", "per cent"):
        return 0.01 if unit.startswith(("share", "probability")) else None
    if written == "cpm":
        return 1.0 if "per 1,000" in unit else None
    hours = _HOURS.get(written) or _HOURS.get(written.removesuffix("s"))
    if hours is not None and unit in _UNIT_HOURS:
        return hours / _UNIT_HOURS[unit]
    return 1.0 if written.rstrip("s") == unit.rstrip("s") else None


def inside(value: float, entry: Entry) -> bool:
    """Whether a number lies in the key's range."""
    low = entry.least is None or (value > entry.least if entry.above else value >= entry.least)
    high = entry.most is None or (value < entry.most if entry.below else value <= entry.most)
    return low and high and (entry.kind != "whole" or float(value).is_integer())
