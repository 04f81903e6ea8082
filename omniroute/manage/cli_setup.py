"""Configuring a tool to use this gateway, and undoing it: read, plan, remember, write."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from ..clock import Clock, iso
from ..errors import OmniError
from ..settings import Settings
from ..store.store import Store
from .cli_edits import EDITS, WRITTEN, Before, Documents, Wanted, configured
from .cli_files import CopyRow, Home
from .cli_runtime import Detector
from .cli_text import Malformed, difference, masked, masked_text, parse, render
from .cli_tools import TOOLS, File, Tool
from .refusals import refused


class Change(NamedTuple):
    """One file and its new text; ``diff`` has secrets masked."""

    file: File
    text: str
    diff: str


class Shown(NamedTuple):
    """A tool's configuration with secrets masked, or the ``problem`` why it cannot be shown."""

    text: str = ""
    document: object = None
    ours: bool = False
    problem: str = ""


class CliSetup:
    """The tools in the home folder that the settings name.  One change runs at a time."""

    def __init__(self, settings: Settings, clock: Clock, store: Store) -> None:
        self.detector = Detector(settings, clock)
        self.home = Home(settings.cli_home, settings.data_dir / "cli_backups")
        self._clock = clock
        self._state = store.cli_state
        self._addresses = (f"localhost:{settings.port}", f"127.0.0.1:{settings.port}")
        self._turn = asyncio.Lock()

    async def show(self, tool: Tool) -> Shown:
        """What the tool's configuration says, and whether it leads to the gateway."""
        return await asyncio.to_thread(self._show, tool)

    def _show(self, tool: Tool) -> Shown:
        first = tool.files[0]
        try:
            text = self.home.read(first)
            documents = self._documents(tool)
            document = documents[first.name]
            shown = masked_text(first, text or "")
        except (OmniError, Malformed) as error:
            return Shown(problem=str(error))
        return Shown(shown, masked(document), configured(tool, documents, self._addresses))

    def _documents(self, tool: Tool) -> Documents:
        """Read and parse the tool's files.  Raises OmniError 409 naming a file that cannot be used."""
        documents: Documents = {}
        for file in tool.files:
            try:
                documents[file.name] = parse(file, self.home.read(file))
            except Malformed as error:
                raise self._left_alone(file, error) from error
        return documents

    def _left_alone(self, file: File, error: Exception) -> Exception:
        return refused(409, f"{self.home.path(file)} is left as it is: {error}")

    async def configure(self, tool: Tool, wanted: Wanted, *, preview: bool = False) -> str:
        """Write the gateway's entries and return the diff.  With *preview* nothing is written."""
        async with self._turn:
            kept = await self._state.before(tool.id)
            changes, before = await asyncio.to_thread(self._plan, tool, wanted, kept)
            if not preview:
                await self._state.save(tool.id, iso(self._clock.time()), {**before, WRITTEN: wanted.api_key})
                await self._write(tool, changes)
        return "".join(change.diff for change in changes)

    def _plan(self, tool: Tool, wanted: Wanted, kept: Before) -> tuple[list[Change], Before]:
        """Return the changes, and the user's values that they replace; values replaced earlier are in *kept*."""
        edit = EDITS[tool.id]
        documents = self._documents(tool)
        before = kept if kept and edit.has_ours(documents) else edit.remember(documents)
        try:
            edit.apply(documents, wanted)
        except OmniError as error:
            raise self._left_alone(tool.files[0], error) from error
        return self._changes(tool, documents), before

    async def reset(self, tool: Tool, *, preview: bool = False) -> str:
        """Remove the gateway's entries and return the diff."""
        async with self._turn:
            before = await self._state.before(tool.id)
            changes = await asyncio.to_thread(self._plan_reset, tool, before)
            if not preview:
                await self._write(tool, changes)
                await self._state.forget(tool.id)
        return "".join(change.diff for change in changes)

    def _plan_reset(self, tool: Tool, before: Before) -> list[Change]:
        documents = self._documents(tool)
        EDITS[tool.id].undo(documents, before)
        return self._changes(tool, documents)

    def _changes(self, tool: Tool, documents: Documents) -> list[Change]:
        changes = []
        for file in tool.files:
            old, document = self.home.read(file), documents[file.name]
            if document == parse(file, old):
                continue
            text = render(file, document)
            same = document == parse(file, text)  # tomlkit's documents do not implement !=
            if not same:
                raise self._left_alone(file, Malformed("the change cannot be made automatically; make it by hand"))
            changes.append(Change(file, text, difference(file, old, text)))
        return changes

    async def _write(self, tool: Tool, changes: list[Change]) -> None:
        for change in changes:
            await asyncio.to_thread(self.home.write, tool, change.file, change.text, self._clock.time())

    async def configured_at(self) -> dict[str, str]:
        """Tool id -> when the gateway last configured it (ISO 8601)."""
        return await self._state.configured_at()

    async def copies(self, tool: Tool | None) -> list[CopyRow]:
        """The copies of the files of one tool, or of all."""
        tools = [tool] if tool else [*TOOLS.values()]
        return await asyncio.to_thread(lambda: [row for one in tools for row in self.home.copies(one)])

    async def restore(self, tool: Tool, copy_id: str) -> str:
        """Restore a backup and return the file's path."""
        async with self._turn:
            return str(await asyncio.to_thread(self.home.restore, tool, copy_id, self._clock.time()))

    async def forget(self, tool: Tool, copy_id: str) -> None:
        """Delete a copy.  Raises OmniError when there is no such copy."""
        async with self._turn:
            await asyncio.to_thread(self.home.forget, tool, copy_id)
