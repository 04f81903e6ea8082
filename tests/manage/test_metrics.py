"""Scraping."""

from __future__ import annotations

import subprocess
import sys

from fakes_manage import Admin
from prometheus_client.parser import text_string_to_metric_families


def test_a_scrape_is_in_the_text_format(admin: Admin) -> None:
    for path in ("/metrics", "/api/metrics"):
        answer = admin.send("GET", path)
        assert (answer.status, answer.header(b"content-type")) == (200, b"text/plain; version=0.0.4; charset=utf-8")
        assert list(text_string_to_metric_families(answer.text.decode()))


def test_a_scraper_needs_a_key_with_the_scope_manage(guarded: Admin) -> None:
    assert guarded.send("GET", "/metrics").status == 401
    assert guarded.send("GET", "/metrics", headers={"authorization": f"Bearer {guarded.key()}"}).status == 403
    assert guarded.send("GET", "/metrics", headers={"authorization": f"Bearer {guarded.key('manage')}"}).status == 200


def test_the_library_is_not_loaded_before_the_first_scrape() -> None:
    code = "import sys, omniroute.app; sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
