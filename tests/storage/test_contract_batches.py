"""The contract of `storage.base.Store` over every kind of store: batches that make no sense."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from storage.base import (
    Store,
    StoreError,
)
from tests.storage.small import SALE, batch, born, public_of, users

# ---- batches that are no batches


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"users": np.zeros(3)}, "structured array with a field 'number'"),
        ({"users": users([1, 1], 0.0)}, "User 1 is in the batch twice"),
        ({"names": {1: ""}}, "no user_id"),
        ({"names": {1: "u000000009"}}, "default name of another user"),
        ({"names": {1: "x", 2: "x"}}, "Two users of the batch are called 'x'"),
        ({"names": {1: "\ud800"}}, "'user_id' holds a text"),
        ({"archived": np.array([1, 1])}, "archived twice"),
        ({"touchpoints": np.zeros(1)}, "no fields"),
        ({"touchpoints": np.zeros(1, [("world", "i4")])}, "cannot be a column"),
        ({"touchpoints": np.zeros(1, [("a", "i4", 2)])}, "cannot be a column"),
        ({"touchpoints": np.zeros(1, [("a", "i4"), ("A", "i4")])}, "twice as SQL"),
        ({"conversions": np.full(1, 2**63, [("a", "u8")])}, "more than 63 bits"),
        ({"summary": {"x": float("nan")}}, "plain JSON"),
        ({"world": "other"}, "under its own lease"),
    ],
)
def test_a_batch_that_makes_no_sense_is_refused_in_words(store: Store, changes: Any, said: str) -> None:
    lease = born(store)
    with pytest.raises(StoreError, match=said):
        store.commit([(lease, batch(1, **({"numbers": [1, 2]} | changes)))])
    assert store.load("demo").sequence == 0


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("awareness_level", ["high", "low"], "holds a real"),
        ("episode_count", [1.5, 2], "holds an integer"),
        ("episode_count", [2**63, 0], "holds an integer"),
        ("is_active", np.array([1, 2]), "holds a flag"),
        ("last_seen", np.array(["2026", "12026"], "M8[Y]"), "holds a time"),
        ("user_id", [b"\xff", "x"], "holds a text"),
        ("user_id", ["u000000001", "u000000009"], "called 'u000000002'.*row says 'u000000009'"),
        ("fatigue_score", [1.0], "1 values for 2 users"),
        ("colour", [1, 2], "not wanted: colour"),
        ("fatigue_score", None, "missing: fatigue_score"),
    ],
)
def test_a_public_column_takes_only_its_kind(store: Store, column: str, values: Any, said: str) -> None:
    def wrong(*given: Any) -> dict[str, Any]:
        made = {**public_of(*given), column: values}
        return {name: value for name, value in made.items() if value is not None}

    lease = born(store, numbers=[])
    store.commit([(lease, batch(1, [1, 2]))])
    store.public = wrong
    with pytest.raises(StoreError, match=said):
        list(store.rows("demo", "persistent_users"))
    store.public = public_of
    assert store.count("demo", "persistent_users") == len(list(store.rows("demo", "persistent_users"))) == 2


def test_without_public_what_nobody_folded_is_refused_and_the_rest_is_there(store: Store) -> None:
    lease = born(store, touch=2)
    store.public = None
    for ask in (lambda: store.rows("demo", "persistent_users"), store.fold):
        with pytest.raises(StoreError, match=r"opened without `public`.*gaelp fold"):
            ask()
    assert store.count("demo", "persistent_users") == 5
    assert len(list(store.rows("demo", "touchpoints"))) == 2
    store.commit([(lease, batch(1, [1]))])
    store.public = public_of
    assert [row["awareness_level"] for row in store.rows("demo", "persistent_users")] == [0, 1, 0, 0, 0]


def test_a_user_keeps_its_name_and_a_name_its_user(store: Store) -> None:
    lease = born(store, names={1: "sara"})
    for refused in (batch(1, [1]), batch(1, [2], names={2: "lisa"})):
        with pytest.raises(StoreError, match="another user_id before"):
            store.commit([(lease, refused)])
    with pytest.raises(StoreError, match="user_id of another one"):
        store.commit([(lease, batch(1, [8], names={8: "sara"}))])
    store.commit([(lease, batch(1, [1, 8], names={1: "sara", 8: "lisa"}))])
    assert store.load("demo").names == {1: "sara", 8: "lisa"}


def test_events_of_another_format_are_refused_in_words(store: Store) -> None:
    lease = born(store, touch=1)
    with pytest.raises(
        StoreError, match=r"touchpoints bring the columns number .*, but this store keeps number"
    ):
        store.commit([(lease, batch(1, touchpoints=np.ones(1, SALE)))])
    with pytest.raises(StoreError, match="it was born with"):
        store.commit([(lease, batch(1, users=np.zeros(0, [("number", "u4")])))])
