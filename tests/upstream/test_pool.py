from __future__ import annotations

from dataclasses import dataclass

import pytest

from omniroute.proto.transport import Origin
from omniroute.upstream.pool import Pool

A, B = Origin("https", "a.test", 443), Origin("https", "b.test", 443)


@dataclass(eq=False)
class Connection:
    origin: Origin
    idle_since: float = 0.0
    reusable: bool = True


@pytest.fixture
def pool() -> Pool[Connection]:
    return Pool(per_origin=3, idle=60.0)


def test_last_used_is_taken_first(pool: Pool[Connection]) -> None:
    first, second = Connection(A), Connection(A)
    pool.put(first)
    pool.put(second)
    assert pool.take(A, 1.0) is second
    assert pool.take(A, 1.0) is first
    assert pool.take(A, 1.0) is None


def test_origins_are_apart(pool: Pool[Connection]) -> None:
    pool.put(Connection(A))
    assert pool.take(B, 1.0) is None
    assert pool.take(A._replace(scheme="http"), 1.0) is None
    assert pool.take(A._replace(port=8443), 1.0) is None
    assert len(pool) == 1


def test_stale_and_dead_ones_are_passed_over(pool: Pool[Connection]) -> None:
    good, dead, stale = Connection(A, 50.0), Connection(A, 50.0, reusable=False), Connection(A, 0.0)
    for connection in (good, dead, stale):
        pool.put(connection)
    assert pool.take(A, 60.0) is good
    assert len(pool) == 0


def test_surplus_is_the_oldest(pool: Pool[Connection]) -> None:
    kept = [Connection(A, float(n)) for n in range(4)]
    assert [pool.put(connection) for connection in kept] == [None, None, None, kept[0]]
    assert len(pool) == 3


def test_dropped_one_is_forgotten(pool: Pool[Connection]) -> None:
    first, second = Connection(A), Connection(A)
    pool.put(first)
    pool.put(second)
    pool.drop(second)
    pool.drop(second)
    pool.drop(Connection(B))
    assert pool.take(A, 1.0) is first


def test_nothing_is_kept_of_an_origin_without_connections(pool: Pool[Connection]) -> None:
    for n in range(100):
        connection = Connection(Origin("http", f"{n}.test", 80))
        pool.put(connection)
        pool.drop(connection)
    assert pool._idle == {}


def test_nothing_is_kept_when_nothing_may_be() -> None:
    pool: Pool[Connection] = Pool(per_origin=0, idle=60.0)
    connection = Connection(A)
    assert pool.put(connection) is connection
    assert pool.take(A, 1.0) is None
