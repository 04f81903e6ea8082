"""The plan of an operation other than chat: made as for chat, but model names are resolved for the operation.

A combo, an alias or a fallback chain may contain models of any kind.  Each member is resolved again for the operation, and
one that does not support it is skipped.
"""

from __future__ import annotations

from ..errors import OmniError
from ..media.operations import MediaOperation, missing_model
from . import media_resolve
from .combos import Group, Lineup, Lineups, Member
from .job import Gateway, Job
from .plan import Plan, make_plan
from .resolve import Route
from .snapshot import Snapshot


def plan(gateway: Gateway, row: MediaOperation, job: Job, only: str = "", *, dry: bool = False) -> Plan:
    """The plan for ``job.requested``; *dry* as in :func:`make_plan`.  Raises ``OmniError``."""
    if not job.requested or job.requested.isspace():
        raise missing_model()
    return make_plan(_Planner(gateway, row), gateway.live.snapshot, job, only, dry=dry)


class _Planner:
    """The gateway's live state, and resolution of names for one operation."""

    def __init__(self, gateway: Gateway, row: MediaOperation) -> None:
        self.live = gateway.live
        self.routes = _Routes(row)
        self.lineups = _Lineups(gateway.lineups, row)


class _Routes:
    def __init__(self, row: MediaOperation) -> None:
        self._row = row

    def resolve(self, snapshot: Snapshot, name: str, only: str) -> Route:
        return media_resolve.resolve(snapshot, self._row, name, only=only)


class _Lineups:
    def __init__(self, known: Lineups, row: MediaOperation) -> None:
        self._known = known
        self._row = row

    def find(self, snapshot: Snapshot, name: str) -> Lineup | None:
        lineup = self._known.find(snapshot, name)
        return lineup and lineup._replace(
            groups=tuple(Group(g.weight, tuple(self._anew(snapshot, m) for m in g.members)) for g in lineup.groups)
        )

    def _anew(self, snapshot: Snapshot, member: Member) -> Member:
        try:
            return Member(member.name, media_resolve.resolve(snapshot, self._row, member.name))
        except OmniError as error:
            return Member(member.name, None, error.message)
