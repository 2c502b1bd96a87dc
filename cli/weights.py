"""`models list` and `models pull`."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from .failures import DONE
from .terminal import make_console
from .text import as_json as json_types
from .text import one_line, print_json


def list_models(*, as_json: bool) -> int:
    """Show weights that are here or can be pulled, and local servers that answer."""
    from .. import models

    weights = [json_types(asdict(entry)) for entry in models.installed()]
    servers = [json_types(asdict(server)) for server in asyncio.run(models.list_servers())]
    if as_json:
        print_json({"weights": weights, "servers": servers})
        return DONE
    _print_tables(weights, servers)
    return DONE


def pull(name: str, *, as_json: bool) -> int:
    """Fetch one entry of the catalogue."""
    from .. import models

    console = make_console(error=as_json)
    with console.status(f"pulling {one_line(name)}"):
        path = asyncio.run(models.pull(name))
    if as_json:
        print_json({"name": name, "path": str(path)})
    else:
        console.print(f"{one_line(name)} is at {path}", markup=False)
    return DONE


def _print_tables(weights: list[dict[str, Any]], servers: list[dict[str, Any]]) -> None:
    console = make_console()
    console.print(str(weights), str(servers))
