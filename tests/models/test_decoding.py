"""Decoding parameters: typed, passed under the provider's own names, refused where they are not taken."""

import pickle
from dataclasses import fields
from typing import Any

import pytest

from collegium.core.errors import InvalidInput, UnsupportedParameter
from collegium.core.messages import user
from collegium.models import PROFILES, Params, model
from collegium.models.decoding import SETTINGS, wire_params, without_untaken
from collegium.testing.serving import ChatServer, completion

ASK = [user("hello")]
ALL = Params(
    temperature=0.5,
    top_p=0.9,
    max_tokens=7,
    seed=1,
    stop=("END",),
    top_k=20,
    min_p=0.1,
    presence_penalty=0.2,
    frequency_penalty=0.3,
    repetition_penalty=1.1,
    logprobs=2,
    reasoning_effort="low",
)


def test_every_setting_reaches_the_wire_of_a_server_that_takes_them_all() -> None:
    assert wire_params(ALL, PROFILES["vllm"].decoding, "vllm:m") == {
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 7,
        "seed": 1,
        "stop": ["END"],
        "top_k": 20,
        "min_p": 0.1,
        "presence_penalty": 0.2,
        "frequency_penalty": 0.3,
        "repetition_penalty": 1.1,
        "logprobs": True,
        "top_logprobs": 2,
        "reasoning_effort": "low",
    }
    assert set(ALL.given()) == set(SETTINGS) == {one.name for one in fields(Params)} - {"extra"}


@pytest.mark.parametrize(
    ("provider", "name", "setting", "wire"),
    [
        ("openai", "gpt-4.1", "max_tokens", "max_completion_tokens"),
        ("llamacpp", "m", "repetition_penalty", "repeat_penalty"),
        ("ollama", "m", "max_tokens", "num_predict"),
        ("anthropic", "m", "stop", "stop_sequences"),
    ],
)
def test_a_setting_goes_by_the_providers_own_name(provider: str, name: str, setting: str, wire: str) -> None:
    assert PROFILES[provider].settings(name)[setting] == wire


@pytest.mark.parametrize("provider", [name for name in PROFILES if name != "scripted"])
def test_a_setting_is_passed_or_refused_by_name_and_never_dropped(provider: str) -> None:
    names = PROFILES[provider].settings("m")
    for setting, value in ALL.given().items():
        one = Params(**{setting: value})
        if setting in names:
            assert wire_params(one, names, "p:m"), setting
        else:
            with pytest.raises(UnsupportedParameter, match=f"'{setting}' is not taken here") as caught:
                wire_params(one, names, "p:m")
            assert caught.value.parameter == setting
            assert setting not in caught.value.taken


@pytest.mark.parametrize("name", ["o3", "o4-mini", "gpt-5", "gpt-5-mini", "openai/gpt-5.1"])
def test_a_hosted_reasoning_model_takes_effort_and_no_temperature(name: str) -> None:
    names = PROFILES["openai"].settings(name)
    assert "temperature" not in names and "logprobs" not in names
    assert names["max_tokens"] == "max_completion_tokens"
    assert names["reasoning_effort"] == "reasoning_effort"


@pytest.mark.parametrize("name", ["gpt-4o", "gpt-4.1-mini", "gpt-5-chat-latest", "omni"])
def test_other_hosted_models_take_a_temperature(name: str) -> None:
    assert "temperature" in PROFILES["openai"].settings(name)


async def test_a_refused_setting_is_found_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    async with ChatServer(completion()) as server:
        hosted = model(f"openai:o3@{server.url}")
        with pytest.raises(UnsupportedParameter, match="openai:o3.*'temperature' is not taken here.*max_tokens"):
            await hosted.complete(ASK, params=Params(temperature=0.0))
        await hosted.aclose()
    assert server.requests == []


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 1.5}, "top_p"),
        ({"top_k": -1}, "top_k"),
        ({"min_p": 2}, "min_p"),
        ({"presence_penalty": 3}, "presence_penalty"),
        ({"logprobs": 21}, "logprobs"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"stop": ("",)}, "stop"),
    ],
)
def test_a_value_out_of_range_is_refused_where_it_is_written(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Params(**given)
    assert caught.value.field == f"params.{field}"


def test_wishes_are_dropped_where_they_are_not_taken() -> None:
    wished = Params(temperature=0.0, max_tokens=60, seed=7, stop=("x",))
    assert without_untaken(wished, PROFILES["openai"].settings("o3")) == Params(max_tokens=60, seed=7)
    assert without_untaken(wished, PROFILES["vllm"].settings("m")) is wished


def test_the_error_survives_a_process_boundary() -> None:
    error = pickle.loads(pickle.dumps(UnsupportedParameter("openai:o3", "top_k", ("seed",))))
    assert (error.model, error.parameter, error.taken) == ("openai:o3", "top_k", ("seed",))
    assert "`extra`" in str(error)


async def test_logprobs_come_back_typed() -> None:
    entry = {"token": "hi", "logprob": -0.5, "top_logprobs": [{"token": "hi", "logprob": -0.5}, {"token": "yo"}]}
    reply = completion("hi")
    reply["choices"][0]["logprobs"] = {"content": [entry, {"token": 3}, "odd"]}
    async with ChatServer(reply) as server:
        done = await model(f"vllm:m@{server.url}").complete(ASK, params=Params(logprobs=1))
    assert [(one.token, one.logprob, one.others) for one in done.logprobs] == [("hi", -0.5, (("hi", -0.5),))]
