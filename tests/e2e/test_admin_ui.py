"""The admin pages in a real browser, on a real gateway: the way of someone who opens them for the first time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import CHROMIUM, Browser
from processes import Process

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium"),
]
PAGES = {"": "Overview", "/providers": "Providers", "/endpoints": "Endpoints", "/keys": "Keys", "/usage": "Usage",
         "/settings": "Settings"}  # fmt: skip
EVIL = '<img src=x onerror="document.title=`taken`">'


@pytest.fixture
def server(make_gateway: Any) -> Process:
    process: Process = make_gateway()
    return process


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with Browser(tmp_path / "profile") as made:
        yield made
        assert made.complaints == []
        assert made.elsewhere == []


def test_each_page_opens_and_fits_a_narrow_screen(server: Process, browser: Browser) -> None:
    for width, dark in ((1200, False), (360, True)):
        browser.resize(width, 800, dark)
        for path, heading in PAGES.items():
            browser.open(f"{server.url}/dashboard{path}")
            browser.until(f"document.querySelector('h1')?.textContent === {heading!r}")
            browser.until("document.querySelector('.page').innerText.length > 60")
            assert browser.run("document.documentElement.scrollWidth") == width, heading
            unnamed = "button:not([aria-label]):empty, input:not([id]):not([hidden]), img:not([alt])"
            assert browser.run(f"document.querySelectorAll({unnamed!r}).length") == 0, heading


def test_the_api_page_shows_every_route_and_what_it_takes(server: Process, browser: Browser) -> None:
    browser.open(f"{server.url}/api/docs")
    browser.until("document.querySelectorAll('details.route').length > 100")
    find = "const s = document.querySelector('input[type=search]'); s.value = 'post /api/keys'"
    browser.run(f"(() => {{ {find}; s.dispatchEvent(new Event('input')); }})()")
    browser.until("document.querySelectorAll('details.route').length === 1")
    browser.run("document.querySelector('details.route summary').click()")
    browser.sees("KeyBody")
    browser.resize(360, 800, True)
    assert browser.run("document.documentElement.scrollWidth") == 360


def test_from_the_first_visit_to_a_key(server: Process, browser: Browser) -> None:
    browser.open(server.url)
    browser.sees("No password is set.")
    browser.sees(f"{server.url}/v1")
    browser.click("Add a provider")
    browser.sees("No provider yet")
    browser.click("Endpoints")
    browser.click("Add an endpoint")
    browser.fill("Name", EVIL)
    browser.fill("Prefix", "openai")
    browser.fill("Base URL", "http://127.0.0.1:9/v1")
    browser.click("Add")
    browser.sees('Prefix "openai" is already used by a built-in provider')
    browser.fill("Prefix", "mine")
    browser.click("Add")
    browser.sees(EVIL)
    browser.click("Providers")
    browser.sees("Not tried yet")
    browser.click("Test")
    browser.sees("Failing")
    browser.click("Keys")
    browser.click("Create a key")
    browser.click("Create")
    browser.sees("Name is required")
    browser.fill("Name", "editor")
    browser.click("Create")
    browser.sees("Copy the key now")
    text = browser.run("document.querySelector('dialog code').textContent")
    assert text.startswith("sk-")
    browser.click("Done")
    browser.sees("editor")
    assert text not in browser.text()
    browser.click("Revoke")
    browser.sees("Revoke editor?")
    browser.click("Revoke")
    browser.sees("No key yet")
    assert browser.run("document.title") == "Keys · OmniRoute"


def test_a_password_closes_the_door_and_opens_it(server: Process, browser: Browser) -> None:
    browser.open(f"{server.url}/dashboard/settings")
    browser.fill("New password", "correct horse")
    browser.fill("New password again", "correct hose")
    browser.click("Set the password")
    browser.sees("The two are not the same.")
    browser.fill("New password again", "correct horse")
    browser.click("Set the password")
    browser.sees("Ask for the password")
    browser.sees("Log out")
    browser.open(f"{server.url}/dashboard/keys")
    browser.sees("No key yet")
    browser.click("Log out")
    browser.until("location.pathname === '/login'")
    for _ in range(5):
        browser.fill("Password", "wrong")
        browser.click("Log in")
        browser.until("document.querySelector('.problem').textContent && !document.querySelector('[aria-busy]')")
        browser.run("document.querySelector('.problem').textContent = ''")
    browser.fill("Password", "correct horse")
    browser.click("Log in")
    browser.sees("Too many wrong passwords.")


def test_a_login_leads_back_to_the_page_that_asked(make_gateway: Any, browser: Browser) -> None:
    server = make_gateway(INITIAL_PASSWORD="correct horse")
    browser.open(f"{server.url}/login?next=//elsewhere.example/")
    browser.fill("Password", "correct horse")
    browser.click("Log in")
    browser.until("location.pathname === '/dashboard'")
    browser.run("fetch('/api/auth/logout', {method: 'POST'}).then(() => 1)")
    browser.click("Keys")  # the page is still open; its first request meets the closed door
    browser.until("location.pathname === '/login'")
    browser.fill("Password", "correct horse")
    browser.click("Log in")
    browser.until("location.pathname === '/dashboard/keys'")


def test_a_shutdown_asks_first(server: Process, browser: Browser) -> None:
    browser.open(f"{server.url}/dashboard/settings")
    browser.click("Shut down")
    browser.sees("Shut the gateway down?")
    browser.click("Cancel")
    browser.until("!document.querySelector('dialog')")
    browser.click("Shut down")
    browser.sees("Shut the gateway down?")
    browser.click("Shut down")
    browser.sees("The gateway is shutting down.")
