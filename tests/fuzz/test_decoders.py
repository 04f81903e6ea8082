"""Every decoder of every wire: nearly right bytes give something, or a declared failure, and the same however they are cut.

For the long run of one decoder: ``pytest tests/fuzz/test_decoders.py --fuzz-minutes 10 -k "stream and gemini"``.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from mutation import cut, golden, mutated
from playbook import STAMP, decode

from omniroute.errors import OmniError
from omniroute.proto.sse import EventTooLarge
from omniroute.translate.collect import collect
from omniroute.translate.conversation import Ask
from omniroute.translate.events import Event, Failure, Finish, Start
from omniroute.translate.format import BadAnswer, Format, Target
from omniroute.translate.formats import FORMATS, RELAYS
from omniroute.translate.peek import peek

WIRES = [pytest.param(form, id=name) for name, form in FORMATS.items()]
ANSWERING = [pytest.param(form, id=name) for name, form in FORMATS.items() if name != "ollama-generate"]
MODELS = ("m", "claude-sonnet-4-5", "gemini-3-pro", "gpt-5")


@pytest.mark.parametrize("wire", WIRES)
def test_requests_give_an_ask_or_blame_the_client(wire: Format, seeds: Iterator[int]) -> None:
    for seed in seeds:
        chance = random.Random(seed)
        body = mutated(golden(wire.name, "request"), chance)
        kind, ask = "invalid_request", None
        try:
            peek(body, RELAYS[wire.name].members)
            ask = wire.decode_request(body)
        except OmniError as error:
            kind = error.kind
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
        assert kind == "invalid_request", f"seed {seed}"
        if ask is not None:
            _ask_everybody(ask, seed, chance)


def _ask_everybody(ask: Ask, seed: int, chance: random.Random) -> None:
    for target in FORMATS.values():
        if target.name == "ollama-generate":
            continue
        kind = "invalid_request"
        try:
            target.encode_request(ask, Target(chance.choice(MODELS)))
        except OmniError as error:
            kind = error.kind
        except Exception as error:
            raise AssertionError(f"seed {seed} for {target.name}") from error
        assert kind == "invalid_request", f"seed {seed} for {target.name}"


def _checked(events: list[Event], seed: int) -> None:
    """The sequence that every decoder promises, and which every encoder takes."""
    kinds = [type(event) for event in events]
    assert kinds.count(Start) <= 1, f"seed {seed}"
    assert kinds[-1] in (Finish, Failure), f"seed {seed}"
    assert sum(kind in (Finish, Failure) for kind in kinds) == 1, f"seed {seed}"
    answer = collect(events)
    for target in FORMATS.values():
        try:
            encoder = target.stream_encoder(STAMP)
            encoder.feed(events)
            encoder.eof()
            if answer.failure is None:
                target.encode_answer(answer, STAMP)
        except Exception as error:
            raise AssertionError(f"seed {seed} for {target.name}") from error


@pytest.mark.parametrize("wire", ANSWERING)
def test_whole_answers_give_events_or_a_declared_failure(wire: Format, seeds: Iterator[int]) -> None:
    for seed in seeds:
        body = mutated(golden(wire.name, "answer"), random.Random(seed))
        try:
            events = wire.decode_answer(body)
        except BadAnswer:
            continue
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
        _checked(events, seed)


def _read(wire: Format, pieces: list[bytes], seed: int) -> list[Event] | None:
    try:
        return decode(wire, pieces)
    except (BadAnswer, EventTooLarge):
        return None
    except Exception as error:
        raise AssertionError(f"seed {seed}") from error


@pytest.mark.parametrize("wire", ANSWERING)
def test_streams_give_the_same_events_or_a_declared_failure_however_they_are_cut(wire: Format, seeds: Iterator[int]) -> None:
    for seed in seeds:
        chance = random.Random(seed)
        body = mutated(golden(wire.name, "stream"), chance)
        events = _read(wire, [body], seed)
        assert _read(wire, cut(body, chance), seed) == events, f"seed {seed}"
        if events is not None:
            _checked(events, seed)


@pytest.mark.parametrize("wire", ANSWERING)
def test_error_bodies_always_say_something(wire: Format, seeds: Iterator[int]) -> None:
    for seed in seeds:
        chance = random.Random(seed)
        body = mutated(golden(wire.name, "error"), chance)
        try:
            failure = wire.decode_error(chance.choice((0, 400, 429, 500, 529)), body)
            for target in FORMATS.values():
                target.encode_error(failure)
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
        assert failure.message, f"seed {seed}"
        assert 400 <= failure.status < 600, f"seed {seed}"
