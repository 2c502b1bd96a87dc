"""Reading a model spec, `provider:model[@url]`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from ..core.errors import UnknownModel, nearest
from .profiles import PROFILES, Profile, first_set

_SCHEME = re.compile(r"@[A-Za-z][A-Za-z0-9+.-]*://")
_HOST_PORT = re.compile(r"[\w.-]+:\d{1,5}(/.*)?|\[[0-9a-fA-F:]+\](:\d{1,5})?(/.*)?")


@dataclass(frozen=True, slots=True)
class Spec:
    """A spec in its parts."""

    provider: str
    model: str = ""
    url: str | None = None
    """Address given in the spec itself."""

    def __str__(self) -> str:
        at = f"@{self.url}" if self.url else ""
        return f"{self.provider}:{self.model}{at}" if self.model else f"{self.provider}{at}"

    @property
    def profile(self) -> Profile:
        """The provider's row of the table."""
        return PROFILES[self.provider]


def parse_spec(text: str) -> Spec:
    """The parts of a spec; nothing is looked up.

    Raises:
        UnknownModel: The provider is unknown, or the model name or the address is missing.
    """
    provider, _, rest = text.strip().partition(":")
    if provider not in PROFILES:
        raise UnknownModel(text, f"there is no provider {provider!r}. {nearest(provider, list(PROFILES))}")
    name, url = _split_address(rest)
    if url is not None:
        url = base_address(text, url)
    if not name and PROFILES[provider].transport not in ("embedded", "scripted"):
        raise UnknownModel(
            text,
            f"the model's name is missing: write {provider}:NAME. `collegium models list` shows some.",
        )
    return Spec(provider, name, url)


def address_of(spec: Spec) -> str:
    """The base address of the spec's server: from the spec, else the environment, else the default.

    Raises:
        UnknownModel: None of these gives one.
    """
    found = spec.url or first_set(spec.profile.address_env) or spec.profile.address
    if found:
        return base_address(str(spec), found)
    raise UnknownModel(
        str(spec),
        f"no address is known: write {spec.provider}:{spec.model}@http://HOST:PORT/v1 "
        f"or set {spec.profile.address_env[0]}.",
    )


def base_address(spec: str, url: str) -> str:
    """A base address in full: `http://` and `/v1` are added where they are missing.

    Raises:
        UnknownModel: It is no http address, or it carries a password.
    """
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port
    except ValueError as error:
        raise UnknownModel(spec, f"{url!r} is not an address ({error})") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UnknownModel(spec, f"{url!r} is not an http address.")
    if parts.username or parts.password:
        raise UnknownModel(
            _split_address(spec)[0], "an address must not carry a password; set the key's environment variable."
        )
    host = "127.0.0.1" if parts.hostname == "0.0.0.0" else parts.hostname  # a server's bind address
    shown = f"[{host}]" if ":" in host else host
    place = f"{shown}:{port}" if port else shown
    return urlunsplit((parts.scheme, place, parts.path.rstrip("/") or "/v1", "", ""))


def _split_address(rest: str) -> tuple[str, str | None]:
    """Model name and address; an `@` inside a model's name is kept with it."""
    name, at, url = rest.rpartition("@")
    if found := _SCHEME.search(rest):
        return rest[: found.start()], rest[found.start() + 1 :]
    if at and _HOST_PORT.fullmatch(url):
        return name, url
    return rest, None
