"""Newer wins, per record; deletions travel; nothing comes back from the dead."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from omniroute.manage.sync_merge import deleted, merge
from omniroute.store.sync import Record

OLD, NEW = "2026-01-01T00:00:00.000Z", "2026-02-01T00:00:00.000Z"


def timed(version: str = OLD) -> Record:
    return Record(version, {})


def plain(version: str) -> Record:
    return Record(version, {}, {}, False)


def taken(
    mine: dict[str, Record], theirs: dict[str, Record], base: dict[str, str] | None = None, they_win: bool = False
) -> bool:
    return "a" in merge(mine, theirs, {}, base or {}, they_win=they_win).take


def test_what_is_new_is_taken() -> None:
    assert taken({}, {"a": timed()})
    assert taken({}, {"a": plain("x")})


def test_the_newer_one_wins_whoever_asked() -> None:
    for they_win in (False, True):
        assert taken({"a": timed(OLD)}, {"a": timed(NEW)}, they_win=they_win)
        assert not taken({"a": timed(NEW)}, {"a": timed(OLD)}, they_win=they_win)
        assert not taken({"a": timed(NEW)}, {"a": timed(NEW)}, they_win=they_win)


def test_without_times_the_side_that_changed_wins_and_of_two_whoever_asked() -> None:
    assert taken({"a": plain("base")}, {"a": plain("new")}, {"a": "base"})
    assert not taken({"a": plain("mine")}, {"a": plain("base")}, {"a": "base"}, they_win=True)
    assert taken({"a": plain("mine")}, {"a": plain("theirs")}, {"a": "base"}, they_win=True)
    assert not taken({"a": plain("mine")}, {"a": plain("theirs")}, {"a": "base"}, they_win=False)
    assert not taken({"a": plain("x")}, {"a": plain("x")}, {}, they_win=True)


def test_a_deleted_record_returns_only_if_the_other_side_changed_it() -> None:
    assert not taken({}, {"a": timed(OLD)}, {"a": OLD})
    assert taken({}, {"a": timed(NEW)}, {"a": OLD})
    assert not taken({}, {"a": plain("x")}, {"a": "x"})
    assert taken({}, {"a": plain("y")}, {"a": "x"})


def test_what_they_deleted_goes_unless_i_changed_it() -> None:
    def dropped(mine: Record, gone: str) -> bool:
        return merge({"a": mine}, {}, {"a": gone}, {}, they_win=False).drop == ["a"]

    assert dropped(timed(OLD), OLD)
    assert not dropped(timed(NEW), OLD)
    assert dropped(plain("x"), "x")
    assert not dropped(plain("y"), "x")
    assert merge({"a": timed()}, {}, {"b": OLD}, {}, they_win=False).drop == []
    assert merge({"a": timed()}, {"a": timed()}, {"a": OLD}, {}, they_win=False).drop == []


def test_deleted_is_what_was_there_and_is_no_more() -> None:
    assert deleted({"a": timed()}, {"a": OLD, "b": NEW}) == {"b": NEW}


class Side:
    """One gateway's records of one kind, and what it remembers of the last meeting."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.base: dict[str, str] = {}

    def meet(self, theirs: dict[str, Record], gone: dict[str, str], *, they_win: bool) -> int:
        found = merge(self.records, theirs, gone, self.base, they_win=they_win)
        self.records = {id: record for id, record in (self.records | found.take).items() if id not in found.drop}
        return len(found.take) + len(found.drop)


def sync(near: Side, far: Side) -> int:
    """One meeting as the two processes hold it; returns how many records changed."""
    sent, lost = dict(near.records), deleted(near.records, near.base)
    gone = deleted(far.records, far.base)
    changes = far.meet(sent, lost, they_win=True)
    far.base = {id: record.version for id, record in far.records.items()}
    changes += near.meet(dict(far.records), gone, they_win=False)
    near.base = {id: record.version for id, record in near.records.items()}
    return changes


_EDITS = some.lists(some.tuples(some.sampled_from("NFS"), some.sampled_from("abc"), some.booleans()), max_size=25)


@pytest.mark.parametrize("has_times", [True, False])
@given(edits=_EDITS)
@settings(max_examples=150)
def test_after_a_meeting_both_sides_are_the_same_and_stay_so(has_times: bool, edits: list[tuple[str, str, bool]]) -> None:
    near, far = Side(), Side()
    for moment, (who, id, keep) in enumerate(edits):
        side = near if who == "N" else far
        if who == "S":
            sync(near, far)
        elif keep:
            side.records[id] = Record(f"{moment:04d}", {}, {}, has_times)
        else:
            side.records.pop(id, None)
    sync(near, far)
    assert near.records == far.records
    assert sync(near, far) == 0
