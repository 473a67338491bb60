"""Every third request goes wrong, each in one way: nothing is lost, nothing is done twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.bigquery.exchanges import Exchange
from tests.bigquery.proxy import FaultProxy
from tests.storage.small import batch, born, open_store, seen

FAULTS = [
    ("drop", "before"), ("drop", "after"), ("reset", "after"), ("torn", "after"), ("503", "before"),
    ("503", "after"), ("500", "after"), ("429", "before"), ("rate limit", "after"), ("409", "before"),
    ("duplicate", "before"), ("job fails", "before"),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "when"), FAULTS)
def test_whatever_goes_wrong_on_the_line_all_is_there_once(
    fault: str,
    when: str,
    fault_proxy: FaultProxy,
    bigquery_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GAELP_OUTBOX", str(tmp_path / "outbox"))
    store = open_store(bigquery_url)
    place: Any = store.home

    def strikes(one: Exchange) -> bool:
        if fault != "job fails":
            return one.number % 3 == 1 and (one.submits or fault != "409")
        # Sent again, a job that failed is one of its own ("-a1"), and a load is three requests: every third
        # request could be all the attempts of one load. So what fails is the first attempt of every job.
        return one.submits and one.job_id.endswith("-a0")

    fault_proxy.plan(fault, when, matching=strikes, times=float("inf"))
    lease = born(store, touch=3)
    for sequence in (1, 2):
        store.commit([(lease, batch(sequence, [sequence, 9 + sequence], touch=sequence))])
        place.drain()
    assert store.fold() == 3
    struck = [one for one in fault_proxy.exchanges if one.fault]
    fault_proxy.begin()
    assert len(struck) > 10
    counts = "SELECT (SELECT COUNT(*) FROM persistent_users) AS users, (SELECT COUNT(*) FROM touchpoints)"
    counts += " AS touches, (SELECT COUNT(*) FROM episodes) AS episodes, (SELECT COUNT(*) FROM gaelp_people)"
    (found,) = place.wire.query(f"{counts} AS people, (SELECT COUNT(*) FROM gaelp_deltas) AS deltas")
    assert found == {"users": 7, "touches": 6, "episodes": 3, "people": 7, "deltas": 0}
    view = seen(store)
    assert view["sequence"] == 2
    assert [row["awareness_level"] for row in view["persistent_users"]] == [0, 1, 2, 0, 0, 1, 2]
    store.public = None
    store.close()
