from __future__ import annotations

import msgspec
import pytest

from omniroute.errors import OmniError
from omniroute.media.codec import decoded, look, member, others
from omniroute.translate.format import BadAnswer

NUMBER = msgspec.json.Decoder(int)


def test_only_the_models_type_is_checked_at_first() -> None:
    found = look(b'{"model":"m","input":{"any":1}}')
    assert found.model == "m"
    with pytest.raises(OmniError, match="Invalid 'model'"):
        look(b'{"model":1}')
    with pytest.raises(OmniError, match="Invalid JSON body"):
        look(b"{")


def test_a_member_is_decoded_on_demand_and_null_counts_as_missing() -> None:
    found = look(b'{"n":5,"none":null,"text":"five"}')
    assert member(found, "n", NUMBER, "a whole number") == 5
    assert member(found, "none", NUMBER, "a whole number") is None
    assert member(found, "away", NUMBER, "a whole number") is None
    with pytest.raises(OmniError) as caught:
        member(found, "text", NUMBER, "a whole number")
    assert (caught.value.message, caught.value.param) == ("Invalid 'text': expected a whole number", "text")


def test_other_members_are_kept_as_they_came() -> None:
    found = look(b'{"model":"m","a":{"b": 1},"c":null}')
    assert {name: bytes(raw) for name, raw in others(found, frozenset({"model"})).items()} == {"a": b'{"b": 1}'}


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"a":"\xff"}', b'{"b":' + b"[" * 2000], ids=["cut", "shape", "utf-8", "depth"]
)
def test_an_unreadable_answer_is_always_the_upstreams_fault(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        decoded(body, dict[str, str])
