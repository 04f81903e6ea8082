from __future__ import annotations

import pytest

from omniroute.errors import OmniError
from omniroute.media.codec import Mark
from omniroute.media.moderations import CODECS, decode
from omniroute.translate.format import BadAnswer

MARK = Mark("p/m", 1)
OPENAI = CODECS["openai"]
ANSWER = b'{"id":"modr-1","model":"omni-moderation-2024-09-26","results":[{"flagged":false,"categories":{}}]}'


def test_the_bytes_are_relayed_and_the_model_named() -> None:
    assert OPENAI.render(decode(b'{"input":"x"}'), "m").body == b'{"input":"x","model":"m"}'
    assert OPENAI.render(decode(b'{"model":"p/m","input":["x"]}'), "m").body == b'{"model":"m","input":["x"]}'
    got = OPENAI.read(ANSWER, decode(b'{"input":"x"}'), MARK)
    assert (got.body, got.model) == (ANSWER, "omni-moderation-2024-09-26")


def test_pictures_may_be_judged_too() -> None:
    parts = b'{"input":[{"type":"image_url","image_url":{"url":"https://example.com/x.png"}}]}'
    assert decode(parts).model == ""


@pytest.mark.parametrize("body", [b"{}", b'{"input":""}', b'{"input":[]}', b'{"input":null}'])
def test_empty_input_is_refused(body: bytes) -> None:
    with pytest.raises(OmniError, match="Missing input"):
        decode(body)


def test_input_of_another_type_is_refused() -> None:
    with pytest.raises(OmniError, match="Invalid 'input': expected a string, an array"):
        decode(b'{"input":5}')


@pytest.mark.parametrize("body", [b"", b"{}", b'{"results":1}'])
def test_invalid_moderation_answers_are_bad_answers(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        OPENAI.read(body, decode(b'{"input":"x"}'), MARK)
