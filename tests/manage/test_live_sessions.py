"""The conversations that are active now."""

from __future__ import annotations

from fakes_manage import Admin

from omniroute.gateway.sessions import Mark


def test_sessions_are_listed_the_most_recent_first(admin: Admin) -> None:
    assert admin.send("GET", "/api/sessions").json == {"count": 0, "sessions": []}
    admin.live.sessions.touch(Mark("old", True, True), "")
    admin.clock.advance(2.0)
    admin.live.sessions.touch(Mark("new", True, True), "c1")
    found = admin.send("GET", "/api/sessions").json
    assert found["count"] == 2
    new, old = found["sessions"]
    assert (new["sessionId"], new["connectionId"], new["requestCount"], new["ageMs"]) == ("new", "c1", 1, 0)
    assert (old["sessionId"], old["connectionId"], old["ageMs"]) == ("old", None, 2000)
    assert new["lastActive"] - old["lastActive"] == 2000
