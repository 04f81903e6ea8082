"""``python -m omniroute`` and the ``omniroute`` command."""

from __future__ import annotations

import gc
import io
import sys


def main() -> None:
    """Run the command line.  Exit status: 0 fine, 1 failed, 2 usage."""
    gc.set_threshold(50_000, 10, 10)  # thousands of functions and classes are about to be made, and none of them dropped
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a letter is no reason to fail
    try:
        from .cli.main import cli  # slow to import, and only needed here

        cli(prog_name="omniroute")
    except KeyboardInterrupt:
        sys.exit(1)


if __name__ == "__main__":
    main()
