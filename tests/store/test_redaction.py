from __future__ import annotations

import pytest

from omniroute.store.redaction import redact


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"api_key":"abc","model":"m"}', '{"api_key":"[redacted]","model":"m"}'),
        ('{"apiKey" : "abc"}', '{"apiKey" : "[redacted]"}'),
        ('{"x-api-key": "abc"}', '{"x-api-key": "[redacted]"}'),
        ('{"access_token":"abc","refreshToken":"def"}', '{"access_token":"[redacted]","refreshToken":"[redacted]"}'),
        ('{"Authorization":"Basic abc="}', '{"Authorization":"[redacted]"}'),
        ('{"password":"p","client_secret":"s"}', '{"password":"[redacted]","client_secret":"[redacted]"}'),
        (r'{"arguments":"{\"password\":\"p\"}"}', r'{"arguments":"{\"password\":\"[redacted]\"}"}'),
        (r'{"a":"{\\\"token\\\": \\\"p\\\"}"}', r'{"a":"{\\\"token\\\": \\\"[redacted]\\\"}"}'),
        ('{"text":"curl -H Bearer abc.def-1"}', '{"text":"curl -H Bearer [redacted]"}'),
        ('{"text":"my key is sk-proj-abcdefgh123"}', '{"text":"my key is [redacted]"}'),
        ('{"max_tokens":100,"token":5}', '{"max_tokens":100,"token":5}'),
        ('{"tokens":"five","ask-me":"why"}', '{"tokens":"five","ask-me":"why"}'),
    ],
)
def test_secrets_are_redacted_and_nothing_else(text: str, expected: str) -> None:
    assert redact(text) == expected
