from __future__ import annotations

import hashlib
import hmac
import re
from pathlib import Path

from fakes_store import a_store

from omniroute.gateway.auth import find
from omniroute.store.keys import digest, key_text, mask_ends

SECRET = "s" * 32


async def test_a_new_key_has_the_documented_form_and_check_digits(tmp_path: Path) -> None:
    async with a_store(tmp_path, api_key_secret=SECRET) as store:
        row, text = await store.keys.create("laptop")
        match = re.fullmatch(r"sk-([0-9a-f]{16})-([a-z0-9]{6})-([0-9a-f]{8})", text)
        assert match is not None
        assert match[1] == row.machine_id
        assert match[3] == hmac.new(SECRET.encode(), (match[1] + match[2]).encode(), hashlib.sha256).hexdigest()[:8]
        assert row.masked == f"{text[:8]}****{text[-4:]}"
        assert (row.name, row.scopes, row.allowed_models, row.no_log) == ("laptop", ["inference"], [], False)


def test_a_short_key_shows_less_of_itself() -> None:
    assert mask_ends("sk-a1b2c3d4") == ("sk-a", "d4")
    assert mask_ends("sk-0123456789abcdef-aaaaaa-01234567") == ("sk-01234", "4567")


def test_no_two_keys_are_the_same() -> None:
    assert len({key_text("0" * 16, b"s") for _ in range(200)}) == 200


async def test_the_text_is_nowhere_at_rest(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        _, text = await store.keys.create("laptop")
        [record] = await store.db.fetch("SELECT * FROM api_keys")
        assert text not in [*record]
    assert text[12:].encode() not in (tmp_path / "storage.sqlite").read_bytes()


async def test_a_new_key_is_found_by_its_text_at_once_and_a_deleted_one_no_more(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        row, text = await store.keys.create(
            "laptop", ["openai/*"], True, ["inference", "manage"], "2026-01-01T00:00:00.000Z"
        )
        key = find(store.snapshot, text)
        assert key is not None
        assert (key.id, key.name, key.digest) == (row.id, "laptop", digest(text, store.keys.secret))
        assert (key.allowed_models, key.no_log, key.scopes) == (("openai/*",), True, frozenset({"inference", "manage"}))
        assert key.expires_at == 1_767_225_600.0
        assert find(store.snapshot, text + "x") is None
        assert await store.keys.delete(row.id) is True
        assert find(store.snapshot, text) is None


async def test_keys_are_found_after_a_restart_with_a_generated_secret(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        _, text = await store.keys.create("laptop")
    async with a_store(tmp_path) as store:
        assert find(store.snapshot, text) is not None


async def test_an_update_changes_what_is_given_and_nothing_else(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        row, text = await store.keys.create("laptop", ["a"], expires_at="2026-01-01T00:00:00.000Z")
        same = await store.keys.update(row.id)
        assert same == row
        changed = await store.keys.update(row.id, allowed_models=[], no_log=True)
        assert changed is not None
        assert (changed.name, changed.allowed_models, changed.no_log) == ("laptop", [], True)
        assert changed.expires_at == row.expires_at
        forever = await store.keys.update(row.id, expires_at=None, name="desk", scopes=["manage"])
        assert forever is not None
        assert (forever.expires_at, forever.name, forever.scopes) == (None, "desk", ["manage"])
        key = find(store.snapshot, text)
        assert key is not None
        assert (key.name, key.expires_at) == ("desk", None)


async def test_unknown_keys(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        assert await store.keys.get("nobody") is None
        assert await store.keys.update("nobody", name="x") is None
        assert await store.keys.update("nobody") is None
        assert await store.keys.delete("nobody") is False


async def test_keys_are_listed_in_order_of_creation(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        rows = [(await store.keys.create(name))[0] for name in ("b", "a", "c")]
        assert await store.keys.list() == rows
        assert await store.keys.get(rows[1].id) == rows[1]


async def test_clear_texts_of_an_adopted_database_are_hashed_at_the_next_open(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store, store.db.change() as tx:
        await tx.execute(
            "INSERT INTO api_keys (id, name, key, allowed_models) VALUES ('k1', 'old', 'sk-a1b2c3d4', 'no json')"
        )
    async with a_store(tmp_path) as store:
        key = find(store.snapshot, "sk-a1b2c3d4")
        assert key is not None
        assert (key.id, key.allowed_models, key.scopes) == ("k1", (), frozenset({"inference"}))
        [row] = await store.keys.list()
        assert row.masked == "sk-a****d4"
        record = await store.db.fetch_one("SELECT key FROM api_keys")
        assert record is not None
        assert "a1b2" not in record["key"]
        assert await store.keys.hash_clear_texts() == 0
