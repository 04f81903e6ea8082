"""``omniroute serve``: run the gateway until it is stopped."""

from __future__ import annotations

import dataclasses
import errno
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import click
import msgspec

from .. import __version__, log
from ..app import App, passed_sockets, restart_process, run, settle
from ..errors import OmniError
from ..manage.gateway_login import has_password
from ..settings import WILDCARDS, Settings, SettingsError, is_loopback, url_host
from ..store.vault import prepare_folder
from . import backend
from .output import fail, shared

Announce = Callable[[App, int, bool], None]  # (app, bound port, whether a password is set)
Then = Callable[[App, int], Awaitable[None]]


@click.command()
@click.option("--host", help="Address to bind. Other than loopback only with a password set.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 0 picks a free one.")
@click.option("--tls-cert", type=click.Path(dir_okay=False), help="PEM certificate chain: serve HTTPS.")
@click.option("--tls-key", type=click.Path(dir_okay=False), help="PEM key of the certificate.")
@click.option("--no-open", is_flag=True, help="Do not open the admin page at the first start from a desktop.")
@shared
def serve(settings: Settings, json_out: bool, no_open: bool, **given: Any) -> None:
    """Run the gateway."""
    settings = dataclasses.replace(settings, **{name: value for name, value in given.items() if value is not None})
    wanted = settings.has_display and not (no_open or json_out or settings.sockets) and on_terminal()

    def announce(app: App, port: int, guarded: bool) -> None:
        tell(app.settings, port, guarded, json_out)
        if wanted and not app.store.snapshot.settings.setup_complete and not app.store.snapshot.connections:
            click.launch(addresses(app.settings, port)[1])

    start(settings, announce)


def on_terminal() -> bool:
    """Whether a person reads the output."""
    return sys.stdout.isatty()


def start(settings: Settings, announce: Announce, then: Then | None = None) -> None:
    """Run a gateway.  Once it listens, *announce* is called and *then* awaited.  A failure ends the command."""
    try:
        kept = run(_life(settings, announce, then))
    except (SettingsError, OmniError) as error:
        fail(str(error))
    except KeyboardInterrupt:  # before the gateway installed its signal handlers
        raise SystemExit(0) from None
    if kept is not None:
        sys.stdout.flush()
        restart_process(kept)


async def _life(settings: Settings, announce: Announce, then: Then | None) -> list[int] | None:
    """Run the gateway from start to end; returns the listening sockets when the process is to be restarted."""
    sockets, settings = passed_sockets(settings)
    prepare_folder(settings.data_dir)
    _set_up_log(settings)
    _refuse_second(settings)
    app = await App.open(settings)
    try:
        app.obey_signals()
        port = await _listen(app, sockets)
        backend.announce(settings, port, app.services.local_token)
        announce(app, port, await has_password(app.services))
        settle()
        if then is not None:
            await then(app, port)
        await app.wait()
        return app.keep_sockets() if app.again else None
    finally:
        backend.withdraw(settings)
        await app.close()


def _set_up_log(settings: Settings) -> None:
    try:
        log.set_up(settings.log_level, settings.log_format, settings.log_file, settings.log_max_bytes)
    except OSError as error:
        raise SettingsError(
            f"The log file {settings.log_file} cannot be written: {error.strerror}; set LOG_FILE_PATH, or LOG_TO_FILE=false"
        ) from None


def _refuse_second(settings: Settings) -> None:
    """Refuse to start a second gateway on a data directory: the two would not see each other's changes."""
    try:
        running = backend.find_running(settings)
    except backend.Unanswering as error:
        raise SettingsError(str(error)) from None
    if running is not None:
        raise SettingsError(
            f"A gateway already runs on {settings.data_dir} (port {running.port}, pid {running.pid}): "
            "another one needs its own --data-dir"
        )


async def _listen(app: App, sockets: list[Any]) -> int:
    try:
        return await app.listen(sockets)
    except OSError as error:
        where = f"{app.settings.host}:{app.settings.port}"
        taken = error.errno == errno.EADDRINUSE
        reason = "address already in use" if taken else error.strerror or error
        remedy = "another program uses it; choose another --port" if taken else "check --host and --port"
        raise SettingsError(f"Cannot listen on {where}: {reason}; {remedy}") from None


def addresses(settings: Settings, port: int) -> tuple[str, str]:
    """The URL of the bound address, and the URL of the admin page on this machine."""
    scheme = "https" if settings.tls_cert else "http"

    def url(host: str) -> str:
        return f"{scheme}://{url_host(host)}:{port}"

    return url(settings.host), f"{url(WILDCARDS.get(settings.host, settings.host))}/dashboard"


def guard(settings: Settings, has_password: bool) -> str:
    """How access is protected, in a few words."""
    password = "password set" if has_password else "no password set: open to this machine only"
    if not is_loopback(settings.host):
        return f"{password} · open to other machines: gateway key required"
    return f"{password} · gateway key required" if settings.require_api_key else password


def tell(settings: Settings, port: int, has_password: bool, json_out: bool) -> None:
    """Print one line with the addresses and how access is protected."""
    url, admin = addresses(settings, port)
    if json_out:
        facts = {
            "version": __version__, "url": url, "admin": admin, "port": port, "passwordSet": has_password,
            "keyRequired": settings.require_api_key,
        }  # fmt: skip
        click.echo(msgspec.json.encode(facts))
        return
    name = click.style(f"OmniRoute {__version__}", bold=True)
    click.echo(f"{name} on {url} · admin {admin} · {guard(settings, has_password)}")
