from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from data_plane import MODEL
from fakes_exchange import FakeExchange
from fakes_gateway import JSON, SSE, FakeGateway, exchange, fake_gateway, one_provider
from wires import ANTHROPIC, CHAT, MESSAGE_END, MESSAGE_START, THINKING_BLOCK, message

from omniroute.gateway import pipeline
from omniroute.gateway.job import Line
from omniroute.gateway.signatures import Identity, Signatures, complains, identity
from omniroute.translate.events import Failure
from omniroute.translate.formats import RELAYS
from omniroute.translate.peek import peek

HERE = Identity("c1", "node-up", "m", "high")
SIGNED = {"type": "thinking", "thinking": "Hm.", "signature": "c2lnbmVk"}
TEXT = {"type": "text", "text": "Yes."}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
ASKED = {"role": "user", "content": "Well?"}
LATER = [ASKED, {"role": "assistant", "content": [SIGNED, TEXT]}, ASKED]
LOOP = [
    ASKED,
    {"role": "assistant", "content": [SIGNED, CALL]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "It rains."}]},
]
WHOLE = (200, JSON, message(SIGNED, TEXT))
STREAMED = (200, SSE, b"".join([MESSAGE_START, *THINKING_BLOCK, *MESSAGE_END]))
LIMITED = (429, JSON, ANTHROPIC.error("rate_limit_error", "Slow down"))
REFUSED = (
    400,
    JSON,
    ANTHROPIC.error("invalid_request_error", "messages.1.content.0: Invalid `signature` in `thinking` block"),
)


# -- the memory


def test_a_signature_goes_back_to_who_made_it_only() -> None:
    known = Signatures()
    known.made(b"x", HERE)
    assert not known.condemns(b"x", True, HERE)
    for other in (
        HERE._replace(connection="c2"),
        HERE._replace(provider="p"),
        HERE._replace(model="n"),
        HERE._replace(effort=""),
    ):
        assert known.condemns(b"x", True, other)


def test_in_an_open_turn_it_may_be_tried_elsewhere() -> None:
    known = Signatures()
    known.made(b"x", HERE)
    assert not known.condemns(b"x", False, HERE._replace(connection="c2"))


def test_an_unknown_signature_passes() -> None:
    assert not Signatures().condemns(b"x", True, HERE)


def test_a_refused_signature_is_not_sent_there_again() -> None:
    known = Signatures()
    known.refused(b"x", HERE)
    assert known.condemns(b"x", True, HERE)
    assert known.condemns(b"x", False, HERE)
    assert not known.condemns(b"x", True, HERE._replace(connection="c2"))


def test_both_alphabets_of_base64_are_one() -> None:
    known = Signatures()
    known.made(b"a+b/cQ==", HERE)
    assert known.condemns(b"a-b_cQ", True, HERE._replace(model="n"))


def test_the_least_recently_met_is_forgotten_first() -> None:
    known = Signatures(most=2)
    other = HERE._replace(model="n")
    known.made(b"1", HERE)
    known.made(b"2", HERE)
    assert known.condemns(b"1", True, other)
    known.made(b"3", HERE)
    assert len(known) == 2
    assert [known.condemns(name, True, other) for name in (b"1", b"2", b"3")] == [True, False, True]


@pytest.mark.parametrize(
    ("wire", "body", "effort"),
    [
        ("anthropic", b'{"model":"m","output_config":{"effort":"High"}}', "high"),
        ("openai-responses", b'{"model":"m","reasoning":{"effort":"low","summary":"auto"}}', "low"),
        ("gemini", b'{"generationConfig":{"temperature":1,"thinkingConfig":{"thinkingLevel":"LOW"}}}', "low"),
        ("gemini", b'{"generationConfig":{"thinkingConfig":{"thinkingLevel":5}}}', ""),
        ("anthropic", b'{"model":"m"}', ""),
    ],
)
def test_effort_belongs_to_the_identity(wire: str, body: bytes, effort: str) -> None:
    gateway = fake_gateway(one_provider(ANTHROPIC))
    route = gateway.routes.resolve(gateway.live.snapshot, MODEL, "")
    account = gateway.live.snapshot.connections["node-up"][0]
    found = peek(body, RELAYS[wire].members)
    assert identity(wire, found, route, account) == Identity("c1", "node-up", "m", effort)


@pytest.mark.parametrize(
    "text",
    [
        "messages.1.content.0: Invalid `signature` in `thinking` block",
        "The encrypted content gAAA...DQ== could not be verified.",
        "Corrupted thought signature.",
        "Unable to submit request because Thought signature is not valid..",
        "messages.3: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified.",
    ],
)
def test_complaints_are_understood(text: str) -> None:
    assert complains(Failure(400, text))
    assert not complains(Failure(500, text))


def test_a_code_alone_is_a_complaint_and_a_missing_signature_is_not() -> None:
    assert complains(Failure(400, "Bad request", code="invalid_encrypted_content"))
    assert not complains(Failure(400, "Function call is missing a thought_signature in functionCall parts."))
    assert not complains(Failure(400, "max_tokens is too large"))


# -- in the pipeline


async def ask(gateway: FakeGateway, messages: list[Any], wire: Any = ANTHROPIC, **more: Any) -> FakeExchange:
    call = exchange(wire, {**wire.ask(MODEL), "messages": messages, **more})
    await pipeline.serve(gateway, call, Line(wire.name))
    return call


def sent(gateway: FakeGateway) -> list[Any]:
    return [json.loads(body)["messages"] for body in gateway.upstream.sent]


WITHOUT = [ASKED, {"role": "assistant", "content": [TEXT]}, ASKED]


@pytest.mark.parametrize("first", [WHOLE, STREAMED], ids=["whole", "stream"])
async def test_another_account_does_not_see_it_and_the_client_is_told(first: Any) -> None:
    gateway = fake_gateway(one_provider(ANTHROPIC, "key-1", "key-2"), first, WHOLE, LIMITED, WHOLE)
    await ask(gateway, [ASKED], stream=first is STREAMED)
    same = await ask(gateway, LATER)
    assert same.header(b"x-omniroute-dropped") is None
    other = await ask(gateway, LATER)
    assert other.status == 200
    assert other.header(b"x-omniroute-dropped") == b"thinking_signature"
    assert sent(gateway) == [[ASKED], LATER, LATER, WITHOUT]


@pytest.mark.parametrize(("streams", "answer"), [(True, WHOLE), (False, STREAMED)])
async def test_it_is_learned_where_an_answer_comes_in_the_other_mode(streams: bool, answer: Any) -> None:
    gateway = fake_gateway(one_provider(ANTHROPIC), answer, WHOLE)
    await ask(gateway, [ASKED], stream=streams)
    await ask(gateway, LATER, output_config={"effort": "low"})
    assert sent(gateway)[1] == WITHOUT


async def test_within_its_identity_not_one_byte_changes() -> None:
    gateway = fake_gateway(one_provider(ANTHROPIC), WHOLE)
    await ask(gateway, [ASKED])
    await ask(gateway, LATER)
    assert gateway.upstream.sent[1] == json.dumps({**ANTHROPIC.ask("m"), "messages": LATER}).encode()


async def test_after_a_restart_nothing_is_known_and_everything_passes() -> None:
    gateway = fake_gateway(one_provider(ANTHROPIC), WHOLE)
    await ask(gateway, LATER)
    assert sent(gateway) == [LATER]


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
async def test_a_refused_signature_is_taken_out_once_and_the_same_account_asked_again(streams: bool) -> None:
    gateway = fake_gateway(one_provider(ANTHROPIC, "key-1", "key-2"), REFUSED, STREAMED if streams else WHOLE)
    first = await ask(gateway, LATER, stream=streams)
    assert first.status == 200
    assert first.header(b"x-omniroute-dropped") == b"thinking_signature"
    assert first.header(b"x-omniroute-route") == b"up/acct-1; attempt=1/2; resent without signatures"
    assert sent(gateway) == [LATER, WITHOUT]
    again = await ask(gateway, LATER, stream=streams)
    assert again.header(b"x-omniroute-dropped") == b"thinking_signature"
    assert sent(gateway)[2:] == [WITHOUT], "what was refused once is not tried again"


async def test_an_account_that_still_refuses_gets_no_third_request() -> None:
    gateway = fake_gateway(one_provider(ANTHROPIC, "key-1", "key-2"), REFUSED)
    answer = await ask(gateway, LATER)
    assert answer.status == 400
    assert sent(gateway) == [LATER, WITHOUT]
    assert not gateway.live.signatures, "it was not the signatures"


async def test_a_request_without_signatures_is_not_sent_twice() -> None:
    gateway = fake_gateway(one_provider(ANTHROPIC), REFUSED)
    assert (await ask(gateway, [ASKED])).status == 400
    assert len(gateway.upstream.sent) == 1


async def test_a_tool_loop_is_tried_with_its_thinking_and_then_without() -> None:
    gateway = fake_gateway(one_provider(ANTHROPIC, "key-1", "key-2"), WHOLE, LIMITED, REFUSED, WHOLE)
    await ask(gateway, [ASKED])
    manual = {"type": "enabled", "budget_tokens": 1024}
    answer = await ask(gateway, LOOP, thinking=manual)
    assert answer.header(b"x-omniroute-dropped") == b"thinking_signature, reasoning"
    bare = [LOOP[0], {"role": "assistant", "content": [CALL]}, LOOP[2]]
    assert sent(gateway)[1:] == [LOOP, LOOP, bare]
    assert "thinking" not in json.loads(gateway.upstream.sent[3])


async def test_a_wire_without_signatures_is_not_watched() -> None:
    gateway = fake_gateway(one_provider(CHAT), (200, JSON, CHAT.whole.replace(b"{", b'{"signature":"x",', 1)))
    await ask(gateway, [ASKED], CHAT)
    assert not gateway.live.signatures


RESPONSES = replace(CHAT, name="openai-responses", path="/v1/responses")
UNVERIFIED = (
    400,
    JSON,
    b'{"error":{"message":"The encrypted content gAAA...DQ== could not be verified.","type":"invalid_request_error",'
    b'"param":null,"code":"invalid_encrypted_content"}}',
)
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
SPOKE = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Yes."}]}
RESPONDED = (200, JSON, json.dumps({"id": "resp_1", "model": "m", "output": [THOUGHT, SPOKE]}).encode())


async def test_encrypted_reasoning_across_accounts() -> None:
    gateway = fake_gateway(one_provider(RESPONSES, "key-1", "key-2"), RESPONDED, LIMITED, UNVERIFIED, RESPONDED, RESPONDED)

    async def respond(*items: Any) -> FakeExchange:
        call = exchange(RESPONSES, {"model": MODEL, "input": [ASKED, *items], "store": False})
        await pipeline.serve(gateway, call, Line("openai-responses"))
        return call

    await respond()
    loop = await respond({**THOUGHT, "encrypted_content": "unknown"}, THOUGHT)
    assert loop.header(b"x-omniroute-dropped") == b"thinking_signature"
    later = await respond(THOUGHT, SPOKE, ASKED)
    assert later.header(b"x-omniroute-dropped") == b"thinking_signature"
    inputs = [json.loads(body)["input"] for body in gateway.upstream.sent]
    assert inputs[3:] == [[ASKED], [ASKED, SPOKE, ASKED]]


async def test_thought_signatures_across_models() -> None:
    wire = replace(CHAT, name="gemini", path="/v1beta/models/up/m:generateContent")
    said = {"role": "model", "parts": [{"text": "Yes.", "thoughtSignature": "YQ=="}]}
    user = {"role": "user", "parts": [{"text": "Well?"}]}
    answer = {"candidates": [{"content": said, "finishReason": "STOP"}], "modelVersion": "m"}
    gateway = fake_gateway(one_provider(wire), (200, JSON, json.dumps(answer).encode()))
    for model in ("up/m", "up/m", "up/n"):
        call = exchange(wire, {"contents": [user, said, user]})
        await pipeline.serve(gateway, call, Line("gemini", model=model))
    assert call.header(b"x-omniroute-dropped") == b"thinking_signature"
    parts = [json.loads(body)["contents"][1]["parts"] for body in gateway.upstream.sent]
    assert parts == [said["parts"], said["parts"], [{"text": "Yes."}]]
