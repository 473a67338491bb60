"""YAML without surprises."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gaelp_env.config_yaml import YamlError, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e4", 1e4), ("1.5e-3", 1.5e-3), (".5", 0.5), ("010", 10), ("1:30", "1:30"), ("1_000", "1_000"),
        ("yes", "yes"), ("no", "no"), ("true", True), ("False", False), ("~", None), ("null", None),
        ("2026-01-05T00:00:00", "2026-01-05T00:00:00"), ("'3'", "3"), ('"true"', "true"),
        ("[1, a, [2.0]]", [1, "a", [2.0]]), ("0x10", "0x10"), ("!!str 5", 5), ("", None), (".inf", math.inf),
    ],
)  # fmt: skip
def test_a_plain_value_is_what_it_looks_like(text: str, value: Any) -> None:
    found, _ = read_yaml(text)
    assert found == value
    assert type(found) is type(value)


def test_lines_are_known_by_dotted_key() -> None:
    found, lines = read_yaml("# top\na:\n  b: 1\n  c: {d: 2,\n    e: 3}\nf.g: 4\n")
    assert found == {"a": {"b": 1, "c": {"d": 2, "e": 3}}, "f.g": 4}
    assert lines == {"a": 2, "a.b": 3, "a.c": 4, "a.c.d": 4, "a.c.e": 5, "f.g": 6}


@pytest.mark.parametrize(
    ("text", "says", "line"),
    [
        ("a: 1\nb: 2\na: 3", "a is there twice, first in line 1", 3),
        ("x:\n  a: 1\n  'a': 3", "x.a is there twice", 3),
        ("a: 1\n b: 2", "this is no YAML: mapping values", 2),
        ("a: 1\n---\nb: 2", "expected a single document", 2),
        ("a: !!python/object/apply:os.system [ls]", "the tag !!python/object/apply:os.system", 1),
        ("a: !mine 3", "the tag !mine is not understood", 1),
        ("? [a, b]\n: 1", "where a key belongs", 1),
        ("a: &x [*x]", "nested deeper", 1),
        ("[" * 3000, "nested deeper", 0),
        ("a: *nobody", "undefined alias", 1),
        ("a: \x07", "this is no YAML", 0),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(text: str, says: str, line: int) -> None:
    with pytest.raises(YamlError, match=r"^[^\n]+\.$") as caught:
        read_yaml(text)
    assert says in str(caught.value)
    assert caught.value.line == line


def test_a_bomb_of_aliases_is_refused() -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 7)]
    with pytest.raises(YamlError, match="more than 100000 values"):
        read_yaml("\n".join(rows))


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("abc_ ", max_size=5)
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text("abcdef", min_size=1), SCALARS | st.lists(SCALARS, max_size=3), max_size=4))
def test_what_pyyaml_writes_is_read_back(content: dict[str, Any]) -> None:
    assert read_yaml(yaml.safe_dump(content))[0] == content


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read_yaml(text)
    except YamlError as error:
        assert str(error).endswith(".")
