"""What a Gemini model can do, according to its name, quirks and abilities.

Source: the vendor's pages "Thinking", "Thought signatures", "Function calling", "Structured outputs".  Models from 3 on
take a thinking level instead of a budget, demand a signature on the first function call of a step, and accept media in
function responses and tools together with JSON output.  2.5 takes a thinking budget (Pro cannot switch it off).  Both accept
JSON Schema.
"""

from __future__ import annotations

import re
from typing import Final

from .format import Target

_VERSION: Final = re.compile(r"gemini-(?:\w+-)?(\d+)(?:\.(\d+))?")
_LATEST: Final = re.compile(r"gemini-[\w-]*latest")


class Traits:
    """The traits of one model.  ``major`` is the major version in its name; 0 = no version found."""

    def __init__(self, target: Target) -> None:
        name = target.model.lower()
        able = target.quirks | target.abilities
        found = _VERSION.search(name)
        self.major = int(found[1]) if found else 3 if _LATEST.search(name) else 0
        modern = self.major >= 3
        self.levels = modern or "thinking_level" in able
        self.flash = "flash" in name
        self.pro = "pro" in name
        self.signatures = modern or "thought_signatures" in able
        self.response_media = modern or "tool_result_media" in able
        self.json_with_tools = modern or "json_with_tools" in able
        self.json_schema = "json_schema" in able and not ("gemini" in name and 0 < self.major < 2)
        self.thinks = not target.abilities or "reasoning" in able
        self.links = "no_image_urls" not in able
