"""History repair, so that every tool call is followed by its result, every result has its call, every call has an id.

Agents cut, merge and reorder histories; most vendors refuse a call or a result without its counterpart.  The rules: a call
without an id gets one made from its place; the results of a turn's calls move right after it, in the order of the calls; a
call without a result gets an empty one; a result without a call becomes user text.  Several messages of the model become one
turn again where a result shows that they were one.  Another vendor's blocks become text if they have one.
"""

from __future__ import annotations

from collections import defaultdict, deque
from hashlib import sha256
from itertools import groupby, pairwise
from typing import Final, NamedTuple

import msgspec

from .conversation import Block, Opaque, Text, ToolCall, ToolResult, Turn
from .fidelity import Lost

_PAIRED: Final = frozenset({ToolCall, ToolResult, Opaque})  # an opaque block may be text to this target


class Repaired(NamedTuple):
    """The result.  The given turns are not modified; changed ones are new objects."""

    turns: list[Turn]
    notes: list[Lost]


def repair(turns: list[Turn], own: str = "") -> Repaired:
    """Pair up calls and results.  *own*: the wire whose opaque blocks the target accepts."""
    kinds = {type(block) for turn in turns for block in turn.blocks}
    if _PAIRED.isdisjoint(kinds) and "tool" not in [turn.role for turn in turns]:
        return Repaired(turns, [])
    work = _Repair()
    told = _told(turns, own)
    for turn in _joined(told):
        work.add(turn)
    return Repaired(work.finish(), work.notes if told is turns else [*work.notes, Lost.SERVER_BLOCKS])


def _told(turns: list[Turn], own: str) -> list[Turn]:
    """Replace other wires' opaque blocks with their text, where they have one."""

    def foreign(block: Block) -> bool:
        inner = block.blocks if isinstance(block, ToolResult) else (block,)
        return any(isinstance(one, Opaque) and one.text and one.wire != own for one in inner)

    def told(block: Block) -> Block:
        if not foreign(block):
            return block
        if isinstance(block, ToolResult):
            return msgspec.structs.replace(block, blocks=[told(one) for one in block.blocks])
        return Text(block.text) if isinstance(block, Opaque) else block

    if not any(foreign(block) for turn in turns for block in turn.blocks):
        return turns
    return [Turn(turn.role, [told(block) for block in turn.blocks], turn.name) for turn in turns]


def _joined(turns: list[Turn]) -> list[Turn]:
    """Join assistant turns: some clients send a call and its text, or each parallel call, as separate messages."""
    if not any(one.role == other.role == "assistant" for one, other in pairwise(turns)):
        return turns
    out: list[Turn] = []
    for role, group in groupby(turns, key=lambda turn: turn.role):
        found = list(group)
        if role == "tool":
            _join_end(out, found)
        out += found
    return out


def _join_end(turns: list[Turn], answers: list[Turn]) -> None:
    """Join the assistant turns that *turns* end with, if *answers* belong to one before the last."""
    start = len(turns)
    while start and turns[start - 1].role == "assistant":
        start -= 1
    blocks = [block for turn in turns[start:] for block in turn.blocks]
    calls = [block for block in blocks if isinstance(block, ToolCall)]
    last = sum(isinstance(block, ToolCall) for turn in turns[-1:] for block in turn.blocks)
    earlier = calls[: len(calls) - last]
    results = [block for turn in answers for block in turn.blocks if isinstance(block, ToolResult)]
    ids = {call.id for call in earlier if call.id}
    unnamed = sum(not result.id for result in results)
    if earlier and (unnamed > last or any(result.id in ids for result in results)):
        rest: list[Block] = [block for block in blocks if not isinstance(block, ToolCall)]
        turns[start:] = [Turn("assistant", [*rest, *calls], turns[start].name)]


class _Repair:
    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.notes: list[Lost] = []
        self.calls: list[ToolCall] = []  # calls of the last assistant turn
        self.free: dict[str, ToolCall] = {}  # the calls without a result yet, by id
        self.queues: defaultdict[tuple[str, bool], deque[ToolCall]] | None = None  # see _first_free
        self.results: dict[str, ToolResult] = {}
        self.later: list[Turn] = []  # what came after that turn, without the results of its calls
        self.count = 0
        self.made: set[str] = set()  # ids that were generated here

    def add(self, turn: Turn) -> None:
        if turn.role == "assistant":
            self._settle()
            turn = self._with_ids(turn)
            self.turns.append(turn)
            self.calls = [block for block in turn.blocks if isinstance(block, ToolCall)]
            self.free, self.queues = {call.id: call for call in self.calls}, None
        elif turn.role == "tool":
            for block in turn.blocks:
                if isinstance(block, ToolResult):
                    self._result(block)
        else:
            self.later.append(turn)

    def finish(self) -> list[Turn]:
        self._settle()
        return self.turns

    def _with_ids(self, turn: Turn) -> Turn:
        """Give ids to calls without one, or with one used before in the same turn."""
        blocks: list[Block] = []
        seen: set[str] = set()
        for block in turn.blocks:
            if isinstance(block, ToolCall):
                self.count += 1
                if not block.id or block.id in seen:
                    block = msgspec.structs.replace(block, id=_made_id(self.count, block.name))
                    self.made.add(block.id)
                seen.add(block.id)
            blocks.append(block)
        return Turn(turn.role, blocks, turn.name)

    def _result(self, result: ToolResult) -> None:
        call = self._call_of(result)
        if call is None:
            self._orphan(result)
        else:
            name = result.name or call.name
            del self.free[call.id]
            self.results[call.id] = msgspec.structs.replace(result, id=call.id, name=name, kind=call.kind)

    def _call_of(self, result: ToolResult) -> ToolCall | None:
        """Find a result's call by id; by name and order if either lacks an id: some clients keep it in the result only."""
        if result.id in self.free:
            return self.free[result.id]
        if result.id and not self.made:
            return None
        return self._first_free(result.name, only_made=bool(result.id))

    def _first_free(self, name: str, *, only_made: bool) -> ToolCall | None:
        """Return the first call of *name* ("": any) without a result.  Queues by name keep this linear."""
        if self.queues is None:
            self.queues = defaultdict(deque)
            for call in self.free.values():
                for key in {"", call.name}:
                    self.queues[key, False].append(call)
                    if call.id in self.made:
                        self.queues[key, True].append(call)
        queue = self.queues[name, only_made]
        while queue and queue[0].id not in self.free:
            queue.popleft()
        return queue[0] if queue else None

    def _orphan(self, result: ToolResult) -> None:
        self._note(Lost.ORPHAN_TOOL_RESULT)
        label = f"Result of the tool {result.name}:" if result.name else "Result of an earlier tool call:"
        self.later.append(Turn("user", [Text(label), *result.blocks]))

    def _settle(self) -> None:
        if self.calls:
            blocks: list[Block] = []
            for call in self.calls:
                found = self.results.get(call.id)
                if found is None:
                    self._note(Lost.ORPHAN_TOOL_CALL)
                blocks.append(found or ToolResult(call.id, [], name=call.name, kind=call.kind))
            self.turns.append(Turn("tool", blocks))
        self.turns += self.later
        self.calls, self.results, self.later = [], {}, []

    def _note(self, name: Lost) -> None:
        if name not in self.notes:
            self.notes.append(name)


def _made_id(number: int, name: str) -> str:
    return "call_" + sha256(f"{number} {name}".encode("utf-8", "replace")).hexdigest()[:24]
