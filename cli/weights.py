"""`models list` and `models pull`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .failures import DONE
from .terminal import make_console
from .text import one_line, print_json

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from ..models import Server, Weights


def list_models(*, as_json: bool) -> int:
    """Show weights that are here or can be pulled, and local servers that answer."""
    from .. import models

    weights = [_weights_json(entry) for entry in models.catalogue().values()]
    servers = [_server_json(server) for server in asyncio.run(models.list_servers())]
    if as_json:
        print_json({"weights": weights, "servers": servers})
    else:
        _print_tables(make_console(), weights, servers)
    return DONE


def pull(name: str, *, as_json: bool) -> int:
    """Fetch one entry of the catalogue, with a bar that shows how far it is."""
    console = make_console(error=as_json)
    path = _pulled(name, console)
    if as_json:
        print_json({"name": name, "path": str(path)})
    else:
        console.print(f"{one_line(name)} is at {path}")
    return DONE


def _pulled(name: str, console: Console) -> Path:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    from ..models import pull_sync

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"pulling {one_line(name)}", total=None)

        def tell(text: str, done: int, total: int) -> None:
            bar.update(task, description=one_line(text), completed=done, total=total)

        return pull_sync(name, progress=tell)


def _weights_json(weights: Weights) -> dict[str, Any]:
    return {
        "name": weights.name,
        "kind": weights.kind,
        "title": weights.title,
        "licence": weights.licence,
        "level": weights.level,
        "bytes": weights.download,
        "installed": weights.installed,
    }


def _server_json(server: Server) -> dict[str, Any]:
    specs = [{"model": model, "spec": spec} for model, spec in zip(server.models, server.specs, strict=True)]
    return {"provider": server.provider, "url": server.url, "models": specs}


def _print_tables(console: Console, weights: Sequence[Mapping[str, Any]], servers: Sequence[Mapping[str, Any]]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("name", "what", "licence", "size", ""):
        table.add_column(name, no_wrap=True)
    for entry in weights:
        here = "here" if entry["installed"] else f"collegium models pull {entry['name']}"
        size = f"{entry['bytes'] / 1e6:.0f} MB"
        table.add_row(entry["name"], one_line(entry["title"]), entry["licence"], size, here)
    console.print(table)
    for server in servers:
        console.print(f"\n{server['provider']} answers at {one_line(server['url'])}", style="bold")
        for model in server["models"]:
            console.print(f"  --model {one_line(model['spec'])}")
    if not servers:
        console.print("\nNo model server answers on this machine's usual ports.", style="dim")
