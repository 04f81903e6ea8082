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
PAGES = {"": "Overview", "/providers": "Providers", "/models": "Models", "/combos": "Combos", "/routing": "Routing",
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
    unnamed = "button:not([aria-label]):empty, input:not([id]):not([hidden]), img:not([alt])"
    for path, heading in PAGES.items():
        browser.resize(1200, 800)
        browser.open(f"{server.url}/dashboard{path}")
        browser.until(f"document.querySelector('h1')?.textContent === {heading!r}")
        browser.until("document.querySelector('.page').innerText.length > 60")
        for width, dark in ((1200, False), (360, True)):
            browser.resize(width, 800, dark)
            assert browser.run("document.documentElement.scrollWidth") == width, heading
            assert browser.run(f"document.querySelectorAll({unnamed!r}).length") == 0, heading
        side = "document.querySelector('.side')"
        browser.resize(900, 400)  # where not all links fit, the rest can be reached
        browser.run(f"{side}.scrollTo(0, 9999)")
        assert browser.run(f"{side}.querySelector('.foot').getBoundingClientRect().bottom") <= 400, heading


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
    browser.click("Edit")
    browser.fill("Expires", "30")
    browser.click("Save")
    browser.sees("expires")
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
    browser.click("Defaults")
    browser.fill("Tries again after an error", "11")
    browser.click("Save")
    browser.sees("Too big")
    browser.fill("Tries again after an error", "")
    browser.fill("Count calls and answers", "false")
    browser.click("Save")
    browser.until("!document.querySelector('dialog')")
    defaults = server.api("GET", "/api/settings/combo-defaults")["comboDefaults"]
    assert (defaults["maxRetries"], defaults["trackMetrics"]) == (1, False)
    browser.click("Defaults")
    browser.fill("For the models of", "groq")
    browser.fill("Tries again after an error", "11")
    browser.click("Save")
    browser.sees("Too big")
    server.api("PATCH", "/api/settings/combo-defaults", {"providerOverrides": {"openai": {"maxRetries": 3}}})
    browser.fill("Tries again after an error", "4")
    browser.click("Save")
    browser.until("!document.querySelector('dialog')")
    overrides = server.api("GET", "/api/settings/combo-defaults")["providerOverrides"]
    assert overrides == {"openai": {"maxRetries": 3}, "groq": {"maxRetries": 4}}
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
    rest = server.api("GET", "/api/resilience")["profiles"]["local"] | {"transientCooldown": 60000}
    server.api("PUT", "/api/resilience", {"profiles": {"local": rest, "apikey": rest}})
    server.add_node("lab", "http://127.0.0.1:9/v1", "openai-compatible", "k")
    server.request("POST", "/v1/chat/completions", CALL)
    browser.open(f"{server.url}/dashboard/routing")
    browser.sees("All models of lab")
    browser.click("Use again")
    browser.until("!document.body.innerText.includes('All models of lab')")
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


def test_models_get_names_and_prices(make_gateway: Any, browser: Browser) -> None:
    server = make_gateway(INITIAL_PASSWORD="correct horse")
    server.add_node("lab", "http://127.0.0.1:9/v1", "openai-compatible", "k")
    browser.open(f"{server.url}/login?next=/dashboard/models")
    browser.fill("Password", "correct horse")
    browser.click("Log in")
    browser.sees("No alias yet")
    browser.click("Add an alias")
    browser.fill("Alias", "fast/one")
    browser.click("Save")
    browser.sees("Which model?")
    browser.fill("Model", "lab/m")
    browser.click("Save")
    browser.sees("Alias must not contain '/'")
    browser.fill("Alias", "fast")
    server.api("PUT", "/api/models/alias", {"alias": "fast", "model": "lab/other"})  # in another window
    browser.click("Save")
    browser.sees("Alias already in use")
    browser.fill("Alias", "quick")
    browser.click("Save")
    browser.sees("quick")
    assert server.api("GET", "/api/models/alias")["aliases"] == {"fast": "lab/other", "quick": "lab/m"}
    browser.click("Delete")
    browser.sees("Delete quick?")
    browser.click("Delete")
    browser.until("!document.querySelector('dialog')")
    browser.fill("Model names to translate", "gpt-* lab/m")
    browser.click("Save the patterns")
    browser.sees("Line 1 must read: pattern = model")
    browser.fill("Model names to translate", "gpt-* = lab/m")
    browser.click("Save the patterns")
    browser.sees("The patterns are saved.")
    assert server.api("GET", "/api/settings")["wildcardAliases"] == [{"pattern": "gpt-*", "target": "lab/m"}]
    browser.click("Set a price")
    browser.fill("Model", "nobody/m")
    browser.fill("Input", "-1")
    browser.click("Save")
    browser.sees("No provider has the prefix nobody.")
    browser.fill("Model", "lab/m")
    browser.click("Save")
    browser.sees("A number of at least 0.")
    browser.fill("Input", "0.0000125")
    browser.fill("Output", "2")
    browser.click("Save")
    browser.sees("set by you")
    browser.sees("$0.0000125")
    browser.click("Edit")
    browser.fill("Output", "")
    browser.click("Save")
    browser.until("!document.querySelector('dialog') && !document.body.innerText.includes('$2.00')")
    assert server.api("GET", "/api/pricing")["lab"] == {"m": {"input": 0.0000125}}
    browser.click("Reset")
    browser.sees("It has no built-in price")
    browser.click("Reset")
    browser.sees("No model of your accounts is known by name.")
    assert "lab" not in server.api("GET", "/api/pricing")
    browser.click("Providers")
    browser.sees("acct0")
    browser.click("Models")
    browser.sees("Could not reach 127.0.0.1")
    browser.fill("Another model", "unlisted")
    browser.click("Add to the list")
    browser.sees("lab/unlisted")
    assert server.api("GET", "/api/provider-models?provider=lab")["models"][0]["id"] == "unlisted"


def test_a_tool_gets_back_its_file(make_gateway: Any, browser: Browser, tmp_path: Path) -> None:
    server = make_gateway(CLI_CONFIG_HOME=str(tmp_path))
    for model in ("lab/one", "lab/two"):
        body = {"baseUrl": server.url, "apiKey": "k", "model": model}
        server.api("POST", "/api/cli-tools/guide-settings/continue", body)
    browser.open(f"{server.url}/dashboard/tools")
    browser.sees("Uses this gateway")
    browser.click("Copies")
    browser.click("Put back")
    browser.sees("Put this copy back?")
    browser.click("Put back")
    browser.sees("It is put back.")
    assert "lab/one" in (tmp_path / ".continue/config.json").read_text()
    browser.click("Delete")
    browser.sees("Delete this copy?")
    browser.click("Delete")
    browser.sees("Deleted.")


def test_an_account_comes_from_a_login_or_a_token(server: Process, browser: Browser) -> None:
    browser.open(f"{server.url}/dashboard/providers")
    browser.click("Add a provider")
    browser.fill("Provider", "gemini")
    browser.click("Set up an OAuth client")
    browser.sees("Still missing: client id, client secret")
    browser.sees(f"{server.url}/api/oauth/gemini/callback")
    browser.fill("Further parameters of the login page", "nonsense")
    browser.click("Save")
    browser.sees("Line 1 must read: name=value")
    browser.fill("Further parameters of the login page", "prompt=consent")
    browser.fill("Token address", "ftp://nowhere")
    browser.fill("Client id", "mine")
    browser.fill("Client secret", "hidden")
    browser.click("Save")
    browser.until("document.querySelector('[data-field=tokenUrl] .problem').textContent")
    browser.fill("Token address", "https://oauth2.example/token")
    browser.click("Save")
    browser.sees("Log in at")
    client = server.api("GET", "/api/oauth/gemini/client")["client"]
    assert client["configured"] is True
    assert client["extraAuthParams"] == {"prompt": "consent"}
    assert client["tokenUrl"] == "https://oauth2.example/token"
    browser.click("Change the client")
    browser.sees("Logins are possible")
    browser.click("Delete")
    browser.sees("Delete this OAuth client?")
    browser.click("Delete")
    browser.sees("Set up an OAuth client")
    browser.click("Enter a token")
    browser.click("Add")
    browser.sees("A token is needed here.")
    browser.fill("Access token", "pasted")
    browser.fill("Expires", "2099-01-31T12:00")
    browser.click("Add")
    browser.sees("token valid until 31 Jan")
    assert "pasted" not in browser.text()
    browser.click("Renew")
    browser.sees("OAuth client not configured for gemini")


def test_settings_keep_what_another_window_changed(make_gateway: Any, browser: Browser) -> None:
    server = make_gateway(CLOUD_SYNC_TOKEN="0123456789abcdef")
    browser.open(f"{server.url}/dashboard/settings")
    browser.sees("Sync with another gateway")
    browser.sees("Save settings")
    browser.fill("Name of this gateway", "here")
    browser.run("document.querySelector('.skip').click()")  # to the content, without drawing the page anew
    assert browser.run("document.activeElement.id") == "main"
    server.api("PATCH", "/api/settings", {"stickyRoundRobinLimit": 7})
    browser.run("(() => { const e = document.querySelector('[aria-label=\"Block a provider\"]'); e.value = 'groq';"
                " e.dispatchEvent(new Event('change')); })()")  # fmt: skip
    browser.click("Save settings")
    browser.sees("Settings saved.")
    browser.until("document.title === 'Settings · here' && document.querySelector('.brand').textContent === 'here'")
    kept = server.api("GET", "/api/settings")
    assert (kept["blockedProviders"], kept["instanceName"], kept["stickyRoundRobinLimit"]) == (["groq"], "here", 7)
    browser.fill("Address", "127.0.0.1")
    browser.click("Refuse")
    browser.sees("would lock you out")
    browser.fill("Address", "192.0.2.7")
    browser.click("Refuse")
    browser.sees("another 59 min")
    browser.click("Admit again")
    browser.until("!document.body.innerText.includes('Admit again')")
    browser.click("Start syncing")
    browser.sees("CLOUD_URL is not configured")
    browser.fill("Address of the other gateway", server.url)  # itself: nothing to exchange
    browser.click("Start syncing")
    browser.sees("Every 15 minutes")
    browser.click("Sync now")
    browser.sees("Synced: ")
    browser.click("Stop")
    browser.sees("Stop syncing?")
    browser.click("Stop")
    browser.sees("Start syncing")
    assert server.api("GET", "/api/sync/cloud") == {"enabled": False}


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
    browser.run("document.dispatchEvent(new Event('visibilitychange'))")  # reload now, not in five seconds
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
    browser.sees("Half within")
    search = "const s = document.querySelector('[type=search]'); s.value = 'else'"
    browser.run(f"(() => {{ {search}; s.dispatchEvent(new Event('input')); }})()")
    browser.sees("No such call.")
    browser.click("Providers")
    browser.sees("acct0")
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
    browser.click("Create a key")
    browser.fill("Name", "typed before")
    browser.run("fetch('/api/auth/logout', {method: 'POST'}).then(() => 1)")
    browser.click("Create")
    browser.sees("The session has ended.")
    browser.fill("Password", "wrong")
    browser.click("Log in")
    browser.sees("Wrong password.")
    browser.fill("Password", "correct horse")
    browser.click("Log in")
    browser.sees("You are logged in again.")
    browser.click("Create")
    browser.sees("typed before is ready.")


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
