"""Specs, addresses and the table of providers."""

import pickle

import pytest

from collegium.core.errors import UnknownModel
from collegium.models import PROFILES, Spec, model, parse_spec
from collegium.models.specs import address_of


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("openai:gpt-5", Spec("openai", "gpt-5")),
        ("ollama:qwen3:4b", Spec("ollama", "qwen3:4b")),
        ("llamacpp:qwen@http://10.0.0.5:9931", Spec("llamacpp", "qwen", "http://10.0.0.5:9931/v1")),
        ("vllm:org/name@gpu:8000", Spec("vllm", "org/name", "http://gpu:8000/v1")),
        ("openai-compatible:a@b@https://host/api/v2/", Spec("openai-compatible", "a@b", "https://host/api/v2")),
        ("ollama:m@http://[::1]:11434", Spec("ollama", "m", "http://[::1]:11434/v1")),
        ("embedded", Spec("embedded")),
        ("embedded:weights/q.gguf", Spec("embedded", "weights/q.gguf")),
    ],
)
def test_a_spec_is_read_into_its_parts(text: str, parts: Spec) -> None:
    assert parse_spec(text) == parts
    assert parse_spec(str(parts)) == parts


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("olama:x", "no provider 'olama'. Did you mean 'ollama'"),
        ("gpt-5", "no provider 'gpt-5'"),
        ("", "no provider ''"),
        ("vllm:", "the model's name is missing"),
        ("vllm:m@ftp://host/", "is not an http address"),
        ("vllm:m@http://me:secret@host:1", "must not carry a password"),
        ("vllm:m@http://host:99999/v1", "is not an address"),
        ("scripted", "ScriptedModel"),
    ],
)
def test_a_wrong_spec_says_what_to_write(text: str, says: str) -> None:
    with pytest.raises(UnknownModel, match=says) as caught:
        model(text)
    assert caught.value.exit_status == 2
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_environment_gives_addresses_when_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = parse_spec("ollama:m")
    assert address_of(spec) == "http://127.0.0.1:11434/v1"
    monkeypatch.setenv("OLLAMA_HOST", "0.0.0.0:7000")
    assert address_of(spec) == "http://127.0.0.1:7000/v1"
    assert address_of(parse_spec("ollama:m@http://other:1/v1")) == "http://other:1/v1"


def test_a_compatible_server_without_an_address_says_how_to_give_one() -> None:
    with pytest.raises(UnknownModel, match="write openai-compatible:m@http://HOST:PORT/v1 or set OPENAI_COMP"):
        address_of(parse_spec("openai-compatible:m"))


def test_every_provider_of_the_table_can_be_named() -> None:
    expected = "openai azure anthropic vllm ollama llamacpp lmstudio tgi llamafile jan gpt4all litgpt"
    assert set(PROFILES) == {*expected.split(), "openai-compatible", "embedded", "scripted"}
    assert all(row.provider == name for name, row in PROFILES.items())
