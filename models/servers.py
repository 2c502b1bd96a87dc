"""Looking for model servers on this machine; none is ever chosen unasked."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from ..core.errors import CollegiumError
from .listing import Listing
from .profiles import PROFILES, Profile, first_set
from .specs import Spec, base_address

LOOK_S = 1.5
"""How long a server may take to list its models; all are asked at once."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers."""

    provider: str
    url: str
    models: tuple[str, ...]
    """Names as the server lists them."""
    specs: tuple[str, ...]
    """What selects each of them: `--model SPEC` or `COLLEGIUM_MODEL=SPEC`."""


async def list_servers() -> list[Server]:
    """The local servers that answer on their default (or configured) addresses, with their models."""
    rows = [row for row in PROFILES.values() if row.transport in ("aiohttp", "ollama") and row.address]
    looks = [_look(row, url) for row in rows for url in _addresses(row)]
    found = [server for server in await asyncio.gather(*looks) if server]
    chosen: dict[str, Server] = {}
    for server in found:  # servers that share a default port are told apart by how they sign their listing
        if server.url not in chosen:
            chosen[server.url] = server
    return list(chosen.values())


async def _look(row: Profile, url: str) -> Server | None:
    from .compatible.failures import Transient
    from .compatible.response import Reader
    from .compatible.transport import AiohttpTransport

    transport = AiohttpTransport(row.provider, url, row)
    try:
        async with asyncio.timeout(LOOK_S):
            listing = Listing.read(Reader(row.provider).loads(await transport.get(row.listing or "/models")))
    except (TimeoutError, Transient, CollegiumError):
        return None
    finally:
        await transport.aclose()
    return _server(row, url, listing) if _signed_by(row, listing) else None


def _server(row: Profile, url: str, listing: Listing) -> Server:
    given = None if url == row.address else url
    specs = tuple(str(Spec(row.provider, name, given)) for name in listing.names)
    return Server(row.provider, url, listing.names, specs)


def _signed_by(row: Profile, listing: Listing) -> bool:
    """Whether the listing may be this provider's: signed by it, or by none that signs."""
    owners = {entry.owned_by for entry in listing.entries}
    signing = {name: other for other in PROFILES.values() for name in other.owned_by}
    signers = {signing[owner].provider for owner in owners if owner in signing}
    return not signers or row.provider in signers


def _addresses(row: Profile) -> list[str]:
    configured = first_set(row.address_env)
    if configured:
        return [base_address(row.provider, configured)]
    if row.address is None or row.listing is None:
        return []
    parts = urlsplit(row.address)
    others = [urlunsplit(parts._replace(netloc=f"{parts.hostname}:{port}")) for port in row.more_ports]
    return [row.address, *others]
