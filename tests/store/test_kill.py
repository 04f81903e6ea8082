"""A process that writes is killed: what it had reported as done is there, and of usage all but the last moment."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from fakes_store import a_store

ROUNDS = 3
WRITER = """
import asyncio, sys, time
from pathlib import Path
from fakes_store import a_call, small_catalog
from omniroute.clock import Clock
from omniroute.settings import Settings
from omniroute.store.store import Store

def say(*words):
    print(*words, flush=True)

async def change(store, end):
    number = 0
    row = await store.connections.create("openai", name="work", api_key="sk-0")
    while time.time() < end:
        number += 1
        await store.connections.update(row.id, api_key=f"sk-{number}", default_model=str(number))
        _, text = await store.keys.create(str(number))
        await store.config.set_many({"theme": str(number), "language": str(number)})
        say("changed", number)

async def main():
    end = time.time() + 20
    store = await Store.open(Settings(data_dir=Path(sys.argv[1])), Clock(), small_catalog())
    changing = asyncio.ensure_future(change(store, end))
    number = 0
    while time.time() < end:
        number += 1
        at = time.time()
        store.usage.put(a_call(f"{sys.argv[2]}-{number}", at=at, combo=f"{sys.argv[2]}-{number}"))
        say("put", number, at)
        await asyncio.sleep(0.002)
    await changing

asyncio.run(main())
"""


class Seen(NamedTuple):
    """What the process had said when it was killed."""

    changed: int
    puts: list[float]
    killed: float


def run_and_kill(folder: Path, name: str) -> Seen:
    command = [sys.executable, "-c", WRITER, str(folder), name]
    tests = str(Path(__file__).parents[1])
    changed, puts = 0, []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tests) as process:
        assert process.stdout is not None
        for line in process.stdout:
            words = line.split()
            if words[0] == "put":
                puts.append(float(words[2]))
            else:
                changed = int(words[1])
            if changed >= 20 and len(puts) >= 150:
                break
        process.send_signal(signal.SIGKILL)
        killed = time.time()
        rest = [line for line in process.stdout if line.startswith("put") and line.endswith("\n")]
        puts += [float(line.split()[2]) for line in rest]
    assert process.returncode == -signal.SIGKILL
    return Seen(changed, puts, killed)


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
async def test_a_kill_loses_nothing_but_the_last_moment_of_usage(tmp_path: Path, real_scrypt: Callable[..., bytes]) -> None:
    keys = 0
    for number in range(ROUNDS):
        seen = run_and_kill(tmp_path, str(number))
        with closing(sqlite3.connect(tmp_path / "storage.sqlite")) as connection:
            assert connection.execute("SELECT value FROM db_meta WHERE key = 'state'").fetchone() == ("running",)
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        async with a_store(tmp_path) as store:
            [row] = await store.connections.list()
            last = int(row.default_model or 0)
            assert last >= seen.changed
            assert await store.connections.secret(row.id) == f"sk-{last}"
            assert store.snapshot.connections["openai"][0].secret == f"sk-{last}"
            settings = await store.config.all()
            assert settings["theme"] == settings["language"]
            assert int(settings["theme"]) >= seen.changed
            keys += seen.changed
            found = len(await store.keys.list())
            assert found >= keys
            keys = found
            rows = await store.db.fetch("SELECT count(*) FROM usage_history WHERE combo_name LIKE ?", (f"{number}-%",))
            missing = seen.puts[rows[0][0] :]
            # A starved machine may run the timer late; the process shows by how much in the gaps between its own steps.
            late = max(after - before for before, after in zip(seen.puts, seen.puts[1:], strict=False))
            assert all(seen.killed - at <= 0.2 + 2 * late for at in missing), (len(missing), late)
