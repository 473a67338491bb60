"""The oracle's own luck: Philox on Python ints, and the plainest ways from a uniform to a draw."""

from __future__ import annotations

import hashlib
import math
import struct
from statistics import NormalDist

ARRIVE, CANDIDATE, AUCTION, RESPOND, VISIT, CLOCK, BIRTHS, PERSON, PRESSURE, SLOTS = range(10)
NOBODY = 2**32 - 1
NORMAL = NormalDist()


def philox(counter: tuple[int, ...], key: tuple[int, int]) -> tuple[int, int, int, int]:
    """Philox 4x32-10 as its paper draws it: ten rounds, the key bumped between them."""
    x0, x1, x2, x3 = counter
    k0, k1 = key
    for _ in range(10):
        high0, low0 = divmod(0xD2511F53 * x0, 2**32)
        high1, low1 = divmod(0xCD9E8D57 * x2, 2**32)
        x0, x1, x2, x3 = high1 ^ x1 ^ k0, low1, high0 ^ x3 ^ k1, low0
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return x0, x1, x2, x3


def draw(key: int, user: int, tick: int, purpose: int, n: int = 0) -> list[float]:
    """Four uniforms at an address."""
    words = philox((user, tick, purpose + 256 * n, 0), (key % 2**32, key // 2**32))
    return [(word + 0.5) / 2**32 for word in words]


def key_of(*parts: object) -> int:
    text = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def single(x: float) -> float:
    """What is left of a number that the user record keeps in single precision."""
    return float(struct.unpack("<f", struct.pack("<f", x))[0])


def poisson(u: float, mean: float) -> int:
    """The largest count k with u < P(N >= k), at most 64."""
    mass = math.exp(-mean)
    below, count = mass, 0
    while count < 64 and u < 1.0 - below:
        count += 1
        mass *= mean / count
        below += mass
    return count


def log_normal(u: float, median: float, log_sd: float) -> float:
    return median * math.exp(log_sd * NORMAL.inv_cdf(u))
