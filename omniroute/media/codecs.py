"""The table of codecs: operation -> name of the format in the provider table -> codec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from . import (
    images,
    images_gemini,
    images_others,
    speech,
    transcriptions,
    transcriptions_assemblyai,
    transcriptions_deepgram,
    transcriptions_plain,
)
from .codec import Codec
from .embeddings import CODECS as EMBEDDINGS
from .moderations import CODECS as MODERATIONS
from .rerank import CODECS as RERANK

_EDITS: Final[Mapping[str, Codec]] = {  # formats that can also edit images
    "openai": images.OPENAI,
    "xai": images.XAI,
    "together": images.TOGETHER,
    "gemini": images_gemini.GEMINI,
    "fireworks": images_others.FIREWORKS,
    "nanobanana": images_others.NANOBANANA,
}
_TRANSCRIPTIONS: Final[Mapping[str, Codec]] = {
    "openai": transcriptions.OPENAI,
    "deepgram": transcriptions_deepgram.DEEPGRAM,
    "assemblyai": transcriptions_assemblyai.ASSEMBLYAI,
    "mistral": transcriptions_plain.MISTRAL,
    "xai": transcriptions_plain.XAI,
}
CODECS: Final[Mapping[str, Mapping[str, Codec]]] = {
    "embeddings": EMBEDDINGS,
    "rerank": RERANK,
    "moderations": MODERATIONS,
    "images": {**_EDITS, "nebius": images.NEBIUS, "hyperbolic": images_others.HYPERBOLIC},
    "image_edits": _EDITS,
    "transcriptions": _TRANSCRIPTIONS,
    "translations": {"openai": transcriptions.OPENAI},
    "speech": {"openai": speech.OPENAI, "deepgram": speech.DEEPGRAM, "hyperbolic": speech.HYPERBOLIC},
}
