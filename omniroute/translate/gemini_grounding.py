"""Sources and log probabilities, which Gemini answers hold beside the text: read and written.

Source: the vendor's reference, "GroundingMetadata", "CitationMetadata", "LogprobsResult".  The wire gives offsets in UTF-8
bytes, the neutral vocabulary in characters.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from msgspec import Raw, Struct

from .conversation import Citation
from .gemini_error import WIRE
from .jsonio import OBJECT, Shape, compact, encode, present


class _Web(Struct):
    uri: str | None = None
    title: str | None = None
    text: str | None = None


class _Image(Struct):
    sourceUri: str | None = None  # the page that shows the image
    title: str | None = None


class _Source(Struct):
    web: _Web | None = None
    retrievedContext: _Web | None = None
    maps: _Web | None = None
    image: _Image | None = None

    def page(self) -> _Web:
        if self.image is not None:
            return _Web(self.image.sourceUri, self.image.title)
        return self.web or self.retrievedContext or self.maps or _Web()


class _Segment(Struct):
    startIndex: int | None = None
    endIndex: int | None = None
    text: str | None = None


class _Support(Struct):
    segment: _Segment | None = None
    groundingChunkIndices: list[int] | None = None


class _Grounding(Struct):
    groundingChunks: list[_Source] | None = None
    groundingSupports: list[_Support] | None = None


class _CitationSource(Struct):
    startIndex: int | None = None
    endIndex: int | None = None
    uri: str | None = None
    title: str | None = None


class _Citations(Struct):
    citationSources: list[_CitationSource] | None = None
    citations: list[_CitationSource] | None = None  # Vertex's name for them


class _Token(Struct):
    token: str | None = None
    logProbability: float | None = None


class _Step(Struct):
    candidates: list[_Token] | None = None


class _Logprobs(Struct):
    chosenCandidates: list[_Token] | None = None
    topCandidates: list[_Step] | None = None


_HELD_CHARACTERS: Final = 1024 * 1024  # of one answer's text; no real one is that long
_GROUNDING: Final[Shape[_Grounding]] = Shape(_Grounding)
_CITATIONS: Final[Shape[_Citations]] = Shape(_Citations)
_LOGPROBS: Final[Shape[_Logprobs]] = Shape(_Logprobs)
_FACTS: Final[Shape[list[dict[str, Any]]]] = Shape(list[dict[str, Any]])


class Said:
    """The text of a stream, as far as offsets in it need it: ASCII is only counted, so most streams keep nothing."""

    def __init__(self) -> None:
        self._plain = 0  # characters of ASCII since the last other text
        self._parts: list[str] = []
        self._held = 0

    def add(self, text: str) -> None:
        if text.isascii():
            self._plain += len(text)
        elif self._held < _HELD_CHARACTERS:
            self._parts += ("x" * self._plain, text)
            self._held += self._plain + len(text)
            self._plain = 0

    def text(self) -> str | None:
        """A text with the same offsets, or None if it would be too long."""
        return "".join(self._parts) + "x" * self._plain if self._held < _HELD_CHARACTERS else None


def read_citations(grounding: Raw, citations: Raw, text: str | None) -> list[Citation]:
    """Return one citation per supported span and source.  The first carries the vendor's objects for clients of this wire.

    *text* is the answer's text; without it there are no offsets.
    """
    out = [*_grounded(_GROUNDING.get(grounding)), *_cited(_CITATIONS.get(citations))]
    if out:
        _in_characters(out, text)
        given = (("groundingMetadata", grounding), ("citationMetadata", citations))
        out[0].raw = encode({name: raw for name, raw in given if present(raw)})
    return out


def _in_characters(citations: list[Citation], text: str | None) -> None:
    if text is not None and text.isascii():
        return
    said = text.encode("utf-8", "replace") if text is not None else None
    for citation in citations:
        citation.start, citation.end = _characters(said, citation.start), _characters(said, citation.end)


def _characters(said: bytes | None, place: int | None) -> int | None:
    return len(said[: max(0, place)].decode("utf-8", "ignore")) if said is not None and place is not None else None


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _grounded(found: _Grounding | None) -> list[Citation]:
    if found is None:
        return []
    sources = [source.page() for source in found.groundingChunks or ()]
    if not found.groundingSupports:
        return [Citation(source.uri, source.title, source.text, wire=WIRE) for source in sources]
    out: list[Citation] = []
    for support in found.groundingSupports:
        segment = support.segment or _Segment()
        for index in support.groundingChunkIndices or ():
            source = sources[index] if 0 <= index < len(sources) else _Web()
            start = segment.startIndex or 0  # the wire omits zeros
            out.append(Citation(source.uri, source.title, segment.text, start, segment.endIndex, WIRE))
    return out


def _cited(found: _Citations | None) -> list[Citation]:
    sources = (found.citationSources or found.citations or []) if found is not None else []
    return [Citation(s.uri, s.title, None, s.startIndex or 0, s.endIndex, WIRE) for s in sources]


def write_citations(citations: Iterable[Citation], text: str | None) -> tuple[dict[str, Any], bool]:
    """Return (members of the candidate, whether a citation was lost).  Written: the vendor's own objects, or links.

    *text* is the answer's text; without it there are no offsets.
    """
    plain = text is not None and text.isascii()
    members: dict[str, Any] = {}
    chunks: list[dict[str, Any]] = []
    supports: list[dict[str, Any]] = []
    lost = False
    for citation in citations:
        if citation.wire == WIRE:
            own = (OBJECT.get(citation.raw) or {}) if citation.raw is not None else {}
            members |= {name: Raw(compact(raw)) for name, raw in own.items()}
        elif citation.url is None:
            lost = True
        else:
            if citation.end is not None and text is not None:
                start, end = (at if plain else _bytes(text[:at]) for at in (citation.start or 0, citation.end))
                segment = {"startIndex": start, "endIndex": end, "text": citation.text or ""}
                supports.append({"segment": segment, "groundingChunkIndices": [len(chunks)]})
            chunks.append({"web": {"uri": citation.url, "title": citation.title or ""}})
    if chunks:
        members["groundingMetadata"] = {"groundingChunks": chunks} | ({"groundingSupports": supports} if supports else {})
    return members, lost


def read_logprobs(raw: Raw) -> bytes | None:
    """Convert ``logprobsResult`` to OpenAI's array, as JSON; None when there is none."""
    found = _LOGPROBS.get(raw)
    if found is None or not found.chosenCandidates:
        return None
    tops = found.topCandidates or []
    out = []
    for place, chosen in enumerate(found.chosenCandidates):
        others = tops[place].candidates or [] if place < len(tops) else []
        out.append(_fact(chosen) | {"top_logprobs": [_fact(other) for other in others]})
    return encode(out)


def _fact(token: _Token) -> dict[str, Any]:
    text = token.token or ""
    return {"token": text, "logprob": token.logProbability or 0.0, "bytes": list(text.encode("utf-8", "replace"))}


def write_logprobs(pieces: Iterable[bytes]) -> dict[str, Any] | None:
    """Convert OpenAI's arrays to one ``logprobsResult``; None when there are none."""
    chosen: list[dict[str, Any]] = []
    tops: list[dict[str, Any]] = []
    for fact in (fact for piece in pieces for fact in _FACTS.get(piece) or ()):
        chosen.append(_token(fact))
        others = fact.get("top_logprobs")
        tops.append({"candidates": [_token(o) for o in others if isinstance(o, dict)] if isinstance(others, list) else []})
    if not chosen:
        return None
    return {"chosenCandidates": chosen} | ({"topCandidates": tops} if any(top["candidates"] for top in tops) else {})


def _token(fact: dict[str, Any]) -> dict[str, Any]:
    return {"token": fact.get("token", ""), "logProbability": fact.get("logprob", 0.0)}
