from __future__ import annotations

import json
import logging
import os
import stat
import sys
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest

from omniroute import log
from omniroute.settings import SettingsError, load

_log = logging.getLogger("omniroute.test")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger("omniroute")
    kept = root.handlers[:], root.level, root.propagate
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers, root.level, root.propagate = kept[0], kept[1], kept[2]


def test_every_level_that_the_settings_accept_has_its_number() -> None:
    with pytest.raises(SettingsError) as caught:
        load({"LOG_LEVEL": "loud"})
    assert str(caught.value).endswith(f"use {', '.join(log.LEVELS)}")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Authorization: Bearer sk-live-0123456789", "Authorization: "),
        ('{"api_key": "abc", "model": "m"}', '"model": "m"'),
        ("GET /v1/models?key=AIzaSyA0123456789&alt=sse", "&alt=sse"),
        ("x-api-key=secret-thing; other", "; other"),
        ("cookie: auth_token=abcdef", ""),
        ("the key sk-proj-abcdefgh12345678 was refused", "was refused"),
        ('password="hunter22"', ""),
        ("Authorization: Basic YWJjZGVm; other", "; other"),
        ("authorization: Token hunter22 was refused", "was refused"),
        ("{b'authorization': b'Token hunter22', b'accept': b'*/*'}", "b'accept'"),
        ('{"password": "of hunter22 and \\" abc", "model": "m"}', '", "model": "m"'),
    ],
)
def test_credentials_do_not_survive(text: str, kept: str) -> None:
    out = log.redact(text)
    assert "****" in out
    assert kept in out
    for secret in ("sk-live", "abc", "AIzaSy", "secret-thing", "abcdef", "hunter22", "sk-proj", "YWJjZGVm"):
        assert secret not in out


@pytest.mark.parametrize("word", ["a", "token", "sk-", "bearer", "token: ", "password='"])
def test_a_long_text_without_spaces_holds_nobody_up(word: str) -> None:
    text = f"no model {word * 10_000} here"  # quadratic, this would take minutes
    began = time.process_time()
    log.redact(text)
    assert time.process_time() - began < 1


@pytest.mark.parametrize("text", ["POST /v1/messages failed (ValueError)", "max_tokens: 1024", "task housekeeping failed"])
def test_ordinary_words_are_left_alone(text: str) -> None:
    assert log.redact(text).split(":")[0] == text.split(":")[0]


def test_text_lines_have_level_name_message_and_request_id(capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up("info", "text")
    _log.warning("upstream said %s", "no", extra={"request_id": "req-7"})
    _log.debug("not shown")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("WARNING omniroute.test: upstream said no [req-7]")


def test_a_line_cannot_be_forged(capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up("info", "text")
    _log.warning("refused %s", "x\n2026-01-01 00:00:00 ERROR   omniroute: all is lost")
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_json_lines_have_utc_time_and_the_request_id_when_there_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up("debug", "json")
    _log.info("plain\nwith a break")
    try:
        raise ValueError("Bearer abcdefgh")
    except ValueError:
        _log.exception("broke", extra={"request_id": "req-7"})
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert first.keys() == {"time", "level", "logger", "message"}
    assert (first["level"], first["logger"], first["message"]) == ("info", "omniroute.test", "plain\nwith a break")
    assert first["time"].endswith("Z")
    assert second["request_id"] == "req-7"
    assert "ValueError" in second["exception"]
    assert "abcdefgh" not in second["exception"]


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_the_file_is_for_its_owner_alone_and_is_turned_over_when_full(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "log.txt"
    log.set_up("info", "text", path, 200)
    for number in range(20):
        _log.info("line %d %s", number, "x" * 60)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["log.txt", "log.txt.1", "log.txt.2"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert all(file.stat().st_size < 400 for file in files)
    kept = "".join(file.read_text() for file in reversed(files))
    assert "line 19" in kept
    assert "line 0 " not in kept


def test_a_file_that_cannot_be_written_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"Not a directory|No such file"):
        log.set_up("info", "text", tmp_path / "file" / "log.txt")


def test_a_full_disk_and_a_reader_that_left_lose_lines_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Broken())
    log.set_up("info", "text", tmp_path / "log.txt")
    handler = logging.getLogger("omniroute").handlers[1]
    _log.info("first")
    monkeypatch.setattr(handler, "stream", Broken())
    _log.info("lost")
    sys.stderr.close()
    _log.info("lost as well")
    assert "first" in (tmp_path / "log.txt").read_text()


def test_setting_up_again_replaces_what_was(capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up("info", "text")
    log.set_up("error", "text")
    _log.warning("too quiet")
    _log.error("once")
    assert len(capsys.readouterr().err.splitlines()) == 1
