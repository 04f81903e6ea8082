from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from omniroute.settings import Limits, Settings, SettingsError, environment, ip_literal, is_loopback, load


def test_nothing_set_gives_the_documented_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load({})
    assert (settings.host, settings.port) == ("127.0.0.1", 20128)
    assert settings.limits == Limits()
    assert settings == dataclasses.replace(Settings(), has_display=settings.has_display)
    assert settings.data_dir == Path.home() / ".omniroute"
    assert settings.database.name == "storage.sqlite"


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("PORT", "8080", "port", 8080),
        ("PORT", "", "port", 20128),
        ("HOST", "::1", "host", "::1"),
        ("HOST", " ", "host", "127.0.0.1"),
        ("HOSTNAME", "0.0.0.0", "host", "0.0.0.0"),
        ("HOSTNAME", "[::]", "host", "::"),
        ("HOSTNAME", "my-laptop", "host", "127.0.0.1"),
        ("LOG_LEVEL", "WARN", "log_level", "warn"),
        ("APP_LOG_LEVEL", "debug", "log_level", "debug"),
        ("LOG_FORMAT", "json", "log_format", "json"),
        ("LOG_TO_FILE", "off", "log_to_file", False),
        ("LOG_TO_FILE", "", "log_to_file", True),
        ("APP_LOG_TO_FILE", "false", "log_to_file", False),
        ("LOG_FILE_PATH", "/var/log/o.log", "log_file", Path("/var/log/o.log")),
        ("LOG_MAX_FILE_SIZE", "50M", "log_max_bytes", 50 << 20),
        ("LOG_MAX_FILE_SIZE", "1000", "log_max_bytes", 1000),
        ("APP_LOG_MAX_FILE_SIZE", "2 kb", "log_max_bytes", 2048),
        ("LOG_RETENTION_DAYS", "7", "log_retention_days", 7),
        ("REQUIRE_API_KEY", "Yes", "require_api_key", True),
        ("AUTH_COOKIE_SECURE", "1", "auth_cookie_secure", True),
        ("INITIAL_PASSWORD", "open sesame", "initial_password", "open sesame"),
        ("JWT_SECRET", "x" * 32, "jwt_secret", "x" * 32),
        ("API_KEY_SECRET", "x" * 16, "api_key_secret", "x" * 16),
        ("STORAGE_ENCRYPTION_KEY", "short", "storage_encryption_key", "short"),
        ("MACHINE_ID_SALT", "", "machine_id_salt", "endpoint-proxy-salt"),
        ("CORS_ORIGIN", "https://a.example, https://b.example,", "cors_origins", ("https://a.example", "https://b.example")),
        ("NEXT_PUBLIC_BASE_URL", "https://g.example", "base_url", "https://g.example"),
        ("NO_LOG_API_KEY_IDS", "a,b", "no_log_key_ids", frozenset({"a", "b"})),
        ("ALLOW_MULTI_CONNECTIONS_PER_COMPAT_NODE", "true", "multi_connections_per_node", True),
        ("OMNIROUTE_ALLOW_PRIVATE_PROVIDER_URLS", "false", "allow_private_urls", False),
        ("TLS_CERT", "/c.pem", "tls_cert", "/c.pem"),
        ("TLS_KEY", "/k.pem", "tls_key", "/k.pem"),
        ("STRICT_HTTP", "true", "strict_http", True),
        ("CLOUD_URL", "https://peer.example", "cloud_url", "https://peer.example"),
        ("NEXT_PUBLIC_CLOUD_URL", "https://peer.example", "cloud_url", "https://peer.example"),
        ("CLOUD_SYNC_TOKEN", "x" * 16, "cloud_sync_token", "x" * 16),
        ("CLOUD_SYNC_TIMEOUT_MS", "500", "cloud_sync_timeout", 0.5),
        ("CLI_MODE", "Container", "cli_mode", "container"),
        ("CLI_CONFIG_HOME", "/srv/home", "cli_home", Path("/srv/home")),
        ("CLI_ALLOW_CONFIG_WRITES", "false", "cli_writes", False),
        ("CLI_EXTRA_PATHS", os.pathsep.join(["/opt/bin", "", "."]), "cli_paths", ("/opt/bin",)),
        ("CLI_CODEX_BIN", "/opt/codex", "cli_bins", {"codex": "/opt/codex"}),
        ("PATH", os.pathsep.join(["/usr/bin", "bin"]), "search_path", ("/usr/bin",)),
        ("NO_COLOR", "1", "no_color", True),
        ("DISPLAY", ":0", "has_display", True),
        ("WAYLAND_DISPLAY", "wayland-0", "has_display", True),
    ],
)  # fmt: skip
def test_a_variable_sets_its_field(variable: str, text: str, field: str, value: Any) -> None:
    assert getattr(load({variable: text}), field) == value


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("FETCH_TIMEOUT_MS", "1500", "first_byte_timeout", 1.5),
        ("STREAM_IDLE_TIMEOUT_MS", "2000", "stream_idle_timeout", 2.0),
        ("CONNECT_TIMEOUT_MS", "1", "connect_timeout", 0.001),
        ("KEEPALIVE_INTERVAL_MS", "0", "keepalive_interval", 0.0),
        ("HEAD_TIMEOUT_MS", "500", "head_timeout", 0.5),
        ("BODY_TIMEOUT_MS", "500", "body_silence", 0.5),
        ("KEEP_ALIVE_TIMEOUT_MS", "500", "idle_timeout", 0.5),
        ("WRITE_TIMEOUT_MS", "500", "write_stall", 0.5),
        ("SHUTDOWN_TIMEOUT_MS", "500", "shutdown_timeout", 0.5),
        ("MAX_IN_FLIGHT", "3", "in_flight", 3),
        ("RATE_LIMIT_MAX_WAIT_MS", "3500", "rate_limit_wait", 3.5),
        ("MAX_CONNECTIONS", "4", "connections", 4),
    ],
)
def test_a_variable_sets_its_limit(variable: str, text: str, field: str, value: float) -> None:
    assert getattr(load({variable: text}).limits, field) == value


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("SEMANTIC_CACHE_MAX_SIZE", "0", "entries", 0),
        ("SEMANTIC_CACHE_TTL_MS", "500", "ttl", 0.5),
        ("SEMANTIC_CACHE_SHARED", "true", "shared", True),
        ("SEMANTIC_CACHE_IMPLICIT_TEMPERATURE", "true", "implicit", True),
        ("PROMPT_CACHE_MAX_SIZE", "7", "private_entries", 7),
        ("PROMPT_CACHE_TTL_MS", "500", "private_ttl", 0.5),
    ],
)
def test_a_variable_sets_what_the_cache_holds(variable: str, text: str, field: str, value: float) -> None:
    assert getattr(load({}).cache, field) != value
    assert getattr(load({variable: text}).cache, field) == value


def test_some_names_go_before_others() -> None:
    assert load({"OMNIROUTE_PORT": "1", "PORT": "2"}).port == 1
    assert load({"HOST": "127.0.0.2", "HOSTNAME": "0.0.0.0"}).host == "127.0.0.2"
    assert load({"LOG_LEVEL": "error", "APP_LOG_LEVEL": "debug"}).log_level == "error"
    assert load({"BASE_URL": "http://a", "NEXT_PUBLIC_BASE_URL": "http://b"}).base_url == "http://a"
    limits = load({"REQUEST_TIMEOUT_MS": "1000", "FETCH_TIMEOUT_MS": "2000", "STREAM_IDLE_TIMEOUT_MS": "3000"}).limits
    assert (limits.first_byte_timeout, limits.stream_idle_timeout) == (1.0, 1.0)


def test_the_body_limit_counts_for_the_gateway_only_when_it_is_set() -> None:
    assert load({}).limits.gateway_body == 32 << 20
    limits = load({"MAX_BODY_SIZE_BYTES": "1000"}).limits
    assert (limits.gateway_body, limits.manage_body) == (1000, 1000)


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("PORT", "abc"), ("PORT", "70000"), ("OMNIROUTE_PORT", "-1"), ("REQUIRE_API_KEY", "perhaps"), ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"), ("LOG_MAX_FILE_SIZE", "much"), ("LOG_MAX_FILE_SIZE", "0"), ("JWT_SECRET", "short"),
        ("API_KEY_SECRET", "short"), ("FETCH_TIMEOUT_MS", "1.5"), ("MAX_IN_FLIGHT", "0"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_by_name(variable: str, text: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        load({variable: text})


@pytest.mark.parametrize("name", ["REQUEST", "FETCH", "STREAM_IDLE", "CONNECT", "HEAD", "BODY", "WRITE", "CLOUD_SYNC"])
def test_no_time_at_all_is_refused_where_nothing_could_be_done_in_it(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}_TIMEOUT_MS=0 is out of range: use 1 to 86400000"):
        load({f"{name}_TIMEOUT_MS": "0"})


@pytest.mark.parametrize("name", ["PORT", "OMNIROUTE_PORT", "LOG_LEVEL", "REQUEST_TIMEOUT_MS", "MAX_BODY_SIZE_BYTES"])
def test_a_blank_variable_is_as_good_as_none(name: str) -> None:
    others = {"PORT": "1234", "FETCH_TIMEOUT_MS": "1500"}
    assert load({**others, name: " "}) == load({key: text for key, text in others.items() if key != name})


def test_a_secret_that_is_refused_is_not_shown() -> None:
    with pytest.raises(SettingsError) as caught:
        load({"JWT_SECRET": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_provider_keys_go_by_the_id_that_their_name_stands_for() -> None:
    settings = load({"OPENAI_API_KEY": " sk-1 ", "MY_NODE_API_KEY": "x", "GROQ_API_KEY": ""})
    assert settings.provider_keys == {"openai": "sk-1", "my-node": "x"}


@pytest.mark.parametrize(
    ("env", "path"),
    [
        ({"DATA_DIR": "/srv/o", "XDG_CONFIG_HOME": "/x"}, Path("/srv/o")),
        ({"DATA_DIR": "~/o"}, Path.home() / "o"),
        ({"XDG_CONFIG_HOME": "/x"}, Path("/x/omniroute")),
    ],
)
def test_the_data_directory_is_data_dir_or_below_xdg_config_home(env: dict[str, str], path: Path) -> None:
    assert load(env).data_dir == path


def test_the_data_directory_is_below_appdata_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert load({"APPDATA": "/roaming"}).data_dir == Path("/roaming/omniroute")


def test_the_log_file_is_in_the_data_directory_unless_named_or_off() -> None:
    assert load({"DATA_DIR": "/srv/o"}).log_file == Path("/srv/o/log.txt")
    assert load({"LOG_TO_FILE": "false", "LOG_FILE_PATH": "/x"}).log_file is None


def test_sockets_are_taken_only_when_they_are_meant_for_this_process() -> None:
    assert load({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2"}).sockets == (3, 4)
    assert load({"LISTEN_PID": "1", "LISTEN_FDS": "2"}).sockets == ()
    assert load({"LISTEN_FDS": "2"}).sockets == ()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_loopback_addresses_and_localhost_are_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "localhost.evil.example", "laptop", ""])
def test_everything_else_may_be_reached_from_outside(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("text", "address"), [("10.0.0.1", "10.0.0.1"), ("[fe80::1]", "fe80::1"), ("10.0.0", ""), ("a.example", ""), ("[1", "")]
)
def test_an_ip_literal_loses_its_brackets_and_a_name_is_none(text: str, address: str) -> None:
    assert ip_literal(text) == address


def test_the_environment_for_a_successor_is_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPT", "1")
    made = environment(LISTEN_FDS="2")
    assert (made["KEPT"], made["LISTEN_FDS"]) == ("1", "2")
    assert "LISTEN_FDS" not in os.environ


def test_oauth_clients_are_read_by_provider() -> None:
    env = {
        "GEMINI_OAUTH_CLIENT_ID": " id ", "GEMINI_OAUTH_CLIENT_SECRET": "s", "GITHUB_MODELS_OAUTH_CLIENT_ID": "x",
        "EMPTY_OAUTH_CLIENT_ID": " ", "_OAUTH_CLIENT_ID": "nobody",
    }  # fmt: skip
    assert load(env).oauth_clients == {"gemini": ("id", "s"), "github-models": ("x", "")}


def test_proxies_are_read_in_either_case_and_all_stands_for_both() -> None:
    settings = load({"https_proxy": "http://a:1", "HTTPS_PROXY": "http://b:1", "ALL_PROXY": "socks5h://c:1"})
    assert (settings.http_proxy, settings.https_proxy) == ("socks5h://c:1", "http://a:1")
    assert load({"http_proxy": "proxy:3128"}).http_proxy == "http://proxy:3128"
    assert load({"no_proxy": "a.test, 10.0.0.0/8"}).no_proxy == ("a.test", "10.0.0.0/8")
    assert load({"TRUSTED_PROXIES": "10.0.0.0/8,::1"}).trusted_proxies == ("10.0.0.0/8", "::1")
    assert load({"ENABLE_SOCKS5_PROXY": "true"}).enable_socks5_proxy
    assert load({"PROXY_TEST_URL": "http://127.0.0.1:1/ip"}).proxy_test_url == "http://127.0.0.1:1/ip"


@pytest.mark.parametrize(
    "value", ["socks4://me:hunter2@h:1", "http://me:hunter2@", "http://me:hunter2@h:x", "ftp://hunter2"]
)
def test_a_proxy_that_cannot_be_used_is_refused_without_being_shown(value: str) -> None:
    with pytest.raises(SettingsError, match="ALL_PROXY is not a proxy's address") as caught:
        load({"all_proxy": "", "ALL_PROXY": value})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("value", ["http://", "http://[::1", "//", "/gateway"])
def test_the_gateways_own_address_names_a_host(value: str) -> None:
    with pytest.raises(SettingsError, match="BASE_URL must be an address such as https://"):
        load({"BASE_URL": value})


@pytest.mark.parametrize("value", ["example.com", "https://", "https://a.example/path", "https://a.example b"])
def test_an_origin_that_no_browser_would_send_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match=f"CORS_ORIGIN: '{value}'"):
        load({"CORS_ORIGIN": f"https://b.example/, *, null, chrome-extension://abc,{value}"})


def test_a_trusted_proxy_is_an_address_or_a_range() -> None:
    with pytest.raises(SettingsError, match="TRUSTED_PROXIES: 'nginx'"):
        load({"TRUSTED_PROXIES": "127.0.0.1, nginx"})
