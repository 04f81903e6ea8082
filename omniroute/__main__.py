"""``python -m omniroute`` and the ``omniroute`` command."""

from __future__ import annotations

import gc
import io
import sys


def main() -> None:
    """Run the command line.  Exit status: 0 success, 1 failure, 2 wrong usage."""
    gc.set_threshold(50_000, 10, 10)  # imports create thousands of objects and no garbage: collect rarely meanwhile
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot encode a character is no reason to fail
    try:
        from .cli.main import cli  # slow to import, and only needed here

        cli(prog_name="omniroute")
    except KeyboardInterrupt:
        sys.exit(1)


if __name__ == "__main__":
    main()
