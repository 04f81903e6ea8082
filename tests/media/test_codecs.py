from __future__ import annotations

from omniroute.media.codecs import CODECS
from omniroute.upstream.catalog import load_catalog
from omniroute.upstream.providers import MEDIA, serves

PERHAPS = {"image_edits", "translations"}  # not every vendor that makes pictures or hears also does these


def test_every_format_that_the_catalogue_names_exists() -> None:
    missing = [
        (provider.id, operation, served.codec)
        for provider in load_catalog().providers.values()
        for operation in MEDIA
        if operation not in PERHAPS and (served := serves(provider, operation)) is not None
        if served.codec not in CODECS[operation]
    ]
    assert missing == []
