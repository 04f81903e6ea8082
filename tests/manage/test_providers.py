"""Contract section 3, row by row: the connections themselves."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fakes_manage import Admin, fields_of
from omniroute.gateway.retry import RULES if False else health  # placeholder
