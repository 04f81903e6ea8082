"""Which answers of OpenAI chat begin with thinking in tags, such as ``<think>``.  Clients expect it in a field of its own.

``translate.think`` moves it there.  What is here finds out which answers need that without decoding them.
"""

from __future__ import annotations

import re
from typing import Final

from .job import ChatJob

# The first text of an answer, and whether it begins with <think> or <thought> or a part of them (a piece can end in a tag).
_SAYS: Final = re.compile(rb'"content":\s*"[^"]')
_THINKS: Final = re.compile(
    rb'"content":\s*"(?:\\n|\s)*(?:<|\\u003[cC])(?:think|thought|(?:t(?:h(?:in?|o(?:u(?:gh?)?)?)?)?)?")'
)


def one_choice(job: ChatJob) -> bool:
    """Whether this is an OpenAI chat call for one choice: only there can such thinking become a field of its own."""
    return job.wire == "openai-chat" and not several_choices(job)


def several_choices(job: ChatJob) -> bool:
    """Whether the client asked for more than one choice (``n``)."""
    assert job.peek is not None
    return job.wire == "openai-chat" and bytes(job.peek.members.get("n", b"1")) not in (b"1", b"null")


def thinks_aloud(body: bytes) -> bool:
    """Whether a chat answer, or the part that has arrived, begins with a thinking tag or with a part of one."""
    first = _SAYS.search(body)
    return first is not None and _THINKS.match(body, first.start()) is not None
