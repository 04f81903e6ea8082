from __future__ import annotations

from typing import Any

import pytest
from data_plane import accounts, provider, snapshot
from fakes_gateway import exchange, fake_gateway
from msgspec.structs import replace
from wires import CHAT

from omniroute.errors import OmniError
from omniroute.gateway.media import MediaJob
from omniroute.gateway.media_plan import plan
from omniroute.gateway.snapshot import Combo, ComboEntry, GatewayKey, Snapshot
from omniroute.media.operations import EMBEDDINGS
from omniroute.upstream.providers import Model, Served

MODELS = {"e-1": Model("e-1", kind="embedding"), "e-2": Model("e-2", kind="embedding")}


def state(**more: Any) -> Snapshot:
    """A vendor without chat."""
    made = replace(provider(CHAT, models=MODELS, media={"embeddings": Served("voyage")}), wire="")
    return snapshot(made, accounts("key-1"), **more)


def planned(made: Snapshot, name: str, key: GatewayKey | None = None) -> tuple[Any, MediaJob]:
    job = MediaJob(exchange(CHAT, {}), EMBEDDINGS, 0.0)
    job.requested, job.key = name, key
    return plan(fake_gateway(made), EMBEDDINGS, job), job


def test_one_model_is_one_route_in_the_vendors_format() -> None:
    found, job = planned(state(), "up/e-1")
    (route,) = found.routes
    assert (route.model, route.wire) == ("e-1", "voyage")
    assert job.route is route


def test_a_combo_is_resolved_for_the_operation_and_bars_unknown_models() -> None:
    combo = Combo("c", "both", tuple(ComboEntry(name) for name in ("up/e-2", "nobody/m", "up/e-1")))
    found, job = planned(state(combos={"both": combo}, aliases={"short": "both"}), "short")
    assert [route.model for route in found.routes] == ["e-2", "e-1"]
    assert [target.barred for target in found.targets] == ["", "No credentials for embedding provider: nobody", ""]
    assert job.combo == "both"


def test_a_keys_models_are_respected() -> None:
    key = GatewayKey("k", "k", b"", allowed_models=("up/e-2",))
    assert planned(state(), "up/e-2", key)[0].routes
    with pytest.raises(OmniError, match='Model "up/e-1" is not allowed for this API key'):
        planned(state(), "up/e-1", key)


@pytest.mark.parametrize("name", ["", " "])
def test_a_call_without_a_model_is_refused(name: str) -> None:
    with pytest.raises(OmniError, match="Missing model"):
        planned(state(), name)
