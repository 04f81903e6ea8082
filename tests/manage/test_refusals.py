from __future__ import annotations

import pytest

from omniroute.errors import OmniError
from omniroute.manage.refusals import Invalid, existing, refused


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 500])
def test_a_refusal_has_its_status(status: int) -> None:
    assert refused(status, "no").status == status


def test_invalid_carries_all_its_fields() -> None:
    error = Invalid(("a", "A is required"), ("b.0", "wrong"))
    assert (error.status, error.param, len(error.details)) == (400, "a", 2)


def test_what_exists_is_returned_even_if_it_is_empty() -> None:
    assert existing([], "Combo") == []


def test_what_does_not_exist_is_named_in_a_404() -> None:
    with pytest.raises(OmniError, match=r"^Combo not found$") as caught:
        existing(None, "Combo")
    assert caught.value.status == 404
