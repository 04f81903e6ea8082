from __future__ import annotations

import pytest
from msgspec import Raw

from omniroute.errors import OmniError
from omniroute.translate.conversation import Ask
from omniroute.translate.jsonio import FLOAT, STRING
from omniroute.translate.request_fields import field_readers

READERS = field_readers({"model": (STRING, "model"), "topP": (FLOAT, "sampling.top_p")})


def test_a_member_goes_to_its_field() -> None:
    ask = Ask()
    READERS["model"](ask, Raw(b'"m"'))
    READERS["topP"](ask, Raw(b"0.5"))
    assert (ask.model, ask.sampling.top_p) == ("m", 0.5)


def test_a_wrong_type_is_blamed_on_the_member() -> None:
    with pytest.raises(OmniError) as caught:
        READERS["topP"](Ask(), Raw(b'"high"'))
    assert caught.value.param == "topP"
