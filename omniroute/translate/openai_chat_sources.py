"""The sources of a chat answer: those annotated in its text, and those that a search service lists beside the choices.

Listed under names of their own: ``citations`` and ``search_results`` (Perplexity, xAI …), ``web_search`` (GLM),
``references`` (Volcengine Ark), ``search_info`` (Qwen, Hunyuan).
"""

from __future__ import annotations

from typing import Final

from msgspec import Raw, Struct

from .conversation import Citation
from .jsonio import ABSENT, Shape, check_text
from .openai_chat_error import WIRE
from .openai_chat_shapes import Chunk, UrlCitation


class _Annotation(UrlCitation, gc=False):
    """OpenAI nests the members under ``url_citation``, others do not."""

    type: str | None = None
    url_citation: UrlCitation | None = None


class _Source(Struct, gc=False):
    url: str | None = None
    link: str | None = None
    title: str | None = None


class _Found(Struct, gc=False):
    search_results: list[_Source] | None = None


_ANNOTATION: Final[Shape[_Annotation]] = Shape(_Annotation)
_LISTED: Final[Shape[list[str | UrlCitation]]] = Shape(list[str | UrlCitation])
_FOUND: Final[Shape[list[_Source] | _Found]] = Shape(list[_Source] | _Found)


class Sources:
    def __init__(self) -> None:
        self._links = self._results = ABSENT  # repeated in each chunk: as last received
        self._found: dict[str | None, str | None] = {}  # sent once: link -> title
        self._annotated: set[str | None] = set()

    def note(self, chunk: Chunk) -> None:
        """Note what *chunk* lists."""
        if chunk.citations is not ABSENT:
            self._links = chunk.citations
        if chunk.search_results is not ABSENT:
            self._results = chunk.search_results
        for raw in (chunk.web_search, chunk.references, chunk.search_info):
            if raw is not ABSENT:
                self._find(raw)

    def _find(self, raw: Raw) -> None:
        listed = _FOUND.get(raw)
        for source in (listed.search_results if isinstance(listed, _Found) else listed) or ():
            if url := source.url or source.link:
                self._found.setdefault(url, source.title)

    def annotation(self, raw: Raw) -> Citation | None:
        """Read an annotation of the text; None if it is of another kind.  Raises BadAnswer."""
        found = _ANNOTATION.get(raw)
        if found is None:
            return None
        check_text(bytes(raw))
        at = found.url_citation or found
        self._annotated.add(at.url)
        return Citation(at.url, at.title, at.content, at.start_index, at.end_index, WIRE, bytes(raw))

    def not_annotated(self) -> list[Citation]:
        """What is listed, and not annotated in the text."""
        if not self._found and self._links is ABSENT is self._results:
            return []
        listed = _LISTED.get(self._links) or (), _LISTED.get(self._results) or ()
        titles = dict(self._found)
        titles |= {source.url: source.title for sources in listed for source in sources if isinstance(source, UrlCitation)}
        urls = [source if isinstance(source, str) else source.url for source in listed[0] or listed[1]]
        urls += [url for url in self._found if url not in urls]
        return [Citation(url, titles.get(url)) for url in urls if url and url not in self._annotated]
