"""Parsing, printing and masking of configuration files."""

from __future__ import annotations

import msgspec
import pytest

from omniroute.manage.cli_text import Malformed, difference, masked, masked_text, parse, render
from omniroute.manage.cli_tools import File

JSON, TOML = File(("settings.json",)), File(("config.toml",), "toml")


@pytest.mark.parametrize(
    ("file", "text"), [(JSON, "{"), (JSON, "[]"), (JSON, "// x\n{}"), (JSON, "null"), (TOML, "a = "), (TOML, "a = 1\na = 2")]
)
def test_what_is_malformed_is_said(file: File, text: str) -> None:
    with pytest.raises(Malformed, match=r"it is not (valid|a JSON object)"):
        parse(file, text)


@pytest.mark.parametrize("file", [JSON, TOML])
def test_nothing_is_an_empty_document(file: File) -> None:
    assert parse(file, None) == parse(file, "") == parse(file, " \n") == {}


def test_toml_keeps_comments_and_order() -> None:
    text = '# mine\nb = 1 # why\n\n[t]\nx = "y"\n'
    document = parse(TOML, text)
    document["a"] = "new"
    assert render(TOML, document) == '# mine\nb = 1 # why\na = "new"\n\n[t]\nx = "y"\n'


def test_json_is_indented_and_keeps_its_order() -> None:
    assert render(JSON, parse(JSON, '{"b":{"c":1},"a":"ü"}')) == '{\n  "b": {\n    "c": 1\n  },\n  "a": "ü"\n}\n'


@pytest.mark.parametrize(
    "number",
    ["0", "-7",
     "18446744073709551616", "-9223372036854775809", "123456789012345678901234567890", "1.50", "1e5", "1E+40", "0.1",
     "0.12345678901234567890", "-0.0"],
)  # fmt: skip
def test_json_numbers_stay_as_they_were_written(number: str) -> None:
    text = f'{{\n  "a": [\n    {number}\n  ]\n}}\n'
    document = parse(JSON, text)
    assert render(JSON, document) == masked_text(JSON, text) == text
    assert document == parse(JSON, text)
    assert msgspec.json.encode(masked(document)) == f'{{"a":[{number}]}}'.encode()


def test_json_that_is_nested_too_deeply_is_malformed() -> None:
    with pytest.raises(Malformed, match="nested too deeply"):
        parse(JSON, '{"a":' + "[" * 1010 + "]" * 1010 + "}")


@pytest.mark.parametrize(
    "name",
    [
        "ANTHROPIC_AUTH_TOKEN",
        "apiKey",
        "OPENAI_API_KEY",
        "password",
        "client_secret",
        "Authorization",
        "GITHUB_PAT",
        "MY_KEY",
    ],
)
def test_secrets_are_masked_by_name(name: str) -> None:
    assert masked({"env": {name: "planted"}, "list": [{name: ["planted"]}]}) == {
        "env": {name: "****"},
        "list": [{name: ["****"]}],
    }


def test_secrets_are_masked_by_look_and_the_rest_is_not() -> None:
    shown = masked(
        {"x": "sk-abcdefgh12345678", "url": "http://127.0.0.1:20128/v1", "maxOutputTokens": 5, "env_key": "MY_VAR"}
    )
    assert shown == {"x": "****", "url": "http://127.0.0.1:20128/v1", "maxOutputTokens": 5, "env_key": "MY_VAR"}


def test_toml_is_masked_in_place() -> None:
    text = (
        '# token = "planted-1"\nmodel = "m"\n[mcp_servers.x]\nenv = { GITHUB_TOKEN = "planted-2", HOME = "/h" }\n'
        'args = ["--k", "sk-planted-3456789"]\n[[list]]\napi_key = """planted\n4"""\n'
    )
    shown = masked_text(TOML, text)
    assert "planted" not in shown
    assert 'HOME = "/h"' in shown
    assert 'model = "m"' in shown
    assert shown.startswith("# token")


def test_a_difference_shows_no_secret() -> None:
    diff = difference(JSON, '{"apiKey": "planted-1", "a": 1}', '{"apiKey": "planted-2", "a": 2}')
    assert '-  "a": 1' in diff
    assert '+  "a": 2' in diff
    assert "planted" not in diff
    assert difference(TOML, None, 'a = "b"\n') == '--- a/config.toml\n+++ b/config.toml\n@@ -0,0 +1 @@\n+a = "b"\n'


def test_a_login_inside_a_url_is_masked() -> None:
    assert masked({"db": "postgres://me:planted@h/x"}) == {"db": "postgres://****@h/x"}


def test_a_text_full_of_colons_is_masked_at_once() -> None:
    assert masked("//" + ":" * 30_000) == "//" + ":" * 30_000
    assert masked("http://me:a:b@host http://you:c@host") == "http://****@host http://****@host"
