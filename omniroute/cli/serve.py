"""``omniroute serve``: run the gateway until told to stop."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from pathlib import Path

import click

from .. import __version__, log
from ..app import App, restart_process, run
from ..errors import OmniError
from ..manage.account import has_password
from ..settings import Settings, SettingsError
from . import backend
from .output import console

Then = Callable[[App, int], Awaitable[None]]


@click.command()
@click.option("--host", help="Address to bind. Anything but loopback needs a password first.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 0 picks a free one.")
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Where database, keys and logs live.")
@click.option("--tls-cert", type=click.Path(dir_okay=False), help="PEM certificate chain: serve HTTPS.")
@click.option("--tls-key", type=click.Path(dir_okay=False), help="PEM key of the certificate.")
@click.option("--no-open", is_flag=True, help="Do not open the admin page (it is never opened without a terminal).")
@click.pass_obj
def serve(
    settings: Settings,
    host: str | None = None,
    port: int | None = None,
    data_dir: Path | None = None,
    tls_cert: str | None = None,
    tls_key: str | None = None,
    no_open: bool = False,
) -> None:
    """Run the gateway."""
    changes = {"host": host, "port": port, "data_dir": data_dir, "tls_cert": tls_cert, "tls_key": tls_key}
    given = {name: value for name, value in changes.items() if value is not None}
    start(dataclasses.replace(settings, **given))


def start(settings: Settings, then: Then | None = None) -> None:
    """Run a gateway with *settings*; *then* is awaited once it listens.  Ends the command with a clear message on failure."""
    try:
        again = run(_life(settings, then))
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    except OmniError as error:
        raise click.ClickException(error.message) from None
    if again:
        restart_process()


async def _life(settings: Settings, then: Then | None) -> bool:
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    log.set_up(settings.log_level, settings.log_format, settings.data_dir / "log.txt" if settings.log_to_file else None)
    app = await App.open(settings)
    word: Path | None = None
    try:
        port = await _listen(app)
        word = backend.announce(settings, port, app.services.local_token)
        console.print(banner(settings, port, await has_password(app.services)))
        if then is not None:
            await then(app, port)
        await app.wait()
    finally:
        if word is not None:
            word.unlink(missing_ok=True)
        await app.close()
    return app.again


async def _listen(app: App) -> int:
    try:
        return await app.listen()
    except OSError as error:
        where = f"{app.settings.host}:{app.settings.port}"
        remedy = "another program uses it: give --port another number" if error.errno in (98, 48) else "check --host and --port"
        raise SettingsError(f"Cannot listen on {where}: {error.strerror or error}; {remedy}") from None


def banner(settings: Settings, port: int, has_password: bool) -> str:
    """The one line that says where, and how safe."""
    scheme = "https" if settings.tls_cert else "http"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"{scheme}://{host}:{port}"
    guard = "password set" if has_password else "no password set: open to this machine only"
    return f"[bold]OmniRoute {__version__}[/bold] on {url} · admin {url}/dashboard · {guard}"
