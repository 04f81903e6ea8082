"""Media on the OpenAI chat wire: ``data:`` URLs (RFC 2397), audio format names, file parts."""

from __future__ import annotations

from typing import Final, Literal

from .conversation import Media

Kind = Literal["image", "audio", "video", "document"]

_IMAGE_MAGIC: Final = (("/9j/", "image/jpeg"), ("iVBORw", "image/png"), ("R0lGOD", "image/gif"), ("UklGR", "image/webp"))
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


def url_of_media(media: Media) -> str:
    """Return the link, or the data as a ``data:`` URL; an unknown type is guessed from the first bytes."""
    if media.data is None:
        return media.url or ""
    return f"data:{media.mime or _guess(media)};base64,{media.data}"


def _guess(media: Media) -> str:
    data = media.data or ""
    return next((mime for magic, mime in _IMAGE_MAGIC if data.startswith(magic)), _DEFAULT_MIME[media.kind])


def audio_format(mime: str) -> str:
    """Return the value of ``input_audio.format``: ``audio/mpeg`` -> ``mp3``."""
    word = mime.partition("/")[2].partition(";")[0]
    return _AUDIO_WORD.get(word, word) or "wav"
