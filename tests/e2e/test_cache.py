"""The cache of answers and replays, through the official ``openai`` package, in a real process and after it."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
from processes import Process
from real_gateway import behind, whole
from wires import CHAT, SAID

ASK: list[Any] = [{"role": "user", "content": "Greet me"}]


async def test_answers_outlive_the_process_and_repeated_calls_reach_the_provider_once(make_gateway: Any) -> None:
    gateway: Process = make_gateway()
    async with behind(gateway, CHAT, whole(CHAT.whole)) as (model, upstream):

        async def create(**more: Any) -> tuple[str | None, str | None, str]:
            async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0) as client:
                raw = await client.chat.completions.with_raw_response.create(model=model, messages=ASK, **more)
                answer = raw.parse()
                assert answer.choices[0].message.content == SAID
                return raw.headers.get("x-omniroute-cache"), raw.headers.get("x-omniroute-idempotent"), answer.id

        once = {"Idempotency-Key": "one"}
        made = await asyncio.gather(*(create(extra_headers=once, temperature=1) for _ in range(5)))
        assert sorted(str(replayed) for _, replayed, _ in made) == ["None", *["true"] * 4]
        assert len(upstream.requests) == 1

        first, second = await create(temperature=0), await create(temperature=0)
        assert (first[0], second[0], first[2] != second[2]) == ("MISS", "HIT", True)
        assert len(upstream.requests) == 2
        assert gateway.stop() == 0
        await asyncio.to_thread(gateway.start)
        assert (await create(temperature=0))[0] == "HIT"
        assert len(upstream.requests) == 2

        shown = gateway.api("GET", "/api/cache")
        assert (shown["semanticCache"]["dbEntries"], shown["semanticCache"]["hits"]) == (1, 1)
        assert gateway.api("DELETE", "/api/cache")["cleared"] == 1
        assert (await create(temperature=0))[0] == "MISS"
