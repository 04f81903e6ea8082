from __future__ import annotations

import pytest

from omniroute.translate.conversation import Media
from omniroute.translate.openai_media import audio_format, media_of_url, url_of_media


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/a.png",
        "data:image/png;base64,iVBORw0KGgo=",
        "data:text/plain,hello",  # not base64: stays a link
        "data:application/pdf;name=a.pdf;base64,JVBE",
    ],
)
def test_urls_come_back_as_they_were_but_for_parameters(url: str) -> None:
    assert url_of_media(media_of_url("image", url)) == url.replace(";name=a.pdf", "")


def test_a_data_url_is_taken_apart() -> None:
    assert media_of_url("image", "DATA:image/png;base64,AAAA") == Media("image", mime="image/png", data="AAAA")


@pytest.mark.parametrize(
    ("media", "mime"),
    [
        (Media("image", data="/9j/4AAQ"), "image/jpeg"),
        (Media("image", data="R0lGODdh"), "image/gif"),
        (Media("image", data="UklGRiIA"), "image/webp"),
        (Media("image", data="AAAA"), "image/png"),
        (Media("document", data="JVBE"), "application/pdf"),
    ],
)
def test_an_unsaid_type_is_guessed_from_the_first_bytes(media: Media, mime: str) -> None:
    assert url_of_media(media).startswith(f"data:{mime};base64,")


@pytest.mark.parametrize(
    ("mime", "word"), [("audio/mpeg", "mp3"), ("audio/wav", "wav"), ("audio/x-wav", "wav"), ("", "wav")]
)
def test_audio_formats_have_words_of_their_own(mime: str, word: str) -> None:
    assert audio_format(mime) == word
