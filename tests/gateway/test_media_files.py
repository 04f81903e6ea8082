"""Pictures and sound end to end: the official SDK, a gateway on a real socket, an upstream for each vendor's format."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import openai
import pytest
from data_plane import Running, until
from loops import on_each_loop
from media_plane import media_plane, sdk
from proxies import AProxy
from scripted_upstream import HANG, RESET, Answer, Seen
from shared import needs_shared, recordings
from sounds import SOUNDS, wav

from omniroute.gateway.guard import Guard
from omniroute.gateway.outbound import Outbound
from omniroute.proto.multipart import FormReader, Part
from omniroute.proto.transport import TransportError
from omniroute.settings import GuardSettings
from omniroute.upstream.request import Source

JSON = [("content-type", "application/json")]
PNG = b"\x89PNG\r\n\x1a\n" + bytes(24)
B64 = base64.b64encode(PNG).decode()
WAV = ("tone.wav", wav(1.5))


def reply(body: Any, status: int = 200, kind: str = "application/json") -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, [raw], [("content-type", kind)])


def parts_of(seen: Seen) -> dict[str, tuple[Part, bytes]]:
    """The parts of a form that came upstream."""
    found: list[tuple[Part, bytearray]] = []
    reader = FormReader(
        seen.headers["content-type"].encode(),
        lambda part: found.append((part, bytearray())),
        lambda d: found[-1][1].extend(d),
    )
    reader.feed(seen.body)
    reader.close()
    return {part.name: (part, bytes(content)) for part, content in found}


async def raw(
    plane: Running, path: str, body: bytes = b"{}", kind: str = "application/json"
) -> tuple[int, dict[str, str], bytes]:
    fields = [(b"content-type", kind.encode())]
    status, got, out = await plane.http.fetch(plane.origin, "POST", path.encode(), fields, body, limit=1 << 26)
    return status, {name.decode(): value.decode() for name, value in got}, out


def form(boundary: str = "X", **parts: str | tuple[str, bytes]) -> tuple[bytes, str]:
    body = b""
    for name, value in parts.items():
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'.encode()
        body += (
            b"\r\n\r\n" + value.encode()
            if isinstance(value, str)
            else f'; filename="{value[0]}"\r\n\r\n'.encode() + value[1]
        )
        body += b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


# -- pictures from words


MADE = "/v1/images/generations"
NO_PROMPT = "Invalid prompt: expected a non-empty string"
GENERATED: dict[str, tuple[str, str, str, Any, dict[str, Any]]] = {  # model, base, path, answer, part of the request
    "openai": ("gpt-image-1", "/v1", "/v1/images/generations", {"created": 7, "data": [{"b64_json": B64}]},
               {"model": "gpt-image-1", "prompt": "a cat", "size": "1536x1024"}),
    "xai": ("grok-imagine-image", "/v1", "/v1/images/generations", {"data": [{"b64_json": B64, "mime_type": "image/png"}]},
            {"model": "grok-imagine-image", "prompt": "a cat", "aspect_ratio": "3:2", "response_format": "b64_json"}),
    "together": ("black-forest-labs/FLUX.1.1-pro", "/v1", "/v1/images/generations",
                 {"id": "o", "model": "m", "object": "list", "data": [{"index": 0, "b64_json": B64}]},
                 {"width": 1536, "height": 1024, "n": 1, "response_format": "base64"}),
    "nebius": ("black-forest-labs/flux-dev", "/v1", "/v1/images/generations", {"data": [{"b64_json": B64}], "id": "x"},
               {"width": 1536, "height": 1024, "response_extension": "png", "response_format": "b64_json"}),
    "hyperbolic": ("SDXL1.0-base", "/v1", "/v1/image/generation",
                   {"images": [{"index": 0, "image": B64, "random_seed": 1}], "inference_time": 1.0},
                   {"model_name": "SDXL1.0-base", "width": 1536, "height": 1024, "backend": "auto"}),
    "fireworks": ("accounts/fireworks/models/flux-1-schnell-fp8", "/inference/v1",
                  "/inference/v1/workflows/accounts/fireworks/models/flux-1-schnell-fp8/text_to_image",
                  {"id": "1", "base64": ["data:image/png;base64," + B64], "finishReason": "SUCCESS", "seed": 1},
                  {"prompt": "a cat", "aspect_ratio": "3:2"}),
    "gemini": ("gemini-2.5-flash-image", "/v1beta", "/v1beta/models/gemini-2.5-flash-image:generateContent",
               {"candidates": [{"content": {"parts": [{"text": "Here"},
                                                      {"inlineData": {"mimeType": "image/png", "data": B64}}]}}],
                "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1290, "totalTokenCount": 1293}},
               {"contents": [{"role": "user", "parts": [{"text": "a cat"}]}],
                "generationConfig": {"responseModalities": ["TEXT", "IMAGE"], "imageConfig": {"aspectRatio": "3:2"}}}),
}  # fmt: skip


@pytest.mark.parametrize("provider", GENERATED)
@on_each_loop
async def test_a_picture_in_each_vendors_format(provider: str) -> None:
    model, base, path, answer, sent = GENERATED[provider]
    async with media_plane(provider, reply(answer), base=base) as (plane, upstream), sdk(plane) as client:
        got = await client.images.generate(
            model=f"{provider}/{model}", prompt="a cat", size="1536x1024", response_format="b64_json"
        )
        assert got.data is not None
        assert (got.data[0].b64_json, got.data[0].url) == (B64, None)
        assert got.created
        seen = upstream.requests[0]
        assert seen.path == path
        body = json.loads(seen.body)
        assert {name: body.get(name) for name in sent} == sent
        record = plane.records[0]
        assert (record.status, record.provider, record.model, record.attempts) == (200, provider, model, 1)


@on_each_loop
async def test_base64_becomes_a_data_url_when_a_url_is_wanted_and_stays_when_nothing_is_said() -> None:
    answer = reply(
        {
            "created": 7,
            "data": [{"b64_json": B64}],
            "output_format": "jpeg",
            "usage": {"input_tokens": 1, "output_tokens": 2},
        }
    )
    async with media_plane("openai", answer) as (plane, upstream), sdk(plane) as client:
        got = await client.images.generate(model="openai/gpt-image-1", prompt="a cat", response_format="url")
        assert got.data is not None
        assert (got.data[0].url, got.data[0].b64_json) == (f"data:image/jpeg;base64,{B64}", None)
        assert "response_format" not in json.loads(upstream.requests[0].body)
        got = await client.images.generate(model="openai/gpt-image-1", prompt="a cat")
        assert got.data is not None
        assert got.data[0].b64_json == B64
        assert got.usage is not None
        assert (plane.records[0].tokens_in, plane.records[0].tokens_out) == (1, 2)


@on_each_loop
async def test_a_url_is_fetched_only_when_base64_is_wanted_and_without_the_key() -> None:
    def answer(seen: Seen) -> Answer:
        if seen.method == "GET":
            return reply(PNG, kind="image/png")
        return reply({"data": [{"url": f"http://{seen.headers['host']}/pictures/a%20cat.png?sig=1%2B2"}]})

    async with media_plane("xai", answer) as (plane, upstream), sdk(plane) as client:
        got = await client.images.generate(model="xai/grok-2-image-1212", prompt="a cat", response_format="url")
        assert got.data is not None
        assert got.data[0].url is not None
        assert len(upstream.requests) == 1
        got = await client.images.generate(model="xai/grok-2-image-1212", prompt="a cat", response_format="b64_json")
        assert got.data is not None
        assert (got.data[0].b64_json, got.data[0].url) == (B64, None)
        fetch = upstream.requests[2]
        assert (fetch.method, fetch.path) == ("GET", "/pictures/a%20cat.png?sig=1%2B2")
        assert "authorization" not in fetch.headers


@pytest.mark.parametrize("level", ["connection", "global"])
async def test_a_picture_on_another_host_takes_the_proxy_of_its_account(level: str) -> None:
    def answer(seen: Seen) -> Answer:
        if seen.method == "GET":
            return reply(PNG, kind="image/png")
        return reply({"data": [{"url": f"http://pictures.example.com:{seen.headers['host'].partition(':')[2]}/a.png"}]})

    async with AProxy() as proxy, media_plane("xai", answer) as (plane, _):
        proxy.hosts["pictures.example.com"] = "127.0.0.1"
        snapshot = plane.gateway.live.snapshot
        account = snapshot.connections["xai"][0].id
        chosen = Outbound(proxy.proxy()) if level == "global" else Outbound(connections={account: proxy.proxy()})
        plane.gateway.live.snapshot = msgspec.structs.replace(snapshot, outbound=chosen)
        body = {"model": "xai/grok-2-image-1212", "prompt": "x", "response_format": "b64_json"}
        status, _, got = await raw(plane, "/v1/images/generations", json.dumps(body).encode())
        assert (status, json.loads(got)["data"][0]["b64_json"]) == (200, B64)
        assert [line.partition(":")[0] for line in proxy.asked] == ["GET http"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "http://169.254.169.254/x", "http://[::1]/x", "file:///etc/passwd"])
@on_each_loop
async def test_a_url_that_is_not_public_is_never_fetched(url: str) -> None:
    async with media_plane("xai", reply({"data": [{"url": url}]}), secrets=("a", "b")) as (plane, upstream):
        body = {"model": "xai/grok-2-image-1212", "prompt": "x", "response_format": "b64_json"}
        status, _, got = await raw(plane, "/v1/images/generations", json.dumps(body).encode())
        assert status == 502
        assert b"could not be fetched" in got
        assert len(upstream.requests) == 1  # it was paid for: no second account makes another


@on_each_loop
async def test_a_job_is_submitted_and_polled_until_it_is_done() -> None:
    url = "https://tempfile.test/a.png"
    waiting = reply({"code": 200, "data": {"taskId": "t1", "successFlag": 0}})
    script = [
        reply({"code": 200, "msg": "success", "data": {"taskId": "t1"}}), waiting, reply(b"", 503), waiting,
        reply({"code": 200, "data": {"taskId": "t1", "successFlag": 1, "response": {"resultImageUrl": url}}}),
    ]  # fmt: skip
    async with media_plane("nanobanana", *script, base="/api/v1/nanobanana") as (plane, upstream), sdk(plane) as client:
        got = await client.images.generate(model="nb/nanobanana-flash", prompt="a cat", size="1024x1024", n=2)
        assert got.data is not None
        assert got.data[0].url == url
        assert [(seen.method, seen.path.rpartition("/")[2]) for seen in upstream.requests] == [
            ("POST", "generate"), *[("GET", "record-info?taskId=t1")] * 4,
        ]  # fmt: skip
        assert json.loads(upstream.requests[0].body)["numImages"] == 2


@on_each_loop
async def test_an_error_in_a_200_is_an_error_and_the_next_account_is_asked() -> None:
    done = reply(
        {"code": 200, "data": {"taskId": "t", "successFlag": 1, "response": {"resultImageUrl": "https://a.test/b"}}}
    )
    script = [reply({"code": 402, "msg": "no credits"}), reply({"code": 200, "data": {"taskId": "t"}}), done]
    async with media_plane("nanobanana", *script, secrets=("a", "b")) as (plane, upstream), sdk(plane) as client:
        await client.images.generate(model="nb/nanobanana-pro", prompt="a cat")
        assert [seen.headers["authorization"] for seen in upstream.requests] == ["Bearer a", "Bearer b", "Bearer b"]
        assert "failed=nanobanana/acct-1 (402)" in plane.records[0].route


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        (MADE, {"model": "openai/gpt-image-1"}, 400, NO_PROMPT),
        (MADE, {"model": "openai/gpt-image-1", "prompt": " "}, 400, NO_PROMPT),
        (MADE, {"model": "openai/gpt-image-1", "prompt": ["x"]}, 400, NO_PROMPT),
        (MADE, {"prompt": "x"}, 400, "Missing model"),
        (MADE, {"model": "nobody/x", "prompt": "x"}, 400, "Invalid image model: nobody/x. "),
        (MADE, {"model": "xai/grok-2-image-1212", "prompt": "x"}, 400, "No credentials for image provider: xai"),
        (MADE, {"model": "openai/gpt-image-1", "prompt": "x", "n": 0}, 400, "Invalid 'n'"),
        (MADE, {"model": "openai/gpt-image-1", "prompt": "x", "size": "big"}, 400, "Invalid 'size'"),
        (MADE, {"model": "openai/dall-e-2", "prompt": "x", "response_format": "png"}, 400, "Invalid 'response_format'"),
        ("/v1/providers/openai/images/generations", {"model": "xai/g", "prompt": "x"}, 400,
         'Model "xai/g" does not belong to provider "openai"'),
        ("/v1/providers/nobody/images/generations", {"model": "g", "prompt": "x"}, 400, "Unknown provider: nobody"),
        ("/v1/audio/speech", {"model": "openai/tts-1"}, 400, "Missing input"),
        ("/v1/audio/speech", {"model": "tts-1", "input": "x", "response_format": "mid"}, 400, "Invalid response_format"),
        ("/v1/audio/speech", {"input": "x"}, 400, "Missing model"),
        ("/v1/images/edits", {"model": "openai/gpt-image-1", "prompt": "x"}, 400, "image is required"),
    ],
)  # fmt: skip
@on_each_loop
async def test_what_is_wrong_with_a_request_is_said(path: str, body: Any, status: int, message: str) -> None:
    async with media_plane("openai", reply({})) as (plane, upstream):
        got, _, answer = await raw(plane, path, json.dumps(body).encode())
        assert (got, upstream.requests) == (status, [])
        assert message in json.loads(answer)["error"]["message"]


@on_each_loop
async def test_a_dedicated_route_adds_the_prefix() -> None:
    async with media_plane("openai", reply({"created": 1, "data": [{"b64_json": B64}]})) as (plane, upstream):
        body = json.dumps({"model": "gpt-image-1", "prompt": "x"}).encode()
        status, fields, _ = await raw(plane, "/v1/providers/openai/images/generations", body)
        assert (status, fields["x-omniroute-route"]) == (200, "openai/acct-1; attempt=1/1")
        assert json.loads(upstream.requests[0].body)["model"] == "gpt-image-1"


@on_each_loop
async def test_partial_images_are_relayed() -> None:
    events = [b'event: image_generation.partial_image\ndata: {"type":"image_generation.partial_image","b64_json":"a"}\n\n',
              b'data: {"type":"image_generation.completed","usage":{"input_tokens":5,"output_tokens":9}}\n\n']  # fmt: skip
    answer = Answer(200, events, [("content-type", "text/event-stream")], "chunked")
    async with media_plane("openai", answer) as (plane, _):
        body = json.dumps({"model": "openai/gpt-image-1", "prompt": "x", "stream": True}).encode()
        status, fields, got = await raw(plane, "/v1/images/generations", body)
        assert (status, fields["content-type"], got) == (200, "text/event-stream", b"".join(events))
        assert (plane.records[0].tokens_in, plane.records[0].tokens_out) == (5, 9)


@on_each_loop
async def test_changed_pictures_are_relayed_as_they_come_whether_the_request_was_a_form_or_json() -> None:
    event = b'data: {"type":"image_edit.completed","b64_json":"AAAA","usage":{"input_tokens":5,"output_tokens":9}}\n\n'
    answer = Answer(200, [event], [("content-type", "text/event-stream")], "chunked")
    said = {"model": "openai/gpt-image-1.5", "prompt": "x"}
    as_json = json.dumps({**said, "stream": True, "images": [{"image_url": "https://a.test/a.png"}]}).encode()
    as_form = form(**said, stream="true", image=("a.png", PNG))
    async with media_plane("openai", answer) as (plane, _):
        for body, kind in ((as_json, "application/json"), as_form):
            status, fields, got = await raw(plane, "/v1/images/edits", body, kind)
            assert (status, fields["content-type"], got) == (200, "text/event-stream", event)
        assert [record.tokens_out for record in plane.records] == [9, 9]


@on_each_loop
async def test_personal_data_does_not_reach_the_vendors_of_pictures_and_sound() -> None:
    said = "for a@mail.example.org"
    script = [reply({"created": 1, "data": [{"b64_json": B64}]})] * 3
    sound = Answer(200, [b"\xff\xfb"], [("content-type", "audio/mpeg")])
    async with media_plane("openai", *script, sound, reply({"text": "x"})) as (plane, upstream):
        plane.gateway.guard = Guard(GuardSettings(mode="redact", redact_requests=True))
        picture = {"model": "openai/gpt-image-1", "prompt": said}
        await raw(plane, "/v1/images/generations", json.dumps(picture).encode())
        await raw(plane, "/v1/images/edits", json.dumps({**picture, "image": "https://a.test/a.png"}).encode())
        await raw(plane, "/v1/images/edits", *form(**picture, image=("a.png", PNG)))
        await raw(plane, "/v1/audio/speech", json.dumps({"model": "openai/tts-1", "input": said, "voice": "x"}).encode())
        await raw(plane, "/v1/audio/transcriptions", *form(model="openai/whisper-1", prompt=said, file=WAV))
        assert [record.status for record in plane.records] == [200] * 5
        for seen in upstream.requests:
            assert b"for [EMAIL_REDACTED]" in seen.body
            assert b"mail.example" not in seen.body


@on_each_loop
async def test_the_models_for_pictures_are_listed() -> None:
    async with media_plane("openai", reply({})) as (plane, _):
        _, _, got = await plane.http.fetch(plane.origin, "GET", b"/v1/images/generations", [], limit=1 << 20)
        entries = {entry["id"]: entry for entry in json.loads(got)["data"]}
        assert entries["openai/gpt-image-1"]["supported_sizes"] == ["1024x1024", "1536x1024", "1024x1536"]
        assert {entry["type"] for entry in entries.values()} == {"image"}


# -- pictures from pictures


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@on_each_loop
async def test_a_form_of_pictures_goes_on_as_a_form() -> None:
    async with (
        media_plane("openai", reply({"created": 1, "data": [{"b64_json": B64}]})) as (plane, upstream),
        sdk(plane) as client,
    ):
        got = await client.images.edit(
            model="openai/gpt-image-1", image=[("a.png", PNG, "image/png")], mask=("m.png", PNG), prompt="green", n=1
        )
        assert got.data is not None
        seen = upstream.requests[0]
        parts = parts_of(seen)
        assert seen.path == "/v1/images/edits"
        assert parts["model"][1] == b"gpt-image-1"
        assert parts["image[]"][0] == Part("image[]", "a.png", "image/png")
        assert parts["image[]"][1] == parts["mask"][1] == PNG
        await client.images.create_variation(model="openai/dall-e-2", image=("a.png", PNG))
        assert upstream.requests[1].path == "/v1/images/variations"


@on_each_loop
async def test_a_form_of_pictures_becomes_json_for_vendors_without_forms() -> None:
    url = f"data:image/png;base64,{B64}"
    async with media_plane("xai", reply({"data": [{"b64_json": B64}]})) as (plane, upstream), sdk(plane) as client:
        await client.images.edit(model="xai/grok-imagine-image", image=("a.png", PNG, "image/png"), prompt="green")
        assert upstream.requests[0].path == "/v1/images/edits"
        assert json.loads(upstream.requests[0].body)["images"] == [{"type": "image_url", "url": url}]
    answer = GENERATED["gemini"][3]
    async with media_plane("gemini", reply(answer), base="/v1beta") as (plane, upstream), sdk(plane) as client:
        await client.images.edit(model="gemini/gemini-2.5-flash-image", image=("a.png", PNG, "image/png"), prompt="green")
        parts = json.loads(upstream.requests[0].body)["contents"][0]["parts"]
        assert parts == [{"inlineData": {"mimeType": "image/png", "data": B64}}, {"text": "green"}]


@on_each_loop
async def test_models_that_cannot_edit_images_are_refused() -> None:
    async with media_plane("hyperbolic", reply({})) as (plane, upstream), sdk(plane) as client:
        with pytest.raises(openai.BadRequestError, match="has no image edit endpoint"):
            await client.images.edit(model="hyperbolic/SDXL1.0-base", image=("a.png", PNG), prompt="green")
        assert upstream.requests == []


# -- text from sound

VERBOSE = {
    "task": "transcribe",
    "language": "english",
    "duration": 1.5,
    "text": "Hello.",
    "segments": [{"id": 0, "text": "Hello."}],
}
DEEPGRAM = {
    "metadata": {"duration": 1.5},
    "results": {
        "channels": [{"detected_language": "en", "alternatives": [{"transcript": "Hello there.", "words": [
            {"word": "hello", "start": 0.1, "end": 0.5, "punctuated_word": "Hello"},
            {"word": "there", "start": 0.6, "end": 1.0, "punctuated_word": "there."},
        ]}]}],
        "utterances": [{"start": 0.1, "end": 1.0, "transcript": "Hello there."}],
    },
}  # fmt: skip
ASSEMBLY = [
    reply({"upload_url": "https://cdn.assemblyai.test/u/1"}),
    reply({"id": "j 1", "status": "queued"}),
    reply({"id": "j 1", "status": "processing"}),
    reply({"id": "j 1", "status": "completed", "text": "Hello there.", "language_code": "en_us", "audio_duration": 2,
           "words": [{"text": "Hello", "start": 100, "end": 500}, {"text": "there.", "start": 600, "end": 1000}]}),
]  # fmt: skip


@pytest.mark.parametrize("kind", SOUNDS)
@on_each_loop
async def test_every_format_is_taken_and_relayed_as_it_is(kind: str) -> None:
    name, content = SOUNDS[kind]
    async with media_plane("groq", reply(VERBOSE), base="/openai/v1") as (plane, upstream), sdk(plane) as client:
        got = await client.audio.transcriptions.create(model="groq/whisper-large-v3", file=(name, content), language="en")
        assert got.to_dict() == {"text": "Hello.", "task": "transcribe", "language": "english", "duration": 1.5}
        parts = parts_of(upstream.requests[0])
        assert upstream.requests[0].path == "/openai/v1/audio/transcriptions"
        assert parts["file"][1] == content
        assert {name: value[1] for name, value in parts.items() if name != "file"} == {
            "model": b"whisper-large-v3", "response_format": b"verbose_json", "language": b"en",
        }  # fmt: skip
        assert plane.records[0].cost == pytest.approx(1.5 * 0.00003083)


@on_each_loop
async def test_models_without_the_long_form_are_asked_for_json_and_the_file_tells_how_long_it_is() -> None:
    answer = reply({"text": "Hi.", "usage": {"type": "tokens", "input_tokens": 54, "output_tokens": 16}})
    async with media_plane("openai", answer) as (plane, upstream), sdk(plane) as client:
        got = await client.audio.transcriptions.create(model="openai/gpt-4o-transcribe", file=WAV)
        assert {**got.to_dict(), "usage": None} == {
            "text": "Hi.",
            "task": "transcribe",
            "language": None,
            "duration": 1.5,
            "usage": None,
        }
        assert parts_of(upstream.requests[0])["response_format"][1] == b"json"
        assert (plane.records[0].tokens_in, plane.records[0].tokens_out) == (54, 16)
        text = await client.audio.transcriptions.create(model="openai/gpt-4o-transcribe", file=WAV, response_format="text")
        assert text == "Hi.\n"


@pytest.mark.parametrize("shape", ["srt", "vtt", "text", "verbose_json"])
@on_each_loop
async def test_other_forms_are_relayed(shape: Any) -> None:
    answers = {"srt": b"1\n00:00:00,000 --> 00:00:01,000\nHello.\n", "vtt": b"WEBVTT\n", "text": b"Hello.\n"}
    answer = reply(VERBOSE) if shape == "verbose_json" else reply(answers[shape], kind="text/plain")
    async with media_plane("openai", answer) as (plane, upstream), sdk(plane) as client:
        got: Any = await client.audio.transcriptions.create(model="openai/whisper-1", file=WAV, response_format=shape)
        assert parts_of(upstream.requests[0])["response_format"][1] == shape.encode()
        assert got.segments[0].text == "Hello." if shape == "verbose_json" else got == answers[shape].decode()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@on_each_loop
async def test_a_translation_has_its_own_path() -> None:
    async with media_plane("openai", reply({**VERBOSE, "task": "translate"})) as (plane, upstream), sdk(plane) as client:
        got = await client.audio.translations.create(model="openai/whisper-1", file=WAV)
        assert (upstream.requests[0].path, got.to_dict()["task"]) == ("/v1/audio/translations", "translate")
    async with media_plane("deepgram", reply({})) as (plane, _), sdk(plane) as client:
        with pytest.raises(openai.BadRequestError, match="Invalid transcription model"):
            await client.audio.translations.create(model="deepgram/nova-3", file=WAV)


@on_each_loop
async def test_a_transcript_that_comes_in_events_is_relayed() -> None:
    done = b'data: {"type":"transcript.text.done","text":"Hi","usage":{"input_tokens":3,"output_tokens":1}}\n\n'
    events = [b'data: {"type":"transcript.text.delta","delta":"Hi"}\n\n', done]
    answer = Answer(200, events, [("content-type", "text/event-stream; charset=utf-8")], "chunked")
    async with media_plane("openai", answer) as (plane, _), sdk(plane) as client:
        stream = await client.audio.transcriptions.create(model="openai/gpt-4o-transcribe", file=WAV, stream=True)
        assert [event.type async for event in stream] == ["transcript.text.delta", "transcript.text.done"]
        await plane.idle()
        await until(lambda: bool(plane.records))
        assert (plane.records[0].tokens_in, plane.records[0].stream) == (3, True)


@on_each_loop
async def test_deepgram_gets_the_bytes_and_the_rest_in_the_query() -> None:
    async with media_plane("deepgram", reply(DEEPGRAM)) as (plane, upstream), sdk(plane) as client:
        got = await client.audio.transcriptions.create(model="deepgram/nova-3", file=WAV, prompt="greeting")
        assert got.to_dict() == {"text": "Hello there.", "task": "transcribe", "language": "en", "duration": 1.5}
        seen = upstream.requests[0]
        assert urlsplit(seen.path).path == "/v1/listen"
        assert parse_qs(urlsplit(seen.path).query) == {
            "model": ["nova-3"], "smart_format": ["true"], "utterances": ["true"], "detect_language": ["true"],
        }  # fmt: skip
        assert (seen.headers["authorization"], seen.headers["content-type"], seen.body) == (
            "Token key-1",
            "audio/wav",
            WAV[1],
        )
        srt = await client.audio.transcriptions.create(
            model="deepgram/nova-3", file=WAV, response_format="srt", language="en"
        )
        assert srt == "1\n00:00:00,100 --> 00:00:01,000\nHello there.\n\n"
        assert "language=en" in upstream.requests[1].path
        long: Any = await client.audio.transcriptions.create(
            model="deepgram/nova-3", file=WAV, response_format="verbose_json", timestamp_granularities=["word", "segment"]
        )
        assert [(word.word, word.start) for word in long.words] == [("Hello", 0.1), ("there.", 0.6)]
        assert long.segments[0].text == "Hello there."


@on_each_loop
async def test_assemblyai_gets_an_upload_a_job_and_a_poll_every_two_seconds() -> None:
    async with media_plane("assemblyai", *ASSEMBLY, base="/v2") as (plane, upstream), sdk(plane) as client:
        got = await client.audio.transcriptions.create(model="assemblyai/best", file=WAV, response_format="vtt")
        assert got == "WEBVTT\n\n00:00:00.100 --> 00:00:01.000\nHello there.\n\n"
        upload, submit, *looks = upstream.requests
        assert (upload.path, upload.body, upload.headers["authorization"]) == ("/v2/upload", WAV[1], "key-1")
        assert (submit.path, json.loads(submit.body)) == (
            "/v2/transcript",
            {
                "audio_url": "https://cdn.assemblyai.test/u/1",
                "speech_models": ["universal-3-pro", "universal-2"],
                "language_detection": True,
            },
        )
        assert [(look.method, look.path) for look in looks] == [("GET", "/v2/transcript/j%201")] * 2
        assert getattr(plane.gateway.clock, "slept", 0) == 4.0


@on_each_loop
async def test_an_assemblyai_job_that_never_ends_is_a_timeout_and_not_retried() -> None:
    async with (
        media_plane("assemblyai", *ASSEMBLY[:3], secrets=("a", "b"), base="/v2") as (plane, upstream),
        sdk(plane) as client,
    ):
        with pytest.raises(openai.APIStatusError) as caught:
            await client.audio.transcriptions.create(model="assemblyai/best", file=WAV)
        assert caught.value.status_code == 504
        assert {seen.headers["authorization"] for seen in upstream.requests} == {"a"}
        assert 50 < len(upstream.requests) <= 2 + 60


@on_each_loop
async def test_assemblyais_refusal_is_the_clients_error() -> None:
    script = [*ASSEMBLY[:2], reply({"id": "j", "status": "error", "error": "Audio has no speech"})]
    async with media_plane("assemblyai", *script, base="/v2") as (plane, _), sdk(plane) as client:
        with pytest.raises(openai.BadRequestError, match="Audio has no speech"):
            await client.audio.transcriptions.create(model="assemblyai/best", file=WAV)


@on_each_loop
async def test_the_file_is_sent_again_to_the_next_account() -> None:
    script = [reply({"error": {"message": "slow down"}}, 429), reply(VERBOSE)]
    async with media_plane("openai", *script, secrets=("a", "b")) as (plane, upstream), sdk(plane) as client:
        content = wav(30)  # more than is kept in memory
        assert len(content) > 400_000
        got = await client.audio.transcriptions.create(model="openai/whisper-1", file=("a.wav", content))
        assert got.text == "Hello."
        assert [seen.headers["authorization"] for seen in upstream.requests] == ["Bearer a", "Bearer b"]
        assert [parts_of(seen)["file"][1] == content for seen in upstream.requests] == [True, True]
        assert plane.records[0].attempts == 2


FORM = {"model": "openai/whisper-1", "file": WAV}


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ((b"{}", "application/json"), 400, "Invalid multipart form data"),
        ((b"nothing", "multipart/form-data; boundary=X"), 400, "Invalid multipart form data"),
        ((form(**FORM)[0][:-9], "multipart/form-data; boundary=X"), 400, "Invalid multipart form data"),
        (form(file=WAV), 400, "Missing model"),
        (form(model="", file=WAV), 400, "Missing model"),
        (form(model="openai/whisper-1"), 400, "file is required"),
        (form(model="openai/whisper-1", file="text"), 400, "file is required"),
        (form(model="openai/whisper-1", file=("a.wav", b"")), 400, "file is empty"),
        (form(model="openai/whisper-1", file=("a.txt", b"hello")), 400, "Invalid file format. Supported formats: mp3, wav"),
        (form(model="whisper-9", file=WAV), 400, "Invalid transcription model: whisper-9"),
        (form(model="deepgram/nova-3", file=WAV), 401, "No credentials for transcription provider: deepgram"),
        (form(**FORM, response_format="xml"), 400, "Invalid response_format 'xml'"),
        (form(**FORM, temperature="hot"), 400, "Invalid 'temperature'"),
        (form(**FORM, temperature="3"), 400, "Invalid temperature"),
        (form(**FORM, **{"timestamp_granularities[]": "line"}), 400, "Invalid timestamp_granularities"),
    ],
)
@on_each_loop
async def test_what_is_wrong_with_a_form_is_said(body: tuple[bytes, str], status: int, message: str) -> None:
    async with media_plane("openai", reply(VERBOSE)) as (plane, upstream):
        got, _, answer = await raw(plane, "/v1/audio/transcriptions", *body)
        assert (got, upstream.requests) == (status, [])
        assert message in json.loads(answer)["error"]["message"]


@on_each_loop
async def test_a_form_that_is_too_large_is_refused() -> None:
    async with media_plane("openai", reply(VERBOSE)) as (plane, upstream):
        status, _, _ = await raw(plane, "/v1/audio/transcriptions", *form(model="x" * 1_100_000, file=WAV))
        assert status == 413
        fields = [(b"content-type", b"multipart/form-data; boundary=X")]

        async def endless() -> Any:
            while True:
                yield bytes(65536)

        body = Source(200 * 1024 * 1024, endless)
        try:
            status, _, _ = await plane.http.fetch(
                plane.origin, "POST", b"/v1/audio/transcriptions", fields, body, limit=99999
            )
        except TransportError:
            status = 413  # the connection was closed before the answer could be read
        assert (status, upstream.requests) == (413, [])


@pytest.mark.parametrize("path", ["/v1/audio/transcriptions", "/v1/audio/speech"])
@on_each_loop
async def test_a_client_that_leaves_ends_the_call_upstream(path: str) -> None:
    body = form(**FORM) if "transcriptions" in path else (b'{"model":"openai/tts-1","input":"Hi"}', "application/json")
    begun = Answer(200, [b"\xff\xfb", HANG], [("content-type", "audio/mpeg")], "chunked")
    async with media_plane("openai", begun if "speech" in path else Answer(200, [HANG], length=9)) as (plane, upstream):
        call = asyncio.ensure_future(raw(plane, path, *body))
        seen = await upstream.arrived(1)
        call.cancel()
        await asyncio.wait([call])
        async with asyncio.timeout(5):
            await seen.gone.wait()
        await until(lambda: bool(plane.records))
        assert plane.records[0].status in (499, 200)
        await plane.idle()


@on_each_loop
async def test_a_client_that_disconnects_ends_the_polling() -> None:
    release = asyncio.Event()

    async with media_plane("assemblyai", *ASSEMBLY[:3], base="/v2") as (plane, upstream):

        async def sleep(seconds: float) -> None:
            await release.wait()

        plane.gateway.clock.sleep = sleep  # type: ignore[method-assign]
        call = asyncio.ensure_future(raw(plane, "/v1/audio/transcriptions", *form(model="assemblyai/best", file=WAV)))
        await upstream.arrived(2)
        call.cancel()
        await asyncio.wait([call])
        await until(lambda: bool(plane.records))
        assert (plane.records[0].status, len(upstream.requests)) == (499, 2)


# -- sound from text


@on_each_loop
async def test_speech_is_relayed_as_it_comes() -> None:
    gate = asyncio.Event()
    answer = Answer(200, [b"\xff\xfb\x90", gate, b"\x64end"], [("content-type", "audio/mpeg")], "chunked")
    async with media_plane("openai", answer) as (plane, upstream), sdk(plane) as client:
        async with client.audio.speech.with_streaming_response.create(
            model="openai/tts-1", voice="alloy", input="Hello"
        ) as got:
            pieces = got.iter_bytes()
            assert await anext(pieces) == b"\xff\xfb\x90"
            gate.set()
            assert b"".join([piece async for piece in pieces]) == b"\x64end"
            assert got.headers["content-type"] == "audio/mpeg"
        assert json.loads(upstream.requests[0].body) == {"model": "tts-1", "voice": "alloy", "input": "Hello"}
        await until(lambda: bool(plane.records))
        assert plane.records[0].cost == pytest.approx(5 * 15 / 1e6)


@on_each_loop
async def test_speech_of_other_vendors() -> None:
    sound = Answer(200, [b"OggS1"], [("content-type", "application/octet-stream")])
    async with media_plane("deepgram", sound) as (plane, upstream), sdk(plane) as client:
        got = await client.audio.speech.create(
            model="deepgram/aura-2-thalia-en", voice="x", input="Hello", response_format="opus"
        )
        assert (got.content, got.response.headers["content-type"]) == (b"OggS1", "audio/ogg")
        assert got.response.headers["x-omniroute-dropped"] == "voice"
        assert upstream.requests[0].path == "/v1/speak?model=aura-2-thalia-en&encoding=opus&container=ogg"
        assert json.loads(upstream.requests[0].body) == {"text": "Hello"}
    audio = {"audio": base64.b64encode(wav(0.1)).decode(), "duration": 0.1}
    async with media_plane("hyperbolic", reply(audio)) as (plane, upstream), sdk(plane) as client:
        got = await client.audio.speech.create(model="hyperbolic/melo-tts", voice="EN-US", input="Hello")
        assert (got.content, got.response.headers["content-type"]) == (wav(0.1), "audio/wav")
        assert upstream.requests[0].path == "/v1/audio/generation"
        assert json.loads(upstream.requests[0].body) == {"text": "Hello", "speaker": "EN-US"}


@on_each_loop
async def test_speech_that_breaks_off_is_broken_off_for_the_client_too() -> None:
    answer = Answer(200, [b"\xff\xfb" * 100, RESET], [("content-type", "audio/mpeg")], "chunked")
    async with media_plane("openai", answer) as (plane, _), sdk(plane) as client:
        with pytest.raises(openai.APIConnectionError):
            await client.audio.speech.create(model="openai/tts-1", voice="alloy", input="Hello")
        await plane.idle()
        assert plane.live.health.blocked_until("c1", "tts-1") is not None, "as after a chat stream that broke off"
        assert plane.live.breakers.view("openai").failures == 1


@pytest.mark.parametrize(
    "first",
    [
        reply({"error": {"message": "broken"}}, 500),
        Answer(200, [b"<html>Sign in</html>"], [("content-type", "text/html; charset=utf-8")]),
    ],
)
@on_each_loop
async def test_an_error_before_the_first_byte_of_speech_goes_to_the_next_account(first: Answer) -> None:
    script = [first, Answer(200, [b"\xff\xfb"], [("content-type", "audio/mpeg")])]
    async with media_plane("openai", *script, secrets=("a", "b")) as (plane, _), sdk(plane) as client:
        got = await client.audio.speech.create(model="openai/tts-1", voice="alloy", input="Hello")
        assert got.content == b"\xff\xfb"
        assert plane.records[0].attempts == 2


@on_each_loop
async def test_speech_without_any_audio_costs_nothing() -> None:
    script = [
        Answer(200, [RESET], [("content-type", "audio/mpeg")], "chunked"),
        reply({"error": {"message": "broken"}}, 500),
    ]
    async with media_plane("openai", *script, secrets=("a", "b")) as (plane, _), sdk(plane) as client:
        with pytest.raises(openai.InternalServerError):
            await client.audio.speech.create(model="openai/tts-1", voice="alloy", input="Hello")
        assert (plane.records[0].attempts, plane.records[0].cost) == (2, None)


# -- recordings


@needs_shared
@pytest.mark.parametrize(
    "recording", [r for r in recordings("openai-images") if r["provider"] in ("openai", "xai")], ids=lambda r: r["id"]
)
@on_each_loop
async def test_recorded_pictures(recording: Any) -> None:
    answer = recording["response"]
    script = Answer(answer["status"], [answer["body"].encode()], JSON)
    async with media_plane(recording["provider"], script) as (plane, upstream):
        body = {**recording["request"]["body"], "model": f"{recording['provider']}/{recording['model']}"}
        path = "/v1/images/edits" if "edits" in recording["request"]["path"] else "/v1/images/generations"
        status, _, got = await raw(plane, path, json.dumps(body).encode())
        assert status == answer["status"]
        assert json.loads(upstream.requests[0].body)["prompt"] == body["prompt"]
        if status == 200:
            assert [set(one) & {"url", "b64_json"} for one in json.loads(got)["data"]]
            assert "created" in json.loads(got)
        else:
            assert json.loads(got) == json.loads(answer["body"])


@needs_shared
@pytest.mark.parametrize(
    "recording",
    [
        r
        for r in recordings("audio-transcription")
        if r["provider"] in ("openai", "deepgram", "venice", "mistral") and not r["stream"]
    ],
    ids=lambda r: r["id"],
)
@on_each_loop
async def test_recorded_transcripts(recording: Any) -> None:
    provider = recording["provider"] if recording["provider"] == "deepgram" else "openai"
    model = recording["model"] if provider == "deepgram" else "gpt-4o-transcribe"
    script = Answer(200, [recording["response"]["body"].encode()], JSON)
    async with media_plane(provider, script) as (plane, _):
        status, _, got = await raw(plane, "/v1/audio/transcriptions", *form(model=f"{provider}/{model}", file=WAV))
        answer = json.loads(got)
        assert status == 200
        assert set(answer) >= {"text", "task", "language", "duration"}
        assert "programming language" in answer["text"] or "sun was setting" in answer["text"]
        assert answer["duration"]
