"""The admin pages in a real browser, on a real gateway: the way of someone who opens them for the first time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from browser import CHROMIUM, Browser
from processes import Process

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium"),
]
PAGES = {"": "Overview", "/providers": "Providers", "/combos": "Combos", "/routing": "Routing",
         "/endpoints": "Endpoints", "/keys": "Keys", "/limits": "Limits", "/proxies": "Proxies", "/tools": "Tools",
         "/usage": "Usage", "/cache": "Cache", "/evals": "Evaluations", "/settings": "Settings"}  # fmt: skip
CALL = b'{"model": "lab/m", "messages": [{"role": "user", "content": "hi"}]}'
EVIL = '<img src=x onerror="document.title=`taken`">'


@pytest.fixture
def server(make_gateway: Any) -> Process:
    process: Process = make_gateway()
    return process


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("chromium")) as made:
        yield made


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """A page that remembers nothing of the test before."""
    chromium.begin()
    yield chromium
    assert chromium.complaints == []
    assert chromium.elsewhere == []


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
    browser.fill("Name", "editor" * 30)
    browser.click("Create")
    browser.sees("Copy the key now")
    text = browser.run("document.querySelector('dialog code').textContent")
    assert text.startswith("sk-")
    browser.click("Done")
    browser.sees("editor")
    assert text not in browser.text()
    assert browser.run("document.documentElement.scrollWidth") == 1200
    browser.run("document.querySelector('.grave').focus()")
    browser.click("Revoke")
    browser.sees("Revoke editor")
    browser.click("Revoke")
    browser.sees("No key yet")
    assert browser.run("document.activeElement.tagName") == "H1"  # what had the focus is gone
    assert browser.run("document.title") == "Keys · OmniRoute"


def test_a_combo_is_made_tested_and_deleted(server: Process, browser: Browser) -> None:
    browser.open(f"{server.url}/dashboard/combos")
    browser.sees("No combo yet")
    browser.click("Make a combo")
    browser.fill("Name", "my coding")
    browser.fill("Models", "openai/gpt-4o 70")
    browser.click("Save")
    browser.sees("Name can only contain letters")
    browser.fill("Name", "coding")
    browser.click("Save")
    browser.sees("In the order of the list")
    browser.sees("openai/gpt-4o 70")
    browser.click("Edit")
    browser.fill("Tries again after an error", "11")
    browser.click("Save")
    browser.sees("Too big")
    browser.fill("Tries again after an error", "2")
    browser.fill("Count calls and answers", "false")
    browser.click("Save")
    browser.until("!document.querySelector('dialog')")
    found = browser.run("fetch('/api/combos').then(answer => answer.json())")["combos"][0]
    assert found["models"] == [{"model": "openai/gpt-4o", "weight": 70}]
    assert found["config"] == {"maxRetries": 2, "trackMetrics": False}
    browser.click("Disable")
    browser.sees("Disabled")
    browser.click("Enable")
    browser.sees("Active")
    browser.click("Test")
    browser.sees("No credentials for provider: openai")
    browser.click("Done")
    browser.click("Delete")
    browser.sees("Delete coding?")
    browser.click("Delete")
    browser.sees("No combo yet")


def test_a_route_is_explained_and_a_key_gets_its_limits(server: Process, browser: Browser) -> None:
    browser.open(f"{server.url}/dashboard/routing")
    browser.click("Add a chain")
    browser.fill("Providers", "openai\n# groq")
    browser.fill("Model", "gpt-4o")
    browser.click("Save")
    browser.sees("1 provider")
    browser.until("!document.querySelector('dialog')")
    browser.fill("Model", "openai/gpt-4o")
    browser.click("Explain")
    browser.sees("Nobody would answer openai/gpt-4o now")
    browser.sees("no active account")
    browser.fill("Rest after an error (ms)", "")
    browser.click("Save")
    browser.sees("A number is needed here.")
    init = "{method: 'POST', headers: {'content-type': 'application/json'}, body: JSON.stringify({name: 'editor'})}"
    browser.run(f"fetch('/api/keys', {init}).then(() => 1)")
    browser.click("Limits")
    browser.click("Set a budget")
    browser.click("Save")
    browser.sees("At least one limit is needed.")
    browser.fill("A week ($)", "12.5")
    browser.click("Save")
    browser.sees("$0 of $12.50")
    browser.click("Add a policy")
    browser.fill("Name", "no old ones")
    browser.click("Save")
    browser.sees("actions must name at least one action")
    browser.fill("Forbid these models", "*/gpt-3*")
    browser.click("Save")
    browser.sees("forbid: */gpt-3*")
    browser.click("Settings")
    browser.fill("Refused", "nonsense")
    browser.click("Save the addresses")
    browser.until("document.querySelector('[data-field=blacklist] .problem').textContent")
    browser.fill("Proxy", "http")
    browser.click("Test it")
    browser.sees("Which host?")


def test_proxies_are_chosen_for_everything_and_for_one_account(server: Process, browser: Browser) -> None:
    server.add_node("lab", "http://127.0.0.1:9/v1", "openai-compatible", "k")
    browser.open(f"{server.url}/dashboard/proxies")
    browser.sees("No proxy yet")
    browser.sees("No call yet.")
    browser.sees("directly")
    browser.click("Add a proxy")
    browser.click("Save")
    browser.sees("Which host?")
    browser.fill("Host", "http://nonsense")
    browser.fill("Port", "9")
    browser.click("Save")
    browser.until("document.querySelector('[data-field=host] .problem').textContent")
    browser.fill("Host", "127.0.0.1")
    browser.click("Test it")
    browser.sees("127.0.0.1:9 (proxy) refused the connection")
    browser.click("Save")
    browser.sees("the proxy for everything")
    browser.click("Add a proxy")
    option = "[...document.querySelectorAll('dialog option')].find(e => e.value.startsWith('key:'))"
    browser.fill("For", browser.until(f"{option}?.value"))
    browser.fill("Host", "::1")
    browser.fill("Port", "8")
    browser.click("Save")
    browser.sees("http://[::1]:8")
    browser.sees("its own proxy")
    server.request("POST", "/v1/chat/completions", CALL)
    browser.sees("chosen for account")
    browser.click("Remove")
    browser.sees("Remove the proxy for")
    browser.click("Remove")
    browser.sees("the proxy for everything")
    assert [*browser.run("fetch('/api/settings/proxy').then(answer => answer.json())")["keys"]] == []
    browser.click("Empty the log")
    browser.click("Empty it")
    browser.sees("No call yet.")


def test_a_suite_is_looked_at_and_run(server: Process, browser: Browser) -> None:
    server.add_node("lab", "http://127.0.0.1:9/v1", "openai-compatible", "k")
    browser.open(f"{server.url}/dashboard/evals")
    browser.sees("No run yet")
    browser.click("Cases")
    browser.sees("contains")
    browser.click("Done")
    browser.click("Run")
    browser.sees("Which model?")
    browser.fill("Model", "lab/m")
    browser.click("Run")
    browser.sees("8 failed")
    browser.click("Result")
    browser.sees("0 of 8 passed (0 %)")
    browser.until("document.querySelectorAll('dialog tbody tr').length === 8")
    browser.resize(360, 800, True)
    assert browser.run("document.documentElement.scrollWidth") == 360
    browser.click("Done")


def test_what_happened_is_found_again_and_a_copy_is_put_back(server: Process, browser: Browser) -> None:
    server.add_node("lab", "http://127.0.0.1:9/v1", "openai-compatible", "k")
    server.request("POST", "/v1/chat/completions", CALL)
    browser.open(f"{server.url}/dashboard/usage")
    browser.until("!!document.querySelector('.link')")
    browser.run("document.querySelector('.link').click()")
    browser.sees("Request id")
    browser.sees("What was asked and answered is not kept.")
    browser.click("Done")
    browser.click("Providers")
    browser.click("Models")
    browser.sees("Could not reach 127.0.0.1")
    browser.click("Settings")
    browser.sees("provider.create")
    browser.click("Make a copy")
    browser.sees("made by hand")
    browser.click("Put back")
    browser.sees("Replace everything?")
    browser.click("Replace")
    browser.sees("It is in force: 1 account, 0 keys.")
    browser.sees("backup.restore")


def test_what_is_shown_stays_while_the_gateway_is_away_and_the_rest_comes_by_itself(
    server: Process, browser: Browser
) -> None:
    server.add_node("lab", "http://127.0.0.1:9/v1", "openai-compatible", "k")
    browser.open(f"{server.url}/dashboard/providers")
    browser.sees("Not tried yet")
    browser.run("(() => { window.real = fetch; window.fetch = () => Promise.reject(new TypeError('away')); })()")
    browser.click("Test")
    browser.sees("Trying again")
    browser.sees("Not tried yet")
    browser.click("Tools")
    browser.sees("Is it running?")
    browser.run("window.fetch = window.real, 1")
    browser.sees("Continue")
    assert "Trying again" not in browser.text()


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
    browser.sees("Last ten minutes")
    to_keys = "[...document.querySelectorAll('nav a')].find(e => e.textContent === 'Keys').click()"
    # the page is still open; the next one's first request meets the closed door, before one of this page does
    browser.run(f"fetch('/api/auth/logout', {{method: 'POST'}}).then(() => {to_keys})")
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
