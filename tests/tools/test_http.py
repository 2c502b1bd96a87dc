"""Pages are read from hosts on a list, and what is sent is sent once."""

import datetime
import subprocess
import sys
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collegium.core.errors import InvalidTool, ToolError
from collegium.guardrails import Policy, destinations_in
from collegium.tools import http
from collegium.tools.egress import Limits, checked_url, is_public

HOME = ["127.0.0.0/8"]


class Shop(BaseHTTPRequestHandler):
    seen: list[tuple[str, str, dict[str, str], bytes]] = []

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.seen.append((self.command, self.path, dict(self.headers), body))
        kind, text, coding = {
            "/latin": ("text/plain; charset=ISO-8859-1", "grüße".encode("latin-1"), ""),
            "/odd": ("text/plain; charset=punycode", "grüße".encode(), ""),
            "/picture": ("image/png", b"\x89PNG", ""),
            "/packed": ("application/json", __import__("gzip").compress(b'{"paid": 40}'), "gzip"),
            "/unknown": ("text/plain", b"xxx", "br"),
            "/broken": ("text/plain", b"xxx", "gzip"),
            "/large": ("text/plain", b"x" * 101, ""),
        }.get(self.path, ("text/html; charset=utf-8", "grüße".encode(), ""))
        self.send_response(404 if self.path == "/missing" else 302 if self.path == "/moved" else 200)
        self.send_header("Content-Type", kind)
        if coding:
            self.send_header("Content-Encoding", coding)
        if self.path == "/moved":
            self.send_header("Location", "page#part")
        self.send_header("Set-Cookie", "who=ada")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_POST = do_DELETE = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def shop() -> Generator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Shop) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        Shop.seen.clear()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def tools(shop: str, **given: Any) -> dict[str, Any]:
    made = http(shop, send=True, private=HOME, limits=Limits(body_bytes=100, wall_s=10), **given)
    return {tool.name: tool.fn for tool in made}


async def test_a_page_comes_with_its_status_and_its_own_address(shop: str) -> None:
    get = tools(shop)["http_get"]

    assert await get(f"{shop}/page") == {"url": f"{shop}/page", "status": 200, "type": "text/html", "text": "grüße"}
    assert (await get(f"{shop}/moved"))["url"] == f"{shop}/page"
    assert (await get(f"{shop}/missing"))["status"] == 404
    assert (await get(f"{shop}/latin"))["text"] == "grüße"
    assert (await get(f"{shop}/odd"))["text"] == "grüße"
    assert (await get(f"{shop}/packed"))["text"] == '{"paid": 40}'


@pytest.mark.parametrize(
    ("path", "why"),
    [("picture", "no text"), ("unknown", "'br'"), ("broken", "not gzip"), ("large", "larger than 100 bytes")],
)
async def test_what_is_no_text_or_too_long_is_refused_when_it_is_read(shop: str, path: str, why: str) -> None:
    with pytest.raises(ToolError, match=why):
        await tools(shop)["http_get"](f"{shop}/{path}")


@pytest.mark.parametrize("path", ["unknown", "broken", "large"])
async def test_what_was_sent_counts_as_sent_even_if_the_answer_is_no_good(shop: str, path: str) -> None:
    came = await tools(shop)["http_send"](f"{shop}/{path}", "{}")

    assert (came["status"], came["text"]) == (200, "")
    assert came["problem"]
    assert len(Shop.seen) == 1


async def test_what_is_sent_arrives_once_and_redirects_are_told_and_not_followed(shop: str) -> None:
    send = tools(shop)["http_send"]

    moved = await send(f"{shop}/moved", '{"a": 1}')
    await send(f"{shop}/page", "", "DELETE", "text/plain")

    assert (moved["status"], moved["location"]) == (302, "page#part")
    assert [(verb, path, body) for verb, path, _, body in Shop.seen] == [
        ("POST", "/moved", b'{"a": 1}'),
        ("DELETE", "/page", b""),
    ]
    assert Shop.seen[0][2]["Content-Type"] == "application/json"
    assert not any("Cookie" in headers for _, _, headers, _ in Shop.seen)


@pytest.mark.parametrize(
    "given",
    [{"content_type": "text/plain\r\nX: y"}, {"content_type": ""}, {"body": "\ud800"}, {"body": "x" * 1_000_001}],
)
async def test_what_cannot_be_sent_is_refused_before_anything_is(shop: str, given: dict[str, str]) -> None:
    with pytest.raises(ToolError):
        await tools(shop)["http_send"](f"{shop}/page", **given)
    assert Shop.seen == []


def test_a_policy_sees_the_host_that_a_call_goes_to() -> None:
    get, send = http("*", send=True)

    for one in (get, send):
        assert destinations_in(one, {"url": "https://shop.test/?q=1"}) == ("shop.test",)
    assert Policy().decide(get, "untrusted", {"url": "https://elsewhere.test/?secret"}) == "ask"
    assert Policy(destinations=["shop.test"]).decide(get, "untrusted", {"url": "https://shop.test/"}) == "allow"


async def test_nothing_that_answers_is_an_error_that_says_so(shop: str) -> None:
    with pytest.raises(ToolError, match="nothing answers at http://127.0.0.1:1 "):
        await tools("http://127.0.0.1:1")["http_get"]("http://127.0.0.1:1/")


async def test_a_name_without_an_address_is_an_error_that_says_so() -> None:
    async def nowhere(host: str) -> list[str]:
        return []

    (get,) = http("nowhere.test", resolver=nowhere)
    with pytest.raises(ToolError, match="nothing answers"):
        await get.fn("https://nowhere.test/")


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        [""],
        ["ftp://example.org"],
        ["example.org/path"],
        ["example.org?x"],
        ["example.org#x"],
        ["*.*.org"],
        ["ex*mple.org"],
        ["127.1"],
        ["user@example.org"],
        ["example.org:99999"],
        ["*."],
    ],
)
def test_a_list_that_is_not_one_of_hosts_is_refused_where_it_is_made(hosts: list[str]) -> None:
    with pytest.raises(InvalidTool):
        http(hosts)


def test_private_networks_are_networks() -> None:
    with pytest.raises(InvalidTool, match="private"):
        http("example.org", private=["10.1"])


@pytest.mark.parametrize("text", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_addresses_of_the_internet_are_public(text: str) -> None:
    assert is_public(ip_address(text))


@settings(deadline=None)
@given(st.ip_addresses(v=4))
def test_an_address_is_judged_alike_in_every_form_it_can_be_wrapped_in(address: IPv4Address) -> None:
    number = int(address)
    wrapped = [(0xFFFF << 32) | number, (0x64FF9B << 96) | number, (0x2002 << 112) | (number << 80) | 1]

    assert [is_public(IPv6Address(one)) for one in wrapped] == [is_public(address)] * 3
    assert not (is_public(address) and (address.is_private or address.is_loopback or address.is_link_local))


@settings(deadline=None)
@given(st.text(max_size=60) | st.from_regex(r"https?://[a-z0-9.:@\[\]%#?/\\-]{0,40}", fullmatch=True))
def test_any_text_is_a_url_of_a_plain_host_or_a_tool_error(text: str) -> None:
    try:
        url = checked_url(text, "http_get")
    except ToolError as refusal:
        assert refusal.tool == "http_get"
    else:
        assert url.scheme in ("http", "https")
        assert url.raw_host == (url.raw_host or "").lower().rstrip(".")
        assert url.user is None


SECURE = """
import asyncio, ssl, sys, threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from collegium.core.errors import ToolError
from collegium.tools import http

class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(302 if self.path == "/down" else 200)
        self.send_header("Location", "http://shop.test/")
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"page")
    def log_message(self, *args): pass

server = HTTPServer(("127.0.0.1", 0), Page)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
port = server.server_address[1]

async def look_up(host): return ["127.0.0.1"]

async def main():
    hosts = [f"shop.test:{port}", f"other.test:{port}", "http://shop.test"]
    (get,) = http(hosts, private=["127.0.0.1/32"], resolver=look_up)
    for url in (f"https://shop.test:{port}/", f"https://shop.test:{port}/down", f"https://other.test:{port}/"):
        try:
            print((await get.fn(url))["text"])
        except ToolError as refusal:
            print(refusal)

asyncio.run(main())
"""


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of `shop.test` that it signed itself, and its key."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shop.test")])
    today = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("shop.test")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, pkcs8, plain))
    return folder / "cert.pem", folder / "key.pem"


def test_https_is_checked_by_name_and_never_left_for_http(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    command = [sys.executable, "-c", SECURE, str(cert), str(key)]

    trusted = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=True, env={"SSL_CERT_FILE": str(cert)}
    ).stdout.splitlines()
    unknown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env={}).stdout

    assert trusted[0] == "page"
    assert "not encrypted" in trusted[1]
    assert "certificate" in trusted[2].lower()
    assert [line for line in unknown.splitlines() if "CERTIFICATE_VERIFY_FAILED" not in line] == []
    assert len(unknown.splitlines()) == 3
