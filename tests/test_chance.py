"""Chance is addressed: known answers of the generator, and laws of what is drawn from it."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from gaelp_env import chance
from gaelp_env.chance import key_of, normal_quantile, philox, poisson_count, uniform, uniforms
from tests import oracle_chance as plain

KEYS = st.integers(0, 2**64 - 1)
WORDS = st.integers(0, 2**32 - 1)


@njit
def table(key, users, tick, purpose):  # type: ignore[no-untyped-def]
    out = np.empty((users, 4))
    for user in range(users):
        out[user] = uniforms(key, user, tick, purpose, 0)
    return out


def hexes(text: str) -> list[np.uint64]:
    return [np.uint64(int(word, 16)) for word in text.split()]


@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        ("0 0 0 0", "0 0", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff " * 4, "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            "243f6a88 85a308d3 13198a2e 03707344",
            "a4093822 299f31d0",
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
    ids=["zeros", "ones", "digits of pi"],
)
def test_philox_gives_the_known_answers_of_its_authors(counter: str, key: str, answer: str) -> None:
    words = philox(*hexes(counter), *hexes(key))
    assert [f"{int(word):08x}" for word in words] == answer.split()
    again = plain.philox(tuple(map(int, hexes(counter))), (int(hexes(key)[0]), int(hexes(key)[1])))
    assert [f"{word:08x}" for word in again] == answer.split()


@given(KEYS, WORDS, WORDS, st.integers(0, 255), st.integers(0, 2**24 - 1))
def test_the_kernel_and_the_plain_generator_agree_bit_for_bit(
    key: int, user: int, tick: int, purpose: int, n: int
) -> None:
    ours = uniforms(np.uint64(key), user, tick, purpose, n)
    assert list(ours) == plain.draw(key, user, tick, purpose, n)


@given(WORDS)
def test_a_uniform_is_inside_the_open_interval(word: int) -> None:
    assert 0.0 < uniform(np.uint64(word)) < 1.0


@given(KEYS, WORDS, WORDS, st.integers(0, 254), st.integers(0, 2**24 - 2))
def test_every_part_of_the_address_matters(key: int, user: int, tick: int, purpose: int, n: int) -> None:
    here = uniforms(np.uint64(key), user, tick, purpose, n)
    assert here == uniforms(np.uint64(key), user, tick, purpose, n)
    elsewhere = [
        uniforms(np.uint64(key ^ 1), user, tick, purpose, n),
        uniforms(np.uint64(key ^ (1 << 63)), user, tick, purpose, n),
        uniforms(np.uint64(key), user ^ 1, tick, purpose, n),
        uniforms(np.uint64(key), user, tick ^ 1, purpose, n),
        uniforms(np.uint64(key), user, tick, purpose + 1, n),
        uniforms(np.uint64(key), user, tick, purpose, n + 1),
    ]
    assert here not in elsewhere
    assert len(set(elsewhere)) == len(elsewhere)


def test_purposes_do_not_share_an_address() -> None:
    named = {
        name: value
        for name, value in vars(chance).items()
        if name.isupper() and not name.startswith("_") and name != "NOBODY"
    }
    assert len(named) >= 9
    assert len(set(named.values())) == len(named)
    assert max(named.values()) < 256


def test_draws_are_uniform_and_uncorrelated_over_users_words_and_ticks() -> None:
    n = 100_000
    a, b = table(np.uint64(7), n, 3, chance.CANDIDATE), table(np.uint64(7), n, 4, chance.CANDIDATE)
    columns = np.hstack([a, b, np.roll(a[:, :1], 1, axis=0)])
    assert np.abs(columns.mean(0) - 0.5).max() < 4.0 * math.sqrt(1 / 12 / n)
    assert np.abs(columns.var(0) - 1 / 12).max() < 4.0 * math.sqrt(1 / 180 / n)
    correlation = np.corrcoef(columns, rowvar=False) - np.eye(columns.shape[1])
    assert np.abs(correlation).max() < 4.5 / math.sqrt(n)


@given(st.floats(1e-12, 1.0 - 1e-12))
def test_the_normal_quantile_is_right_to_nine_digits(p: float) -> None:
    exact = NormalDist().inv_cdf(p)
    assert normal_quantile(p) == pytest.approx(exact, rel=2e-9, abs=2e-9)


@pytest.mark.parametrize("p", [2.0**-33, 0.02425, 0.5, 0.97575, 1.0 - 2.0**-33])
def test_the_normal_quantile_has_no_step_where_its_pieces_meet(p: float) -> None:
    width = 1e-13 * min(p, 1.0 - p)
    assert normal_quantile(p + width) == pytest.approx(normal_quantile(p - width), abs=1e-8)
    assert normal_quantile(p) == pytest.approx(-normal_quantile(1.0 - p), abs=1e-8)


@given(st.floats(1e-9, 1.0 - 1e-9), st.floats(0.0, 20.0) | st.floats(0.0, 1.5))
def test_a_poisson_count_is_the_largest_with_enough_above_it(v: float, mean: float) -> None:
    count = poisson_count(v, mean)
    assert count == plain.poisson(v, mean)
    if v >= mean:
        assert count == 0


@given(st.floats(2.0**-33, 1.0 - 2.0**-33), st.floats(0.0, 10.0), st.floats(0.0, 10.0))
def test_a_larger_mean_never_gives_fewer(v: float, mean: float, more: float) -> None:
    assert poisson_count(v, mean + more) >= poisson_count(v, mean)


def test_poisson_counts_have_the_mean_and_the_variance_of_the_law() -> None:
    v = (np.arange(200_000) + 0.5) / 200_000
    for mean in (0.01, 0.7, 5.0, 20.0):
        counts = np.array([poisson_count(u, mean) for u in v[:: 20 if mean > 1 else 10]])
        assert counts.mean() == pytest.approx(mean, rel=0.01)
        assert counts.var() == pytest.approx(mean, rel=0.02)


def test_keys_are_the_same_on_every_machine_and_hang_on_every_part() -> None:
    assert key_of("chance", 7) == int.from_bytes(bytes.fromhex(KEY_OF_CHANCE_7), "little")
    assert key_of("chance", 7) == plain.key_of("chance", 7)
    assert len({key_of("chance", s) for s in range(100)} | {key_of("people", s) for s in range(100)}) == 200
    assert key_of("a", "b") != key_of("ab")


KEY_OF_CHANCE_7 = "be902785315beea5"
