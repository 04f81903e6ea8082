from __future__ import annotations

import re

import pytest
from calls import put
from fakes_manage import Admin


@pytest.mark.parametrize("path", ["/api/usage/logs", "/api/usage/request-logs"])
def test_logs_are_lines_newest_first(admin: Admin, path: str) -> None:
    put(admin, "c", ago=60)
    put(admin, "c", ago=5, status=429, tokens_in=None, tokens_out=None)
    lines = admin.send("GET", path).json
    assert [line.split(" | ")[1:] for line in lines] == [
        ["gpt-4o", "OPENAI", "work", "0", "0", "FAILED 429"],
        ["gpt-4o", "OPENAI", "work", "100", "20", "200 OK"],
    ]
    assert re.fullmatch(r"\d\d-\d\d-\d{4} \d\d:\d\d:\d\d", lines[0].split(" | ")[0])
    assert len(admin.send("GET", path + "?limit=1").json) == 1


def test_request_logs_can_be_objects(admin: Admin) -> None:
    put(admin, "c", request_body=b'{"model":"x"}')
    call = admin.send("GET", "/api/usage/request-logs?format=json").json[0]
    assert call["tokens"] == {"in": 100, "out": 20}
    assert (call["duration"], call["status"], call["sourceFormat"]) == (120, 200, "openai-chat")
    assert (call["hasRequestBody"], call["hasResponseBody"]) == (True, False)
    assert set(call) >= {
        "id", "timestamp", "method", "path", "model", "provider", "account", "targetFormat", "error", "comboName",
        "apiKeyId", "apiKeyName",
    }  # fmt: skip


def test_an_adopted_row_without_a_readable_time_has_a_line_all_the_same(admin: Admin) -> None:
    async def adopt() -> None:
        async with admin.store.db.log() as tx:
            await tx.execute("INSERT INTO call_logs (id, timestamp, status, model) VALUES ('1', 'yesterday', 200, 'm')")

    admin.run(adopt())
    assert admin.send("GET", "/api/usage/logs").json == ["- | m |  | - | 0 | 0 | 200 OK"]
