"""Images from the Gemini API: Gemini image models use ``generateContent``, Imagen models ``predict``.

https://ai.google.dev/gemini-api/docs/image-generation and /imagen
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

import msgspec
from msgspec import Struct

from ..errors import OmniError
from ..translate.events import Usage
from .codec import Codec, Got, Mark, Refused, Sent, decoded
from .images import Image, ImageAsk, got, only_words

_RATIOS: Final = frozenset({"1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9"})
_IMAGEN_RATIOS: Final = frozenset({"1:1", "3:4", "4:3", "9:16", "16:9"})


def _imagen(model: str) -> bool:
    return model.startswith("imagen")


def _render(ask: ImageAsk, model: str) -> Sent:
    name = quote(model.removeprefix("models/"), safe="")
    gone = ask.lost("quality", "style")
    ratios = _IMAGEN_RATIOS if _imagen(model) else _RATIOS
    ratio = ask.aspect if ask.aspect in ratios else None
    if ask.size is not None and ratio is None:
        gone += ("size",)
    if _imagen(model):
        only_words(ask, model)
        parameters: dict[str, Any] = {"sampleCount": ask.n, **ask.extra()}
        if ratio is not None:
            parameters.setdefault("aspectRatio", ratio)
        body = {"instances": [{"prompt": ask.prompt}], "parameters": parameters}
        return Sent(msgspec.json.encode(body), gone, f"./models/{name}:predict")
    parts: list[dict[str, Any]] = [*_pictures(ask), {"text": ask.prompt}]
    settings: dict[str, Any] = {"responseModalities": ["TEXT", "IMAGE"]}
    if ratio is not None:
        settings["imageConfig"] = {"aspectRatio": ratio}
    if ask.n > 1:
        gone += ("n",)
    body = {"contents": [{"role": "user", "parts": parts}], "generationConfig": settings}
    return Sent(msgspec.json.encode(body), gone + tuple(ask.extra()), f"./models/{name}:generateContent")


def _pictures(ask: ImageAsk) -> list[dict[str, Any]]:
    parts = []
    for picture in ask.pictures:
        if (content := picture.inline()) is None:
            raise OmniError("invalid_request", "Invalid image: expected a file or a data: URL", param="image")
        parts.append({"inlineData": {"mimeType": content[0], "data": content[1]}})
    return parts


class _Blob(Struct):
    data: str = ""
    mimeType: str = "image/png"


class _Part(Struct):
    inlineData: _Blob | None = None
    text: str | None = None
    thought: bool = False


class _Content(Struct):
    parts: list[_Part] = []


class _Candidate(Struct):
    content: _Content | None = None
    finishReason: str | None = None
    finishMessage: str | None = None


class _Feedback(Struct):
    blockReason: str | None = None


class _Counts(Struct):
    promptTokenCount: int | None = None
    candidatesTokenCount: int | None = None
    thoughtsTokenCount: int | None = None
    totalTokenCount: int | None = None


class _Prediction(Struct):
    bytesBase64Encoded: str = ""
    mimeType: str = "image/png"
    raiFilteredReason: str | None = None


class _Answer(Struct):
    candidates: list[_Candidate] = []
    promptFeedback: _Feedback | None = None
    usageMetadata: _Counts | None = None
    predictions: list[_Prediction] = []


def _read(body: bytes, ask: ImageAsk, mark: Mark) -> Got:
    answer = decoded(body, _Answer)
    images = [
        Image(b64_json=one.bytesBase64Encoded, mime_type=one.mimeType)
        for one in answer.predictions
        if one.bytesBase64Encoded
    ]
    for candidate in answer.candidates:
        parts = candidate.content.parts if candidate.content is not None else []
        images += [
            Image(b64_json=part.inlineData.data, mime_type=part.inlineData.mimeType)
            for part in parts
            if part.inlineData is not None and part.inlineData.data and not part.thought
        ]
    if not images:
        raise Refused(400, f"The provider generated no image: {_why(answer)}")
    return got(images, ask, mark, _usage(answer.usageMetadata))


def _why(answer: _Answer) -> str:
    if answer.promptFeedback is not None and answer.promptFeedback.blockReason:
        return f"the prompt was blocked ({answer.promptFeedback.blockReason})"
    for prediction in answer.predictions:
        if prediction.raiFilteredReason:
            return prediction.raiFilteredReason
    for candidate in answer.candidates:
        said = "".join(part.text or "" for part in (candidate.content.parts if candidate.content is not None else []))
        reason = candidate.finishMessage or said[:200] or candidate.finishReason
        if reason:
            return reason
    return "no reason given"


def _usage(counts: _Counts | None) -> Usage | None:
    if counts is None:
        return None
    thoughts = counts.thoughtsTokenCount or 0
    return Usage(
        input=counts.promptTokenCount,
        output=(counts.candidatesTokenCount or 0) + thoughts,
        reasoning=counts.thoughtsTokenCount,
        total=counts.totalTokenCount,
    )


GEMINI: Final = Codec(_render, _read)
