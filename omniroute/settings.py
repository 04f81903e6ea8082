"""The process's configuration, read once from the environment into an immutable :class:`Settings`.

The only module that reads ``os.environ``.  Variables and defaults: ``docs/configuration.md``.  Times are in seconds and
sizes in bytes unless the name says otherwise.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

KIB = 1024
MIB = 1024 * 1024
FIRST_PASSED: Final = 3  # sd_listen_fds(3): the first descriptor handed over
WILDCARDS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - only compared
"""The addresses that bind to all of this machine's, and the loopback address at which each can then be reached."""


class SettingsError(ValueError):
    """A variable has an invalid value; the message names the variable and the remedy."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Size limits and timeouts of the HTTP server and client."""

    head_bytes: int = 64 * KIB
    line_bytes: int = 8 * KIB
    header_fields: int = 100
    gateway_body: int = 32 * MIB
    manage_body: int = 10 * MIB
    answer_bytes: int = 64 * MIB  # a whole upstream response
    stream_buffer: int = 64 * KIB  # unsent bytes of one stream above which its upstream is paused
    connections: int = 10_000
    in_flight: int = 2_000
    body_memory: int = 512 * MIB  # buffered request bodies of all connections
    head_timeout: float = 10.0
    idle_timeout: float = 75.0  # keep-alive
    body_silence: float = 30.0  # without a byte of a request body
    body_min_rate: int = 1 * KIB  # average bytes a second, checked after body_silence seconds
    write_stall: float = 60.0  # after which a client that reads nothing is disconnected
    connect_timeout: float = 10.0
    first_byte_timeout: float = 600.0
    stream_idle_timeout: float = 300.0
    keepalive_interval: float = 15.0  # of client streams; 0 = off
    rate_limit_wait: float = 120.0  # how long a call queues for an account that is held back
    pool_idle: float = 60.0
    pool_per_origin: int = 100  # idle connections kept
    shutdown_timeout: float = 30.0


@dataclass(frozen=True, slots=True)
class CacheLimits:
    """The semantic cache.  The ``private_…`` limits are for answers to no-log keys, which are kept in memory only."""

    entries: int = 500  # in memory; 0 = off
    ttl: float = 3600.0
    private_entries: int = 50
    private_ttl: float = 300.0
    shared: bool = False  # answers to one key are given to others too
    implicit: bool = False  # a missing temperature counts as 0


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """The checks of requests and answers for prompt injection and personal data.  ``mode``: warn, block or redact."""

    enabled: bool = True
    mode: str = "warn"
    redact_requests: bool = False  # remove personal data
    redact_answers: bool = False
    watch_answers: bool = False  # only log that an answer holds personal data


@dataclass(frozen=True, slots=True)
class Settings:
    """The configuration of the process, except what is stored in the database."""

    host: str = "127.0.0.1"
    port: int = 20128
    data_dir: Path = field(default_factory=lambda: Path.home() / ".omniroute")
    log_level: str = "info"
    log_format: str = "text"
    log_to_file: bool = True
    log_file_path: str = ""  # "" = log.txt in data_dir
    log_max_bytes: int = 50 * MIB  # size at which the file is rotated
    require_api_key: bool = False
    initial_password: str = ""
    jwt_secret: str = ""
    api_key_secret: str = ""
    storage_encryption_key: str = ""
    auth_cookie_secure: bool = False
    cors_origins: tuple[str, ...] = ()
    base_url: str = ""
    machine_id_salt: str = "endpoint-proxy-salt"
    log_retention_days: int = 90
    multi_connections_per_node: bool = False
    allow_private_urls: bool = True
    no_log_key_ids: frozenset[str] = frozenset()
    log_bodies: bool = False  # the call log keeps requests and answers
    auto_backup: bool = True
    cloud_url: str = ""  # another gateway to synchronise with; the stored setting cloudUrl takes precedence
    cloud_sync_token: str = ""  # the secret shared by both gateways
    cloud_sync_timeout: float = 12.0
    cli_mode: str = "auto"
    cli_home: Path = field(default_factory=Path.home)  # where the command line tools keep their files
    cli_writes: bool = True
    cli_paths: tuple[str, ...] = ()  # folders to search in addition to search_path
    cli_bins: Mapping[str, str] = field(default_factory=dict)  # tool id -> program
    search_path: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()  # reverse proxies in front of the gateway: addresses and ranges
    http_proxy: str = ""  # URL of the proxy for http targets
    https_proxy: str = ""
    no_proxy: tuple[str, ...] = ()
    enable_socks5_proxy: bool = False  # allows stored SOCKS5 proxies
    proxy_test_url: str = "https://api64.ipify.org?format=json"  # responds with the caller's public address
    tls_cert: str = ""  # paths of PEM files
    tls_key: str = ""
    strict_http: bool = False  # serve only requests that h11 parses in the same way as our parser
    sockets: tuple[int, ...] = ()  # descriptors of inherited listening sockets; they take precedence over host and port
    has_display: bool = False  # a browser could be opened
    no_color: bool = False
    provider_keys: Mapping[str, str] = field(default_factory=dict)  # provider id -> API key
    oauth_clients: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # provider id -> client id, client secret
    limits: Limits = field(default_factory=Limits)
    cache: CacheLimits = field(default_factory=CacheLimits)
    guard: GuardSettings = field(default_factory=GuardSettings)

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.data_dir / "storage.sqlite"

    @property
    def log_file(self) -> Path | None:
        """The log file, in addition to standard error; None for no file."""
        if not self.log_to_file:
            return None
        return Path(self.log_file_path).expanduser() if self.log_file_path else self.data_dir / "log.txt"


def is_loopback(host: str) -> bool:
    """Whether *host* is a loopback address or ``localhost``.  Any other name counts as reachable from other machines."""
    address = ip_literal(host)
    return host.lower() == "localhost" or (address != "" and ip_address(address).is_loopback)


def ip_literal(host: str) -> str:
    """*host* without brackets if it is an IP address, else ``""``."""
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        ip_address(bare)
    except ValueError:
        return ""
    return bare


def url_host(host: str) -> str:
    """*host* as it is written in a URL: an IPv6 address in brackets (RFC 3986 section 3.2.2)."""
    return f"[{host}]" if ":" in host else host


def environment(**changes: str) -> dict[str, str]:
    """The process's environment with *changes*, for a program that replaces this process."""
    return {**os.environ, **changes}


_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h", "socks")
_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#\s]+/?")
_GUARD_MODES = ("warn", "block", "redact")
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}
_LEVELS = ("trace", "debug", "info", "warn", "warning", "error", "fatal")  # the keys of log.LEVELS; that imports asyncio
_CLI_BINS = {  # tool id -> variable
    "claude": "CLI_CLAUDE_BIN",
    "codex": "CLI_CODEX_BIN",
    "droid": "CLI_DROID_BIN",
    "openclaw": "CLI_OPENCLAW_BIN",
    "cursor": "CLI_CURSOR_BIN",
    "cline": "CLI_CLINE_BIN",
    "kilo": "CLI_KILO_BIN",
    "continue": "CLI_CONTINUE_BIN",
}
_UNITS = {"": 1, "K": KIB, "M": MIB, "G": 1024 * MIB}


def _flag(env: Mapping[str, str], name: str, default: bool) -> bool:
    text = env.get(name, "")
    word = text.strip().lower()
    if not word:
        return default
    if word in _TRUE | _FALSE:
        return word in _TRUE
    raise SettingsError(f"{name}={text!r} is not a truth value: use true or false")


def _number(env: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = env.get(name)
    if text is None or not text.strip():
        return default
    try:
        value = int(text)
    except ValueError:
        raise SettingsError(f"{name}={text!r} is not a whole number") from None
    if not low <= value <= high:
        raise SettingsError(f"{name}={value} is out of range: use {low} to {high}")
    return value


def _millis(env: Mapping[str, str], name: str, default: float, least: int = 0) -> float:
    """Read a variable in milliseconds, of at least *least*; returns seconds."""
    return _number(env, name, round(default * 1000), least, 86_400_000) / 1000


def _deadline(env: Mapping[str, str], name: str, default: float) -> float:
    """As :func:`_millis`, but not zero, because a timeout of zero would always expire."""
    return _millis(env, name, default, least=1)


def _given(env: Mapping[str, str], name: str) -> bool:
    """Whether the variable is set and not blank."""
    return bool(env.get(name, "").strip())


def _choice(env: Mapping[str, str], name: str, default: str, choices: Collection[str]) -> str:
    text = env.get(name, "").strip() or default
    if (word := text.lower()) in choices:
        return word
    raise SettingsError(f"{name}={text!r} is not known: use {', '.join(choices)}")


def _size(env: Mapping[str, str], name: str, default: int) -> int:
    """Read a number of bytes with an optional unit, e.g. ``50M``."""
    if not (text := env.get(name, "").strip()):
        return default
    if (match := re.fullmatch(r"(\d+)\s*([KMG]?)B?", text, re.IGNORECASE)) is None or not int(match[1]):
        raise SettingsError(f"{name}={text!r} is not a size: use a number of bytes, or one with K, M or G")
    return int(match[1]) * _UNITS[match[2].upper()]


def _secret(env: Mapping[str, str], name: str, least: int) -> str:
    text = env.get(name, "")
    if text and len(text) < least:
        raise SettingsError(f"{name} is too short: use at least {least} characters, or leave it out to have one generated")
    return text


def _host(env: Mapping[str, str]) -> str:
    """``HOST``, else ``HOSTNAME`` if it is an IP address: shells and containers set that to the machine's name."""
    return env.get("HOST", "").strip() or ip_literal(env.get("HOSTNAME", "").strip())


def _sockets(env: Mapping[str, str]) -> tuple[int, ...]:
    """Descriptors of listening sockets passed by a supervisor or by the process that this one replaced; sd_listen_fds(3)."""
    if env.get("LISTEN_PID") != str(os.getpid()):
        return ()
    return tuple(range(FIRST_PASSED, FIRST_PASSED + _number(env, "LISTEN_FDS", 0, 0, 64)))


def _with_plain_log_names(env: Mapping[str, str]) -> dict[str, str]:
    """*env* in which ``APP_LOG_LEVEL`` stands for ``LOG_LEVEL``, and so on, unless the plain name is set too."""
    prefix = "APP_"
    older = {name.removeprefix(prefix): value for name, value in env.items() if name.startswith(f"{prefix}LOG_")}
    return {**older, **env}


def _words(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _networks(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Read a list of IP addresses and CIDR ranges."""
    words = _words(env.get(name, ""))
    for word in words:
        try:
            ip_network(word, strict=False)
        except ValueError:
            raise SettingsError(f"{name}: {word!r} is neither an IP address nor a range such as 10.0.0.0/8") from None
    return words


def _origins(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Read a list of web origins (RFC 6454), each with an optional trailing slash; ``*`` means every origin."""
    words = _words(env.get(name, ""))
    for word in words:
        if word not in ("*", "null") and _ORIGIN.fullmatch(word) is None:
            raise SettingsError(f"{name}: {word!r} is not an origin such as https://example.com, nor *")
    return words


def _own_address(env: Mapping[str, str]) -> str:
    """The gateway's own URL; a host alone is accepted too, as in older configurations."""
    name = "BASE_URL" if env.get("BASE_URL") else "NEXT_PUBLIC_BASE_URL"
    text = env.get(name, "")
    try:
        good = not text or bool(urlsplit(text if "//" in text else f"//{text}").hostname)
    except ValueError:
        good = False
    if not good:
        raise SettingsError(f"{name} must be an address such as https://gateway.example.com, not {text!r}")
    return text


def _either_case(env: Mapping[str, str], name: str) -> tuple[str, str]:
    """Name and value of a variable that is also written in lower case, as is usual for proxies; lower case wins."""
    found = ((spelling, env.get(spelling, "").strip()) for spelling in (name.lower(), name))
    return next((pair for pair in found if pair[1]), (name, ""))


def _proxy(env: Mapping[str, str], name: str) -> str:
    """The proxy URL in *name*, else in ``ALL_PROXY``.  Error messages do not repeat the URL: it may hold a password."""
    given, text = _either_case(env, name)
    if not text:
        given, text = _either_case(env, "ALL_PROXY")
    if not text:
        return ""
    url = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(url)
        good = parts.scheme.lower() in _PROXY_SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise SettingsError(
            f"{given} is not a proxy's address: use http://host:port, https://host:port or socks5://host:port"
        )
    return url


def _folders(text: str) -> tuple[str, ...]:
    """Read a list of folders in the format of ``PATH``.  Relative ones are dropped: they depend on the working directory."""
    paths = (str(Path(part).expanduser()) for part in text.split(os.pathsep) if part.strip())
    return tuple(path for path in paths if os.path.isabs(path))


def default_data_dir(env: Mapping[str, str]) -> Path:
    """``DATA_DIR``, else the platform's configuration folder, else ``~/.omniroute``."""
    if path := env.get("DATA_DIR"):
        return Path(path).expanduser()
    if sys.platform == "win32" and (base := env.get("APPDATA")):
        return Path(base) / "omniroute"
    if base := env.get("XDG_CONFIG_HOME"):
        return Path(base) / "omniroute"
    return Path.home() / ".omniroute"


def _provider_keys(env: Mapping[str, str]) -> dict[str, str]:
    """``OPENAI_API_KEY=…`` -> ``{"openai": …}``.  The ids are not checked here; the catalogue knows which ones exist."""
    suffix = "_API_KEY"
    keys = {}
    for name, value in env.items():
        if name.endswith(suffix) and value.strip():
            keys[name[: -len(suffix)].lower().replace("_", "-")] = value.strip()
    return keys


def _oauth_clients(env: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """``GEMINI_OAUTH_CLIENT_ID=…`` and ``…_CLIENT_SECRET`` -> ``{"gemini": (id, secret)}``; either may be empty."""
    parts = ("_OAUTH_CLIENT_ID", "_OAUTH_CLIENT_SECRET")
    found = {name.removesuffix(part) for part in parts for name in env if name.endswith(part) and env[name].strip()}
    pairs = {name: tuple(env.get(name + part, "").strip() for part in parts) for name in found if name}
    return {name.lower().replace("_", "-"): (pair[0], pair[1]) for name, pair in pairs.items()}


def _limits(env: Mapping[str, str]) -> Limits:
    base = Limits()
    both = _given(env, "REQUEST_TIMEOUT_MS")
    first = _deadline(env, "REQUEST_TIMEOUT_MS" if both else "FETCH_TIMEOUT_MS", base.first_byte_timeout)
    idle = _deadline(env, "REQUEST_TIMEOUT_MS" if both else "STREAM_IDLE_TIMEOUT_MS", base.stream_idle_timeout)
    limit = _number(env, "MAX_BODY_SIZE_BYTES", base.manage_body, 1, 1024 * MIB)
    return Limits(
        gateway_body=limit if _given(env, "MAX_BODY_SIZE_BYTES") else base.gateway_body,
        manage_body=limit,
        first_byte_timeout=first,
        stream_idle_timeout=idle,
        connect_timeout=_deadline(env, "CONNECT_TIMEOUT_MS", base.connect_timeout),
        keepalive_interval=_millis(env, "KEEPALIVE_INTERVAL_MS", base.keepalive_interval),
        rate_limit_wait=_millis(env, "RATE_LIMIT_MAX_WAIT_MS", base.rate_limit_wait),
        in_flight=_number(env, "MAX_IN_FLIGHT", base.in_flight, 1, 1_000_000),
        body_memory=_number(env, "MAX_BODY_MEMORY_BYTES", base.body_memory, 1024, 1 << 40),
        connections=_number(env, "MAX_CONNECTIONS", base.connections, 1, 1_000_000),
        head_timeout=_deadline(env, "HEAD_TIMEOUT_MS", base.head_timeout),
        body_silence=_deadline(env, "BODY_TIMEOUT_MS", base.body_silence),
        idle_timeout=_millis(env, "KEEP_ALIVE_TIMEOUT_MS", base.idle_timeout),
        write_stall=_deadline(env, "WRITE_TIMEOUT_MS", base.write_stall),
        shutdown_timeout=_millis(env, "SHUTDOWN_TIMEOUT_MS", base.shutdown_timeout),
    )


def _guard(env: Mapping[str, str]) -> GuardSettings:
    mode = _choice(env, "INJECTION_GUARD_MODE", "warn", _GUARD_MODES)
    mode = _choice(env, "INPUT_SANITIZER_MODE", mode, _GUARD_MODES)
    answers = _flag(env, "PII_RESPONSE_SANITIZATION", default=False)
    redacts = _choice(env, "PII_RESPONSE_SANITIZATION_MODE", "redact", ("redact", "warn")) == "redact"
    return GuardSettings(
        enabled=_flag(env, "INPUT_SANITIZER_ENABLED", default=True),
        mode=mode,
        redact_requests=mode == "redact" and _flag(env, "PII_REDACTION_ENABLED", default=False),
        redact_answers=answers and redacts,
        watch_answers=answers and not redacts,
    )


def _cache(env: Mapping[str, str]) -> CacheLimits:
    base = CacheLimits()
    return CacheLimits(
        entries=_number(env, "SEMANTIC_CACHE_MAX_SIZE", base.entries, 0, 100_000),
        ttl=_millis(env, "SEMANTIC_CACHE_TTL_MS", base.ttl),
        private_entries=_number(env, "PROMPT_CACHE_MAX_SIZE", base.private_entries, 0, 100_000),
        private_ttl=_millis(env, "PROMPT_CACHE_TTL_MS", base.private_ttl),
        shared=_flag(env, "SEMANTIC_CACHE_SHARED", base.shared),
        implicit=_flag(env, "SEMANTIC_CACHE_IMPLICIT_TEMPERATURE", base.implicit),
    )


def load(env: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from *env* (default: the process environment).  Raises :class:`SettingsError`."""
    env = _with_plain_log_names(os.environ if env is None else env)
    base = Settings()
    return Settings(
        host=_host(env) or base.host,
        port=_number(env, "OMNIROUTE_PORT" if _given(env, "OMNIROUTE_PORT") else "PORT", base.port, 0, 65535),
        data_dir=default_data_dir(env),
        log_level=_choice(env, "LOG_LEVEL", base.log_level, _LEVELS),
        log_format=_choice(env, "LOG_FORMAT", base.log_format, ("text", "json")),
        log_to_file=_flag(env, "LOG_TO_FILE", base.log_to_file),
        log_file_path=env.get("LOG_FILE_PATH", ""),
        log_max_bytes=_size(env, "LOG_MAX_FILE_SIZE", base.log_max_bytes),
        require_api_key=_flag(env, "REQUIRE_API_KEY", base.require_api_key),
        initial_password=env.get("INITIAL_PASSWORD", ""),
        jwt_secret=_secret(env, "JWT_SECRET", 32),
        api_key_secret=_secret(env, "API_KEY_SECRET", 16),
        storage_encryption_key=env.get("STORAGE_ENCRYPTION_KEY", ""),
        auth_cookie_secure=_flag(env, "AUTH_COOKIE_SECURE", base.auth_cookie_secure),
        cors_origins=_origins(env, "CORS_ORIGIN"),
        base_url=_own_address(env) or base.base_url,
        machine_id_salt=env.get("MACHINE_ID_SALT") or base.machine_id_salt,
        log_retention_days=_number(env, "LOG_RETENTION_DAYS", base.log_retention_days, 1, 3650),
        multi_connections_per_node=_flag(env, "ALLOW_MULTI_CONNECTIONS_PER_COMPAT_NODE", base.multi_connections_per_node),
        allow_private_urls=_flag(env, "OMNIROUTE_ALLOW_PRIVATE_PROVIDER_URLS", base.allow_private_urls),
        no_log_key_ids=frozenset(_words(env.get("NO_LOG_API_KEY_IDS", ""))),
        log_bodies=_flag(env, "ENABLE_REQUEST_LOGS", base.log_bodies),
        auto_backup=not _flag(env, "DISABLE_SQLITE_AUTO_BACKUP", not base.auto_backup),
        cloud_url=env.get("CLOUD_URL") or env.get("NEXT_PUBLIC_CLOUD_URL") or base.cloud_url,
        cloud_sync_token=_secret(env, "CLOUD_SYNC_TOKEN", 16),
        cloud_sync_timeout=_deadline(env, "CLOUD_SYNC_TIMEOUT_MS", base.cloud_sync_timeout),
        cli_mode=_choice(env, "CLI_MODE", base.cli_mode, ("auto", "host", "container")),
        cli_home=Path(home).expanduser().absolute() if (home := env.get("CLI_CONFIG_HOME")) else base.cli_home,
        cli_writes=_flag(env, "CLI_ALLOW_CONFIG_WRITES", base.cli_writes),
        cli_paths=_folders(env.get("CLI_EXTRA_PATHS", "")),
        cli_bins={tool: text for tool, name in _CLI_BINS.items() if (text := env.get(name, "").strip())},
        search_path=_folders(env.get("PATH", "")),
        trusted_proxies=_networks(env, "TRUSTED_PROXIES"),
        http_proxy=_proxy(env, "HTTP_PROXY"),
        https_proxy=_proxy(env, "HTTPS_PROXY"),
        no_proxy=_words(_either_case(env, "NO_PROXY")[1].replace(" ", ",")),
        enable_socks5_proxy=_flag(env, "ENABLE_SOCKS5_PROXY", base.enable_socks5_proxy),
        proxy_test_url=env.get("PROXY_TEST_URL") or base.proxy_test_url,
        tls_cert=env.get("TLS_CERT", ""),
        tls_key=env.get("TLS_KEY", ""),
        strict_http=_flag(env, "STRICT_HTTP", base.strict_http),
        sockets=_sockets(env),
        has_display=sys.platform in ("darwin", "win32") or bool(env.get("DISPLAY") or env.get("WAYLAND_DISPLAY")),
        no_color=bool(env.get("NO_COLOR")),
        provider_keys=_provider_keys(env),
        oauth_clients=_oauth_clients(env),
        limits=_limits(env),
        cache=_cache(env),
        guard=_guard(env),
    )
