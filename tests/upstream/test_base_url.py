from __future__ import annotations

from contextlib import nullcontext

import pytest

from omniroute.errors import OmniError
from omniroute.upstream.base_url import base_url_of, check_base_url
from omniroute.upstream.catalog import load_catalog
from omniroute.upstream.endpoints import endpoint
from omniroute.upstream.providers import node_provider

PROVIDERS = load_catalog().providers


def test_placeholders_are_filled_from_the_connection() -> None:
    azure, cloudflare = PROVIDERS["azure-openai"], PROVIDERS["cloudflare"]
    assert base_url_of(azure, data={"resource": "my-res"}) == "https://my-res.openai.azure.com/openai/v1"
    url = base_url_of(cloudflare, data={"account": "abc123"})
    assert endpoint(cloudflare, url, "models").path == b"/client/v4/accounts/abc123/ai/models/search?per_page=1000"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, 'Azure OpenAI needs "resource" in providerSpecificData'),
        ({"resource": ""}, 'needs "resource"'),
        ({"resource": "evil.example/"}, "can only contain letters"),
        ({"resource": "a.b"}, "can only contain letters"),
        ({"resource": "-a"}, "can only contain letters"),
    ],
)
def test_a_missing_or_unusable_placeholder_is_named(data: dict[str, str], message: str) -> None:
    with pytest.raises(OmniError, match=message) as caught:
        base_url_of(PROVIDERS["azure-openai"], data=data)
    assert caught.value.param == "providerSpecificData.resource"


@pytest.mark.parametrize("url", ["api.test/v1", "ftp://api.test/v1", "http://h:99999/v1", "http://[::1/v1", "http:///v1"])
def test_a_base_url_that_came_in_unchecked_is_refused_when_it_is_used(url: str) -> None:
    node = node_provider("n", "openai-compatible", "Mine", "n", url, "chat")
    with pytest.raises(OmniError, match="The base URL of Mine is not a web address") as caught:
        base_url_of(node)
    assert (caught.value.kind, caught.value.param) == ("invalid_request", "baseUrl")


def test_a_connections_own_base_url_wins() -> None:
    azure = PROVIDERS["azure-openai"]
    assert base_url_of(azure, "http://127.0.0.1:9/v1/") == "http://127.0.0.1:9/v1"
    assert base_url_of(azure, data={"baseUrl": "http://127.0.0.1:8/v1"}) == "http://127.0.0.1:8/v1"


@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com/v1", "http://localhost:11434", "http://127.0.0.1:8000/v1", "http://[::1]:8000/v1",
        "http://gpu-box:8000/v1", "https://h.example:8443/a/b",
    ],
)  # fmt: skip
def test_ordinary_and_loopback_base_urls_pass(url: str) -> None:
    check_base_url(url, allow_private=False)


@pytest.mark.parametrize(
    "url", ["http://192.168.1.5/v1", "http://10.0.0.1/v1", "http://[fd12::1]/v1", "http://100.64.0.1/v1"]
)
def test_private_addresses_pass_only_when_allowed(url: str) -> None:
    check_base_url(url, allow_private=True)
    with pytest.raises(OmniError, match="not allowed"):
        check_base_url(url, allow_private=False)


@pytest.mark.parametrize(
    "url",
    [
        "", "h", "ftp://h/v1", "file:///etc/passwd", "//h/v1", "javascript:alert(1)", "http://", "http:///v1",
        "http://user@h/v1", "http://user:pw@h/v1", "http://h/v1#x", "http://h/v1#", "http://h/v1?x=1", "http://h:99999/v1",
        "http://h:0/v1", "http://h:x/v1", "http://[::1/v1", "http://h/a b", "http://h/a\r\nb", "http://h\\@x/v1",
        "http://h/a/../b", "http://hé/v1", "http://metadata.google.internal/v1", "http://METADATA/v1",
        "http://169.254.169.254/v1", "http://169.254.0.1/v1", "http://[fe80::1]/v1", "http://[fe80::1%25eth0]/v1",
        "http://[fd00:ec2::254]/v1", "http://100.100.100.200/v1", "http://[::ffff:169.254.169.254]/v1",
        "http://[64:ff9b::a9fe:a9fe]/v1", "http://[2002:a9fe:a9fe::1]/v1", "http://2852039166/v1", "http://0xa9fea9fe/v1",
        "http://0251.0376.0251.0376/v1", "http://169.254.43518/v1", "http://169.254.169.254./v1", "http://224.0.0.1/v1",
    ],
)  # fmt: skip
def test_base_urls_that_are_never_called(url: str) -> None:
    with pytest.raises(OmniError) as caught:
        check_base_url(url, allow_private=True)
    assert (caught.value.kind, caught.value.param) == ("invalid_request", "baseUrl")


@pytest.mark.parametrize(
    ("host", "private", "allowed"),
    [
        ("8.8.8.8", False, True), ("[2606:4700::1111]", False, True), ("127.0.0.1", False, True), ("[::1]", False, True),
        ("10.1.2.3", False, False), ("10.1.2.3", True, True), ("169.254.169.254", True, False),
        ("[fe80::1%25eth0]", True, False), ("0.0.0.0", False, False), ("99999999999", False, True),
        ("[::ffff:10.0.0.1]", False, False), ("example.com", False, True), ("1e100.net", False, True),
    ],
)  # fmt: skip
def test_an_address_is_judged_and_a_name_when_it_is_dialled(host: str, private: bool, allowed: bool) -> None:
    with nullcontext() if allowed else pytest.raises(OmniError, match="an address that is not allowed"):
        check_base_url(f"http://{host}/v1", private)
