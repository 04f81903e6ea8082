"""The official packages, unmodified, through a real gateway before a provider of each wire: all 25 pairs.

One scripted provider (``wire_upstream.py``) speaks every wire; one face (``sdk_clients.py``) hides what the packages call
things.  Whatever reaches the provider in another wire than the client's must be a request that the vendor's own package
could have sent (``sdk_types.py``).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import anthropic
import pytest
from google import genai
from processes import Process
from pydantic import BaseModel
from request_order import disorder
from sdk_clients import TALKS
from sdk_talk import Call, Result, Talk, Tool, Trouble
from sdk_types import violations
from wire_upstream import COUNTED, KINDS, WireUpstream

from omniroute.translate.conversation import Ask, Block, Media, Text, ToolCall, ToolResult
from omniroute.translate.events import (
    Event,
    Failure,
    Finish,
    Signature,
    Start,
    TextDelta,
    ThinkingDelta,
    ToolArguments,
    ToolStart,
    Usage,
)

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
PNG_BASE64 = base64.b64encode(PNG).decode()
SAID = "Good morning, Zürich ☀"
USAGE = Usage(input=21, output=9)
PLACE = {"type": "object", "properties": {"place": {"type": "string", "description": "A city"}}, "required": ["place"]}
TOOLS = (
    Tool("get_weather", "The weather at a place", PLACE),
    Tool("maps.take_picture", "A picture of a place", PLACE),
    Tool("remember", "Keeps a note", {"type": "object", "properties": {"note": {"type": "string"}}, "required": ["note"]}),
)
SIGNATURE = base64.b64encode(b"proof of thinking, made by this vendor").decode()

pairs = pytest.mark.parametrize("wire", KINDS, ids=lambda wire: f"to-{wire}")
clients = pytest.mark.parametrize("sdk", TALKS, ids=lambda sdk: f"from-{sdk}")
modes = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@dataclass
class Bench:
    """A gateway with a node of each wire before one provider, and a client of each package."""

    gateway: Process
    upstream: WireUpstream
    connections: dict[str, Any]
    relayed: bool = False

    def talk(self, sdk: str, wire: str, **settings: Any) -> Talk:
        self.relayed = sdk == wire
        return TALKS[sdk](self.connections[sdk], f"mx-{wire}/m", **settings)


@pytest.fixture(scope="module")
def everything(gateway: Process) -> Iterator[Bench]:
    with WireUpstream() as upstream:
        nodes = [gateway.add_node(f"mx-{wire}", upstream.base_url(wire), kind) for wire, kind in KINDS.items()]
        bench = Bench(gateway, upstream, {sdk: talk.connect(gateway.url) for sdk, talk in TALKS.items()})
        yield bench
        for sdk, connection in bench.connections.items():
            (connection._client if sdk == "ollama" else connection).close()
        for node in nodes:
            gateway.api("DELETE", f"/api/provider-nodes/{node}")


@pytest.fixture
def bench(everything: Bench) -> Iterator[Bench]:
    """Every account's trouble is forgotten before, and every request looked at afterwards."""
    everything.gateway.api("DELETE", "/api/monitoring/health")
    yield everything
    for seen in everything.upstream.seen:
        assert seen.ask.model == "m"
        if not everything.relayed:
            check_names(seen.ask)
            assert violations(seen.wire, seen.body) == []
            assert disorder(seen.wire, seen.body) == []


def check_names(ask: Ask) -> None:
    """Names and ids in the grammar of the wires that have one."""
    if ask.wire in ("openai-chat", "openai-responses", "anthropic"):
        calls = [block for block in turns(ask) if isinstance(block, ToolCall)]
        for word in (*(tool.name for tool in ask.tools), *(c.name for c in calls), *(c.id for c in calls)):
            assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", word), word


def say(*events: Event, finish: Any = "stop") -> list[Event]:
    return [Start(), *events, USAGE, Finish(finish)]


def call(number: int, name: str, **arguments: str) -> list[Event]:
    inner = ", ".join(f'"{key}": "{value}"' for key, value in arguments.items())
    return [ToolStart(f"call_{number}", name), ToolArguments("{" + inner[:5]), ToolArguments(inner[5:] + "}")]


# -- one turn


@clients
@pairs
@modes
def test_chat(bench: Bench, sdk: str, wire: str, stream: bool) -> None:
    bench.upstream.play(lambda ask: say(TextDelta("Good morning, "), TextDelta("Zürich ☀")))
    talk = bench.talk(sdk, wire, system="Be brief.", stream=stream)
    talk.say("Greet me")
    reply = talk.hear()
    assert reply.said == (SAID, "", [], "stop")
    assert reply.tokens == (21, 9)
    [seen] = bench.upstream.seen
    assert seen.ask.stream is stream
    assert texts([*seen.ask.system, *turns(seen.ask)]) == ["Be brief.", "Greet me"]


@clients
@pairs
@modes
def test_a_conversation_keeps_its_turns(bench: Bench, sdk: str, wire: str, stream: bool) -> None:
    bench.upstream.play(lambda ask: say(TextDelta(f"I have heard {len(texts(turns(ask)))}.")))
    talk = bench.talk(sdk, wire, stream=stream)
    talk.say("One")
    talk.hear()
    talk.say("Two")
    assert talk.hear().text == "I have heard 3."
    ask = bench.upstream.seen[1].ask
    assert [turn.role for turn in ask.turns] == ["user", "assistant", "user"]
    assert texts(turns(ask)) == ["One", "I have heard 1.", "Two"]


@pairs
@modes
def test_a_chat_of_googles_package_keeps_its_turns(bench: Bench, wire: str, stream: bool) -> None:
    """It keeps every chunk of a stream as a content of its own."""
    bench.relayed = wire == "gemini"
    bench.upstream.play(lambda ask: say(TextDelta("I have "), TextDelta(f"heard {len(ask.turns)}.")))
    chat = bench.connections["gemini"].chats.create(model=f"mx-{wire}/m")
    said = []
    for text in ("One", "Two"):
        answers = chat.send_message_stream(text) if stream else [chat.send_message(text)]
        said.append("".join(answer.text or "" for answer in answers))
    assert said == ["I have heard 1.", "I have heard 3."]
    assert texts(turns(bench.upstream.seen[1].ask)) == ["One", "I have heard 1.", "Two"]


@clients
@pairs
def test_image_input(bench: Bench, sdk: str, wire: str) -> None:
    bench.upstream.play(lambda ask: say(TextDelta(SAID)))
    talk = bench.talk(sdk, wire)
    talk.say("What is this?", PNG)
    assert talk.hear().text == SAID
    ask = bench.upstream.seen[0].ask
    assert texts(turns(ask)) == ["What is this?"]
    assert images(turns(ask)) == [PNG_BASE64]


class Weather(BaseModel):
    place: str
    degrees: int


@clients
@pairs
@modes
def test_structured_output(bench: Bench, sdk: str, wire: str, stream: bool) -> None:
    bench.upstream.play(lambda ask: say(TextDelta('{"place": "Zürich", '), TextDelta('"degrees": 21}')))
    talk = bench.talk(sdk, wire, schema=Weather, stream=stream)
    talk.say("How is the weather?")
    assert talk.hear().parsed == Weather(place="Zürich", degrees=21)
    ask = bench.upstream.seen[0].ask
    if ask.response_format is None:  # of models that are not known to have it
        assert wire == "anthropic"
        assert '"degrees"' in texts(ask.system)[0]
    else:
        assert json.loads(ask.response_format.schema or b"{}")["required"] == ["place", "degrees"]


@clients
@pairs
@modes
def test_thinking(bench: Bench, sdk: str, wire: str, stream: bool) -> None:
    bench.upstream.play(lambda ask: say(*thought(ask, "Morning, so sun."), TextDelta(SAID)))
    talk = bench.talk(sdk, wire, think=True, stream=stream)
    talk.say("Greet me")
    assert talk.hear().said == (SAID, "Morning, so sun.", [], "stop")
    reasoning = bench.upstream.seen[0].ask.reasoning
    assert reasoning is not None
    assert reasoning.enabled or reasoning.effort or reasoning.budget


@clients
@pairs
@modes
def test_an_answer_that_the_limit_cut(bench: Bench, sdk: str, wire: str, stream: bool) -> None:
    bench.upstream.play(lambda ask: say(TextDelta("Good mor"), finish="length"))
    talk = bench.talk(sdk, wire, stream=stream)
    talk.say("Greet me")
    assert talk.hear().said == ("Good mor", "", [], "length")


@pytest.mark.parametrize("sdk", [sdk for sdk in TALKS if sdk != "ollama"], ids=lambda sdk: f"from-{sdk}")
@pairs
def test_a_tool_that_must_be_called(bench: Bench, sdk: str, wire: str) -> None:
    bench.upstream.play(lambda ask: say(*call(1, ask.tools[-1].name, place="Zürich"), finish="tool_calls"))
    talk = bench.talk(sdk, wire, tools=TOOLS[:2], must="maps.take_picture")
    talk.say("Show me Zürich")
    assert talk.hear().said == ("", "", [("maps.take_picture", {"place": "Zürich"})], "tool_calls")
    ask = bench.upstream.seen[0].ask
    if wire == "ollama":  # has no such choice, so there is nothing else to choose
        assert [tool.name for tool in ask.tools] == ["maps.take_picture"]
    else:
        assert ask.tool_choice is not None
        assert (ask.tool_choice.mode, ask.tool_choice.names) == ("tool", (ask.tools[-1].name,))


@pairs
def test_tokens_are_counted_by_the_vendor_or_estimated(bench: Bench, wire: str) -> None:
    text, model = "How many tokens are these few words?", f"mx-{wire}/m"
    messages = [{"role": "user", "content": text}]
    counted = {
        "anthropic": bench.connections["anthropic"].messages.count_tokens(model=model, messages=messages).input_tokens,
        "gemini": bench.connections["gemini"].models.count_tokens(model=model, contents=text).total_tokens,
    }
    for sdk, tokens in counted.items():
        assert tokens == COUNTED if sdk == wire else 5 < tokens < 20


@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_googles_package_lists_models_in_both_versions_of_its_api(gateway: Process, version: str) -> None:
    node = gateway.add_node("listed-g", "http://127.0.0.1:9/v1")
    connection = next(c for c in gateway.api("GET", "/api/providers")["connections"] if c["provider"] == node)
    gateway.api("PUT", f"/api/providers/{connection['id']}", {"defaultModel": "vendor/big-model"})
    options = genai.types.HttpOptions(base_url=gateway.url, api_version=version)
    with genai.Client(api_key="any text", http_options=options) as client:
        names = [model.name for model in client.models.list(config={"page_size": 1})]
        assert "models/listed-g/vendor/big-model" in names
        assert client.models.get(model="listed-g/vendor/big-model").name == "models/listed-g/vendor/big-model"
    gateway.api("DELETE", f"/api/provider-nodes/{node}")


# -- failures


KINDS_OF_TROUBLE = {
    "openai-chat": ("RateLimitError", "BadRequestError"),
    "openai-responses": ("RateLimitError", "BadRequestError"),
    "anthropic": ("RateLimitError", "BadRequestError"),
    "gemini": ("ClientError", "ClientError"),
    "ollama": ("ResponseError", "ResponseError"),
}


@clients
@pairs
@modes
def test_errors(bench: Bench, sdk: str, wire: str, stream: bool) -> None:
    talk = bench.talk(sdk, wire, stream=stream)
    talk.say("Greet me")
    for kind, failure in zip(
        KINDS_OF_TROUBLE[sdk],
        (Failure(429, "Slow down, please", retry_after=7), Failure(400, "The picture is too large")),
        strict=True,
    ):
        bench.upstream.play(lambda ask, failure=failure: [failure])  # type: ignore[misc]
        with pytest.raises(Trouble) as caught:
            talk.hear()
        assert caught.value.status == failure.status
        assert failure.message in caught.value.message
        assert caught.value.kind == kind
        if sdk != "ollama":  # its package does not hand on the header fields
            assert caught.value.retry_after == ("7" if failure.retry_after else None)
        assert len(bench.upstream.seen) == 1
        bench.gateway.api("DELETE", "/api/monitoring/health")


@clients
@pairs
def test_an_error_inside_a_stream(bench: Bench, sdk: str, wire: str) -> None:
    """What was said stands, then the package raises its own error; nobody is left to wait or to take half for whole."""
    failure = Failure(529, "Overloaded, try later", type="overloaded_error")
    bench.upstream.play(lambda ask: [Start(), TextDelta("Good "), failure])
    talk = bench.talk(sdk, wire, stream=True)
    talk.say("Greet me")
    with pytest.raises(Trouble) as caught:
        talk.hear()
    assert "Overloaded, try later" in caught.value.message


# -- an agent


def turns(ask: Ask) -> list[Block]:
    return [block for turn in ask.turns for block in turn.blocks]


def texts(blocks: list[Block]) -> list[str]:
    return [block.text for block in blocks if isinstance(block, Text) and block.text]


def images(blocks: list[Block]) -> list[str]:
    """The pictures in *blocks* and in the results among them."""
    inner = [b for block in blocks for b in (block.blocks if isinstance(block, ToolResult) else [block])]
    return [block.data or "" for block in inner if isinstance(block, Media) and block.kind == "image"]


SIGNED = {"anthropic": 2, "gemini": 3, "openai-responses": 2}  # proofs in the agent's history


def thought(ask: Ask, text: str) -> list[Event]:
    """Thinking, with the proof that a vendor of this wire gives."""
    id_ = "rs_1" if ask.wire == "openai-responses" else None
    return [ThinkingDelta(text, id_), *([Signature(SIGNATURE, wire=ask.wire)] if ask.wire in SIGNED else [])]


def results(ask: Ask) -> list[tuple[ToolCall, str]]:
    """Each call of the history with the text that came of it, in the order of the calls; failures begin with "Error"."""
    blocks = turns(ask)
    waiting = [block for block in blocks if isinstance(block, ToolCall)]
    order = {id(c): n for n, c in enumerate(waiting)}
    came: list[tuple[ToolCall, str]] = []
    for block in blocks:
        if isinstance(block, ToolResult):  # some wires pair them by the tool's name and their order
            found = next(c for c in waiting if c.id == block.id and block.name in ("", c.name))
            waiting.remove(found)
            came.append((found, _outcome(block)))
    return sorted(came, key=lambda pair: order[id(pair[0])])


def _outcome(result: ToolResult) -> str:
    text = " ".join(texts(result.blocks))
    return f"Error: {text}" if result.is_error and not text.startswith("Error") else text


def agent(ask: Ask) -> list[Event]:
    """A model that looks at two places, one of which is not there, notes what it has found, and says so."""
    came = results(ask)
    if not came:
        weather, picture = (tool.name for tool in ask.tools[:2])  # as they are called here
        calls = [
            *call(1, weather, place="Zürich"),
            *call(2, weather, place="Atlantis"),
            *call(3, picture, place="Zürich"),
        ]
        if ask.wire == "gemini":
            calls[0] = ToolStart("call_1", weather, signature=SIGNATURE)
        return say(*thought(ask, "Two places and a picture."), TextDelta("Let me look."), *calls, finish="tool_calls")
    if len(came) == 3:
        pictures = images(turns(ask)).count(PNG_BASE64)
        note = f"{came[0][1]} | {came[1][1]} | {came[2][1]} with {pictures} picture"
        return say(*thought(ask, "One has failed."), *call(4, "remember", note=note), finish="tool_calls")
    return say(TextDelta(f"{json.loads(came[3][0].arguments)['note']} | {came[3][1]}"))


ROUNDS = [
    (
        "Let me look.",
        "Two places and a picture.",
        [
            ("get_weather", {"place": "Zürich"}),
            ("get_weather", {"place": "Atlantis"}),
            ("maps.take_picture", {"place": "Zürich"}),
        ],
        "tool_calls",
    ),
    (
        "",
        "One has failed.",
        [("remember", {"note": "sunny | Error: no such place | here it is with 1 picture"})],
        "tool_calls",
    ),
]


def work(calls: list[Call]) -> list[Result]:
    done = {
        ("get_weather", "Zürich"): ("sunny", False, b""),
        ("get_weather", "Atlantis"): ("no such place", True, b""),
        ("maps.take_picture", "Zürich"): ("here it is", False, PNG),
    }
    return [Result(c, *done.get((c.name, c.arguments.get("place", "")), ("kept", False, b""))) for c in calls]


@clients
@pairs
@modes
def test_an_agents_conversation_ends_the_same(bench: Bench, sdk: str, wire: str, stream: bool) -> None:
    bench.upstream.play(agent)
    talk = bench.talk(sdk, wire, system="You travel.", tools=TOOLS, think=True, stream=stream)
    talk.say("How are Zürich and Atlantis?")
    for expected in ROUNDS:
        reply = talk.hear()
        assert reply.said == expected
        talk.hand_in(work(reply.calls))
    last = talk.hear()
    for seen in bench.upstream.seen:
        tools = [(tool.description, json.loads(tool.schema or b"{}")["properties"].keys()) for tool in seen.ask.tools]
        assert tools == [(tool.about, tool.schema["properties"].keys()) for tool in TOOLS]
    signed = bench.upstream.seen[-1].body.count(SIGNATURE.encode())
    assert signed == (SIGNED.get(wire, 0) if sdk == wire else 0)  # never lost, never taken elsewhere
    assert last.said == ("sunny | Error: no such place | here it is with 1 picture | kept", "", [], "stop")


@pytest.mark.parametrize("wire", [wire for wire in KINDS if wire != "anthropic"], ids=lambda wire: f"to-{wire}")
def test_a_thread_kept_by_the_vendor_is_refused_elsewhere_so_that_the_package_sends_all(bench: Bench, wire: str) -> None:
    def get_weather(place: str) -> str:
        """The weather.

        Args:
            place: where
        """
        return f"sunny in {place}"

    def model(ask: Ask) -> list[Event]:
        came = results(ask)
        return say(TextDelta(came[0][1])) if came else say(*call(1, "get_weather", place="Rome"), finish="tool_calls")

    bench.upstream.play(model)
    bench.relayed = False
    runner = bench.connections["anthropic"].beta.messages.tool_runner(
        model=f"mx-{wire}/m",
        max_tokens=500,
        messages=[{"role": "user", "content": "How is Rome?"}],
        tools=[anthropic.beta_tool(get_weather)],
        max_iterations=3,
    )
    assert runner.until_done().content[0].text == "sunny in Rome"
    assert texts(turns(bench.upstream.seen[1].ask))[0] == "How is Rome?"
