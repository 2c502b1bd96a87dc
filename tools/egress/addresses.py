"""Which addresses are public. An IPv6 address that stands for an IPv4 address is judged by that one."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from ...core.errors import InvalidTool

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_COMPATIBLE = IPv6Network("::/96")
_TRANSLATED = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
"""NAT64: a gateway sends what goes there to the IPv4 address in the last 32 bits."""
_ISATAP = (0x00005EFE, 0x02005EFE)
# public by number, yet answered by the cloud's own machine (Azure's agent), or a relay that leads anywhere (6to4)
_SERVED_LOCALLY = (IPv4Network("168.63.129.16/32"), IPv4Network("192.88.99.0/24"))
# what older versions of Python call global
_SPECIAL: tuple[Network, ...] = (
    IPv4Network("192.0.0.0/24"),
    IPv4Network("100.64.0.0/10"),
    IPv6Network("100::/64"),
    IPv6Network("2001::/23"),
    IPv6Network("2001:db8::/32"),
    IPv6Network("3fff::/20"),
    IPv6Network("5f00::/16"),
    IPv6Network("fec0::/10"),
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")


def unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 address leads to (mapped, compatible, 6to4, NAT64, ISATAP), else itself."""
    if isinstance(address, IPv4Address):
        return address
    if inner := address.ipv4_mapped or address.sixtofour:
        return inner
    number = int(address)
    if address in _COMPATIBLE and number > 1:
        return IPv4Address(number & 0xFFFFFFFF)
    if any(address in network for network in _TRANSLATED) or (number >> 32) & 0xFFFFFFFF in _ISATAP:
        return IPv4Address(number & 0xFFFFFFFF)
    return address


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet, whatever form it is wrapped in."""
    if getattr(address, "scope_id", None):
        return False
    inner = unwrapped(address)
    if isinstance(inner, IPv6Address) and inner not in _GLOBAL_UNICAST:
        return False
    if inner.is_multicast or inner.is_reserved or inner.is_unspecified or not inner.is_global:
        return False
    return not any(inner in network for network in (*_SERVED_LOCALLY, *_SPECIAL) if network.version == inner.version)


def may_be_reached(text: str, private: Iterable[Network]) -> bool:
    """Whether a connection to this numeric address is allowed: it is public, or in a network that was named.

    Args:
        text: The address as a resolver or a socket gives it.
        private: Networks that may be reached although they are not public.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if getattr(address, "scope_id", None):
        return False
    return is_public(address) or any(
        unwrapped(address) in one for one in private if one.version == unwrapped(address).version
    )


def networks(names: Iterable[str], tool: str) -> tuple[Network, ...]:
    """Networks from their names, such as `10.1.0.0/16`.

    Raises:
        InvalidTool: One is no network.
    """
    made: list[Network] = []
    for name in names:
        try:
            made.append(ip_network(name))
        except ValueError as error:
            raise InvalidTool(tool, f"private: {name!r} is no network such as '10.1.0.0/16' ({error}).") from error
    return tuple(made)
