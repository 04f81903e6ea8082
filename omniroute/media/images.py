"""Image generation: requests, responses, and OpenAI's format with its variants.

Vendors return images as ``url`` or ``b64_json``.  Without ``response_format`` the client gets what the vendor returns.  For
``b64_json`` a vendor's URL is fetched (:func:`inline`).  For ``url`` a vendor's base64 becomes a ``data:`` URL (RFC 2397):
SDKs find it in ``.url`` and browsers display it, and the gateway need not host images.
"""

from __future__ import annotations

import base64
import re
from math import gcd
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from ..errors import OmniError
from ..translate.events import Usage
from ..translate.format import BadAnswer
from ..translate.peek import Peek
from .codec import UNREADABLE, Codec, Got, Mark, Sent, Units, decoded, look, member, others
from .forms import File, Form, write

_TEXT: Final = msgspec.json.Decoder(str)
_COUNT: Final = msgspec.json.Decoder(int)
_SIZE: Final = re.compile(r"([1-9]\d{1,4})x([1-9]\d{1,4})")
_MOST: Final = 10  # images per request
OURS: Final = frozenset(
    {"model", "prompt", "n", "size", "quality", "style", "response_format", "user", "image", "images", "mask", "stream"}
)


class Picture(NamedTuple):
    """An input image of a request: a URL; a ``data:`` URL holds the content itself."""

    url: str

    def inline(self) -> tuple[str, str] | None:
        """Media type and base64 of a ``data:`` URL; None for others."""
        head, comma, content = self.url.partition(",")
        if not comma or not head.startswith("data:") or not head.endswith(";base64"):
            return None
        return head[5:-7] or "image/png", content


class ImageAsk(NamedTuple):
    """One request.  ``size``: (width, height), None when the vendor may choose; ``format``: "" when not given."""

    found: Peek
    prompt: str
    n: int
    size: tuple[int, int] | None
    format: str
    pictures: tuple[Picture, ...] = ()  # to edit
    form: Form | None = None  # the client's form, None for a JSON request
    verb: str = "generations"  # or "edits", "variations"
    boundary: str = ""

    @property
    def stream(self) -> bool:
        """Whether the client asked for a stream of partial images."""
        return self.found.stream

    @property
    def units(self) -> Units:
        return Units(images=self.n)

    @property
    def aspect(self) -> str | None:
        """The aspect ratio of ``size``, as ``16:9``; None without a size."""
        if self.size is None:
            return None
        part = gcd(*self.size)
        return f"{self.size[0] // part}:{self.size[1] // part}"

    def lost(self, *names: str, pictures: int | None = None) -> tuple[str, ...]:
        """For ``Sent.dropped``: those of *names* that the request has, and parameters that only OpenAI supports.

        *pictures*: how many input images the vendor accepts, None for any number.
        """
        members = self.found.members
        masked = "mask" in members or (self.form is not None and self.form.file("mask") is not None)
        more = (
            ("user", "user" in members),
            ("mask", masked),
            ("stream", self.stream),
            ("image", pictures is not None and len(self.pictures) > pictures),
        )
        return tuple(name for name in names if name in members) + tuple(name for name, given in more if given)

    def extra(self) -> dict[str, Raw]:
        """The members outside OpenAI's format: settings of the vendor."""
        return others(self.found, OURS)


def read_ask(body: bytes) -> ImageAsk:
    """Decode a request to generate images.  Raises ``OmniError("invalid_request")``."""
    return _ask(look(body))


def read_edit(body: bytes) -> ImageAsk:
    """Decode a request to edit images, sent as JSON.  Raises ``OmniError("invalid_request")``."""
    ask = _ask(look(body), "edits")
    given = _loose(ask.found, "images") or _loose(ask.found, "image")
    pictures = [url for one in (given if isinstance(given, list) else [given]) if (url := _url(one))]
    if not pictures:
        raise OmniError("invalid_request", "image is required", param="image")
    return ask._replace(pictures=tuple(map(Picture, pictures)))


def _url(given: Any) -> str | None:
    """The URL in ``"…"``, ``{"url": "…"}``, ``{"image_url": "…"}`` or ``{"image_url": {"url": "…"}}``, else None."""
    if isinstance(given, dict):
        return _url(given.get("url") or given.get("image_url"))
    return given if isinstance(given, str) else None


def read_form(form: Form, verb: str, boundary: str) -> ImageAsk:
    """Decode a request to edit images, sent as a form.  Raises ``OmniError("invalid_request")``."""
    members: dict[str, Any] = {name: value for name, value in form.fields if value and not name.endswith("[]")}
    if (n := form.number("n")) is not None:
        members["n"] = int(n) if n.is_integer() else n
    members["stream"] = form.flag("stream")
    ask = _ask(look(msgspec.json.encode(members)), verb)
    if not pictures_of(form):
        raise OmniError("invalid_request", "image is required", param="image")
    return ask._replace(form=form, boundary=boundary)


def pictures_of(form: Form) -> tuple[File, ...]:
    """The non-empty files to edit, without the mask."""
    return tuple(file for file in form.files if file.name.removesuffix("[]") in ("image", "images") and file.size)


def _ask(found: Peek, verb: str = "generations") -> ImageAsk:
    prompt = _loose(found, "prompt")
    if verb == "variations":
        prompt = ""
    elif not isinstance(prompt, str) or not prompt.strip():
        raise OmniError("invalid_request", "Invalid prompt: expected a non-empty string", param="prompt")
    n = member(found, "n", _COUNT, f"a whole number from 1 to {_MOST}")
    if n is not None and not 1 <= n <= _MOST:
        raise OmniError("invalid_request", f"Invalid 'n': expected a whole number from 1 to {_MOST}", param="n")
    shape = member(found, "response_format", _TEXT, "url or b64_json") or ""
    if shape not in ("", "url", "b64_json"):
        raise OmniError("invalid_request", "Invalid 'response_format': expected url or b64_json", param="response_format")
    size = _size(member(found, "size", _TEXT, "a text like 1024x1024"))
    return ImageAsk(found, prompt, n or 1, size, shape, verb=verb)


def _loose(found: Peek, name: str) -> Any:
    raw = found.members.get(name)
    try:
        return msgspec.json.decode(raw) if raw is not None else None
    except UNREADABLE:
        return None


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None or text == "auto":
        return None
    if (match := _SIZE.fullmatch(text)) is None:
        raise OmniError("invalid_request", f"Invalid 'size': {text[:20]!r}; expected a text like 1024x1024", param="size")
    return int(match[1]), int(match[2])


_SIZES: Final = (  # (part of the model's name, sizes)
    ("gpt-image", ("1024x1024", "1536x1024", "1024x1536")),
    ("dall-e-3", ("1024x1024", "1792x1024", "1024x1792")),
    ("dall-e-2", ("256x256", "512x512", "1024x1024")),
)


def sizes_of(model: str) -> list[str]:
    """The sizes that a model supports, as far as known; otherwise the usual one."""
    return list(next((sizes for name, sizes in _SIZES if name in model), ("1024x1024",)))


# -- answers


class Image(Struct, omit_defaults=True):
    """One image of a response in OpenAI's format."""

    url: str | None = None
    b64_json: str | None = None
    revised_prompt: str | None = None
    mime_type: str | None = None


class _Answer(Struct, omit_defaults=True):
    data: list[Image]
    created: int = 0
    usage: dict[str, Any] | UnsetType | None = UNSET
    background: str | UnsetType | None = UNSET
    output_format: str | UnsetType | None = UNSET
    quality: str | UnsetType | None = UNSET
    size: str | UnsetType | None = UNSET


_ENCODER: Final = msgspec.json.Encoder()


def got(images: list[Image], ask: ImageAsk, mark: Mark, usage: Usage | None = None) -> Got:
    """The response for the client, in the ``response_format`` that it asked for.  Raises BadAnswer."""
    return _got(_Answer(images, mark.created), ask, usage)


def _got(answer: _Answer, ask: ImageAsk, usage: Usage | None) -> Got:
    urls: list[str] = []
    kind = f"image/{answer.output_format}" if isinstance(answer.output_format, str) else ""
    for image in answer.data:
        if not (image.url or image.b64_json):
            raise BadAnswer("an image has neither url nor b64_json")
        if ask.format == "url" and not image.url:
            image.url = f"data:{image.mime_type or kind or mime_of(image.b64_json or '')};base64,{image.b64_json}"
            image.b64_json = None
        elif ask.format == "b64_json" and not image.b64_json and image.url:
            if (content := Picture(image.url).inline()) is not None:
                image.url, image.b64_json = None, content[1]
            else:
                urls.append(image.url)
    return Got(_ENCODER.encode(answer), usage, Units(images=len(answer.data)), urls=tuple(urls))


def inline(body: bytes, contents: dict[str, bytes]) -> bytes:
    """A response with each URL in *contents* replaced by the fetched image, in base64."""
    answer = msgspec.json.decode(body, type=_Answer)
    for image in answer.data:
        if image.url in contents:
            image.b64_json = base64.b64encode(contents[image.url]).decode("ascii")
            image.url = None
    return _ENCODER.encode(answer)


_STARTS: Final = (("iVBORw0KGgo", "image/png"), ("/9j/", "image/jpeg"), ("UklGR", "image/webp"), ("R0lGOD", "image/gif"))


def mime_of(content: str) -> str:
    """The media type of an image, recognised from the beginning of its base64; ``image/png`` when unknown."""
    return next((kind for start, kind in _STARTS if content.startswith(start)), "image/png")


def read_openai(body: bytes, ask: ImageAsk, mark: Mark) -> Got:
    """Read a response in OpenAI's format; adds ``created`` where it is missing.  Raises BadAnswer."""
    answer = decoded(body, _Answer)
    if not answer.data:
        raise BadAnswer("no image")
    answer.created = answer.created or mark.created
    return _got(answer, ask, _tokens(answer.usage))


def _tokens(usage: dict[str, Any] | UnsetType | None) -> Usage | None:
    if not isinstance(usage, dict):
        return None
    into, out = usage.get("input_tokens"), usage.get("output_tokens")
    return Usage(input=into, output=out) if isinstance(into, int) and isinstance(out, int) else None


# -- requests to vendors with OpenAI's format or a variant of it


def _render_openai(ask: ImageAsk, model: str) -> Sent:
    members: dict[str, Any] = {**ask.found.members, "model": model}
    if always_base64(model):
        members.pop("response_format", None)  # these models refuse the parameter
    if ask.form is None:
        return Sent(msgspec.json.encode(members))
    refused = ("model", "response_format") if always_base64(model) else ("model",)
    fields = [("model", model), *(field for field in ask.form.fields if field[0] not in refused)]
    body = write(fields, [(file.name, file) for file in ask.form.files], ask.boundary)
    return Sent(body.pieces, path=f"./images/{ask.verb}", content_type=body.content_type)


def only_words(ask: ImageAsk, model: str) -> None:
    """Refuse input images, for models that cannot edit.  Raises ``OmniError("invalid_request")``."""
    if ask.pictures:
        message = f"Invalid image model: {model}. It cannot edit images"
        raise OmniError("invalid_request", message, param="model")


def always_base64(model: str) -> bool:
    """Whether OpenAI's *model* always returns base64 and refuses ``response_format``."""
    return model.startswith(("gpt-image", "chatgpt-image"))


def _render_xai(ask: ImageAsk, model: str) -> Sent:
    """https://docs.x.ai/docs/guides/image-generations: an aspect ratio instead of size, quality and style."""
    members: dict[str, Any] = {"model": model, "prompt": ask.prompt, **ask.extra()}
    if "n" in ask.found.members:
        members["n"] = ask.n
    if ask.format:
        members["response_format"] = ask.format
    gone = ask.lost("quality", "style")
    if ask.pictures:
        members["images"] = [{"type": "image_url", "url": picture.url} for picture in ask.pictures]
    if ask.size is not None and "aspect_ratio" not in members:
        if (ratio := ask.aspect) in _RATIOS and not model.startswith("grok-2"):
            members["aspect_ratio"] = ratio
        else:
            gone += ("size",)
    return Sent(msgspec.json.encode(members), gone)


_RATIOS: Final = frozenset({"1:1", "3:4", "4:3", "9:16", "16:9", "2:3", "3:2", "9:20", "20:9", "1:2", "2:1"})


def _render_together(ask: ImageAsk, model: str) -> Sent:
    """https://docs.together.ai/reference/post-images-generations"""
    members: dict[str, Any] = {"model": model, "prompt": ask.prompt, "n": ask.n, **_sides(ask), **ask.extra()}
    if ask.format:
        members["response_format"] = "base64" if ask.format == "b64_json" else "url"
    if ask.pictures:
        members["image_url"] = ask.pictures[0].url
    return Sent(msgspec.json.encode(members), ask.lost("quality", "style", pictures=1), "./images/generations")


def _render_nebius(ask: ImageAsk, model: str) -> Sent:
    """https://docs.tokenfactory.nebius.com: width and height, one image per call, webp by default."""
    members: dict[str, Any] = {
        "model": model, "prompt": ask.prompt, "response_extension": "png", **_sides(ask), **ask.extra(),
    }  # fmt: skip
    if ask.format:
        members["response_format"] = ask.format
    return Sent(msgspec.json.encode(members), ask.lost("quality", "style") + (("n",) if ask.n > 1 else ()))


def _sides(ask: ImageAsk) -> dict[str, int]:
    return {} if ask.size is None else {"width": ask.size[0], "height": ask.size[1]}


OPENAI: Final = Codec(_render_openai, read_openai, form=True)
XAI: Final = Codec(_render_xai, read_openai)
TOGETHER: Final = Codec(_render_together, read_openai)
NEBIUS: Final = Codec(_render_nebius, read_openai)
