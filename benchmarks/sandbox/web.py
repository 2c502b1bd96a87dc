"""Ways to make a tool that fetches pages talk to this machine: addresses, names that change, redirects, floods.

The listener of the world stands for what must not be reached. A server on 127.0.0.2, which the tool is told to count
as public, stands for the internet; it sends whoever asks on to the listener.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import resource
import socket
import threading
from collections.abc import AsyncIterator, Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, quote, urlsplit

import aiohttp

from collegium.core.errors import ToolError
from collegium.tools import http
from collegium.tools.egress import Limits

from .world import Outcome, World

GROUP = "web"
PUBLIC = "127.0.0.2"
GROWTH_MB = 50
PLACES = {
    "loopback": "http://127.0.0.1:{port}/",
    "any of 127.0.0.0/8": "http://127.7.7.7:{port}/",
    "short": "http://127.1:{port}/",
    "0": "http://0:{port}/",
    "0.0.0.0": "http://0.0.0.0:{port}/",
    "decimal": "http://2130706433:{port}/",
    "hexadecimal": "http://0x7f000001:{port}/",
    "hexadecimal parts": "http://0x7f.0x0.0x0.0x1:{port}/",
    "octal": "http://017700000001:{port}/",
    "octal parts": "http://0177.0.0.01:{port}/",
    "mixed": "http://0x7f.0.1:{port}/",
    "padded": "http://127.000.000.001:{port}/",
    "overflow": "http://4294967296:{port}/",
    "IPv6 loopback": "http://[::1]:{port}/",
    "IPv6 loopback in full": "http://[0:0:0:0:0:0:0:1]:{port}/",
    "IPv6 any": "http://[::]:{port}/",
    "mapped": "http://[::ffff:127.0.0.1]:{port}/",
    "mapped in hexadecimal": "http://[::ffff:7f00:1]:{port}/",
    "mapped metadata": "http://[0:0:0:0:0:ffff:a9fe:a9fe]/",
    "compatible": "http://[::127.0.0.1]:{port}/",
    "6to4": "http://[2002:7f00:1::]:{port}/",
    "NAT64": "http://[64:ff9b::7f00:1]:{port}/",
    "NAT64 of one's own": "http://[64:ff9b:1::7f00:1]:{port}/",
    "ISATAP": "http://[2001:470::5efe:7f00:1]:{port}/",
    "Teredo": "http://[2001:0:7f00:1::1]:{port}/",
    "unique local": "http://[fd00::1]:{port}/",
    "link-local": "http://[fe80::1]:{port}/",
    "zone": "http://[fe80::1%25lo]:{port}/",
    "zone of the loopback": "http://[::1%25lo]:{port}/",
    "multicast": "http://224.0.0.1:{port}/",
    "broadcast": "http://255.255.255.255:{port}/",
    "metadata": "http://169.254.169.254/latest/meta-data/",
    "Azure's agent": "http://168.63.129.16/",
    "shared addresses": "http://100.100.100.200/",
    "10.0.0.0/8": "http://10.0.0.1/",
    "192.168.0.0/16": "http://192.168.1.1/",
    "172.16.0.0/12": "http://172.16.0.1/",
    "localhost": "http://localhost:{port}/",
    "localhost with a dot": "http://localhost.:{port}/",
    "upper case": "http://LOCALHOST:{port}/",
    "IDNA dots": "http://127。0。0。1:{port}/",
    "IDNA digits": "http://①②⑦.⓪.⓪.①:{port}/",
    "IDNA letters": "http://ⓛocalhost:{port}/",
    "percent": "http://%31%32%37.0.0.1:{port}/",
    "name that leads in": "http://inside.test:{port}/",
    "name with two addresses": "http://both.test:{port}/",
    "name with a mapped address": "http://mapped.test:{port}/",
    "user name": "http://public.test@127.0.0.1:{port}/",
    "user name with a port": "http://public.test:80@127.0.0.1:{port}/",
    "empty user name": "http://@127.0.0.1:{port}/",
    "backslash": "http://127.0.0.1:{port}\\@public.test:{port}/",
    "tab": "http://127.0.0.1\t:{port}/",
    "newline": "http://127.0.0.1:{port}/\r\nHost: public.test",
    "blank": " http://127.0.0.1:{port}/",
    "file": "file://{outside}/secret.txt",
    "ftp": "ftp://127.0.0.1:{port}/",
    "gopher": "gopher://127.0.0.1:{port}/_x",
    "data": "data:text/plain,x",
    "dict": "dict://127.0.0.1:{port}/",
    "javascript": "javascript:alert(1)",
    "no scheme": "//127.0.0.1:{port}/",
    "no slashes": "http:127.0.0.1:{port}/",
    "three slashes": "http:///127.0.0.1:{port}/",
    "half an address": "http://[::1/",
    "port": "http://127.0.0.1:99999/",
    "half a surrogate": "http://127.0.0.1:{port}/\ud800",
}
NAMES = {"public.test": [PUBLIC], "inside.test": ["127.0.0.1"], "both.test": [PUBLIC, "127.0.0.1"]}
NAMES["mapped.test"] = ["::ffff:127.0.0.1"]
ELSEWHERE = ("6to4", "NAT64", "NAT64 of one's own", "ISATAP", "Teredo", "unique local", "link-local", "multicast")
"""Where a plain client would send something out of this machine."""
RELATIVE = ("no slashes", "three slashes")
"""What a redirect may hold: it leads to another page of the same host."""
CODES = (301, 302, 303, 307, 308)


async def look_up(host: str) -> list[str]:
    """The names of the scene, then what this system makes of a name without asking anybody."""
    if host in NAMES:
        return NAMES[host]
    flags = 0 if host == "localhost" else socket.AI_NUMERICHOST
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=flags)
    return [str(one[4][0]) for one in found]


class Rebinding:
    """A name that is public when it is asked for the first time, and leads in from then on."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, host: str) -> list[str]:
        self.asked += 1
        return [PUBLIC] if self.asked == 1 else ["127.0.0.1"]


class Internet(BaseHTTPRequestHandler):
    """Answers as its path says."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(asked.query).items()}
        with contextlib.suppress(OSError):
            getattr(self, f"answer_{asked.path.strip('/')}", self.answer_page)(query)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def send(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content_Type": "text/plain", "Content_Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value.encode().decode("latin-1"))  # UTF-8 as it is
        self.end_headers()
        self.wfile.write(body)

    def answer_page(self, query: dict[str, str]) -> None:
        self.send(b"a page")

    def answer_to(self, query: dict[str, str]) -> None:
        self.send(b"", int(query["code"]), Location=query["url"])

    def answer_chain(self, query: dict[str, str]) -> None:
        left = int(query["left"])
        self.send(b"", 302, Location=f"/chain?left={left - 1}" if left else "/page")

    def answer_meta(self, query: dict[str, str]) -> None:
        refresh = f'<meta http-equiv="refresh" content="0; url={query["url"]}">'
        self.send(refresh.encode(), Content_Type="text/html", Refresh=f"0; url={query['url']}")

    def answer_flood(self, query: dict[str, str]) -> None:
        self.send_response(200)
        if query.get("length"):
            self.send_header("Content-Length", str(1 << 30))
        self.end_headers()
        for _ in range(1 << 10):
            self.wfile.write(b"x" * (1 << 20))

    def answer_headers(self, query: dict[str, str]) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(1 << 22):
            self.wfile.write(f"X-{number}: {'x' * int(query['size'])}\r\n".encode())

    def answer_line(self, query: dict[str, str]) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        for _ in range(1 << 10):
            self.wfile.write(b"x" * (1 << 20))

    def answer_bomb(self, query: dict[str, str]) -> None:
        self.send(gzip.compress(bytes(200 << 20), 9), Content_Encoding="gzip")

    def answer_garbage(self, query: dict[str, str]) -> None:
        self.wfile.write(b"\0\xff" * 1000)

    def answer_drip(self, query: dict[str, str]) -> None:
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(b".")
            threading.Event().wait(0.05)


@contextlib.contextmanager
def internet(world: World) -> Generator[int]:
    """The server, on the port of the listener; also the listener's twin at `::1`."""
    server = ThreadingHTTPServer((PUBLIC, world.port), Internet)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        with _listening_by_ipv6(world):
            yield world.port
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def _listening_by_ipv6(world: World) -> Generator[None]:
    try:
        server = socket.create_server(("::1", world.port), family=socket.AF_INET6)
    except OSError:  # this machine has no IPv6
        yield
        return

    def hear() -> None:
        with contextlib.suppress(OSError):
            while True:
                server.accept()[0].close()
                world.heard.append("a connection to ::1")

    threading.Thread(target=hear, daemon=True).start()
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()


async def cases(world: World, codes: tuple[int, ...] = CODES) -> AsyncIterator[Outcome]:
    """Every place by itself and as the end of redirects, then what needs a scene of its own."""
    with internet(world) as port:
        places = {name: url.format(port=port, outside=world.outside) for name, url in PLACES.items()}
        yield await _unguarded(world, places)
        tools = {tool.name: tool.fn for tool in _tools(port)}
        for name, url in places.items():
            yield await _refused(world, tools["http_get"], name, url)
            yield await _refused(world, tools["http_send"], f"sent to: {name}", url)
        for name, url in places.items():
            yield await _redirects(world, tools["http_get"], name, url, port, codes)
        for scene in (_rebinding, _meta, _chain, _sent_on, _list_of_hosts, _proxies, _floods):
            yield await scene(world, port)


def _tools(port: int, **given: Any) -> list[Any]:
    settings: dict[str, Any] = {"hosts": [f"http://*:{port}", "http://*", "https://*"], "resolver": look_up, **given}
    return http(**settings, private=[f"{PUBLIC}/32"], send=True)


async def _attempt(outcome: Outcome, call: Any, *, late: bool = False) -> object:
    """What came, or the refusal; anything but a `ToolError` (or with `late`, a broken line) is wrong."""
    try:
        return await call
    except ToolError as refusal:
        return refusal
    except Exception as error:  # what is looked for: an error that is not typed
        if not (late and isinstance(error, TimeoutError | ConnectionError)):
            outcome.wrong.append(f"raised {type(error).__name__}: {error}")
        return error


async def _refused(world: World, fetch: Any, name: str, url: str, *, relative: bool = False) -> Outcome:
    world.begin()
    outcome = Outcome(GROUP, name)
    came = await _attempt(outcome, fetch(url))
    if not isinstance(came, Exception) and not relative:
        outcome.wrong.append(f"was not refused: {came!r}")
    outcome.wrong += world.touched(came)
    outcome.note = str(came)
    return outcome


async def _redirects(world: World, fetch: Any, name: str, url: str, port: int, codes: tuple[int, ...]) -> Outcome:
    outcome = Outcome(GROUP, f"redirect to: {name}")
    if any(character in url for character in "\r\n\ud800"):
        url = quote(url.encode(errors="ignore"), safe=":/")  # a server cannot send such a header
    for code in codes:
        asked = f"http://public.test:{port}/to?code={code}&url={quote(url)}"
        one = await _refused(world, fetch, name, asked, relative=name in RELATIVE)
        outcome.wrong += [f"{code}: {problem}" for problem in one.wrong]
        outcome.note = one.note
    return outcome


async def _unguarded(world: World, places: dict[str, str]) -> Outcome:
    """A plain client is led to the listener by many of these; else the other figures would show nothing."""
    outcome = Outcome("control", "places that a plain client reaches")
    reached = 0
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=1)) as session:
        for name, url in places.items():
            if "{port}" not in PLACES[name] or name in ELSEWHERE:
                continue
            world.begin()
            with contextlib.suppress(Exception):
                await (await session.get(url)).read()
            reached += bool(world.touched())
    outcome.note = f"{reached} of {len(places)}"
    if reached < 10:
        outcome.wrong.append(f"only {reached}")
    return outcome


async def _rebinding(world: World, port: int) -> Outcome:
    """The first answer is checked and used; a redirect to the same name asks again, and is refused."""
    world.begin()
    outcome = Outcome(GROUP, "name that changes its address")
    name = f"http://public.test:{port}"
    once = Rebinding()
    came = await _attempt(outcome, _tools(port, resolver=once)[0].fn(f"{name}/page"))
    if "a page" not in str(came) or once.asked != 1:
        outcome.wrong.append(f"asked {once.asked} times, and {came}")
    came = await _attempt(outcome, _tools(port, resolver=Rebinding())[0].fn(f"{name}/chain?left=1"))
    if "127.0.0.1" not in str(came):
        outcome.wrong.append(f"the second answer was not judged: {came}")
    outcome.wrong += world.touched(came)
    outcome.note = str(came)
    return outcome


async def _meta(world: World, port: int) -> Outcome:
    world.begin()
    outcome = Outcome(GROUP, "refresh by the page and by a header")
    url = quote(f"http://127.0.0.1:{port}/")
    came = await _attempt(outcome, _tools(port)[0].fn(f"http://public.test:{port}/meta?url={url}"))
    outcome.wrong += world.touched(came)
    outcome.note = str(came)
    return outcome


async def _chain(world: World, port: int) -> Outcome:
    outcome = Outcome(GROUP, "chain of 10 redirects")
    came = await _attempt(outcome, _tools(port)[0].fn(f"http://public.test:{port}/chain?left=10"))
    if "more than 5 times" not in str(came):
        outcome.wrong.append(f"was not refused: {came}")
    outcome.note = str(came)
    return outcome


async def _sent_on(world: World, port: int) -> Outcome:
    """A request that changes things is not repeated where a redirect leads."""
    world.begin()
    outcome = Outcome(GROUP, "redirect of what is sent")
    url = quote(f"http://127.0.0.1:{port}/")
    for code in CODES:
        came = await _attempt(outcome, _tools(port)[1].fn(f"http://public.test:{port}/to?code={code}&url={url}", "x"))
        outcome.wrong += world.touched(came)
        outcome.note = str(came)
    return outcome


async def _list_of_hosts(world: World, port: int) -> Outcome:
    """Public hosts that the list does not name are refused, by themselves and as the end of a redirect."""
    outcome = Outcome(GROUP, "hosts that are not on the list")
    fetch = _tools(port, hosts=[f"http://public.test:{port}", f"http://*.below.test:{port}"])[0].fn
    others = [
        f"http://{PUBLIC}:{port}/",
        f"http://public.test.evil.test:{port}/",
        f"http://evilpublic.test:{port}/",
        f"http://below.test:{port}/",
        f"http://evilbelow.test:{port}/",
        f"http://a.below.test.evil.test:{port}/",
        f"http://public.test:{port + 1}/",
        "http://public.test/",
        f"https://public.test:{port}/",
        f"http://evil.test:{port}/#public.test:{port}",
        f"http://evil.test:{port}/?public.test:{port}",
    ]
    for url in others:
        for asked in (url, f"http://public.test:{port}/to?code=302&url={quote(url)}"):
            came = await _attempt(outcome, fetch(asked))
            if "not on the list" not in str(came):
                outcome.wrong.append(f"{asked}: {came}")
    for url in (f"http://public.test:{port}/page", f"http://PUBLIC.test.:{port}/page#x"):
        if "a page" not in str(came := await _attempt(outcome, fetch(url))):
            outcome.wrong.append(f"{url} was refused: {came}")
    outcome.note = f"{2 * len(others)} refused"
    return outcome


async def _proxies(world: World, port: int) -> Outcome:
    world.begin()
    outcome = Outcome(GROUP, "proxies of the environment")
    proxy = f"http://127.0.0.1:{port}"
    set_here = dict.fromkeys(("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"), proxy)
    with mock.patch.dict(os.environ, set_here):
        came = await _attempt(outcome, _tools(port)[0].fn(f"http://public.test:{port}/page"))
    outcome.wrong += world.touched(came)
    if "a page" not in str(came):
        outcome.wrong.append(str(came))
    return outcome


async def _floods(world: World, port: int) -> Outcome:
    """Answers without an end: large, packed, with too many or too long headers, slow, or no HTTP at all."""
    outcome = Outcome(GROUP, "floods")
    floods = ("flood", "flood?length=1", "bomb", "headers?size=10", "headers?size=9000", "line", "garbage", "drip")
    get, send = (tool.fn for tool in _tools(port, limits=Limits(body_bytes=100_000, wall_s=1)))
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    await asyncio.to_thread(gzip.compress, b"")
    for flood in floods:
        url = f"http://public.test:{port}/{flood}"
        came = await _attempt(outcome, get(url), late=True)
        if not isinstance(came, Exception):
            outcome.wrong.append(f"{flood}: {str(came)[:200]}")
        came = await _attempt(outcome, send(url, "x"), late=True)
        if len(str(came)) > 1000:
            outcome.wrong.append(f"{flood}, sent: {str(came)[:200]}")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before_mb
    outcome.note = f"{len(floods)} kinds, grew {grown:.0f} MB"
    if grown > GROWTH_MB:
        outcome.wrong.append(outcome.note)
    return outcome
