"""Makes the golden store of the present schema: `python -m tests.storage.golden FILE`.

A file is made once, when a schema is released, and never again: it stands for the files out there.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from tests.storage.small import SALE, batch, birth, open_store


def make_golden(path: str) -> None:
    """Two worlds with three commits, a named and an archived user, events of every table, a reservation.

    The last commit is not folded, as if the writer had been killed; the commit before it can be undone.
    """
    store = open_store(f"sqlite:///{path}")
    demo = store.acquire(birth(), expected=None)
    sub = store.acquire(birth("demo/1", parent="demo@0"), expected=None)
    reserved = store.acquire(birth("unborn"), expected=None)
    store.commit([(demo, batch(0, range(6), names={2: "sara_mobile_001"}, touch=3))])
    store.keep(demo, commits=3, hours=0.5)
    store.commit([(demo, batch(1, [4, 2], names={2: "sara_mobile_001"}, archived=[5], touch=2))])
    store.fold()
    store.public = None
    store.commit([(sub, batch(0, [1], world="demo/1", conversions=batch_of_sales()))])
    store.release(reserved)
    store.close()


def batch_of_sales() -> np.ndarray[Any, Any]:
    return np.array([(1, np.datetime64("2026-01-06T12:00:00", "us"), 49_990_000)], SALE)


if __name__ == "__main__":
    make_golden(sys.argv[1])
