"""The openai SDK by hand: its async client, a loop for the tool call, plain functions for the rest."""

from __future__ import annotations

import json
from typing import Any

import openai

from .tasks import (
    JUDGE_SYSTEM,
    LOOKUP,
    PLAN_SYSTEM,
    SYSTEM,
    USER,
    VERDICT,
    Bench,
    Verdict,
    act_prompt,
    conversation,
    judge_prompt,
    lookup_value,
    retrieve,
)


def client_for(base_url: str, pool: int) -> openai.AsyncOpenAI:
    """The SDK's client, its connection limits raised to `pool`."""
    limits = type(openai.DEFAULT_CONNECTION_LIMITS)(max_connections=pool, max_keepalive_connections=pool)
    http = openai.DefaultAsyncHttpxClient(limits=limits)
    return openai.AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0, timeout=600, http_client=http)


def build(base_url: str, pool: int) -> Bench:
    """The work, done with nothing but the SDK."""
    client = client_for(base_url, pool)
    create: Any = client.chat.completions.create  # its overloads take typed messages, this takes plain ones

    async def turn(goal: str) -> str:
        messages = conversation(SYSTEM, goal)
        while True:
            said = (await create(model="stub", messages=messages, tools=[LOOKUP])).choices[0].message
            if not said.tool_calls:
                return str(said.content)
            messages.append(said.to_dict(mode="json", exclude_none=True))
            for call in said.tool_calls:
                value = lookup_value(**json.loads(call.function.arguments))
                messages.append({"role": "tool", "tool_call_id": call.id, "content": value})

    async def text(system: str, user: str, **options: Any) -> str:
        done = await create(model="stub", messages=conversation(system, user), **options)
        return str(done.choices[0].message.content)

    async def pipeline() -> Verdict:
        plan = await text(PLAN_SYSTEM, USER)
        context = retrieve(plan)
        answer = await turn(act_prompt(plan, context))
        judged = await text(JUDGE_SYSTEM, judge_prompt(answer, context), response_format=VERDICT)
        return Verdict.model_validate_json(judged)

    return Bench(lambda: turn(USER), pipeline, client.close)
