"""Control planes for the tests in this directory, with fast password hashing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes_manage import PASSWORD, Admin
from fakes_scrypt import cheap_scrypt

__all__ = ["admin", "cheap_scrypt", "guarded", "make_admin"]


@pytest.fixture
def make_admin(tmp_path: Path) -> Iterator[Callable[..., Admin]]:
    made: list[Admin] = []

    def make(**settings: Any) -> Admin:
        made.append(Admin(tmp_path / f"data{len(made)}", **settings))
        return made[-1]

    yield make
    for admin in made:
        admin.close()


@pytest.fixture
def admin(make_admin: Callable[..., Admin]) -> Admin:
    """A new gateway without a password, so open to this machine."""
    return make_admin()


@pytest.fixture
def guarded(make_admin: Callable[..., Admin]) -> Admin:
    """A gateway with a password; the client is not logged in."""
    return make_admin(initial_password=PASSWORD)
