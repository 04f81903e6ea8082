"""Wires to the neutral vocabulary and back: pure functions over bytes.

``FORMATS`` is the one list of wire formats.
"""

from __future__ import annotations

from typing import Final

from . import anthropic, openai_chat
from .format import Format

FORMATS: Final[dict[str, Format]] = {f.name: f for f in (openai_chat.FORMAT, anthropic.FORMAT)}
