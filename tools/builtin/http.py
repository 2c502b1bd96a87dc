"""HTTP as tools: hosts on a list, addresses of the public internet, answers of limited size."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from typing import Any, Literal

from ...core.errors import ToolError
from ..egress import AllowList, Answer, Limits, Resolver, exchange, networks
from ..function import FunctionTool

MAX_SENT_BYTES = 1_000_000
_TEXT = re.compile(r"text/.*|application/(.*\+)?(json|xml|javascript|yaml|x-ndjson|x-www-form-urlencoded)")
_CHARSET = re.compile(r"charset\s*=\s*\"?([A-Za-z0-9._-]+)", re.I)
_CHARSETS = re.compile(r"utf|ascii|iso8859|cp\d|koi8|gb|big5|euc|shift|latin")


def http(
    hosts: str | Iterable[str],
    *,
    send: bool = False,
    private: Iterable[str] = (),
    limits: Limits | None = None,
    resolver: Resolver | None = None,
) -> list[FunctionTool[..., Any]]:
    """The tool `http_get` and, with `send`, `http_send`, which talk to `hosts` and to nothing else.

    An address that is not public is refused, also when a host on the list leads to it, a redirect does, or its name
    changes its mind between two look-ups: what is judged is the address that is connected to.

    Args:
        hosts: `api.example.org` for HTTPS, `*.example.org` for all below it, `*` for every public host,
            `http://example.org` for HTTP, `example.org:8443` for another port.
        send: Also make `http_send`, which changes things at those hosts: unsafe and of high risk.
        private: Networks that may be reached although they are not public, such as `10.1.0.0/16`.
        limits: Size and time of one exchange.
        resolver: Looks names up, instead of the system.

    Raises:
        InvalidTool: An entry of `hosts` is no host, or one of `private` no network.
    """
    allow = AllowList.of(hosts, "http")
    reachable = networks(private, "http")
    limits = limits or Limits()

    async def http_get(url: str) -> dict[str, Any]:
        """Read a page or a document from the web.

        Args:
            url: An absolute http or https URL of one of the hosts.
        """
        came = await exchange("http_get", url, allow=allow, private=reachable, limits=limits, resolver=resolver)
        return _shown("http_get", came)

    async def http_send(
        url: str,
        body: str = "",
        method: Literal["POST", "PUT", "PATCH", "DELETE"] = "POST",
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        """Send a request that changes something at one of the hosts. Redirects are not followed.

        Args:
            url: An absolute http or https URL of one of the hosts.
            body: What is sent, as text.
            method: POST, PUT, PATCH or DELETE.
            content_type: What the body is.
        """
        headers = {"Content-Type": _header("http_send", content_type)}
        came = await exchange(
            "http_send",
            url,
            allow=allow,
            private=reachable,
            method=method,
            headers=headers,
            body=_sent("http_send", body),
            limits=limits,
            resolver=resolver,
        )
        return _shown("http_send", came)

    told = f" Hosts: {', '.join(allow.names)}."
    get = FunctionTool(
        http_get,
        description=f"Read a text from the web by its URL and return it with its status.{told}",
        effect="read",
        risk="medium",
        timeout_s=limits.wall_s + 5,
        origin="web",
        destinations=["url"],
    )
    put = FunctionTool(
        http_send,
        description=f"Send a request that changes something, and return the answer with its status.{told}",
        effect="unsafe",
        risk="high",
        timeout_s=limits.wall_s + 5,
        origin="web",
        destinations=["url"],
    )
    return [get, put] if send else [get]


def _shown(tool: str, came: Answer) -> dict[str, Any]:
    kind = came.headers.get("content-type", "")
    media = kind.partition(";")[0].strip().lower()
    is_text = not media or bool(_TEXT.fullmatch(media))
    if came.body and not is_text and tool == "http_get":
        raise ToolError(tool, f"{came.url[:200]!r} is {media[:100]!r} and no text.")
    text = _text(came.body, kind) if is_text else ""
    shown = {"url": came.url, "status": came.status, "type": media, "text": text}
    if came.problem:
        shown["problem"] = came.problem
    if location := came.headers.get("location"):
        shown["location"] = location
    return shown


def _text(body: bytes, kind: str) -> str:
    """The body as text; a character set that is unknown, or is none, counts as UTF-8."""
    charset = "utf-8-sig"
    if named := _CHARSET.search(kind):
        try:
            name = codecs.lookup(named[1]).name
            # others of Python's codecs are slow, or are no character sets
            charset = name if _CHARSETS.match(name) and name != "utf-8" else charset
        except LookupError:
            pass
    return body.decode(charset, errors="replace")


def _sent(tool: str, body: str) -> bytes | None:
    try:
        data = body.encode()
    except UnicodeEncodeError as error:
        raise ToolError(tool, f"the body is not text: {error.reason} at {error.start}.") from error
    if len(data) > MAX_SENT_BYTES:
        raise ToolError(tool, f"the body has {len(data)} bytes; at most {MAX_SENT_BYTES} are allowed.")
    return data or None


def _header(tool: str, value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.+_-]+/[A-Za-z0-9.+_-]+(; ?[a-z]+=[A-Za-z0-9._-]+)?", value):
        raise ToolError(tool, f"content_type: {value[:100]!r} is not a media type such as 'application/json'.")
    return value
