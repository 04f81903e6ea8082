"""Logins under way: each state once, not for long, not without number; and the temporary server."""

from __future__ import annotations

import asyncio
import http.client

from fakes import FakeClock
from fakes_manage import Admin

from omniroute.manage.oauth_pending import LIFETIME, WINDOW, OAuth, PendingLogins, Window
from omniroute.tasks import drain


def test_a_login_is_taken_once_by_its_state_and_provider() -> None:
    logins = PendingLogins(FakeClock())
    state, login = logins.begin("p", "http://x")
    assert logins.take(state, "q") is None
    assert logins.take(state + "x", "p") is None
    assert logins.take("", "p") is None
    assert logins.take(state, "p") == login
    assert logins.take(state, "p") is None


def test_a_login_ends() -> None:
    clock = FakeClock()
    logins = PendingLogins(clock)
    state, _ = logins.begin("p", "http://x")
    clock.advance(LIFETIME)
    assert logins.take(state, "p") is None


def test_the_oldest_logins_make_room() -> None:
    logins = PendingLogins(FakeClock())
    states = [logins.begin("p", "http://x")[0] for _ in range(101)]
    assert logins.take(states[0], "p") is None
    assert logins.take(states[1], "p") is not None
    assert len(set(states)) == 101


def ask(port: int, target: str, host: str = "127.0.0.1", method: str = "GET") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.putrequest(method, target, skip_host=True)
        connection.putheader("Host", f"{host}:{port}")
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


async def test_only_the_right_redirect_counts() -> None:
    clock = FakeClock()
    window = Window(clock)
    await window.open()

    async def get(target: str, **more: str) -> int:
        return (await asyncio.to_thread(ask, window.port, target, **more))[0]

    assert window.redirect_uri == f"http://127.0.0.1:{window.port}/callback"
    good = f"/callback?code=c1&state={window.state}"
    assert await get("/") == 404
    assert await get(good, method="POST") in (404, 413)
    assert await get(good, host="evil.test") == 403
    assert await get("/callback?code=c0&state=wrong") == 400
    assert await get("/callback?code=c0") == 400
    assert await get(f"/callback?code=c0&code=c1&state={window.state}") == 400
    assert window.answer is None
    assert await get(good) == 200
    assert await get(f"/callback?code=c2&state={window.state}") == 200
    assert window.answer is not None
    assert (window.answer.code, window.answer.error) == ("c1", "")  # the first one stays
    await window.close()


async def test_the_server_closes_after_five_minutes() -> None:
    clock, closed = FakeClock(), asyncio.Event()
    window = Window(clock)
    window.on_close = closed.set
    await window.open()
    port = window.port
    clock.advance(WINDOW)
    await closed.wait()
    await drain(5.0)  # the task that closes it
    try:
        await asyncio.to_thread(ask, port, "/callback")
    except OSError:
        return
    raise AssertionError("it still answers")


async def test_a_redirect_without_a_code_is_an_error() -> None:
    window = Window(FakeClock())
    await window.open()
    status, body = await asyncio.to_thread(ask, window.port, f"/callback?error=access_denied&state={window.state}")
    assert (status, b"Login failed" in body) == (200, True)
    assert window.answer is not None
    assert window.answer.error == "access_denied"
    await window.close()


async def test_the_end_of_the_process_closes_every_server(admin: Admin) -> None:
    oauth = OAuth(FakeClock(), admin.oauth.endpoint, admin.oauth.keeper)
    windows = [Window(oauth.clock), Window(oauth.clock)]
    for name, window in zip("pq", windows, strict=True):
        await window.open()
        oauth.put_window(name, window)
    await oauth.close()
    assert oauth.windows == {}
    assert [window.port for window in windows] == [0, 0]
