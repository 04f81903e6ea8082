from __future__ import annotations

import pytest
from fakes_manage import Admin, fields_of

DEFAULTS = "/api/settings/combo-defaults"


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_the_defaults_of_all_combos_can_be_changed(admin: Admin, method: str) -> None:
    before = admin.send("GET", DEFAULTS).json
    assert before["comboDefaults"]["retryDelayMs"] == 2000
    assert before["providerOverrides"] == {}
    admin.send(method, DEFAULTS, {"comboDefaults": {"maxRetries": 0, "timeoutMs": 9000}})
    after = admin.send(
        method, DEFAULTS, {"comboDefaults": {"timeoutMs": None}, "providerOverrides": {"ds": {"maxRetries": 3}}}
    )
    assert after.json["comboDefaults"] == before["comboDefaults"] | {"maxRetries": 0}
    assert after.json["providerOverrides"] == {"ds": {"maxRetries": 3}}
    assert admin.store.snapshot.settings.combo_defaults == {"maxRetries": 0}
    assert admin.store.snapshot.settings.provider_overrides == {"deepseek": {"maxRetries": 3}}
    assert admin.send(method, DEFAULTS, {"providerOverrides": {}}).json["providerOverrides"] == {}
    assert admin.audit() == ["settings.update"] * 3


def test_defaults_that_are_none_are_refused(admin: Admin) -> None:
    assert fields_of(admin.send("PATCH", DEFAULTS, {"other": 1})) == {"": "Nothing to update"}
    assert [*fields_of(admin.send("PATCH", DEFAULTS, {"comboDefaults": {"timeoutMs": 1}}))] == ["comboDefaults.timeoutMs"]
    assert admin.send("PATCH", DEFAULTS, {"providerOverrides": {"ds": {"maxRetries": "x"}}}).status == 400
