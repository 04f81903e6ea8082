"""The models that the gateway offers."""

from __future__ import annotations

from fakes_manage import Admin


def test_the_catalogue_has_every_provider_and_says_which_are_active(admin: Admin) -> None:
    admin.connection("deepseek")
    catalog = admin.send("GET", "/api/models/catalog").json["catalog"]
    assert catalog["ds"]["provider"] == "DeepSeek"
    assert catalog["ds"]["active"] is True
    assert catalog["openai"]["active"] is False
    model = next(model for model in catalog["openai"]["models"] if model["type"] == "embedding")
    assert model["id"].startswith("openai/")
    assert model["custom"] is False
    assert {"chat", "embedding", "image"} <= {m["type"] for group in catalog.values() for m in group["models"]}


def test_added_models_are_custom_unless_they_were_imported(admin: Admin) -> None:
    admin.run(admin.store.custom_models.add("openai", "a", "A"))
    admin.run(admin.store.custom_models.add("openai", "b", source="imported"))
    models = admin.send("GET", "/api/models/catalog").json["catalog"]["openai"]["models"]
    found = {model["id"]: model for model in models}
    assert found["openai/a"] == {"id": "openai/a", "name": "A", "type": "chat", "custom": True}
    assert found["openai/b"]["custom"] is False


def test_nodes_are_in_it_under_their_prefix_with_their_default_models(admin: Admin) -> None:
    node = admin.node("mine")
    admin.connection(node, defaultModel="llama")
    entry = admin.send("GET", "/api/models/catalog").json["catalog"]["mine"]
    assert entry["active"] is True
    assert [model["id"] for model in entry["models"]] == ["mine/llama"]


def test_prefixes_of_subscription_logins_show_where_they_lead(admin: Admin) -> None:
    assert admin.send("GET", "/api/models/catalog").json["remapped"]["cc"] == "anthropic"


def test_the_list_has_what_can_be_asked_for_and_on_demand_everything(admin: Admin) -> None:
    assert admin.send("GET", "/api/models").json == {"models": []}
    admin.connection("deepseek")
    admin.run(admin.store.aliases.set("cheap", "ds/deepseek-chat"))
    available = admin.send("GET", "/api/models").json["models"]
    assert {row["provider"] for row in available} == {"ds"}
    [row] = [row for row in available if row["model"] == "deepseek-chat"]
    assert (row["fullModel"], row["alias"], row["available"]) == ("ds/deepseek-chat", "cheap", True)
    everything = admin.send("GET", "/api/models?all=true").json["models"]
    assert len(everything) > len(available)
    [row] = [row for row in everything if row["fullModel"] == "openai/gpt-4o"]
    assert (row["available"], row["alias"]) == (False, "gpt-4o")


def test_a_blocked_provider_is_not_available(admin: Admin) -> None:
    admin.connection("deepseek")
    admin.send("PATCH", "/api/settings", {"blockedProviders": ["deepseek"]})
    assert admin.send("GET", "/api/models").json == {"models": []}
    assert admin.send("GET", "/api/models/catalog").json["catalog"]["ds"]["active"] is False
