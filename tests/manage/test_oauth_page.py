"""The page at the end of a login."""

from __future__ import annotations

from omniroute.manage.oauth_page import page, page_headers, query_of


def test_nothing_in_the_page_is_markup_of_somebody_else() -> None:
    shown = page("<b>", "<script>alert(1)</script>&")
    assert b"<script" not in shown
    assert b"&lt;script&gt;" in shown
    fields = dict(page_headers())
    assert fields[b"content-security-policy"].startswith(b"default-src 'none'")
    assert fields[b"referrer-policy"] == b"no-referrer"
    assert fields[b"cache-control"] == b"no-store"


def test_a_parameter_that_stands_there_twice_makes_the_redirect_worthless() -> None:
    assert query_of("code=a&state=b") == {"code": "a", "state": "b"}
    assert query_of("state=a&code=x&state=b") == {}
    assert query_of("&".join(f"a{i}=1" for i in range(200))) == {}
    assert query_of("") == {}
