from __future__ import annotations

import json
from typing import get_args

import pytest
from openai.types.responses import ResponseStreamEvent

from omniroute.translate import openai_responses_events as say

DELTAS = {name: pattern for name, pattern in vars(say).items() if name.endswith("_DELTA")}
WHOLE = {
    name: pattern
    for name, pattern in [*vars(say).items(), *say.ENDED.items()]
    if isinstance(pattern, bytes) and pattern.startswith(b"event: ") and name not in DELTAS
}
KNOWN = {kind.model_fields["type"].annotation: kind for kind in get_args(get_args(ResponseStreamEvent)[0])}
NAMES = {get_args(annotation)[0]: kind for annotation, kind in KNOWN.items()}


def filled(pattern: bytes) -> bytes:
    """*pattern* with a value for each place: a number, or a JSON string."""
    kinds = pattern.split(b"%")[1:]
    return pattern % tuple([7 if kind.startswith(b"d") else b'"x"' for kind in kinds])


@pytest.mark.parametrize("name", WHOLE)
def test_an_event_is_one_the_vendor_has_and_names_all_its_members(name: str) -> None:
    *events, end = filled(WHOLE[name]).split(b"\n\n")
    assert end == b""
    for event in events:
        head, data = event.split(b"\n")
        said = json.loads(data.removeprefix(b"data: "))
        assert (head, said["sequence_number"]) == (b"event: " + said["type"].encode(), 7)
        wanted = {key for key, field in NAMES[said["type"]].model_fields.items() if field.is_required()}
        assert said.keys() >= wanted


@pytest.mark.parametrize("name", DELTAS)
@pytest.mark.parametrize("tail", [say.TAIL, say.TEXT_TAIL, say.LOGPROBS_TAIL])
def test_a_delta_has_its_number_behind_its_text(name: str, tail: bytes) -> None:
    _, data, *rest = (filled(DELTAS[name]) + rb"\"so\"" + filled(tail)).split(b"\n")
    said = json.loads(data.removeprefix(b"data: "))
    assert (said["delta"], said["sequence_number"], rest) == ('"so"', 7, [b"", b""])
    assert said["type"] in NAMES


@pytest.mark.parametrize(("first", "count"), [(0, 3), (4, 508), (5, 508), (511, 2), (600, 2)])
def test_the_ends_of_many_texts_are_numbered_without_a_gap(first: int, count: int) -> None:
    assert say.text_tails(first, count) == tuple(say.TEXT_TAIL % number for number in range(first, first + count))
