"""Media on both OpenAI wires: ``data:`` URLs (RFC 2397), audio format names, file parts."""

from __future__ import annotations

from typing import Final, Literal

from .conversation import Media
from .media_type import media_type_of

Kind = Literal["image", "audio", "video", "document"]

_AUDIO_WORD: Final = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav", "x-flac": "flac", "mp4": "m4a"}
_DEFAULT_MIME: Final = {"image": "image/png", "audio": "audio/wav", "video": "video/mp4", "document": "application/pdf"}


def media_of_url(kind: Kind, url: str) -> Media:
    """Return media from a link, or from the base64 data inside a ``data:`` URL."""
    if url[:5].lower() == "data:":
        head, comma, data = url[5:].partition(",")
        mime, *parameters = head.split(";")
        if comma and "base64" in parameters:
            return Media(kind, mime=mime, data=data)
    return Media(kind, url=url)


def document_of(data: str) -> Media:
    """Return the document of a ``file_data``: a ``data:`` URL or, from some clients, bare base64."""
    media = media_of_url("document", data)
    if media.url is not None and "://" not in media.url[:10]:
        media.data, media.url = media.url, None
    return media


def url_of_media(media: Media) -> str:
    """Return the link, or the data as a ``data:`` URL; an unknown type is guessed from the first bytes."""
    if media.data is None:
        return media.url or ""
    return f"data:{media.mime or media_type_of(media.data) or _DEFAULT_MIME[media.kind]};base64,{media.data}"


def audio_format(mime: str) -> str:
    """Return the value of ``input_audio.format``: ``audio/mpeg`` -> ``mp3``."""
    word = mime.partition("/")[2].partition(";")[0]
    return _AUDIO_WORD.get(word, word) or "wav"
