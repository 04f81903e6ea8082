"""``omniroute``: the commands.  The module of each is imported only when the command is called."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

from .. import __version__
from ..settings import SettingsError, load
from .output import data_dir_option

DEFAULT: Final = "serve"
COMMANDS: Final = {  # name of command, module and function -> help, the first line of the function's docstring
    "serve": "Run the gateway.",
    "demo": "Start the gateway with an offline provider and send it a request in every wire format.",
    "doctor": "Check configuration, database, port and each provider.",
    "providers": "Manage accounts at providers.",
    "keys": "Manage the keys of the gateway's clients.",
    "backup": "Create, list and restore copies of the database.",
    "evals": "Evaluate the answers of models with suites of test cases.",
    "explain": "Show how a request would be routed, without sending it.",
    "logs": "Show the newest calls.",
}
_HELP: Final = frozenset({"-h", "--help"})
_OWN: Final = _HELP | {"--version"}


class Commands(click.Group):
    """A group that imports a command's module when it is called.  Arguments without a command are passed to ``serve``."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Read the settings, and run the default command when none is named."""
        _load_settings(context, needed=not (_OWN & set(args)))
        if not _names_command(args):
            args = [DEFAULT, *args]
        return super().parse_args(context, args)

    def resolve_command(self, context: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a misspelt one ends with the name that is closest."""
        if args[0] not in COMMANDS:
            from difflib import get_close_matches

            if near := get_close_matches(args[0], COMMANDS, n=1):
                context.fail(f"No such command '{args[0]}'. Did you mean '{near[0]}'?")
        return super().resolve_command(context, args)

    def list_commands(self, context: click.Context) -> list[str]:
        """The names for the help text, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Import the command, without loading the others; None for an unknown name."""
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f".{name}", __package__), name)
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands in the help text without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _names_command(args: list[str]) -> bool:
    """Whether *args* has a command, known or not, or an option of the group itself, after any ``--data-dir``."""
    rest = iter(args)
    for word in rest:
        if word == "--data-dir":
            next(rest, None)
        elif not word.startswith("--data-dir="):
            return word in _OWN or not word.startswith("-")
    return False


def _load_settings(context: click.Context, *, needed: bool) -> None:
    """Load the settings before options are parsed, which override them.  Help works even with an invalid environment."""
    try:
        context.obj = load()
    except SettingsError as error:
        if needed:
            raise click.ClickException(str(error)) from None
        return
    if context.obj.no_color:
        context.color = False


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@data_dir_option
@click.version_option(__version__, prog_name="omniroute", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """OmniRoute: one local endpoint for every large language model. Without a command: serve."""
