"""``omniroute``: the group and what all commands share."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from .. import __version__
from ..settings import SettingsError, load
from . import demo, doctor, keys, providers, serve

_HELP = "OmniRoute: one local endpoint for every large language model. Without a command: serve."


@click.group(invoke_without_command=True, help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Where database, keys and logs live.")
@click.version_option(__version__, prog_name="omniroute")
@click.pass_context
def cli(context: click.Context, data_dir: Path | None) -> None:
    try:
        settings = load()
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    if data_dir is not None:
        settings = dataclasses.replace(settings, data_dir=data_dir.expanduser())
    context.obj = settings
    if context.invoked_subcommand is None:
        context.invoke(serve.serve)


cli.add_command(serve.serve)
cli.add_command(demo.demo)
cli.add_command(doctor.doctor)
cli.add_command(providers.providers)
cli.add_command(keys.keys)

