"""YAML as a configuration needs it: no duplicate keys, no surprises, a line for every key.

PyYAML reads YAML 1.1, where `no` is false, `1:30` is 90, `010` is 8, `1e4` is text and a timestamp
is an object. Plain scalars are read here by the core schema of YAML 1.2 instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

DEPTH = 8
"""No configuration is nested deeper than this."""
VALUES = 100_000
"""No configuration holds more values than this, aliases written out."""

_TAGS = {
    f"tag:yaml.org,2002:{name}"
    for name in ("str", "int", "float", "bool", "null", "timestamp", "merge", "value", "map", "seq")
}
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    ".inf": float("inf"), "+.inf": float("inf"), "-.inf": float("-inf"), ".nan": float("nan"),
}  # fmt: skip


class YamlError(ValueError):
    """A text that cannot be read; the message is a sentence.

    Attributes:
      line: where, counted from 1; 0 if unknown.
    """

    def __init__(self, sentence: str, line: int = 0) -> None:
        super().__init__(sentence)
        self.line = line


def read_yaml(text: str) -> tuple[Any, dict[str, int]]:
    """Reads one YAML document.

    Args:
      text: the document; may be empty.
    Returns: its value (dict, list, str, int, float, bool or None), and the line of every
      dotted key, counted from 1.
    Raises: YamlError with a sentence that says what is wrong.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        problem = error.problem or ""
        if error.context and (not problem or problem.startswith("but ")):
            problem = f"{error.context}, {problem}".rstrip(", ")
        raise YamlError(f"this is no YAML: {problem}.", line) from None
    except yaml.YAMLError as error:
        raise YamlError(f"this is no YAML: {' '.join(str(error).split())}.") from None
    except RecursionError:
        raise YamlError(f"lists or sections are nested deeper than {DEPTH} levels.") from None
    reader = _Reader()
    return (None if node is None else reader.value(node, "", 0)), reader.lines


class _Reader:
    """Makes plain values of nodes, and remembers the line of every key."""

    def __init__(self) -> None:
        self.lines: dict[str, int] = {}
        self.left = VALUES

    def value(self, node: yaml.Node, path: str, depth: int) -> Any:
        line = node.start_mark.line + 1
        self.left -= 1
        if depth > DEPTH:
            raise YamlError(f"lists or sections are nested deeper than {DEPTH} levels.", line)
        if self.left < 0:
            raise YamlError(f"there are more than {VALUES} values here, aliases written out.", line)
        if node.tag not in _TAGS:
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")
            raise YamlError(f"the tag {tag} is not understood; write plain values.", line)
        if isinstance(node, yaml.MappingNode):
            return self.section(node, path, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(child, path, depth + 1) for child in node.value]
        return _scalar(node)

    def section(self, node: yaml.MappingNode, path: str, depth: int) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        first: dict[Any, int] = {}
        for key, child, line in _pairs(node):
            where = f"{path}.{key}" if path else str(key)
            if key in first:
                raise YamlError(f"{where} is there twice, first in line {first[key]}; keep one.", line)
            first[key] = line
            self.lines.setdefault(where, line)
            found[key] = self.value(child, where, depth + 1)
        return found


def _pairs(node: yaml.MappingNode) -> Iterator[tuple[Any, yaml.Node, int]]:
    for key, child in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise YamlError("a list or a section stands where a key belongs.", line)
        yield key.value, child, line


def _scalar(node: yaml.Node) -> Any:
    text = str(node.value)
    quoted = getattr(node, "style", None) is not None
    if quoted:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if len(text) <= 400 and _INT.fullmatch(text):
        return int(text)
    if len(text) <= 400 and _FLOAT.fullmatch(text):
        return float(text)
    return text
