"""Circuit breakers, one per provider: a provider that fails again and again is left alone for a while (section 6.1).

CLOSED → OPEN after so many failures without a success between them → after the reset time one call probes (HALF_OPEN) →
CLOSED, or OPEN again.  What counts is decided in ``walk.py``: the failures of a call that no account of the provider
answered, so a dying account does not close the door to a healthy one beside it.  Times are Unix seconds, because the state
survives a restart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from msgspec import Struct

from ..clock import Clock
from .retry import PROFILES, Profile

State = Literal["CLOSED", "OPEN", "HALF_OPEN"]
_PROBE_SECONDS: Final = 1.0  # what those are told to wait who come while another call probes


class Breaker(Struct):
    """The state of one provider; ``last_failure`` of an open one is when it opened."""

    state: State = "CLOSED"
    failures: int = 0
    last_failure: float | None = None
    reset: float = PROFILES["apikey"].breaker_reset  # seconds from opening to the probe
    threshold: int = PROFILES["apikey"].breaker_threshold
    probe: object = None  # the call that finds out, in HALF_OPEN
    failed: bool = False  # an account failed the probe


class Breakers:
    """The breakers that are not at rest.  Reading never creates state."""

    def __init__(self, clock: Clock, on_change: Callable[[str, Breaker], None] | None = None) -> None:
        self._clock = clock
        self._known: dict[str, Breaker] = {}
        self.on_change = on_change

    @property
    def calm(self) -> bool:
        """No provider has failed since its last success."""
        return not self._known

    def enter(self, provider: str, profile: Profile, call: object) -> float | None:
        """None: *call* may go to the provider (as its probe, where one is due).  Else the seconds until one may."""
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
        """*call* is through with the provider.  ``heard``: it has answered, if only to say no; else the client left."""
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
            breaker.state = "OPEN"  # the time is up, so the next call probes
            self._changed(provider, breaker)

    def begun(self, provider: str) -> None:
        """An answer begins: if a probe was due, the provider is well, and others need not wait for the answer's end."""
        if self._known and self.view(provider).state == "HALF_OPEN":
            self.succeed(provider)

    def succeed(self, provider: str) -> None:
        """A whole answer came: the provider is well."""
        if (breaker := self._known.pop(provider, None)) is not None:
            self._changed(provider, Breaker(reset=breaker.reset, threshold=breaker.threshold))

    def fail(self, provider: str, profile: Profile) -> None:
        """The provider failed.  While the breaker is open, what was sent before does not prolong it."""
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

    def view(self, provider: str) -> Breaker:
        """The state of *provider*; a closed one when nothing is known."""
        return self._known.get(provider) or Breaker()

    def wait(self, provider: str) -> float:
        """Seconds until a call may go to *provider*; 0 = now."""
        breaker = self._known.get(provider)
        if breaker is None or breaker.state == "CLOSED":
            return 0.0
        return _PROBE_SECONDS if breaker.state == "HALF_OPEN" else max(0.0, self._wait(breaker))

    def known(self) -> dict[str, Breaker]:
        """The breakers that are not at rest, by provider id."""
        return dict(self._known)

    def reset(self) -> list[str]:
        """Close all; returns the providers whose breaker was not at rest."""
        names = list(self._known)
        for name in names:
            self.succeed(name)
        return names

    def restore(self, provider: str, breaker: Breaker) -> None:
        """Put back what an earlier run of the process stored; its probe has died with it."""
        if breaker.state == "HALF_OPEN":
            breaker.state = "OPEN"
        if breaker.state != "CLOSED" or breaker.failures:
            self._known[provider] = breaker

    def empty(self) -> None:
        """Forget everything and tell nobody: what is stored was replaced."""
        self._known.clear()

    def _wait(self, breaker: Breaker) -> float:
        wait = (breaker.last_failure or 0.0) + breaker.reset - self._clock.time()
        return min(wait, breaker.reset)  # a clock that was set back must not keep it open for longer

    def _changed(self, provider: str, breaker: Breaker) -> None:
        if self.on_change is not None:
            self.on_change(provider, breaker)
