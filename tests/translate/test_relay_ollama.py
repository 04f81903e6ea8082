"""The tap on a stream of the Ollama wire: untouched bytes, and what is learned from them."""

from __future__ import annotations

import pytest
from playbook import assert_same_however_cut

from omniroute.translate.events import Failure, Usage
from omniroute.translate.format import BadAnswer
from omniroute.translate.ollama_error import decode_error, encode_error
from omniroute.translate.relay_ollama import OllamaTap, ollama_usage

TEXT = b'{"model":"qwen3","created_at":"t","message":{"role":"assistant","content":"Gr\xc3\xbc"},"done":false}\n'
SILENT = b'{"model":"qwen3","message":{"role":"assistant","content":""},"done":false}\n'
LAST = b'{"model":"qwen3","message":{"content":""},"done": true,"done_reason":"stop","prompt_eval_count":3,"eval_count":4}\n'
ERROR = b'{"error":"server busy"}\n'


def tap() -> OllamaTap:
    return OllamaTap(lambda failure: encode_error(failure) + b"\n", decode_error)


def test_whole_lines_go_through_as_they_came_and_are_understood() -> None:
    pipe = tap()
    assert pipe.feed(SILENT) == SILENT
    assert (pipe.meaningful, pipe.model) == (False, "qwen3")
    assert pipe.feed(TEXT + TEXT) == TEXT + TEXT
    assert (pipe.meaningful, pipe.finished) == (True, False)
    assert pipe.feed(LAST) == LAST
    assert (pipe.finished, pipe.usage) == (True, Usage(input=3, output=4))
    assert pipe.eof() == b""
    assert pipe.fail(Failure(502, "late")) == b""


@pytest.mark.parametrize("stream", [SILENT + TEXT * 3 + LAST, TEXT + ERROR, (TEXT + LAST).removesuffix(b"\n"), TEXT * 2])
def test_however_it_is_cut_the_bytes_and_what_is_known_are_the_same(stream: bytes) -> None:
    def play(pieces: list[bytes]) -> object:
        pipe = tap()
        out = b"".join(map(pipe.feed, pieces)) + pipe.eof()
        return out, pipe.meaningful, pipe.finished, pipe.usage, pipe.failure, pipe.model

    assert assert_same_however_cut(stream, play)[0] == stream  # type: ignore[index]


@pytest.mark.parametrize(
    "line",
    [
        b'{"message":{"content":"","thinking":"hm"},"done":false}\n',
        b'{"message":{"tool_calls":[{"function":{"name":"f","arguments":{}}}]},"done":false}\n',
        b'{"response":"so","done":false}\n',
        LAST,
    ],
)
def test_what_is_meaningful(line: bytes) -> None:
    pipe = tap()
    pipe.feed(line)
    assert pipe.meaningful


def test_an_error_before_the_first_word_is_seen_and_not_meaningful() -> None:
    pipe = tap()
    pipe.feed(ERROR)
    assert pipe.failure is not None
    assert (pipe.failure.status, pipe.failure.message, pipe.meaningful, pipe.finished) == (503, "server busy", False, False)


def test_words_about_errors_are_no_error() -> None:
    pipe = tap()
    pipe.feed(TEXT)
    pipe.feed(b'{"model":"qwen3","message":{"content":"say {\\"error\\": \\"done\\":true}"},"done":false}\n')
    assert (pipe.failure, pipe.finished) == (None, False)


def test_half_a_line_is_not_passed_on_before_an_error() -> None:
    pipe = tap()
    assert pipe.feed(TEXT + TEXT[:20]) == TEXT
    assert pipe.eof() == b""
    assert (pipe.finished, pipe.torn) == (False, False)
    assert pipe.fail(Failure(502, "cut")) == b'{"error":"cut"}\n'


def test_a_very_long_line_goes_through_and_an_error_starts_a_new_one() -> None:
    pipe = tap()
    pipe.feed(TEXT)
    piece = b'{"message":{"images":["' + b"A" * 70_000
    assert pipe.feed(piece) == piece
    assert pipe.torn
    assert pipe.fail(Failure(502, "cut")) == b'\n{"error":"cut"}\n'


@pytest.mark.parametrize("end", [b"\n", b""])
def test_a_last_line_that_went_through_in_parts_still_ends_the_answer(end: bytes) -> None:
    pipe = tap()
    context = b",".join([b"151644"] * 30_000)
    stream = TEXT + LAST.rstrip()[:-1] + b',"context":[' + context + b"]}" + end
    pieces = [stream[at : at + 16_000] for at in range(0, len(stream), 16_000)]
    assert b"".join([*map(pipe.feed, pieces), pipe.eof()]) == stream
    assert pipe.finished
    assert pipe.usage == Usage(input=3, output=4)
    assert pipe.fail(Failure(502, "late")) == b""


def test_lines_that_are_no_json_go_through_unread() -> None:
    pipe = tap()
    assert pipe.feed(b"junk\n\n") == b"junk\n\n"
    assert not pipe.meaningful


def test_usage_of_a_whole_answer() -> None:
    assert ollama_usage(LAST) == ("qwen3", Usage(input=3, output=4))
    assert ollama_usage(b'{"model":"m"}') == ("m", None)
    assert ollama_usage(b'{"model":1}') == ("", None)


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"model":'])
def test_what_is_no_object_is_a_declared_failure(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        ollama_usage(body)
