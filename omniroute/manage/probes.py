"""Probes of providers, which use the same proxy as the calls of the account that is tested."""

from __future__ import annotations

from ..gateway.outbound import Via
from ..store.connections import ConnectionRow
from ..store.publish import via_of
from ..upstream.providers import Provider
from .call import Call, Probe


def probe_for(call: Call, row: ConnectionRow) -> Probe:
    """Return a probe for a stored account."""
    return _through(call, via_for(call, row))


def probe_for_new(call: Call, provider: Provider, base_url: str = "") -> Probe:
    """Return a probe for an account that is not stored yet."""
    return _through(call, call.snapshot.outbound.choose(provider, provider.id, "", base_url))


def via_for(call: Call, row: ConnectionRow) -> Via | None:
    """Return the proxy that a stored connection's calls use, even while the connection is inactive."""
    snapshot = call.snapshot
    return via_of(snapshot.outbound, snapshot.providers.get(row.provider), row, row.provider_specific_data)


def _through(call: Call, via: Via | None) -> Probe:
    return call.services.probe if via is None else call.services.probe.by(via.proxy)
