"""The health of accounts: cooldowns, back-off levels, models locked on one account, models closed on all of a provider.

One object owned by the event loop.  Times are Unix seconds, because they survive a restart.  Changes are passed to
``on_change`` and ``on_lock`` to be stored; nothing here awaits that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from ..clock import Clock
from .retry import PROFILES, Profile, Rule, cooldown, lock_time
from .tokens import REAUTH

CLOSED_SECONDS: Final = 60.0  # for a model on which every account was rate limited or overloaded
_MOST_STEPS: Final = 15
_ERROR_CHARS: Final = 100
_REFUSED: Final = frozenset({401, 403})  # statuses that may be due to an old token
_MOST_LOCKS: Final = 4096  # a limit is needed because clients can invent model names


class AccountHealth(Struct):
    """The state of one account, as ``GET /api/providers`` shows it.  Times are Unix seconds."""

    test_status: str = "unknown"  # unknown, active, error, unavailable
    last_error: str | None = None
    last_error_at: float | None = None
    last_error_type: str | None = None
    last_error_source: str | None = None
    error_code: str | None = None
    backoff_level: int = 0
    rate_limited_until: float | None = None

    @property
    def troubled(self) -> bool:
        return self.backoff_level > 0 or self.last_error is not None or self.rate_limited_until is not None

    @property
    def needs_login(self) -> bool:
        """Whether the account cannot be used until its owner logs in again."""
        return self.last_error_type == REAUTH

    def cools(self, now: float) -> bool:
        """Whether the account must not be used at *now*."""
        return self.rate_limited_until is not None and self.rate_limited_until > now


class ModelLock(Struct):
    """One model for which one account must not be used until ``until``."""

    provider: str
    connection_id: str
    model: str
    reason: str
    until: float
    step: int = 0
    since: float = 0.0
    status: int = 0  # of the upstream's response
    message: str = ""


class Closed(Struct):
    """A model for which no account of the provider may be used until ``until``."""

    provider: str
    model: str
    until: float
    since: float


class Block(NamedTuple):
    """What prevents the use of an account, until when (Unix seconds), and why; ``reason`` is a text for people."""

    until: float
    kind: str  # "cooling" or "model locked"
    reason: str


class Health:
    """The health of all accounts.  Reading never creates state."""

    def __init__(self, clock: Clock, on_change: Callable[[str, AccountHealth], None] | None = None) -> None:
        self._clock = clock
        self._accounts: dict[str, AccountHealth] = {}
        self._troubled: set[str] = set()  # ids of accounts with error state
        self._locks: dict[tuple[str, str], ModelLock] = {}
        self.shut: dict[tuple[str, str], Closed] = {}  # models that no account can serve
        self.on_change = on_change
        self.on_lock: Callable[[ModelLock, bool], None] | None = None  # the lock, and whether it is lifted

    @property
    def calm(self) -> bool:
        """Whether there is no error state, lock or closed model at all."""
        return not self._troubled and not self._locks and not self.shut

    def restore(self, connection_id: str, state: AccountHealth) -> None:
        """Replace the account's state by *state*, which was stored earlier or set by the user.  Not reported."""
        self._accounts.pop(connection_id, None)
        self._troubled.discard(connection_id)
        if state != AccountHealth():
            self._accounts[connection_id] = state
            if state.troubled:
                self._troubled.add(connection_id)

    def restore_lock(self, lock: ModelLock) -> None:
        """Put back a stored lock; an expired one still determines the duration of the next."""
        if len(self._locks) < _MOST_LOCKS:
            self._locks[lock.connection_id, lock.model] = lock

    def empty(self) -> None:
        """Forget everything without calling ``on_change`` or ``on_lock``, because the database has been replaced."""
        for known in (self._accounts, self._troubled, self._locks, self.shut):
            known.clear()

    def view(self, connection_id: str) -> AccountHealth:
        """A copy of the account's state; the default state when nothing is known."""
        state = self._accounts.get(connection_id)
        return replace(state) if state is not None else AccountHealth()

    def blocked_until(self, connection_id: str, model: str) -> float | None:
        """The Unix time until which the account must not be used for *model*; None = free."""
        block = self.block(connection_id, model)
        return block.until if block is not None else None

    def block(self, connection_id: str, model: str) -> Block | None:
        """The longest-lasting block of the account for *model*; None = free."""
        if self.calm:
            return None
        now = self._clock.time()
        found: Block | None = None
        state = self._accounts.get(connection_id)
        if state is not None and state.rate_limited_until is not None and state.cools(now):
            if state.last_error_at is not None and state.last_error_at > now:  # the clock was set back
                state.rate_limited_until, state.last_error_at = now + state.rate_limited_until - state.last_error_at, now
            cause = " ".join(filter(None, (state.error_code, state.last_error_type)))
            found = Block(state.rate_limited_until, "cooling", cause or "unknown")
        lock = self._locks.get((connection_id, model))
        if lock is not None and lock.since > now:
            _begin_now(lock, now)
        if lock is not None and lock.until > now and (found is None or lock.until > found.until):
            found = Block(lock.until, "model locked", f"{lock.status} {lock.reason}" if lock.status else lock.reason)
        return found

    def close_model(self, provider: str, model: str, until: float) -> None:
        """Close the model until *until*, after every account was rate limited or overloaded."""
        now = self._clock.time()
        self.shut = {key: closed for key, closed in self.shut.items() if closed.until > now}
        if until > now and len(self.shut) < _MOST_LOCKS:
            self.shut[provider, model] = Closed(provider, model, until, now)

    def open_model(self, provider: str, model: str) -> bool:
        """Open a closed model; returns whether it was closed."""
        closed = self.shut.pop((provider, model), None)
        return closed is not None and closed.until > self._clock.time()

    def reopen(self, provider: str) -> None:
        """Open all models of the provider, because one of its accounts is new or has a new key."""
        self.shut = {key: closed for key, closed in self.shut.items() if key[0] != provider}

    def closed_until(self, provider: str, model: str) -> float | None:
        """The Unix time until which the provider's *model* is closed; None = open."""
        closed = self.shut.get((provider, model)) if self.shut else None
        if closed is None:
            return None
        now = self._clock.time()
        if closed.since > now:
            _begin_now(closed, now)
        if closed.until > now:
            return closed.until
        del self.shut[provider, model]
        return None

    def closed(self) -> list[Closed]:
        """The models that are closed now."""
        now = self._clock.time()
        return [closed for closed in self.shut.values() if closed.until > now]

    def succeed(self, connection_id: str, provider: str, model: str) -> None:
        """Clear all error state of the account and the model, after a successful answer."""
        if self._locks:
            self._unlock((connection_id, model))
        if self.shut:
            self.shut.pop((provider, model), None)
        state = self._accounts.get(connection_id)
        if state is not None and (state.troubled or state.test_status in ("error", "unavailable")):
            self._clear(state)
            state.test_status = "active"
            self._changed(connection_id, state)

    def fail(
        self,
        connection_id: str,
        provider: str,
        model: str,
        rule: Rule,
        *,
        status: int,
        message: str,
        hint: float | None = None,
        profile: Profile = PROFILES["apikey"],
    ) -> None:
        """Record one failure.  An account that is already cooling is left as it is, so that a burst does not escalate."""
        now = self._clock.time()
        if rule.scope == "model":
            lock = ModelLock(provider, connection_id, model, rule.reason, now, 0, now, status, message[:_ERROR_CHARS])
            self._lock(lock, rule, hint)
            return
        state = self._accounts.setdefault(connection_id, AccountHealth())
        if state.cools(now):
            return
        seconds, state.backoff_level = cooldown(rule, state.backoff_level, hint, profile, status)
        state.rate_limited_until, state.last_error_at = now + seconds, now
        state.error_code = str(status) if status else None
        # A refusal of the old token must not hide that a new login is needed.
        if not (state.needs_login and status in _REFUSED):
            state.test_status = "unavailable"
            state.last_error = message[:_ERROR_CHARS]
            state.last_error_type = rule.reason
            state.last_error_source = "upstream"
        self._changed(connection_id, state)

    def _lock(self, lock: ModelLock, rule: Rule, hint: float | None) -> None:
        key, now = (lock.connection_id, lock.model), lock.since
        known = self._locks.get(key)
        if known is not None and known.until > now:
            return
        lock.step = min(known.step + 1, _MOST_STEPS) if known is not None else 0
        lock.until = now + lock_time(rule, lock.step, hint)
        if known is None and len(self._locks) >= _MOST_LOCKS:
            self._locks = {key: lock for key, lock in self._locks.items() if lock.until > now}
            while len(self._locks) >= _MOST_LOCKS:
                del self._locks[next(iter(self._locks))]
        self._locks[key] = lock
        if self.on_lock is not None:
            self.on_lock(lock, False)

    def _unlock(self, key: tuple[str, str]) -> ModelLock | None:
        lock = self._locks.pop(key, None)
        if lock is not None and self.on_lock is not None:
            self.on_lock(lock, True)
        return lock

    def lock(self, connection_id: str, model: str) -> ModelLock | None:
        """The current lock of one model on the account, if any."""
        lock = self._locks.get((connection_id, model))
        return lock if lock is not None and lock.until > self._clock.time() else None

    def locks(self) -> list[ModelLock]:
        """The current model locks."""
        now = self._clock.time()
        return [lock for lock in self._locks.values() if lock.until > now]

    def cooling(self) -> dict[str, AccountHealth]:
        """The accounts that are cooling down now, by connection id."""
        now = self._clock.time()
        return {id_: state for id_, state in self._accounts.items() if state.cools(now)}

    def tested(
        self, connection_id: str, *, ok: bool, message: str = "", kind: str = "", source: str = "", status: int = 0
    ) -> None:
        """Record the result of a connection test: success clears the error state, failure causes no cooldown."""
        state = self._accounts.setdefault(connection_id, AccountHealth())
        now = self._clock.time()
        if ok:
            self._clear(state)
            self.unlock(connection_id)
        else:
            state.last_error, state.last_error_at = message[:_ERROR_CHARS], now
            state.last_error_type, state.last_error_source = kind or None, source or None
            if status or not state.cools(now):  # else the code stays: calls are refused with it
                state.error_code = str(status) if status else None
        state.test_status = "active" if ok else "error"
        self._changed(connection_id, state)

    def unlock_model(self, connection_id: str, model: str) -> bool:
        """Lift the lock of one model on the account; returns whether it had not expired."""
        lock = self._unlock((connection_id, model))
        return lock is not None and lock.until > self._clock.time()

    def unlock(self, connection_id: str) -> None:
        """Lift all model locks of the account."""
        for key in [key for key in self._locks if key[0] == connection_id]:
            self._unlock(key)

    def clear(self, connection_id: str) -> None:
        """Clear all error state of the account (by the user, or because its credentials changed)."""
        self.unlock(connection_id)
        if (state := self._accounts.get(connection_id)) is not None:
            self._clear(state)
            state.test_status = "unknown"
            self._changed(connection_id, state)

    def clear_all(self) -> int:
        """Clear all error state of all accounts; returns how many had any."""
        troubled = [id_ for id_, state in self._accounts.items() if state.troubled]
        self.shut.clear()
        for key in list(self._locks):
            self._unlock(key)
        for id_ in troubled:
            self.clear(id_)
        return len(troubled)

    def forget(self, connection_id: str) -> None:
        """Remove the state of a deleted connection."""
        self.unlock(connection_id)
        self._accounts.pop(connection_id, None)
        self._troubled.discard(connection_id)

    @staticmethod
    def _clear(state: AccountHealth) -> None:
        state.last_error = state.last_error_at = state.last_error_type = state.last_error_source = state.error_code = None
        state.rate_limited_until = None
        state.backoff_level = 0

    def _changed(self, connection_id: str, state: AccountHealth) -> None:
        if state.troubled:
            self._troubled.add(connection_id)
        else:
            self._troubled.discard(connection_id)
        if self.on_change is not None:
            self.on_change(connection_id, state)


def _begin_now(period: ModelLock | Closed, now: float) -> None:
    """Move a period that begins in the future, because the clock was set back, so that it does not last longer for that."""
    period.until, period.since = now + period.until - period.since, now
