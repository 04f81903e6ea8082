"""Prompt injection: the phrases that the input guard looks for."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from .conversation import Ask, Text

Severity = Literal["high", "medium"]


class Pattern(NamedTuple):
    """One kind of injection, and the phrases that it uses."""

    name: str
    severity: Severity
    words: re.Pattern[str]


class Detection(NamedTuple):
    """A kind of injection that was found."""

    name: str
    severity: Severity


def _pattern(name: str, severity: Severity, *ways: str) -> Pattern:
    return Pattern(name, severity, re.compile("|".join(ways), re.IGNORECASE))


PATTERNS: Final = (
    _pattern(
        "system_override",
        "high",
        r"\b(?:ignore|disregard|forget|override|bypass)\s+(?:(?:all|any|every|of|the|your|my|these|those)\s+){0,4}"
        r"(?:previous|prior|above|earlier|preceding|existing|system)\s+(?:\w+\s+)?(?:instructions?|prompts?|rules?|messages?|context)",
        r"\bnew\s+system\s+(?:prompt|instructions?)\s*:",
    ),
    _pattern(
        "system_prompt_leak",
        "high",
        r"\b(?:reveal|show|print|repeat|output|display|leak|dump|tell)\s+(?:(?:me|us|out|back|exactly)\s+){0,2}"
        r"(?:your|the)\s+(?:(?:full|entire|hidden|original|initial|exact|secret|whole)\s+){0,2}"
        r"(?:system\s+(?:prompt|message|instructions?)|(?:initial|hidden|secret)\s+(?:prompt|instructions?))",
        r"\bwhat\s+(?:is|are|was|were)\s+your\s+(?:system|initial|hidden|original)\s+(?:prompt|instructions?|message)",
    ),
    _pattern(
        "delimiter_injection",
        "high",
        r"<\|(?:im_start|im_end|system|user|assistant|endoftext|eot_id|start_header_id)\|>",
        r"\[/?INST\]",
        r"<</?SYS>>",
        r"(?m:^)[^\S\n]*#{2,}\s*(?:system|instructions?)\s*:",
    ),
    _pattern(
        "role_hijack",
        "medium",
        r"\byou\s+are\s+now\s+(?:a|an|in|the|my|going|free)\b",
        r"\bpretend\s+(?:that\s+)?(?:to\s+be|you\s+are|you're)\b",
        r"\bact\s+as\s+(?:if\s+you\s+(?:are|were|have)|an?\s+(?:unrestricted|unfiltered|uncensored|evil))",
        r"\bfrom\s+now\s+on,?\s+you\s+(?:are|will|must)\b",
    ),
    _pattern(
        "jailbreak",
        "medium",
        r"\bjail\s?break",
        r"\bDAN\s+mode\b",
        r"\bdo\s+anything\s+now\b",
        r"\b(?:developer|god|debug)\s+mode\s+(?:enabled|activated|on)\b",
        r"\bwithout\s+(?:any\s+)?(?:ethical|moral|safety|content)\s+(?:restrictions?|guidelines?|filters?|limits?)",
    ),
    _pattern(
        "encoding_evasion",
        "medium",
        r"\b(?:decode|decrypt|deobfuscate)\s+(?:(?:this|the|following|and|it|from)\s+){0,3}(?:base64|rot13|hex|morse)",
        r"\b(?:base64|rot13)\s*(?:(?:decoded?|encoded)\s*)?:\s*[A-Za-z0-9+/=]{24,}",
    ),
)


def detect(text: str) -> list[Detection]:
    """Return the first detection of each kind in *text*."""
    return [Detection(found.name, found.severity) for found in PATTERNS if found.words.search(text)]


def said_by_user(ask: Ask) -> str:
    """Return the user's text in a request, newest last, without system prompts and model output."""
    return "\n".join(
        block.text for turn in ask.turns if turn.role == "user" for block in turn.blocks if isinstance(block, Text)
    )


_USER: Final = b'"user"'
_BEFORE, _AFTER = 1024, 4096
_TRIGGERS: Final = (
    *(b"ignore", b"disregard", b"forget", b"overrid", b"bypass", b"instruction", b"prompt", b"<|", b"inst]", b"<<sys"),
    *(b"# ", b"you are now", b"pretend", b"act as", b"from now on", b"jail", b" mode", b"anything now", b"without "),
    *(b"decode", b"decrypt", b"base64", b"rot13"),
)


def newest_words(body: bytes) -> str:
    """Return roughly the newest user turn of a body in any wire; "" if :func:`detect` could not find anything in it.

    The body is not parsed, to keep the check cheap.
    """
    at = body.rfind(_USER)
    while at >= 0 and body[at + len(_USER) : at + len(_USER) + 2].lstrip()[:1] == b":":  # a member named "user", not a role
        at = body.rfind(_USER, 0, at)
    piece = body[-_AFTER:] if at < 0 else body[max(0, at - _BEFORE) : at + _AFTER]
    low = piece.lower()
    for trigger in _TRIGGERS:
        if trigger in low:
            return piece.decode("utf-8", "replace").replace("\\n", "\n").replace('"', "\n")
    return ""
