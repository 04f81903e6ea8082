"""Circuit breakers, one per provider: calls to a provider that keeps failing are suspended for a while.

A breaker is CLOSED at first.  After ``threshold`` failures without a success between them it is OPEN.  After the reset time
one call probes the provider (HALF_OPEN), and the breaker becomes CLOSED or OPEN again.  ``walk.py`` decides what counts:
only calls that no account of the provider answered, so a failing account does not block a healthy one.  Times are Unix
seconds, because the state survives a restart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from msgspec import Struct

from ..clock import Clock
from .retry import PROFILES, Profile

State = Literal["CLOSED", "OPEN", "HALF_OPEN"]
_PROBE_SECONDS: Final = 1.0  # the wait reported to calls that arrive while another one probes


class Breaker(Struct):
    """The state of one provider; for an open breaker ``last_failure`` is when it opened."""

    state: State = "CLOSED"
    failures: int = 0
    last_failure: float | None = None
    reset: float = PROFILES["apikey"].breaker_reset  # seconds from opening to the probe
    threshold: int = PROFILES["apikey"].breaker_threshold
    probe: object = None  # in HALF_OPEN, the call that probes
    failed: bool = False  # an account failed the probe


class Breakers:
    """The breakers of all providers.  Only those with failures since the last success are stored."""

    def __init__(self, clock: Clock, on_change: Callable[[str, Breaker], None] | None = None) -> None:
        self._clock = clock
        self._known: dict[str, Breaker] = {}
        self.on_change = on_change

    @property
    def calm(self) -> bool:
        """Whether no provider has failed since its last success."""
        return not self._known

    def enter(self, provider: str, profile: Profile, call: object) -> float | None:
        """None if *call* may go to the provider, perhaps as its probe; else the seconds to wait."""
        breaker = self._known.get(provider)
        if breaker is None or breaker.state == "CLOSED":
            return None
        breaker.reset, breaker.threshold = profile.breaker_reset, profile.breaker_threshold
        if breaker.state == "HALF_OPEN":
            return _PROBE_SECONDS
        if (wait := self._wait(breaker)) > 0:
            return wait
        breaker.state, breaker.probe, breaker.failed = "HALF_OPEN", call, False
        self._changed(provider, breaker)
        return None

    def leave(self, provider: str, call: object, *, heard: bool) -> None:
        """*call* has finished with the provider.  ``heard``: the provider responded, even if with an error."""
        breaker = self._known.get(provider)
        if breaker is None or breaker.probe is not call or breaker.state != "HALF_OPEN":
            return
        breaker.probe = None
        if breaker.failed:
            breaker.state, breaker.last_failure = "OPEN", self._clock.time()
            self._changed(provider, breaker)
        elif heard:
            self.succeed(provider)
        else:
            breaker.state = "OPEN"  # the reset time has passed, so the next call probes
            self._changed(provider, breaker)

    def begun(self, provider: str) -> None:
        """A stream has begun: close a half-open breaker at once, so that others need not wait for the stream's end."""
        if self._known and self.view(provider).state == "HALF_OPEN":
            self.succeed(provider)

    def succeed(self, provider: str) -> None:
        """The provider gave a complete answer: close its breaker."""
        if (breaker := self._known.pop(provider, None)) is not None:
            self._changed(provider, Breaker(reset=breaker.reset, threshold=breaker.threshold))

    def fail(self, provider: str, profile: Profile) -> None:
        """Count a failure.  While the breaker is open, late failures of earlier calls are ignored."""
        breaker = self._known.setdefault(provider, Breaker())
        if breaker.state == "HALF_OPEN":
            breaker.failed = True  # the probe may still succeed with another account
            return
        if breaker.state == "OPEN":
            return
        breaker.reset, breaker.threshold = profile.breaker_reset, profile.breaker_threshold
        breaker.failures += 1
        breaker.last_failure = self._clock.time()
        if breaker.failures >= max(1, breaker.threshold):
            breaker.state = "OPEN"
        self._changed(provider, breaker)

    def adjust(self, provider: str, profile: Profile) -> None:
        """Apply a changed profile, also to a breaker that is already open."""
        breaker = self._known.get(provider)
        if breaker is not None and (breaker.reset, breaker.threshold) != (profile.breaker_reset, profile.breaker_threshold):
            breaker.reset, breaker.threshold = profile.breaker_reset, profile.breaker_threshold
            self._changed(provider, breaker)

    def view(self, provider: str) -> Breaker:
        """The breaker of *provider*, or a new closed one that is not stored."""
        return self._known.get(provider) or Breaker()

    def wait(self, provider: str) -> float:
        """Seconds until a call may go to *provider*; 0 = now."""
        breaker = self._known.get(provider)
        if breaker is None or breaker.state == "CLOSED":
            return 0.0
        return _PROBE_SECONDS if breaker.state == "HALF_OPEN" else max(0.0, self._wait(breaker))

    def known(self) -> dict[str, Breaker]:
        """The stored breakers, by provider id."""
        return dict(self._known)

    def reset(self) -> list[str]:
        """Close all breakers; returns the providers that had a stored one."""
        names = list(self._known)
        for name in names:
            self.succeed(name)
        return names

    def restore(self, provider: str, breaker: Breaker) -> None:
        """Put back a stored breaker; a probe of the earlier process no longer exists."""
        if breaker.state == "HALF_OPEN":
            breaker.state = "OPEN"
        if breaker.state != "CLOSED" or breaker.failures:
            self._known[provider] = breaker

    def empty(self) -> None:
        """Forget everything without calling ``on_change``, because the database has been replaced."""
        self._known.clear()

    def _wait(self, breaker: Breaker) -> float:
        now = self._clock.time()
        if breaker.last_failure is not None and breaker.last_failure > now:  # the clock was set back: the time begins anew
            breaker.last_failure = now
        return (breaker.last_failure or 0.0) + breaker.reset - now

    def _changed(self, provider: str, breaker: Breaker) -> None:
        if self.on_change is not None:
            self.on_change(provider, breaker)
