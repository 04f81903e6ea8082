"""A real OAuth 2.0 authorization server on the loopback: Authlib's grants behind the standard library's WSGI server.

PKCE, client authentication, redirect URIs and the rotation of refresh tokens are thus checked by independent code.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from secrets import token_urlsafe
from threading import Thread
from typing import Any, ClassVar
from urllib.error import HTTPError
from urllib.parse import parse_qs, parse_qsl, urlsplit
from urllib.request import HTTPRedirectHandler, build_opener
from wsgiref.simple_server import WSGIRequestHandler, make_server

from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, OAuth2Request, grants
from authlib.oauth2.rfc6749.errors import OAuth2Error
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc8628 import DeviceAuthorizationEndpoint, DeviceCodeGrant, DeviceCredentialDict

EMAIL = "ada@example.test"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass
class App(ClientMixin):  # type: ignore[misc]
    """A registered client; ``method`` is how it must authenticate."""

    id: str = "app-1"
    secret: str = ""
    method: str = "none"
    redirects: tuple[str, ...] = ("http://localhost:8080/callback",)
    any_loopback_port: bool = True

    def get_client_id(self) -> str:
        return self.id

    def get_default_redirect_uri(self) -> str:
        return self.redirects[0]

    def get_allowed_scope(self, scope: str) -> str:
        return scope or ""

    def check_redirect_uri(self, uri: str) -> bool:
        """Accept any port on a loopback address (RFC 8252 section 7.3)."""
        parts = urlsplit(uri)
        loopback = parts.hostname == "127.0.0.1" and parts.path == "/callback"
        return uri in self.redirects or (self.any_loopback_port and loopback)

    def check_client_secret(self, secret: str) -> bool:
        return bool(self.secret) and secret == self.secret

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == self.method

    def check_response_type(self, kind: str) -> bool:
        return kind == "code"

    def check_grant_type(self, kind: str) -> bool:
        return kind in ("authorization_code", "refresh_token", DEVICE_GRANT)


@dataclass
class Code:
    code: str
    client_id: str
    redirect_uri: str
    scope: str
    challenge: str
    method: str

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope


@dataclass
class Token:
    client_id: str
    refresh_token: str
    scope: str
    revoked: bool = False

    def check_client(self, client: App) -> bool:
        return client.id == self.client_id

    def get_scope(self) -> str:
        return self.scope


@dataclass
class State:
    """The server's state, and the settings that tests change."""

    app: App = field(default_factory=App)
    codes: dict[str, Code] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)  # by refresh token
    devices: dict[str, DeviceCredentialDict] = field(default_factory=dict)
    approved: dict[str, bool] = field(default_factory=dict)  # user code -> yes or no
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)  # (path, form) of every POST
    expires_in: int | None = 3600
    rotate: bool = True
    broken: int = 0  # status to answer every POST with

    def grants(self, kind: str) -> int:
        """Return the number of token requests of this grant type."""
        return sum(form.get("grant_type") == kind for _, form in self.asked)


class _CodeGrant(grants.AuthorizationCodeGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar = ["client_secret_basic", "client_secret_post", "none"]

    def save_authorization_code(self, code: str, request: OAuth2Request) -> None:
        data = request.payload.data
        challenge, method = data.get("code_challenge", ""), data.get("code_challenge_method", "")
        self.server.state.codes[code] = Code(
            code, request.client.id, data.get("redirect_uri", ""), data.get("scope", ""), challenge, method
        )

    def query_authorization_code(self, code: str, client: App) -> Code | None:
        found: Code | None = self.server.state.codes.get(code)
        return found if found is not None and found.client_id == client.id else None

    def delete_authorization_code(self, code: Code) -> None:
        del self.server.state.codes[code.code]

    def authenticate_user(self, code: Code) -> str:
        return EMAIL


class _S256(CodeChallenge):  # type: ignore[misc]
    SUPPORTED_CODE_CHALLENGE_METHOD: ClassVar = ["S256"]
    DEFAULT_CODE_CHALLENGE_METHOD = "S256"

    def get_authorization_code_challenge(self, code: Code) -> str:
        return code.challenge

    def get_authorization_code_challenge_method(self, code: Code) -> str:
        return code.method


class _RefreshGrant(grants.RefreshTokenGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar = _CodeGrant.TOKEN_ENDPOINT_AUTH_METHODS

    @property
    def INCLUDE_NEW_REFRESH_TOKEN(self) -> bool:
        return bool(self.server.state.rotate)

    def authenticate_refresh_token(self, text: str) -> Token | None:
        token: Token | None = self.server.state.tokens.get(text)
        return None if token is None or token.revoked else token

    def authenticate_user(self, token: Token) -> str:
        return EMAIL

    def revoke_old_credential(self, token: Token) -> None:
        token.revoked = bool(self.server.state.rotate)


class _DeviceGrant(DeviceCodeGrant):  # type: ignore[misc]
    def query_device_credential(self, device_code: str) -> DeviceCredentialDict | None:
        return self.server.state.devices.get(device_code)

    def query_user_grant(self, user_code: str) -> tuple[str, bool] | None:
        yes = self.server.state.approved.get(user_code)
        return None if yes is None else (EMAIL, yes)

    def should_slow_down(self, credential: DeviceCredentialDict) -> bool:
        return False


class _DeviceEndpoint(DeviceAuthorizationEndpoint):  # type: ignore[misc]
    def get_verification_uri(self) -> str:
        return "https://login.example.test/device"

    def save_device_credential(self, client_id: str, scope: str, data: dict[str, Any]) -> None:
        ends = time.time() + data["expires_in"]
        row = DeviceCredentialDict(client_id=client_id, scope=scope or "", expires_at=ends, **data)
        self.server.state.devices[data["device_code"]] = row


Answer = tuple[int, str, list[tuple[str, str]]]


class _Server(AuthorizationServer):  # type: ignore[misc]
    def __init__(self, state: State) -> None:
        super().__init__()
        self.state = state
        self.register_token_generator("default", self._token)
        self.register_grant(_CodeGrant, [_S256(required=True)])
        self.register_grant(_RefreshGrant)
        self.register_grant(_DeviceGrant)
        self.register_endpoint(_DeviceEndpoint)

    def query_client(self, client_id: str) -> App | None:
        return self.state.app if client_id == self.state.app.id else None

    def save_token(self, token: dict[str, Any], request: OAuth2Request) -> None:
        if text := token.get("refresh_token"):
            self.state.tokens[text] = Token(request.client.id, text, token["scope"])

    def _token(self, grant_type: str, client: App, scope: str = "", include_refresh_token: bool = True, **_: Any) -> Any:
        claims = base64.urlsafe_b64encode(json.dumps({"email": EMAIL, "name": "Ada"}).encode()).decode().rstrip("=")
        token = {"token_type": "Bearer", "access_token": f"at-{token_urlsafe(16)}", "scope": scope or ""}
        token["id_token"] = f"e30.{claims}.sig"
        if self.state.expires_in is not None:
            token["expires_in"] = self.state.expires_in  # type: ignore[assignment]
        if include_refresh_token:
            token["refresh_token"] = f"rt-{token_urlsafe(16)}"
        return token

    def create_oauth2_request(self, request: OAuth2Request) -> OAuth2Request:
        return request

    def handle_response(self, status: int, body: Any, headers: list[tuple[str, str]]) -> Answer:
        return status, json.dumps(body) if isinstance(body, dict) else body or "", headers

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None: ...

    def serve(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
        form = dict(parse_qsl(environ.get("QUERY_STRING", "") if method == "GET" else body))
        headers = {"Authorization": environ["HTTP_AUTHORIZATION"]} if "HTTP_AUTHORIZATION" in environ else {}
        request = OAuth2Request(method, f"https://localhost{path}?{environ.get('QUERY_STRING', '')}", headers=headers)
        request.payload = BasicOAuth2Payload(form)
        request._body = form
        status, text, fields = self._answer(path, request, form)
        start(f"{status} -", [(name, value) for name, value in fields])
        return [text.encode()]

    def _answer(self, path: str, request: OAuth2Request, form: dict[str, str]) -> Answer:
        if request.method == "POST":
            self.state.asked.append((path, form))
            if self.state.broken:
                return self.state.broken, "<h1>down</h1>", [("content-type", "text/html")]
        try:
            if path == "/authorize":
                grant = self.get_authorization_grant(request)
                answer: Answer = self.create_authorization_response(request, EMAIL, grant)
            elif path == "/device":
                answer = self.create_endpoint_response("device_authorization", request)
            else:
                answer = self.create_token_response(request)
        except OAuth2Error as error:
            return self.handle_response(*error(None))
        return answer


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None: ...


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        return None


class AuthServer:
    """The running server.  ``state`` is shared with its thread."""

    def __init__(self, state: State, port: int) -> None:
        self.state = state
        self.url = f"http://127.0.0.1:{port}"

    def fields(self, **more: Any) -> dict[str, Any]:
        """Return the client settings that an operator would enter for this server."""
        app = self.state.app
        found = {"clientId": app.id, "authorizeUrl": self.url + "/authorize", "tokenUrl": self.url + "/token",
                 "deviceAuthorizationUrl": self.url + "/device", "scopes": ["chat"]}  # fmt: skip
        if app.secret:
            found |= {"clientSecret": app.secret, "tokenAuth": app.method.removeprefix("client_secret_")}
        return found | more

    def browse(self, url: str) -> str:
        """Act as the browser of a user who agrees; return the redirect's target."""
        try:
            answer = build_opener(_NoRedirect).open(url, timeout=10)
        except HTTPError as redirect:
            answer = redirect
        with answer:
            place = answer.headers["location"]
            assert place, f"no redirect but {answer.status}: {answer.read()!r}"
            return str(place)

    def login(self, url: str) -> dict[str, str]:
        """Return the query of the redirect after a login at *url*."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.browse(url)).query).items()}


@contextmanager
def auth_server(**app: Any) -> Iterator[AuthServer]:
    """Run an authorization server with one client."""
    state = State(App(**app))
    server = make_server("127.0.0.1", 0, _Server(state).serve, handler_class=_Quiet)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield AuthServer(state, server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
