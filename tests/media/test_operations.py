from __future__ import annotations

import pytest

from omniroute.media.operations import (
    EMBEDDINGS,
    IMAGE_EDITS,
    IMAGES,
    OPERATIONS,
    TRANSCRIPTIONS,
    TRANSLATIONS,
    MediaOperation,
    invalid_model,
    missing_model,
    no_credentials,
    not_served,
)
from omniroute.upstream.providers import KINDS, MEDIA


def test_each_operation_is_known_to_the_provider_table() -> None:
    assert {name: row.extra for name, row in OPERATIONS.items()} == dict(MEDIA)
    assert {row.kind for row in OPERATIONS.values()} <= KINDS


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (EMBEDDINGS, "Invalid embedding model: x. Use format: provider/model"),
        (IMAGES, "Invalid image model: x. Use format: provider/model"),
        (TRANSCRIPTIONS, "Invalid transcription model: x. Use format: provider/model"),
    ],
)
def test_an_unknown_model_is_refused_in_the_contracts_words(row: MediaOperation, text: str) -> None:
    error = invalid_model(row, "x")
    assert (error.status, error.message, error.param) == (400, text, "model")


def test_missing_credentials_are_400_and_401_for_transcription() -> None:
    assert no_credentials(EMBEDDINGS, "p").message == "No credentials for embedding provider: p"
    assert no_credentials(EMBEDDINGS, "p").status == 400
    assert no_credentials(TRANSCRIPTIONS, "p").status == 401
    assert missing_model().message == "Missing model"


def test_a_provider_without_the_endpoint_is_named() -> None:
    assert "'p' has no image endpoint" in not_served(IMAGES, "p", "p/m").message
    told = "Invalid image model: p/m. Provider 'p' has no image edit endpoint"  # it may well draw from words
    assert not_served(IMAGE_EDITS, "p", "p/m").message == told
    assert "'p' has no translation endpoint" in not_served(TRANSLATIONS, "p", "p/m").message
