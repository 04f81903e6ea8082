"""Two gateways, each with its own database, kept in step."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fakes import FakeClock
from fakes_manage import Admin
from fakes_sync import TOKEN, Pair, a_pair

from omniroute.errors import OmniError
from omniroute.manage.sync_peer import PeerSync
from omniroute.proto.transport import Origin, TransportError


@pytest.fixture
def pair(make_admin: Callable[..., Admin]) -> Pair:
    return a_pair(make_admin)


@pytest.fixture
def strangers(make_admin: Callable[..., Admin]) -> Pair:
    """Two gateways that know the token, but not each other's sealing key."""
    return a_pair(make_admin, far={"storage_encryption_key": "another key"})


def names(admin: Admin) -> set[str]:
    return {row.name for row in admin.run(admin.store.connections.list())}


def alias(admin: Admin, name: str, model: str = "openai/gpt-4o") -> None:
    admin.run(admin.store.aliases.set(name, model))


def aliases(admin: Admin) -> dict[str, str]:
    return dict(admin.store.snapshot.aliases)


def test_both_gateways_get_the_records_of_the_other(pair: Pair) -> None:
    pair.near.connection(name="near-1")
    pair.far.connection(name="far-1")
    alias(pair.near, "fast")
    alias(pair.far, "slow")
    key = pair.near.key("inference")
    assert pair.sync() == {"sent": 3, "received": 2, "deleted": 0}
    for admin in (pair.near, pair.far):
        assert names(admin) == {"near-1", "far-1"}
        assert aliases(admin) == {"fast": "openai/gpt-4o", "slow": "openai/gpt-4o"}
    assert len(pair.far.store.snapshot.keys) == 1
    assert key not in str(pair.wire.seen)
    assert pair.sync() == {"sent": 5, "received": 0, "deleted": 0}


def test_no_secret_is_on_the_wire(pair: Pair) -> None:
    pair.near.connection(apiKey="sk-good-planted-1")
    pair.far.connection(name="other", apiKey="sk-good-planted-2")
    pair.sync()
    ((method, path, fields, body),) = pair.wire.seen
    assert (method, path) == ("POST", f"/sync/{pair.peer.machine_id}")
    assert fields[b"authorization"] == f"Bearer {TOKEN}".encode()
    for text in (body, *pair.wire.replies):
        assert b"planted" not in text
        assert b"hmac-sha256" not in text
    secrets = {
        pair.near.run(pair.near.store.connections.secret(row.id))
        for row in pair.near.run(pair.near.store.connections.list())
    }
    assert secrets == {"sk-good-planted-1", "sk-good-planted-2"}


def test_the_newer_change_wins_on_both_sides(pair: Pair) -> None:
    made = pair.near.connection(name="one")
    pair.sync()
    pair.near.advance(10)
    pair.near.send("PUT", f"/api/providers/{made['id']}", {"name": "near"})
    pair.far.advance(20)
    pair.far.send("PUT", f"/api/providers/{made['id']}", {"name": "far"})
    pair.sync()
    assert names(pair.near) == names(pair.far) == {"far"}
    pair.near.send("PUT", f"/api/providers/{made['id']}", {"name": "near again"})
    pair.sync()
    assert names(pair.near) == names(pair.far) == {"near again"}


def test_deletions_travel_both_ways_and_stay_deleted(pair: Pair) -> None:
    one, two = pair.near.connection(name="one"), pair.near.connection(name="two")
    alias(pair.near, "a")
    alias(pair.near, "b")
    pair.sync()
    pair.near.send("DELETE", f"/api/providers/{one['id']}")
    pair.near.run(pair.near.store.aliases.delete("a"))
    pair.far.send("DELETE", f"/api/providers/{two['id']}")
    pair.far.run(pair.far.store.aliases.delete("b"))
    assert pair.sync()["deleted"] == 2
    for _ in range(2):
        assert (names(pair.near), names(pair.far), aliases(pair.near), aliases(pair.far)) == (set(), set(), {}, {})
        pair.sync()


def test_a_renamed_combo_is_renamed_on_the_other_side_too(pair: Pair) -> None:
    made = pair.near.send("POST", "/api/combos", {"name": "old", "models": ["openai/gpt-4o"]}).json
    pair.sync()
    pair.near.send("PUT", f"/api/combos/{made['id']}", {"name": "new"})
    pair.sync()
    assert [*pair.near.store.snapshot.combos] == [*pair.far.store.snapshot.combos] == ["new"]


def test_combos_that_exchanged_their_names_do_so_on_the_other_side_too(pair: Pair) -> None:
    def combo(method: str, path: str, **fields: Any) -> str:
        return str(pair.near.send(method, f"/api/combos{path}", fields).json["id"])

    one, two = combo("POST", "", name="one", models=["openai/m1"]), combo("POST", "", name="two", models=["openai/m2"])
    pair.sync()
    for id, name in ((one, "kept"), (two, "one"), (one, "two")):
        combo("PUT", f"/{id}", name=name)
    pair.sync()
    for admin in (pair.near, pair.far):
        found = {name: combo.entries[0].model for name, combo in admin.store.snapshot.combos.items()}
        assert found == {"one": "openai/m2", "two": "openai/m1"}


def test_a_record_changed_on_one_side_survives_its_deletion_on_the_other(pair: Pair) -> None:
    made = pair.near.connection(name="one")
    pair.sync()
    pair.near.send("DELETE", f"/api/providers/{made['id']}")
    pair.far.advance(5)
    pair.far.send("PUT", f"/api/providers/{made['id']}", {"name": "changed"})
    pair.sync()
    assert names(pair.near) == names(pair.far) == {"changed"}


def test_of_two_changed_aliases_the_one_of_who_asks_counts(pair: Pair) -> None:
    alias(pair.near, "a", "openai/base")
    pair.sync()
    alias(pair.far, "a", "openai/far")
    pair.sync()
    assert aliases(pair.near) == {"a": "openai/far"}
    alias(pair.far, "a", "openai/far-2")
    alias(pair.near, "a", "openai/near")
    pair.sync()
    assert aliases(pair.near) == aliases(pair.far) == {"a": "openai/near"}


def test_models_prices_chains_and_shared_settings_travel_too(pair: Pair) -> None:
    near, far = pair.near, pair.far
    near.run(near.store.custom_models.add("openai", "ft:mine"))
    near.send("PATCH", "/api/pricing", {"openai": {"ft:mine": {"input": 4, "output": 8}}})
    near.send("POST", "/api/fallback/chains", {"model": "gpt-4o", "chain": [{"provider": "deepseek"}]})
    near.send("PUT", "/api/settings", {"fallbackStrategy": "random", "instanceName": "near", "logRetentionDays": 5})
    far.send("PUT", "/api/settings/system-prompt", {"enabled": True, "prompt": "Be brief"})
    assert pair.sync() == {"sent": 4, "received": 1, "deleted": 0}
    for admin in (near, far):
        snapshot = admin.store.snapshot
        assert snapshot.custom_models == {"openai": ("ft:mine",)}
        assert snapshot.prices["openai", "ft:mine"].output == 8
        assert (snapshot.settings.fallback_strategy, snapshot.settings.system_prompt) == ("random", "Be brief")
        assert admin.run(admin.store.chains.list())["gpt-4o"][0]["provider"] == "deepseek"
    shown = far.send("GET", "/api/settings").json
    assert not {"instanceName", "logRetentionDays"} & shown.keys()
    far.send("PATCH", "/api/pricing", {"openai": {"ft:mine": {"input": 5}}})
    near.run(near.store.custom_models.delete("openai", "ft:mine"))
    assert pair.sync()["received"] == 1
    assert near.store.snapshot.prices["openai", "ft:mine"].input == 5
    assert far.store.snapshot.custom_models == {}


def test_at_the_first_meeting_the_settings_of_who_asks_count_and_at_parting_what_was_there_stays(pair: Pair) -> None:
    for admin, strategy in ((pair.near, "random"), (pair.far, "p2c")):
        admin.send("PUT", "/api/settings", {"fallbackStrategy": strategy})
    pair.near.send("PUT", "/api/settings", {"stickyRoundRobinLimit": 7})
    pair.sync()
    settings = pair.far.store.snapshot.settings
    assert (settings.fallback_strategy, settings.sticky_limit) == ("random", 7)
    pair.near.run(pair.peer.leave())
    settings = pair.far.store.snapshot.settings
    assert (settings.fallback_strategy, settings.sticky_limit) == ("random", 3)


def test_a_gateway_that_knows_fewer_kinds_is_met_all_the_same(pair: Pair) -> None:
    alias(pair.near, "fast")
    pair.near.send("PUT", "/api/settings", {"fallbackStrategy": "random"})
    pair.wire.answer = (200, b'{"data":{"modelAliases":[{"id":"slow","data":{"model":"openai/gpt-4o"}}]}}')
    for _ in range(2):
        pair.sync()
        assert set(aliases(pair.near)) == {"fast", "slow"}
        assert pair.near.store.snapshot.settings.fallback_strategy == "random"


def test_nodes_come_with_their_accounts(pair: Pair) -> None:
    node = pair.near.node()
    pair.near.connection(node, name="lab")
    pair.sync()
    assert pair.far.store.snapshot.prefixes["mock"] == node
    assert pair.far.store.snapshot.connections[node][0].secret == "sk-good-1"


def test_without_a_common_key_secrets_stay_at_home(strangers: Pair) -> None:
    strangers.near.connection(name="near-1")
    strangers.near.key("inference")
    strangers.sync()
    (row,) = strangers.far.run(strangers.far.store.connections.list())
    assert (row.name, row.is_active, row.has_api_key) == ("near-1", False, False)
    assert strangers.far.store.snapshot.keys == {}
    strangers.sync()
    (row,) = strangers.near.run(strangers.near.store.connections.list())
    assert (row.is_active, row.has_api_key) == (True, True)


def test_without_a_common_key_no_address_of_ours_is_changed(strangers: Pair) -> None:
    node = strangers.far.node()
    strangers.far.connection(node, name="lab")
    strangers.sync()
    strangers.near.advance(10)
    strangers.near.send("PATCH", f"/api/provider-nodes/{node}", {"baseUrl": "http://127.0.0.1:666/steal"})
    strangers.sync()
    assert strangers.far.store.snapshot.providers[node].base_url == "http://127.0.0.1:9/v1"


def test_an_address_that_must_not_be_called_is_left_out(pair: Pair) -> None:
    node = pair.near.node()

    async def plant() -> None:
        async with pair.near.store.db.change() as tx:
            await tx.execute("UPDATE provider_nodes SET base_url = 'http://169.254.169.254/v1' WHERE id = ?", (node,))

    pair.near.run(plant())
    pair.sync()
    assert node not in pair.far.store.snapshot.providers


def test_parting_deletes_what_came_from_here_and_was_not_changed_there(pair: Pair) -> None:
    pair.far.connection(name="far-own")
    kept, gone = pair.near.connection(name="kept"), pair.near.connection(name="gone")
    alias(pair.near, "fast")
    pair.sync()
    pair.far.advance(5)
    pair.far.send("PUT", f"/api/providers/{kept['id']}", {"name": "changed there"})
    pair.near.run(pair.peer.leave())
    assert names(pair.far) == {"far-own", "changed there"}
    assert aliases(pair.far) == {}
    assert names(pair.near) >= {"kept", "gone", "far-own"}
    with pytest.raises(OmniError, match="the peer answered 404"):
        pair.near.run(pair.peer.verify())
    assert gone["id"] not in str(pair.far.run(pair.far.store.connections.list()))


def test_another_peer_begins_from_nothing(pair: Pair) -> None:
    alias(pair.near, "a")
    pair.sync()
    pair.far.run(pair.far.store.aliases.delete("a"))
    pair.far.run(pair.far.store.sync.remember(f"machine:{pair.peer.machine_id}", None))
    pair.near.run(pair.near.store.config.set_many({"cloudUrl": "http://127.0.0.1:20130/"}))
    pair.sync()
    assert aliases(pair.far) == {"a": "openai/gpt-4o"}
    assert pair.wire.seen[-1][1] == f"/sync/{pair.peer.machine_id}"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cloud_url": ""}, "Cloud sync failed: CLOUD_URL is not configured"),
        ({"cloud_sync_token": ""}, "Cloud sync failed: CLOUD_SYNC_TOKEN is not configured"),
        ({"cloud_url": "http://169.254.169.254"}, "Cloud sync failed: cloudUrl cannot be used"),
        ({"cloud_url": "http://user:pw@h"}, "Cloud sync failed: cloudUrl cannot be used"),
        ({"cloud_url": "http://10.0.0.1", "allow_private_urls": False}, "Cloud sync failed: cloudUrl cannot be used"),
    ],
)
def test_what_is_missing_is_a_500(make_admin: Callable[..., Admin], settings: dict[str, Any], message: str) -> None:
    pair = a_pair(make_admin, near=settings)
    with pytest.raises(OmniError, match=message) as caught:
        pair.sync()
    assert caught.value.status == 500
    assert pair.wire.seen == []


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((401, b"{}"), "the peer does not accept our CLOUD_SYNC_TOKEN"),
        ((302, b""), "the peer answered 302"),
        ((500, b'{"error":"planted"}'), "the peer answered 500$"),
        ((200, b"<html>"), "the peer's answer is no JSON object"),
        ((200, b"[]"), "the peer's answer is no JSON object"),
        ((200, b"{}"), "the peer's answer cannot be used: records: expected an object"),
        ((200, b'{"data":{"providers":5}}'), "the peer's answer cannot be used: providers: expected an array"),
        (TransportError("refused", "planted"), r"the peer cannot be reached \(refused\)$"),
    ],
)
def test_a_peer_that_fails_is_a_502_and_nothing_has_changed(pair: Pair, answer: Any, message: str) -> None:
    alias(pair.near, "a")
    pair.wire.answer = answer
    with pytest.raises(OmniError, match=message) as caught:
        pair.sync()
    assert caught.value.status == 502
    assert caught.value.message.startswith("Cloud sync failed: ")
    assert aliases(pair.near) == {"a": "openai/gpt-4o"}
    assert pair.near.run(pair.peer.last_sync()) is None


def test_a_peer_that_is_silent_is_a_502_when_time_is_up(make_admin: Callable[..., Admin]) -> None:
    pair = a_pair(make_admin, near={"cloud_sync_timeout": 0.01})

    async def silence(*_: object, **__: object) -> Any:
        await asyncio.get_running_loop().create_future()

    pair.wire.fetch = silence  # type: ignore[method-assign]
    with pytest.raises(OmniError, match=r"no answer from the peer within 0\.01 s") as caught:
        pair.sync()
    assert caught.value.status == 502


def test_the_token_is_compared_whole(pair: Pair, make_admin: Callable[..., Admin]) -> None:
    assert pair.peer.admits(TOKEN)
    for wrong in ("", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "ü"):
        assert not pair.peer.admits(wrong)
    closed = a_pair(make_admin, near={"cloud_sync_token": ""})
    assert not closed.peer.admits("")


class Pace(FakeClock):
    """Says when somebody begins to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = asyncio.Semaphore(0)

    async def sleep(self, seconds: float) -> None:
        self.waiting.release()
        await super().sleep(seconds)


def test_it_meets_by_itself_while_it_is_switched_on(pair: Pair) -> None:
    async def quarter_hours(count: int) -> int:
        clock = Pace()
        peer = PeerSync(pair.near.store, pair.near.settings, clock, pair.wire)  # type: ignore[arg-type]
        peer.start()
        peer.start()
        for _ in range(count):
            await clock.waiting.acquire()
            clock.advance(900)
        await clock.waiting.acquire()
        await peer.stop()
        assert not peer.running
        return len(pair.wire.seen)

    assert pair.near.run(quarter_hours(1)) == 0
    pair.near.run(pair.near.store.config.set_many({"cloudEnabled": True}))
    assert pair.near.run(quarter_hours(2)) == 2
    pair.wire.answer = (500, b"")
    assert pair.near.run(quarter_hours(2)) == 4


def test_who_asks_can_be_asked_at_the_same_moment(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch, peer = pair.wire.fetch, pair.peer

    async def asked_meanwhile(*arguments: Any, **more: Any) -> Any:
        async with asyncio.timeout(5):
            await peer.meet("0123456789abcdef", {})
        return await fetch(*arguments, **more)

    monkeypatch.setattr(pair.wire, "fetch", asked_meanwhile)
    pair.near.connection(name="one")
    assert pair.sync() == {"sent": 1, "received": 0, "deleted": 0}
    assert names(pair.far) == {"one"}


def test_a_meeting_that_breaks_is_not_the_last(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unreadable(name: str) -> Any:
        raise RuntimeError("the disk is gone")

    async def quarter_hours(count: int) -> None:
        clock = Pace()
        peer = PeerSync(pair.near.store, pair.near.settings, clock, pair.wire)  # type: ignore[arg-type]
        peer.start()
        for _ in range(count):
            await clock.waiting.acquire()
            clock.advance(900)
        await clock.waiting.acquire()
        assert peer.running
        await peer.stop()

    monkeypatch.setattr(pair.near.store.config, "get", unreadable)
    pair.near.run(quarter_hours(2))
    assert caplog.text.count("Cloud sync failed") == 2


def test_the_other_gateway_is_reached_by_the_proxy_for_everything_unless_it_is_on_this_machine(
    make_admin: Callable[..., Admin],
) -> None:
    origins: list[Origin] = []

    class Client:
        async def fetch(self, origin: Origin, *_: Any, **__: Any) -> Any:
            origins.append(origin)
            raise TransportError("refused", "no")

    for url in ("https://desktop.example:20128", "http://127.0.0.1:20129"):
        admin = make_admin(cloud_url=url, cloud_sync_token=TOKEN)
        peer = PeerSync(admin.store, admin.settings, admin.clock, Client())
        for proxy in ({"type": "http", "host": "proxy.test", "port": 3128}, None):
            admin.send("PUT", "/api/settings/proxy", {"level": "global", "proxy": proxy})
            for work in (peer.sync, peer.verify, peer.leave):
                with pytest.raises(OmniError):
                    admin.run(work())
    hosts = [origin.via.host if origin.via is not None else "" for origin in origins]
    assert hosts == ["proxy.test"] * 3 + [""] * 9
