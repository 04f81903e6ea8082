"""The audit log as the API shows it."""

from __future__ import annotations

from fakes_manage import Admin

PATH = "/api/compliance/audit-log"


def test_rows_come_newest_first_in_the_contracts_form(admin: Admin) -> None:
    made = admin.send("POST", "/api/keys", {"name": "a"}).json
    admin.send("PATCH", "/api/settings", {"theme": "dark"})
    newest, older = admin.send("GET", PATH).json
    assert (newest["action"], older["action"]) == ("settings.update", "key.create")
    assert set(older) == {"id", "timestamp", "action", "actor", "target", "details", "ip_address"}
    assert older["target"] == made["id"]
    assert older["details"] == {"name": "a", "scopes": ["inference"]}
    assert older["ip_address"] == "127.0.0.1"
    assert older["actor"] == "anonymous"
    assert older["timestamp"].endswith("Z")
    assert newest["id"] > older["id"]


def test_filters_and_pages(admin: Admin) -> None:
    for name in "abc":
        admin.send("POST", "/api/keys", {"name": name})
    admin.send("PATCH", "/api/settings", {"theme": "dark"})
    assert len(admin.send("GET", f"{PATH}?action=key.create").json) == 3
    assert len(admin.send("GET", f"{PATH}?actor=anonymous").json) == 4
    assert admin.send("GET", f"{PATH}?actor=admin").json == []
    [row] = admin.send("GET", f"{PATH}?limit=1&offset=1").json
    assert row["details"]["name"] == "c"


def test_limits_that_are_no_numbers_are_the_default(admin: Admin) -> None:
    admin.send("PATCH", "/api/settings", {"theme": "dark"})
    for query in ("limit=x", "limit=0", "limit=99999999999", "offset=-1", "offset=x"):
        assert len(admin.send("GET", f"{PATH}?{query}").json) == 1, query
