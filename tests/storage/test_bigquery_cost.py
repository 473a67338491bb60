"""The cost sheet: formulae worked by hand, and what must hold whatever the sizes are."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import bigquery_cost as cost
from storage.bigquery_cost import GIB, MIB, TIB, Bill, Row, Size, Tables, Usage


def test_people_lie_by_the_day_on_which_they_were_last_seen() -> None:
    assert cost.day_profile(1000.0, 0.5)[:3] == [500.0, 250.0, 125.0]
    assert cost.day_profile(0.0, 0.5) == []
    assert cost.day_profile(100.0, 1.0) == [100.0]


@given(st.floats(1.0, 1e9), st.floats(0.01, 1.0))
def test_nobody_is_lost_between_the_days(people: float, share: float) -> None:
    days = cost.day_profile(people, share)
    assert sum(days) == pytest.approx(people)
    assert all(count >= 0.0 for count in days)


def test_a_merge_is_billed_for_the_partitions_that_it_changes() -> None:
    # 3 dirty people among 4 living: m is 0.75 of those in each part.
    parts = [Size(3, 300.0), Size(1, 100.0), Size(50, 5000.0, gone=50)]
    found = cost.touched(parts, 4.0)
    one, two = 1 - math.exp(-3.0), 1 - math.exp(-1.0)
    assert found.rows == pytest.approx(one + two)
    assert found.bytes == pytest.approx(300.0 * one + 100.0 * two), "days of people who have left are pruned"
    assert cost.touched([], 5.0) == Size(0.0, 0.0)


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e9)), max_size=6), st.floats(0, 1e6))
def test_pruning_never_costs_more(sizes: list[tuple[float, float]], dirty: float) -> None:
    parts = tuple(Size(rows, octets) for rows, octets in sizes)
    found = cost.touched(parts, dirty)
    assert 0.0 <= found.bytes <= sum(part.bytes for part in parts) * (1 + 1e-9)
    tables = Tables(parts, Size(0, 0), Size(0, 0), Size(0, 0))
    for usage in (Usage(), Usage(processes=7)):
        bill = cost.fold_bill(tables, dirty, usage, Row())
        assert bill.queried <= bill.unpruned * (1 + 1e-9)


def test_somebody_changed_twice_is_folded_once() -> None:
    assert cost.changed_in(1000.0, 0.5, 1) == 500.0
    assert cost.changed_in(1000.0, 0.5, 2) == 750.0


def test_a_query_is_billed_ten_mebibytes_a_table_at_least() -> None:
    assert cost.billed(1.0, 25.0 * MIB) == 35 * MIB
    assert cost.drain_bill().queried == 10 * MIB


def test_a_bill_in_dollars() -> None:
    assert Bill(queried=TIB, read=TIB).usd == pytest.approx(6.25 + 1.1)
    assert (Bill(1, 2, 3) + Bill(1, 1, 1)).times(2) == Bill(4, 6, 8)


def test_a_load_reads_its_own_shard_and_the_roster_of_all() -> None:
    tables = Tables((Size(1e6, 1e9),), Size(1e6, 241e6), Size(0, 0), Size(0, 0))
    alone, one_of_four = (cost.load_bill(tables, Usage(processes=n)) for n in (1, 4))
    assert alone.read == 1e6 * (225 + 23)
    assert one_of_four.read == 1e6 * (225 / 4 + 23)
    assert alone.queried == 50 * MIB


def test_a_fold_by_hand() -> None:
    # Gibibytes of everything, all of it large against ten mebibytes, and everybody changed. Of 100 days of
    # events the fold looks at those of its 24 episodes and one more.
    rows = 1e8
    tables = Tables(
        (Size(rows, 10 * GIB),), Size(rows, 20 * GIB), Size(rows, 5 * GIB), Size(rows, 4 * GIB), 100.0
    )  # fmt: skip
    row = Row(public=100.0, record=200.0, event=50.0, events_a_change=0.5)
    bill = cost.fold_bill(tables, 1e8, Usage(), row)
    bounds = rows * 40 + 1e8 * 100
    users = bounds + 10 * MIB + 10 * GIB
    people = rows * 30 + 1e8 * 200 + 10 * MIB + 20 * GIB
    events = rows * 38 * 0.25 + 0.5e8 * 50 + 10 * MIB
    rest = 4 * 10 * MIB + 5 * GIB
    assert bill.queried == pytest.approx(bounds + users + people + events + rest)
    assert bill.read == 5 * GIB
    assert bill.unpruned - bill.queried - bill.read == pytest.approx(rows * 38 * 0.75)


def test_drains_and_processes_against_the_quotas() -> None:
    assert Usage(episodes=24).drains == 24
    assert Usage(episodes=1e6).drains == 1441, "every minute, and at the end"
    assert Usage(episodes=1e6, drain_s=30, machines=2, processes=3, starts=2).drains == 5766
    assert cost.least_drain_s(1) == pytest.approx(57.6)
    assert cost.least_drain_s(10) == pytest.approx(576)
    assert cost.most_processes(Usage(episodes=24)) == 22
    assert cost.most_processes(Usage(episodes=1e6, starts=10)) == 6, "(1500 - 1440) / 10"
    assert [cost.most_machines(Usage(drain_s=s)) for s in (30, 60, 600)] == [0, 1, 10]
    assert cost.most_processes(Usage(episodes=1e6, drain_s=30)) == 0
    tables = cost.tables_of(1e6, Row(), Usage())
    used = {quota.what: quota for quota in cost.quotas(tables, 1e5, Usage(episodes=1e6, drain_s=30))}
    assert not used["load jobs a day into gaelp_deltas"].kept
    assert used["DML in 10 s on gaelp_worlds"].kept


def test_an_estimate_has_the_people_it_was_asked_for() -> None:
    usage, row = Usage(kept_days=10), Row(changed=0.5, leaving=0.1)
    tables = cost.tables_of(1000.0, row, usage)
    assert sum(part.rows - part.gone for part in tables.users) == pytest.approx(1000.0)
    assert sum(part.gone for part in tables.users) == pytest.approx(1000.0)
    assert tables.public.bytes == pytest.approx(2000 * row.public)
    assert tables.deltas.rows == 1000 * 0.5 * 24
    twice = cost.scaled(tables, 2.0)
    assert twice.public.rows == pytest.approx(2 * tables.public.rows)
    assert cost.sheet(twice, usage, row)["users"] == pytest.approx(2000.0)
