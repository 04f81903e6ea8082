"""Merging two sets of records: the newer version of each record wins.  Pure.

Each side knows what it held after the last exchange (*base*), so it can tell a record that the other side created from one
that it deleted itself, and can say which ones it deleted (*gone*).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..store.sync import Record

Group = Mapping[str, Record]
Known = Mapping[str, str]  # id -> version


class Merge(NamedTuple):
    """What the owner of *mine* must write and delete."""

    take: dict[str, Record]
    drop: list[str]


def merge(mine: Group, theirs: Group, gone: Known, base: Known, *, they_win: bool) -> Merge:
    """Return the changes to *mine*.  *they_win*: if both sides changed a record without a time of change, theirs is kept."""
    take = {id: record for id, record in theirs.items() if _wanted(mine.get(id), record, base.get(id), they_win)}
    drop = [id for id, record in mine.items() if id in gone and id not in theirs and not _changed(record, gone[id])]
    return Merge(take, drop)


def deleted(mine: Group, base: Known) -> dict[str, str]:
    """Return the versions of the records of *base* that no longer exist here."""
    return {id: version for id, version in base.items() if id not in mine}


def _wanted(mine: Record | None, theirs: Record, base: str | None, they_win: bool) -> bool:
    if mine is None:
        return base is None or _changed(theirs, base)
    if mine.version == theirs.version:
        return False
    if theirs.timed:
        return theirs.version > mine.version
    return mine.version == base or (they_win and theirs.version != base)


def _changed(record: Record, since: str) -> bool:
    return record.version > since if record.timed else record.version != since
