"""The operations other than chat, as a table: the models that can do each, and the texts of its errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from ..errors import Kind, OmniError


class MediaOperation(NamedTuple):
    """One operation.  ``name`` is also the key of its paths and codecs in the provider table."""

    name: str
    kind: str  # of its models in the catalogue
    noun: str  # the operation's name in error messages
    extra: str  # the operation's name in a provider's ``extras``
    ability: str = ""  # distinguishes models of the same kind
    guess: bool = True  # whether the first segment of an unknown model name is taken for a provider
    default_model: str = ""  # for requests without a model
    missing_status: int = 400  # the status when the provider has no account
    body_limit: int | None = None  # bytes; None means the gateway's general limit
    endpoint: str = ""  # in error messages, where it differs from ``noun``


_SOUND: Final = 100 * 1024 * 1024

EMBEDDINGS: Final = MediaOperation("embeddings", "embedding", "embedding", "embeddings")
IMAGES: Final = MediaOperation("images", "image", "image", "images", guess=False)
IMAGE_EDITS: Final = IMAGES._replace(name="image_edits", body_limit=_SOUND, endpoint="image edit")
TRANSCRIPTIONS: Final = MediaOperation(
    "transcriptions",
    "audio",
    "transcription",
    "transcriptions",
    "transcription",
    guess=False,  # else a mistyped provider would get the 401 of a missing account, which to an SDK is a wrong gateway key
    missing_status=401,
    body_limit=_SOUND,
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
    """The error for a request without a model, where there is no default."""
    return OmniError("invalid_request", "Missing model", param="model")


def invalid_model(operation: MediaOperation, name: str) -> OmniError:
    """The error for a model that no provider is known to offer."""
    message = f"Invalid {operation.noun} model: {name}. Use format: provider/model"
    return OmniError("invalid_request", message, param="model")


def no_credentials(operation: MediaOperation, provider: str) -> OmniError:
    """The error for a provider that is unknown or has no account."""
    kind: Kind = "unauthenticated" if operation.missing_status == 401 else "invalid_request"
    message = f"No credentials for {operation.noun} provider: {provider}"
    return OmniError(kind, message, status=operation.missing_status, param="model")


def not_served(operation: MediaOperation, provider: str, label: str) -> OmniError:
    """The error for a known provider without this endpoint."""
    endpoint = operation.endpoint or operation.noun
    message = f"Invalid {operation.noun} model: {label}. Provider '{provider}' has no {endpoint} endpoint"
    return OmniError("invalid_request", message, param="model")
