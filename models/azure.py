"""Where an Azure spec leads: a resource with deployments, or its newer address that ends in `/openai/v1`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from .profiles import PROFILES, first_set

VERSION: Final = "2024-10-21"
"""Of the API with deployments, where `OPENAI_API_VERSION` says no other: the last one that is settled."""
_NEWER: Final = "/openai/v1"


@dataclass(frozen=True, slots=True)
class Resource:
    """One Azure OpenAI resource."""

    endpoint: str
    version: str | None
    """None for the newer address, which has none and names models in the request."""
    key: str | None


def resource_of(url: str | None) -> Resource:
    """The resource that a spec's address, else `AZURE_OPENAI_ENDPOINT`, names.

    Raises:
        ValueError: Neither gives an address.
    """
    given = (url or os.environ.get("AZURE_OPENAI_ENDPOINT", "")).rstrip("/")
    if not given:
        raise ValueError("no address is known: set AZURE_OPENAI_ENDPOINT.")
    key = first_set(PROFILES["azure"].key_env)
    if given.endswith(_NEWER):
        return Resource(given, None, key)
    return Resource(given.removesuffix("/v1"), os.environ.get("OPENAI_API_VERSION") or VERSION, key)
