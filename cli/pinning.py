"""The verbs of `collegium mcp`: what each takes, and the function in `pinning_tools.py` that does it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

mcp_app = typer.Typer(help="See and approve the MCP servers of a configuration.", invoke_without_command=True)

Servers = Annotated[Path, typer.Argument(help="A JSON file with `mcpServers`.", metavar="FILE")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


@mcp_app.callback()
def mcp(context: typer.Context) -> None:
    """See and approve the MCP servers of a configuration."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@mcp_app.command("list")
def mcp_list(file: Servers, as_json: Json = False) -> int:
    """List what a configuration would start, and the tools that you approved; nothing is started."""
    from .pinning_tools import list_servers

    return list_servers(file, as_json=as_json)


@mcp_app.command("pin")
def mcp_pin(
    file: Servers,
    yes: Annotated[bool, typer.Option("--yes", help="Approve all of it without asking.")] = False,
    as_json: Json = False,
) -> int:
    """Show each command and each tool that is new or has changed, and approve it."""
    from .pinning_tools import pin

    return pin(file, yes=yes, as_json=as_json)
