from __future__ import annotations

import json
from typing import Any

import pytest
from fakes import FakeClock
from fakes_exchange import FakeExchange

from omniroute.proto.exchange import Refusal, Request
from omniroute.upstream.echo import Echo

CHAT = "/v1/chat/completions"


async def ask(body: Any, method: str = "POST", path: str = CHAT) -> FakeExchange:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    echo, request = Echo(FakeClock(now=1_000.0)), Request(method, path, body=raw)
    echo.admit(request)
    exchange = FakeExchange(request)
    await echo.handle(exchange)
    assert exchange.finished
    return exchange


def question(*turns: Any, **more: Any) -> dict[str, Any]:
    return {"model": "echo", "messages": [{"role": role, "content": content} for role, content in turns], **more}


async def test_the_last_thing_that_was_said_comes_back_with_its_words_counted() -> None:
    answer = await ask(question(("user", "first"), ("assistant", "yes"), ("user", "one two  three")))
    assert answer.status == 200
    assert answer.json["choices"][0]["message"]["content"] == "one two  three"
    assert answer.json["choices"][0]["finish_reason"] == "stop"
    assert answer.json["usage"]["prompt_tokens"] == answer.json["usage"]["completion_tokens"] == 3
    assert answer.json["created"] == 1000


async def test_a_stream_says_it_word_by_word_and_ends_as_streams_do() -> None:
    answer = await ask(question(("user", "one two"), stream=True, stream_options={"include_usage": True}))
    lines = [line for line in answer.text.split(b"\n\n") if line]
    assert lines[-1] == b"data: [DONE]"
    chunks = [json.loads(line.removeprefix(b"data: ")) for line in lines[:-1]]
    words = [c["delta"].get("content") for chunk in chunks for c in chunk["choices"]]
    assert [word for word in words if word] == ["one ", "two"]
    assert chunks[-1]["usage"]["total_tokens"] == 4


@pytest.mark.parametrize("turns", [[("system", "Be brief.")], [("user", "")]], ids=["no user", "nothing said"])
async def test_there_is_always_an_answer(turns: list[tuple[str, str]]) -> None:
    answer = await ask(question(*turns))
    assert answer.json["choices"][0]["message"]["content"] == "…"


@pytest.mark.parametrize("body", [b"{", b"[]", {"model": "echo"}])
async def test_what_cannot_be_read_is_a_400_in_the_wires_own_words(body: Any) -> None:
    answer = await ask(body)
    assert answer.status == 400
    assert answer.json["error"]["type"] == "invalid_request_error"


async def test_it_lists_its_one_model() -> None:
    answer = await ask(b"", "GET", "/v1/models")
    assert [model["id"] for model in answer.json["data"]] == ["echo"]


def test_nothing_else_is_there() -> None:
    with pytest.raises(Refusal) as caught:
        Echo(FakeClock()).admit(Request("POST", "/v1/embeddings"))
    assert caught.value.status == 404
    headers, body = Echo(FakeClock()).refuse(None, 413, "Too large")
    assert headers == [(b"content-type", b"application/json")]
    assert json.loads(body)["error"]["message"] == "Too large"
