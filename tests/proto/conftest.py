from __future__ import annotations

import pytest

from omniroute.proto.h1_server import H1Server
from omniroute.proto.h1_strict import H1Strict


@pytest.fixture(params=[H1Server, H1Strict], ids=["own parser", "with h11"])
def protocol(request: pytest.FixtureRequest) -> type[H1Server]:
    """Runs each test on both server implementations."""
    return request.param
