"""``python -m omniroute`` and the ``omniroute`` command."""

from __future__ import annotations


def main() -> None:
    """Run the command line.  Exit status: 0 fine, 1 failed, 2 usage."""
    from .cli.main import cli  # slow to import, and only needed here

    cli(prog_name="omniroute")


if __name__ == "__main__":
    main()
