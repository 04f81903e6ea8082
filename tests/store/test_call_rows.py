from __future__ import annotations

import re

import orjson
from fakes_store import a_call

from omniroute.store.call_rows import (
    BODY_BYTES,
    LOG_BATCH,
    PREVIEW_BYTES,
    Clip,
    Entry,
    body_text,
    clip,
    for_log,
    log_rows,
    rows_of,
)


def test_a_small_body_is_kept_whole_and_a_large_one_as_its_beginning() -> None:
    assert clip(None) is None
    assert clip(b"") is None
    assert clip(b"x" * BODY_BYTES) == Clip(b"x" * BODY_BYTES, BODY_BYTES)
    assert clip(b"x" * 100_000) == Clip(b"x" * PREVIEW_BYTES, 100_000)


def test_a_large_body_is_stored_as_a_truncated_preview() -> None:
    text = body_text(clip(b'{"a":"' + b"y" * 100_000 + b'"}'))
    assert text is not None
    value = orjson.loads(text)
    assert value == {"_truncated": True, "_originalSize": 100_008, "_preview": '{"a":"' + "y" * (PREVIEW_BYTES - 6)}


def test_a_body_cut_inside_a_character_or_with_bytes_that_are_no_text_is_still_stored() -> None:
    assert body_text(Clip("größe".encode()[:3], 3)) == "gr�"
    assert body_text(Clip(b"\x00\xff", 2)) == "\x00�"
    assert body_text(None) is None


def test_ids_of_log_rows_are_version_4_uuids_and_differ() -> None:
    ids = [row[0] for row in log_rows([Entry(a_call())] * 50)]
    assert len(set(ids)) == 50
    assert all(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", id) for id in ids)


def test_of_a_flood_the_newest_calls_and_the_newest_failures_are_logged() -> None:
    quiet = [Entry(a_call(str(number))) for number in range(LOG_BATCH)]
    assert for_log(quiet) is quiet
    flood = [Entry(a_call(str(number), status=500 if number == 3 else 200)) for number in range(1000)]
    assert [entry.record.id for entry in for_log(flood)] == ["3", *(str(number) for number in range(900, 1000))]


def test_a_caller_who_is_not_let_in_is_logged_and_is_no_usage() -> None:
    stranger = a_call("stranger", status=401, provider="", model="", connection_id="", key_id="", key_name="", cost=None)
    rows = rows_of([Entry(stranger), Entry(a_call("dead provider key", status=401))])
    assert (len(rows.usage), [day[6] for day in rows.days], len(rows.log)) == (1, [1], 2)


def test_a_body_of_which_only_the_beginning_came_is_a_preview() -> None:
    part = clip(b"x" * 3000, 70_000)
    assert part is not None
    assert (len(part.data), part.size) == (2048, 70_000)
    whole = clip(b"abc", 3)
    assert whole is not None
    assert (whole.data, whole.size) == (b"abc", 3)
