"""An OAuth 2.0 client: builds requests and interprets responses.  No I/O.

Implements the authorization code grant (RFC 6749 section 4.1) with PKCE (RFC 7636, S256 only), the device grant (RFC 8628)
and refresh (RFC 6749 section 6).  Vendors' deviations are data in ``oauth.toml``.  No text that leaves this module contains
a secret that was sent.
"""

from __future__ import annotations

import hashlib
import tomllib
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from importlib import resources
from typing import Annotated, Any, Final, Literal, NamedTuple
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit, urlunsplit

import msgspec
import orjson
from msgspec import UNSET, Meta, Struct, UnsetType, field

from ..proto.headers import Headers
from .verdict import short

TokenAuth = Literal["none", "basic", "post"]
Flow = Literal["authorization_code_pkce", "authorization_code", "device_code", "import_token"]

DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
PENDING: Final = frozenset({"authorization_pending", "slow_down"})
_PASSING: Final = frozenset({"server_error", "temporarily_unavailable"})  # temporary failures, whatever the status
_FINAL: Final = frozenset(  # decisions, even with the status 429 or 5xx
    {
        "access_denied", "expired_token", "invalid_grant", "invalid_client", "invalid_request", "invalid_scope",
        "unauthorized_client", "unsupported_grant_type",
    }
)  # fmt: skip
SPENT: Final = frozenset({"invalid_grant", "bad_refresh_token"})
"""Error codes of a refresh after which only a new login helps; the second is one vendor's name for the first."""


class OAuthClient(Struct, frozen=True, kw_only=True):
    """The OAuth configuration of one provider: the vendor's endpoints and the operator's own client.

    ``client_secret`` is in clear text.  ``token_auth`` None: the secret is optional, and sent in the body if there is one.
    The fields from ``public`` on are deviations of vendors, which ``oauth.toml`` explains.
    """

    provider: str
    client_id: str = ""
    client_secret: str = ""
    authorize_url: str = ""
    token_url: str = ""
    device_url: str = ""
    refresh_url: str = ""  # "" = token_url
    scopes: tuple[str, ...] = ()
    pkce: bool = True
    device_pkce: bool = False  # PKCE in the device flow too, which RFC 8628 does not have
    token_auth: TokenAuth | None = None
    extra: dict[str, str] = field(default_factory=dict)  # more parameters of the authorization request
    public: bool = False
    redirect_param: str = "redirect_uri"
    state_in_redirect: bool = False
    json_tokens: bool = False
    key_member: str = ""
    account_member: str = ""

    def __repr__(self) -> str:
        return f"OAuthClient({self.provider}, {self.client_id})"

    @property
    def flow(self) -> Flow:
        """The flow that a login uses."""
        if self.authorize_url:
            return "authorization_code_pkce" if self.pkce else "authorization_code"
        return "device_code" if self.device_url else "import_token"

    @property
    def missing(self) -> list[str]:
        """The names, as in the API, of the fields that the operator still has to set."""
        needs_secret = self.token_auth in ("basic", "post")
        have = {
            "clientId": bool(self.client_id or self.public),
            "clientSecret": bool(self.client_secret or not needs_secret),
            "authorizeUrl": bool(self.authorize_url or self.device_url),
            "tokenUrl": bool(self.token_url),
        }
        return [name for name, there in have.items() if not there]


_Text = Annotated[str, Meta(max_length=2000)]
_Url = Annotated[str, Meta(max_length=500)]


class ClientFields(Struct, rename="camel", kw_only=True):
    """The fields of a client that settings, ``oauth.toml`` and the API may set; a field left out keeps its value."""

    client_id: _Text | UnsetType = UNSET
    client_secret: _Text | UnsetType = UNSET
    authorize_url: _Url | UnsetType = UNSET
    token_url: _Url | UnsetType = UNSET
    device_url: _Url | UnsetType = field(default=UNSET, name="deviceAuthorizationUrl")
    refresh_url: _Url | UnsetType = UNSET
    scopes: Annotated[list[_Text], Meta(max_length=50)] | UnsetType = UNSET
    pkce: bool | UnsetType = UNSET
    device_pkce: bool | UnsetType = UNSET
    token_auth: TokenAuth | UnsetType | None = UNSET
    extra: Annotated[dict[str, _Text], Meta(max_length=30)] | UnsetType = field(default=UNSET, name="extraAuthParams")


URLS: Final = ("authorize_url", "token_url", "device_url", "refresh_url")


class _Profile(ClientFields, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """One table of ``oauth.toml``."""

    public: bool = False
    redirect_param: str = "redirect_uri"
    state_in_redirect: bool = False
    json_tokens: bool = False
    key_member: str = ""
    account_member: str = ""


def load_profiles() -> dict[str, OAuthClient]:
    """The vendors in ``oauth.toml`` by provider id, without client id and secret."""
    text = resources.files("omniroute.upstream").joinpath("oauth.toml").read_text(encoding="utf-8")
    rows = msgspec.convert(tomllib.loads(text), dict[str, _Profile])
    return {provider: merge(OAuthClient(provider=provider), row) for provider, row in rows.items()}


def merge(client: OAuthClient, fields: ClientFields) -> OAuthClient:
    """*client* with the values that *fields* set."""
    values = {name: getattr(fields, name) for name in fields.__struct_fields__}
    given = {name: tuple(value) if name == "scopes" else value for name, value in values.items() if value is not UNSET}
    return msgspec.structs.replace(client, **given)


# -- requests


def challenge_of(verifier: str) -> str:
    """The S256 code challenge (RFC 7636 section 4.2)."""
    return urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).rstrip(b"=").decode("ascii")


def authorize_url(client: OAuthClient, redirect_uri: str, state: str, verifier: str) -> str:
    """The URL to open in the user's browser (RFC 6749 section 4.1.1)."""
    pairs = [] if client.public else [("response_type", "code"), ("client_id", client.client_id)]
    if client.state_in_redirect:
        pairs.append((client.redirect_param, with_query(redirect_uri, [("state", state)])))
    else:
        pairs += [(client.redirect_param, redirect_uri), ("state", state)]
    if client.scopes:
        pairs.append(("scope", " ".join(client.scopes)))
    if client.pkce:
        pairs += [("code_challenge", challenge_of(verifier)), ("code_challenge_method", "S256")]
    fixed = {name for name, _ in pairs}
    return with_query(client.authorize_url, pairs + [pair for pair in client.extra.items() if pair[0] not in fixed])


def with_query(url: str, pairs: Iterable[tuple[str, str]]) -> str:
    """*url* with *pairs* appended to its query."""
    parts = urlsplit(url)
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *pairs])
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))


class TokenRequest(NamedTuple):
    """A POST to the authorization server.  ``secrets`` are removed from the error texts of its response."""

    url: str
    headers: Headers
    body: bytes
    secrets: tuple[str, ...] = ()


def code_request(client: OAuthClient, code: str, redirect_uri: str, verifier: str) -> TokenRequest:
    """Exchanges an authorization code for tokens (RFC 6749 section 4.1.3, RFC 7636 section 4.5)."""
    values = {} if client.public else {"grant_type": "authorization_code", "redirect_uri": redirect_uri}
    values["code"] = code
    if client.pkce:
        values["code_verifier"] = verifier
        if client.public:
            values["code_challenge_method"] = "S256"
    return _request(client, client.token_url, values, (code, verifier))


def refresh_request(client: OAuthClient, refresh_token: str) -> TokenRequest:
    """Requests a new access token (RFC 6749 section 6)."""
    values = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    return _request(client, client.refresh_url or client.token_url, values, (refresh_token,))


def device_request(client: OAuthClient, verifier: str) -> TokenRequest:
    """Requests the codes of a device login (RFC 8628 section 3.1)."""
    values = {"client_id": client.client_id}
    if client.scopes:
        values["scope"] = " ".join(client.scopes)
    if client.device_pkce:
        values |= {"code_challenge": challenge_of(verifier), "code_challenge_method": "S256"}
    return _request(client, client.device_url, values, ())


def poll_request(client: OAuthClient, device_code: str, verifier: str = "") -> TokenRequest:
    """Asks whether the user has approved the device login (RFC 8628 section 3.4)."""
    values = {"grant_type": DEVICE_GRANT, "device_code": device_code}
    if client.device_pkce and verifier:
        values["code_verifier"] = verifier
    return _request(client, client.token_url, values, (device_code, verifier))


def _request(client: OAuthClient, url: str, values: dict[str, str], secrets: tuple[str, ...]) -> TokenRequest:
    """Adds client authentication (RFC 6749 section 2.3.1) and encodes *values*."""
    headers: Headers = [(b"accept", b"application/json"), (b"user-agent", b"omniroute")]
    way = client.token_auth or ("post" if client.client_secret else "none")
    if way == "basic":
        pair = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}".encode()
        headers.append((b"authorization", b"Basic " + b64encode(pair)))
    elif not client.public:
        values = {**values, "client_id": client.client_id}
        if way == "post" and client.client_secret:
            values["client_secret"] = client.client_secret
    secrets = tuple(text for text in (*secrets, client.client_secret) if text)
    if client.json_tokens:
        return TokenRequest(url, [*headers, (b"content-type", b"application/json")], orjson.dumps(values), secrets)
    headers.append((b"content-type", b"application/x-www-form-urlencoded"))
    return TokenRequest(url, headers, urlencode(values).encode("ascii"), secrets)


# -- responses


class Refused(Exception):
    """The authorization server returned an error, an invalid response or none.

    ``error`` is a code of RFC 6749 section 5.2 or RFC 8628 section 3.5, or one of ours: ``invalid_response``,
    ``server_error``, ``network_error``.  ``passing``: the failure is temporary, on the server's side, so the same request
    may succeed later.
    """

    def __init__(self, error: str, description: str, *, passing: bool = False) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description
        self.passing = passing

    @property
    def pending(self) -> bool:
        """Whether the user has not decided about a device login yet, so the poll is to be repeated."""
        return self.error in PENDING


class Grant(Struct, frozen=True, kw_only=True):
    """The result of a login or a refresh: tokens, or a permanent ``api_key``.

    ``expires_in`` is the lifetime of the access token in seconds, None when the server did not give one.  ``expires_at``
    (Unix time) is for an imported token, which was issued earlier.
    """

    access_token: str = ""
    refresh_token: str = ""
    id_token: str = ""
    api_key: str = ""
    token_type: str = ""
    scope: str = ""
    expires_in: int | None = None
    expires_at: float | None = None
    email: str = ""
    name: str = ""

    def __repr__(self) -> str:
        return f"Grant({self.email or self.name!r})"


class DeviceCodes(Struct):
    """A device authorization response (RFC 8628 section 3.2).  ``expires_in`` and ``interval`` are in seconds."""

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str | UnsetType | None = UNSET
    expires_in: int = 900
    interval: int = 5


def read_grant(client: OAuthClient, request: TokenRequest, status: int, body: bytes) -> Grant:
    """The tokens in a response of the token endpoint.  Raises :class:`Refused`, also for an error with status 200."""
    data = _object(request, status, body)
    if client.key_member:
        key = _token(data, client.key_member)
        return Grant(api_key=key, name=_text(data, client.account_member))
    claims = _claims(_text(data, "id_token"))
    return Grant(
        access_token=_token(data, "access_token"),
        refresh_token=_text(data, "refresh_token"),
        id_token=_text(data, "id_token"),
        token_type=_text(data, "token_type"),
        scope=_text(data, "scope"),
        expires_in=_seconds(data.get("expires_in")),
        email=_text(claims, "email"),
        name=_text(claims, "name") or _text(claims, "preferred_username"),
    )


def read_device_codes(request: TokenRequest, status: int, body: bytes) -> DeviceCodes:
    """The codes in a response of the device authorization endpoint.  Raises :class:`Refused`."""
    data = _object(request, status, body)
    if "verification_uri" not in data and "verification_url" in data:  # an early draft's name, still in use
        data["verification_uri"] = data["verification_url"]
    times = {name: seconds for name in ("expires_in", "interval") if (seconds := _seconds(data.pop(name, None)))}
    try:
        codes = msgspec.convert(data | times, DeviceCodes)
    except msgspec.ValidationError:
        raise Refused("invalid_response", "The device authorization answer lacks a field") from None
    for url in (codes.verification_uri, codes.verification_uri_complete):
        if isinstance(url, str) and urlsplit(url).scheme not in ("https", "http"):
            raise Refused("invalid_response", "The verification address is no web address")
    return codes


def _object(request: TokenRequest, status: int, body: bytes) -> dict[str, Any]:
    """The JSON object of a successful response (RFC 6749 section 5.1).  Raises :class:`Refused`."""
    data = _json(body)
    trouble = status >= 500 or status == 429
    if not isinstance(data, dict):
        kind = "server_error" if status >= 500 else "invalid_response"
        text = f"The authorization server answered {status} without a JSON object"
        raise Refused(kind, text, passing=trouble or status < 300)
    error, said = data.get("error"), data.get("error_description") or data.get("message")
    if status < 300 and not error:
        return data
    if isinstance(error, dict):  # some servers use the error format of their API
        inner: dict[str, Any] = error
        error, said = inner.get("code") or inner.get("status"), inner.get("message")
    stated = error if isinstance(error, str) else ""
    code = stated or ("server_error" if status >= 500 else "invalid_request")
    text = said if isinstance(said, str) and said else f"The authorization server answered {status}"
    passing = code in _PASSING or (trouble and stated not in _FINAL)
    raise Refused(short(code, *request.secrets)[:60], short(text, *request.secrets), passing=passing)


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _text(data: dict[str, Any], name: str) -> str:
    value = data.get(name)
    return value if isinstance(value, str) else ""


def _token(data: dict[str, Any], name: str) -> str:
    """The token in the member *name*, checked to be printable ASCII so that it can be sent in a header field."""
    token = _text(data, name).strip()
    if not token or not (token.isascii() and token.isprintable()):
        raise Refused("invalid_response", f"The answer of the token endpoint has no usable {name}")
    return token


def _seconds(value: object) -> int | None:
    try:
        seconds = int(float(value)) if isinstance(value, int | float | str) else 0
    except (ValueError, OverflowError):
        return None
    return seconds if 0 < seconds < 10**10 else None


def _claims(id_token: str) -> dict[str, Any]:
    """The claims of an ID token.

    Its signature need not be checked: it came directly from the token endpoint over TLS (OpenID Connect Core section
    3.1.3.7), and its claims are only used to name the account.
    """
    parts = id_token.split(".")
    if len(parts) != 3:
        return {}
    try:
        data = orjson.loads(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
