"""How each account fares: cooldowns, back-off levels, models locked on an account.

One object owned by the event loop.  Times are Unix seconds (they survive a restart).  A change is handed to ``on_change`` so
that it can be stored; nothing here waits for that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct

from ..clock import Clock
from .retry import MODEL_LOCK_STEPS, PROFILES, Profile, Rule, cooldown

_ERROR_CHARS: Final = 100
_MOST_LOCKS: Final = 4096  # clients make up the names of models


class AccountHealth(Struct):
    """The state of one account; what ``GET /api/providers`` shows of it."""

    test_status: str = "unknown"  # unknown, active, error, unavailable
    last_error: str | None = None
    last_error_at: float | None = None
    last_error_type: str | None = None
    last_error_source: str | None = None
    error_code: str | None = None
    backoff_level: int = 0
    rate_limited_until: float | None = None
    last_used_at: float | None = None
    consecutive_use_count: int = 0

    @property
    def troubled(self) -> bool:
        return self.backoff_level > 0 or self.last_error is not None or self.rate_limited_until is not None


class ModelLock(Struct):
    """One model that one account may not be asked for until *until*."""

    provider: str
    connection_id: str
    model: str
    reason: str
    until: float
    step: int = 0
    since: float = 0.0


class Health:
    """All accounts' health.  Reading never creates state."""

    def __init__(self, clock: Clock, on_change: Callable[[str, AccountHealth], None] | None = None) -> None:
        self._clock = clock
        self._accounts: dict[str, AccountHealth] = {}
        self._locks: dict[tuple[str, str], ModelLock] = {}
        self.on_change = on_change
        self.profiles: Mapping[str, Profile] = PROFILES

    @property
    def calm(self) -> bool:
        """Nothing is known to be wrong with anything."""
        return not self._accounts and not self._locks

    def restore(self, connection_id: str, state: AccountHealth) -> None:
        """Put back what an earlier run of the process stored."""
        if state != AccountHealth():
            self._accounts[connection_id] = state

    def view(self, connection_id: str) -> AccountHealth:
        """A copy of the account's state; a fresh one when nothing is known."""
        state = self._accounts.get(connection_id)
        return AccountHealth(**{f: getattr(state, f) for f in AccountHealth.__struct_fields__}) if state else AccountHealth()

    def blocked_until(self, connection_id: str, model: str) -> float | None:
        """Unix time until which the account may not be asked for *model*; None = free."""
        if self.calm:
            return None
        now = self._clock.time()
        state = self._accounts.get(connection_id)
        until = state.rate_limited_until if state is not None else None
        lock = self._locks.get((connection_id, model))
        if lock is not None and (until is None or lock.until > until):
            until = lock.until
        return until if until is not None and until > now else None

    def succeed(self, connection_id: str, model: str) -> None:
        """An answer came: all error state is cleared."""
        if self._locks:
            self._locks.pop((connection_id, model), None)
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
        profile: str = "apikey",
    ) -> None:
        """Mark one failure.  An account that is cooling already is not marked again, so that a burst does not escalate."""
        now = self._clock.time()
        if rule.scope == "model":
            self._lock(connection_id, provider, model, rule, hint, now)
            return
        state = self._accounts.setdefault(connection_id, AccountHealth())
        if state.rate_limited_until is not None and state.rate_limited_until > now:
            return
        seconds, state.backoff_level = cooldown(rule, state.backoff_level, hint, self.profiles[profile], status)
        state.rate_limited_until = now + seconds
        state.test_status = "unavailable"
        state.last_error = message[:_ERROR_CHARS]
        state.last_error_at = now
        state.last_error_type = rule.reason
        state.last_error_source = "upstream"
        state.error_code = str(status) if status else None
        self._changed(connection_id, state)

    def _lock(self, connection_id: str, provider: str, model: str, rule: Rule, hint: float | None, now: float) -> None:
        known = self._locks.get((connection_id, model))
        if known is not None and known.until > now:
            return
        step = min(known.step + 1, len(MODEL_LOCK_STEPS) - 1) if known is not None else 0
        seconds = max(MODEL_LOCK_STEPS[step], hint or 0.0)
        if known is None and len(self._locks) >= _MOST_LOCKS:
            self._locks = {key: lock for key, lock in self._locks.items() if lock.until > now}
            while len(self._locks) >= _MOST_LOCKS:
                del self._locks[next(iter(self._locks))]
        self._locks[connection_id, model] = ModelLock(provider, connection_id, model, rule.reason, now + seconds, step, now)

    def locks(self) -> list[ModelLock]:
        """The model locks in force."""
        now = self._clock.time()
        return [lock for lock in self._locks.values() if lock.until > now]

    def cooling(self) -> dict[str, AccountHealth]:
        """The accounts that are cooling down now, by connection id."""
        now = self._clock.time()
        return {
            id_: s for id_, s in self._accounts.items() if s.rate_limited_until is not None and s.rate_limited_until > now
        }

    def tested(
        self, connection_id: str, *, ok: bool, message: str = "", kind: str = "", source: str = "", status: int = 0
    ) -> None:
        """A connection test ended: success clears the error state, failure is noted without a cooldown."""
        state = self._accounts.setdefault(connection_id, AccountHealth())
        if ok:
            self._clear(state)
            self.unlock(connection_id)
        else:
            state.last_error, state.last_error_at = message[:_ERROR_CHARS], self._clock.time()
            state.last_error_type, state.last_error_source = kind or None, source or None
            state.error_code = str(status) if status else None
        state.test_status = "active" if ok else "error"
        self._changed(connection_id, state)

    def unlock_model(self, connection_id: str, model: str) -> bool:
        """Lift the lock of one model on the account; tells whether one was in force."""
        lock = self._locks.pop((connection_id, model), None)
        return lock is not None and lock.until > self._clock.time()

    def unlock(self, connection_id: str) -> None:
        """Lift all model locks of the account."""
        for key in [key for key in self._locks if key[0] == connection_id]:
            del self._locks[key]

    def clear(self, connection_id: str) -> None:
        """Forget all trouble of the account (by hand, or because its credentials changed)."""
        self.unlock(connection_id)
        if (state := self._accounts.get(connection_id)) is not None:
            self._clear(state)
            state.test_status = "unknown"
            self._changed(connection_id, state)

    def clear_all(self) -> int:
        """Forget all trouble of all accounts; returns how many had any."""
        troubled = [id_ for id_, state in self._accounts.items() if state.troubled]
        self._locks.clear()
        for id_ in troubled:
            self.clear(id_)
        return len(troubled)

    def forget(self, connection_id: str) -> None:
        """The connection was deleted."""
        self.unlock(connection_id)
        self._accounts.pop(connection_id, None)

    @staticmethod
    def _clear(state: AccountHealth) -> None:
        state.last_error = state.last_error_at = state.last_error_type = state.last_error_source = state.error_code = None
        state.rate_limited_until = None
        state.backoff_level = 0

    def _changed(self, connection_id: str, state: AccountHealth) -> None:
        if self.on_change is not None:
            self.on_change(connection_id, state)
