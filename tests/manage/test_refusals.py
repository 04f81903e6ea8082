from __future__ import annotations

import pytest

from omniroute.manage.refusals import Invalid, refused


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 500])
def test_a_refusal_has_its_status(status: int) -> None:
    assert refused(status, "no").status == status


def test_invalid_carries_all_its_fields() -> None:
    error = Invalid(("a", "A is required"), ("b.0", "wrong"))
    assert (error.status, error.param, len(error.details)) == (400, "a", 2)
