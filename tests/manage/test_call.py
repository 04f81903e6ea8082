"""The small readers of queries and the refusals."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from omniroute.manage.call import Actor, Reply, flag, one_at_a_time, whole


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("1", True), ("FALSE", False), ("0", False), ("x", None), (None, None)]
)
def test_a_flag_is_true_false_or_not_said(text: str | None, value: bool | None) -> None:
    assert flag(text) is value


@pytest.mark.parametrize(("text", "value"), [("5", 5), ("-3", 1), ("9999", 200), ("x", 50), ("", 50), (None, 50)])
def test_whole_stays_within_its_bounds(text: str | None, value: int) -> None:
    assert whole(text, 50, 1, 200) == value


def test_only_the_anonymous_are_unknown() -> None:
    assert not Actor().known
    assert Actor("admin").known


async def test_changes_of_one_setting_at_the_same_time_are_all_kept() -> None:
    """Two that read before either has written would lose one."""
    order: list[str] = []

    @one_at_a_time
    async def edit(call: Any) -> Reply:
        order.append("read")
        await asyncio.sleep(0)
        order.append("written")
        return Reply()

    call: Any = SimpleNamespace(services=SimpleNamespace(editing=asyncio.Lock()))
    await asyncio.gather(edit(call), edit(call))
    assert order == ["read", "written", "read", "written"]
