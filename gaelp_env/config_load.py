"""The door: a configuration from a file, a preset or a mapping, checked and explained.

A source holds only what differs from the defaults. Whatever is wrong with it is said in sentences
that name the key, the value that was found and what may stand there.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from gaelp_env.config import MarketConfig
from gaelp_env.config_words import (
    Entry,
    entries,
    expected,
    inside,
    nearest,
    number,
    plain,
    range_words,
    sections,
    unit_words,
)
from gaelp_env.config_yaml import YamlError, read_yaml

SHOWN = 5
"""How many problems one error tells; the rest are counted."""

_SUFFIXES = (".yaml", ".yml", ".json")


class ConfigError(ValueError):
    """A configuration that cannot be used; one sentence a problem, one line each."""


def load_config(source: str | Path | Mapping[str, Any] | MarketConfig | None = None) -> MarketConfig:
    """Makes a configuration from what differs from the defaults.

    Args:
      source: None for the defaults (`AdMarket-v1`); a path to a YAML file; the name of a preset
        in `configs/`, such as "first_price"; a mapping, nested or with dotted keys, such as
        {"people.users": 200}; or a configuration, which is returned as it is.
    Returns: the whole configuration, frozen.
    Raises: ConfigError, naming file, line, key, value and what may stand there.
    """
    if isinstance(source, MarketConfig):
        return source
    if source is None:
        return MarketConfig()
    if isinstance(source, Mapping):
        return _build(_Findings(), source)
    if isinstance(source, str | Path):
        return _from_file(_place(source))
    raise ConfigError(
        f"A configuration is a path, the name of a preset, a mapping or a MarketConfig, "
        f"and this is {_shown(source)}."
    )


def presets() -> dict[str, Path]:
    """The presets that come with the package: name -> file, sorted by name."""
    here = Path(__file__).resolve().parent
    for folder in (here / "configs", here.parent / "configs"):
        found = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
        if found:
            return found
    return {}


def differences(config: MarketConfig, base: MarketConfig | None = None) -> dict[str, tuple[Any, Any]]:
    """Where two configurations differ.

    Args:
      config: the one in question.
      base: the one it is held against; the defaults if not given.
    Returns: dotted key -> (value in `config`, value in `base`), in the order of the models.
    """
    mine, theirs = _flat(config), _flat(base if base is not None else MarketConfig())
    return {key: (mine[key], theirs[key]) for key in mine if mine[key] != theirs[key]}


def _flat(config: MarketConfig) -> dict[str, Any]:
    return {key: _lookup(config, key) for key in entries()}


def _lookup(config: BaseModel, key: str) -> Any:
    value: Any = config
    for name in key.split("."):
        value = getattr(value, name)
    return value


def _place(source: str | Path) -> Path:
    path = Path(source)
    named = isinstance(source, str) and path.suffix.lower() not in _SUFFIXES and len(path.parts) == 1
    known = presets()
    if named and str(source) in known:
        return known[str(source)]
    if path.exists():
        return path
    if named:
        close = difflib.get_close_matches(str(source), known, n=1, cutoff=0.5)
        hint = f"; the nearest is {close[0]}" if close else ""
        raise ConfigError(
            f"There is no preset and no file named {str(source)!r}{hint}. "
            f"Presets are {', '.join(known)}; a file is given by its path, such as my.yaml."
        )
    hint = f" The preset of that name is given as {path.stem!r}." if path.stem in known else ""
    raise ConfigError(f"There is no file {path}; give the path of a YAML file or a preset's name.{hint}")


def _from_file(path: Path) -> MarketConfig:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is no text in UTF-8; a configuration is a YAML file.") from None
    except IsADirectoryError:
        raise ConfigError(f"{path} is a folder; give the path of a YAML file in it.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    try:
        content, lines = read_yaml(text)
    except YamlError as error:
        raise ConfigError(f"{_where(str(path), error.line)}{error}") from None
    findings = _Findings(str(path), lines)
    if content is None:
        return MarketConfig()
    if not isinstance(content, dict):
        kind = "a list" if isinstance(content, list) else "a single value"
        raise ConfigError(
            f"{path} holds {kind} at the top; a configuration holds keys, "
            f"one of {', '.join(sections()[''])} on each line."
        )
    return _build(findings, content)


def _where(file: str, line: int) -> str:
    if not file:
        return ""
    return f"{file}, line {line}: " if line else f"{file}: "


@dataclass
class _Findings:
    """What was found in a source: values by key, and problems by key, in the order of the source."""

    file: str = ""
    lines: Mapping[str, int] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)

    def read(self, part: Mapping[Any, Any], path: str) -> None:
        for name, value in part.items():
            key = f"{path}.{name}" if path else str(name)
            self.order.append(key)
            if key in self.values:
                self.problems[key] = f"{key} is given twice, once with dots and once in a section; keep one."
            elif key in entries():
                self.values[key] = _settled(value, entries()[key])
            elif key not in sections() or not key:
                self.problems[key] = _unknown(key)
            elif isinstance(value, Mapping):
                self.read(value, key)
            elif value is not None:
                names = ", ".join(sections()[key])
                self.problems[key] = f"{key} is {_shown(value)}; it is a section and holds the keys {names}."

    def raise_any(self) -> None:
        if not self.problems:
            return
        place = {key: at for at, key in reversed(list(enumerate(self.order)))}
        last = len(self.order)
        keys = sorted(self.problems, key=lambda key: place.get(key, last))
        told = [_where(self.file, self.lines.get(key, 0)) + self.problems[key] for key in keys[:SHOWN]]
        if len(keys) > SHOWN:
            more = len(keys) - SHOWN
            told.append(f"There {'is 1 more problem' if more == 1 else f'are {more} more problems'}.")
        raise ConfigError("\n".join(told))


def _settled(value: Any, entry: Entry) -> Any:
    """The value in plain Python: arrays and lists as tuples, 8e3 as a whole number where one belongs."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return tuple(item.tolist() if hasattr(item, "tolist") else item for item in value)
    if entry.kind == "whole" and isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def _unknown(key: str) -> str:
    shown = key if key.replace("_", "").replace(".", "").isalnum() else repr(key)
    near = nearest(key)
    if near is not None:
        says = unit_words(entries()[near]) if near in entries() else ""
        return f"{shown} is no key of a configuration; the nearest is {near}{f' ({says})' if says else ''}."
    section = key
    while section not in sections():
        section = section.rpartition(".")[0]
    holder = section or "a configuration"
    return f"{shown} is no key; the keys of {holder} are {', '.join(sections()[section])}."


def _build(findings: _Findings, source: Mapping[Any, Any]) -> MarketConfig:
    findings.read(source, "")
    values = {key: entry.default for key, entry in entries().items()} | findings.values
    config = None
    try:
        config = MarketConfig.model_validate(_nested(values), strict=True)
    except ValidationError as error:
        for problem in error.errors():
            _explain(findings, values, problem["loc"], str(problem.get("ctx", {}).get("error", "")))
    if config is not None:
        _let_people_return(findings, config)
    findings.raise_any()
    if config is None:
        raise AssertionError("a refused configuration left no problem to tell")
    return config


_RETURNS = (
    "people.visits_per_day", "visits.return_probability", "visits.return_buyer", "visits.same_day_share",
    "visits.same_day_h", "visits.gap_days",
)  # fmt: skip


def _let_people_return(findings: _Findings, config: MarketConfig) -> None:
    """Refuses returns that come faster than candidates to visit, which would be cut in silence.

    Asked of what is given, not of the models: a world that was born before keeps its configuration.
    """
    returns, candidates = config.visits.most_returns_per_day, config.people.visits_per_day
    if returns <= candidates * (1.0 + 1e-9):
        return
    given = next((key for key in findings.values if key in _RETURNS), "")
    key = given or _RETURNS[0]
    enough = math.ceil(returns * 1e4) / 1e4
    most = entries()[_RETURNS[0]].most
    remedies = [f"people.visits_per_day at least {enough:g}"] if most is None or enough <= most else []
    remedies += ["longer gaps (visits.same_day_h, gap_days)"] if candidates > 0.0 else []
    findings.problems[key] = (
        f"{key} is {_shown(_lookup(config, key))}: right after a visit people come back at up to "
        f"{returns:.4g} a day (visits.return_probability and return_buyer at most "
        f"{max(*config.visits.return_probability, config.visits.return_buyer):g}), and candidates to visit "
        f"come at {candidates:g} a day (people.visits_per_day), so that returns would be cut; give "
        f"{', '.join(remedies)} or smaller return probabilities (0: nobody comes back)."
    )


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *above, name = key.split(".")
        part = tree
        for step in above:
            part = part.setdefault(step, {})
        part[name] = value
    return tree


def _explain(findings: _Findings, values: Mapping[str, Any], loc: tuple[int | str, ...], rule: str) -> None:
    """Turns one refusal of the models into a sentence under its key."""
    parts = [str(step) for step in loc]
    for depth in range(len(parts), 0, -1):
        key = ".".join(parts[:depth])
        if key in entries():
            findings.problems.setdefault(key, _wrong(key, values[key]))
            return
    section = ".".join(parts)
    broken = [
        key
        for key in entries()
        if key.startswith(f"{section}.") and not _keeps_rule(values[key], entries()[key])
    ]
    for key in broken:
        findings.problems.setdefault(key, _wrong(key, values[key]))
    if not broken:
        inner = [key for key in findings.values if key.startswith(f"{section}.")]
        named = [key for key in inner if entries()[key].name in rule] or inner or [section]
        value = f" is {_shown(values[named[0]])}" if named[0] in values else ""
        findings.problems.setdefault(named[0], f"{named[0]}{value}: {rule}.")


def _keeps_rule(value: Any, entry: Entry) -> bool:
    """Whether a value that has the right type keeps the rules that only the models' validators know."""
    if entry.kind == "moment":
        return _exists(str(value))
    if entry.kind != "list":
        return True
    total = entry.total is None or abs(sum(value) - entry.total) <= 1e-6
    return total and all(inside(item, entry) for item in value)


def _exists(moment: str) -> bool:
    from datetime import datetime

    try:
        datetime.fromisoformat(moment)
    except ValueError:
        return False
    return True


def _wrong(key: str, value: Any) -> str:
    entry = entries()[key]
    if isinstance(value, str) and entry.kind in ("number", "whole"):
        return _text_for_number(key, value, entry)
    hint = ""
    if entry.kind == "choice" and isinstance(value, str):
        close = difflib.get_close_matches(value.lower(), entry.choices, n=1, cutoff=0.5)
        hint = f"; the nearest is {close[0]}" if close else ""
    if entry.kind == "list" and entry.total is not None and _is_numbers(value):
        hint = f"; these sum to {sum(value):.6g}"
    return f"{key} is {_shown(value)}; it must be {expected(entry)}{hint}."


def _is_numbers(value: Any) -> bool:
    return isinstance(value, tuple) and all(
        isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < 1e300 for v in value
    )


def _text_for_number(key: str, text: str, entry: Entry) -> str:
    meant = plain(text, entry)
    write = f": write {number(meant)}" if meant is not None and inside(meant, entry) else ""
    unit = unit_words(entry)
    kind = "plain whole number" if entry.kind == "whole" else "plain number"
    told = f"it is {unit}, a {kind} {range_words(entry)}" if unit else f"it is a {kind} {range_words(entry)}"
    return f"{key} is the text {_shown(text)}; {told.rstrip()}{write}."


def _shown(value: Any) -> str:
    if value is None:
        return "empty (null)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a section of keys"
    if isinstance(value, int) and value.bit_length() > 200:
        return "a whole number of more than 60 digits"
    if isinstance(value, tuple | list):
        text = "[" + ", ".join(_shown(item) for item in value[:9]) + (", …]" if len(value) > 9 else "]")
    elif isinstance(value, str | int | float):
        text = repr(value)
    else:
        text = f"an object of type {type(value).__name__}"
    return text if len(text) <= 80 else text[:79] + "…"
