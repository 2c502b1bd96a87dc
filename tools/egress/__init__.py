"""What may be reached from here over HTTP: an allow-list of hosts, and public addresses only."""

from .addresses import Network, is_public, networks, unwrapped
from .exchange import Answer, Limits, Resolver, exchange
from .hosts import AllowList, checked_url

__all__ = [
    "AllowList",
    "Answer",
    "Limits",
    "Network",
    "Resolver",
    "checked_url",
    "exchange",
    "is_public",
    "networks",
    "unwrapped",
]
