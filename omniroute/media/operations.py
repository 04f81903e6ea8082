"""What is served beside chat, one row an operation: which models do it, and how refusals are worded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from ..errors import OmniError


class MediaOperation(NamedTuple):
    """One row.  ``name`` is also the key of its paths and codecs in the provider table."""

    name: str
    kind: str  # of the models in the catalogue
    noun: str  # in refusals
    extra: str  # what a provider's ``extras`` calls it
    ability: str = ""  # tells models of one kind apart
    guess: bool = True  # the first segment of an unknown name is taken for a provider
    default_model: str = ""  # when the request names none
    missing_status: int = 400  # when the provider has no account
    body_limit: int | None = None  # bytes; None = the gateway's
    endpoint: str = ""  # in refusals, where it is another word than ``noun``


_SOUND: Final = 100 * 1024 * 1024

EMBEDDINGS: Final = MediaOperation("embeddings", "embedding", "embedding", "embeddings")
IMAGES: Final = MediaOperation("images", "image", "image", "images", guess=False)
IMAGE_EDITS: Final = IMAGES._replace(name="image_edits", body_limit=_SOUND, endpoint="image edit")
TRANSCRIPTIONS: Final = MediaOperation(
    "transcriptions", "audio", "transcription", "transcriptions", "transcription", missing_status=401, body_limit=_SOUND
)
TRANSLATIONS: Final = TRANSCRIPTIONS._replace(name="translations", endpoint="translation")
SPEECH: Final = MediaOperation("speech", "audio", "speech", "speech", "speech")
RERANK: Final = MediaOperation("rerank", "rerank", "rerank", "rerank")
MODERATIONS: Final = MediaOperation(
    "moderations", "moderation", "moderation", "moderations", default_model="omni-moderation-latest"
)

OPERATIONS: Final[Mapping[str, MediaOperation]] = {
    row.name: row for row in (EMBEDDINGS, IMAGES, IMAGE_EDITS, TRANSCRIPTIONS, TRANSLATIONS, SPEECH, RERANK, MODERATIONS)
}


def missing_model() -> OmniError:
    """The request names no model, and there is no default."""
    return OmniError("invalid_request", "Missing model", param="model")


def invalid_model(operation: MediaOperation, name: str) -> OmniError:
    """Nobody is known to have the model."""
    message = f"Invalid {operation.noun} model: {name}. Use format: provider/model"
    return OmniError("invalid_request", message, param="model")


def no_credentials(operation: MediaOperation, provider: str) -> OmniError:
    """The provider has no account here, or is none that we know."""
    kind = "unauthenticated" if operation.missing_status == 401 else "invalid_request"
    message = f"No credentials for {operation.noun} provider: {provider}"
    return OmniError(kind, message, status=operation.missing_status, param="model")


def not_served(operation: MediaOperation, provider: str, label: str) -> OmniError:
    """The provider is known, and has no such endpoint."""
    endpoint = operation.endpoint or operation.noun
    message = f"Invalid {operation.noun} model: {label}. Provider '{provider}' has no {endpoint} endpoint"
    return OmniError("invalid_request", message, param="model")
